/* listening.h - from the text of an address to a socket that listens. */
#pragma once

#include <stdint.h>

#include "server/base/error.h"

/* "127.0.0.1:7443", "[::1]:0", "*:7443"; port 0 takes a free one. The socket does not block and is
 * the caller's. KV_BAD_REQUEST for what is no address, KV_UNAVAILABLE when it cannot be listened
 * on. */
kv_status kv_listen_on(const char *text, int backlog, int *fd, uint16_t *port,
                       kv_error *err) KV_MUST_USE;
