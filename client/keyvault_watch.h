/* keyvault_watch.h - what happens in the key vault server, as it happens. After keyvault.h, whose
 * words on threads, memory and errors count here too; a watch is used by one thread at a time, and
 * closed before its handle.
 */
#pragma once

#include <keyvault/v1/events.pb-c.h>

typedef struct keyvault_watch keyvault_watch;

/* Events, for as long as one likes: WatchEvents, opened again from the last cursor when the
 * connection, the server or the role token ends. */
int keyvault_watch_open(keyvault *handle, const Keyvault__V1__WatchEventsRequest *request,
                        keyvault_watch **out, keyvault_error *err);
/* Waits for the next message, which is the caller's; without an event it is a heartbeat, or the
 * beginning of a stream. An event may come twice. After an error one may call again, which waits
 * first, from 0.5 s up to 30 s: that helps after UNAVAILABLE, RESOURCE_EXHAUSTED,
 * DEADLINE_EXCEEDED. FAILED_PRECONDITION: events past the cursor are gone; look at what there is,
 * and open another watch. */
int keyvault_watch_next(keyvault_watch *watch, Keyvault__V1__WatchEventsResponse **out,
                        keyvault_error *err);
void keyvault_watch_close(keyvault_watch *watch);
