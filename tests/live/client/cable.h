/* cable.h - a TCP connection in between, that can be cut.
 *
 * Threads: any.
 */
#pragma once

#include <stdint.h>

typedef struct cable cable;

/* Listens on a port of its own and joins every connection to `to` on loopback. */
cable *cable_new(uint16_t to);
uint16_t cable_port(const cable *it);
/* Every connection that is open dies now. */
void cable_cut(cable *it);
void cable_free(cable *it);
