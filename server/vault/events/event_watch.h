/* event_watch.h - which events a caller is told: those that it asked for and may know of.
 *
 * Threads: any worker.
 */
#pragma once

#include "server/vault/events/events.h"
#include "server/vault/messages/messages_events.h"
#include "server/vault/operations/operations.h"

/* Does the target, with the set of types, ask for this event? */
bool kv_event_asked(const kv_target *target, uint32_t types, const kv_event_row *event);
/* May the caller know of it now? KV_OK with `*may`; anything else says that the caller may do
 * nothing any more (the role token ended, the principal is disabled), or that its grants cannot be
 * trusted. Errors of kv_auth_permit(). */
kv_status kv_event_permit(kv_vault *vault, const kv_caller *caller, const kv_event_row *event,
                          int64_t now_ms, bool *may, kv_error *err) KV_MUST_USE;
/* May the caller watch at all, now? */
kv_status kv_event_permit_any(kv_vault *vault, const kv_caller *caller, int64_t now_ms,
                              kv_error *err) KV_MUST_USE;

KV_OPERATION(kv_event_list_all, kv_event_list_in, kv_event_list);
/* Checks the request; `out` is the first message: where the stream begins. */
KV_OPERATION(kv_event_watch_begin, kv_event_watch_in, kv_event_message);
/* Some of what was past the cursor is gone: KV_PRECONDITION. */
kv_status kv_event_lost(kv_error *err) KV_MUST_USE;
