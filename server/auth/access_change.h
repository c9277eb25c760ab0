/* access_change.h - what every change of grants does alike. Nobody outside this folder includes it.
 */
#pragma once

#include "server/auth/access.h"
#include "server/auth/auth_impl.h"

enum {
    KV_ACCESS_ATTEMPTS = 5,
    /* Rows in one change; the audit record of a change names no more. */
    KV_ACCESS_CHANGE_ROWS = 8
};

/* One attempt: reads, decides and commits. `context` is the caller's own struct. */
typedef kv_status kv_access_attempt(const kv_access_work *work, void *context, kv_error *err);

/* Runs the attempt until it is not refused with KV_CONFLICT, at most five times. */
kv_status kv_access_retry(const kv_access_work *work, kv_access_attempt *attempt, void *context,
                          kv_error *err) KV_MUST_USE;

/* KV_EXISTS comes back as KV_CONFLICT: the next attempt tells by reading what it was. */
kv_status kv_access_commit(const kv_access_work *work, kv_change *change,
                           kv_error *err) KV_MUST_USE;

/* May the caller do this, on this scope (normalised; "/" for the server)? */
kv_status kv_access_may(const kv_access_work *work, kv_permission permission, kv_slice scope,
                        kv_error *err) KV_MUST_USE;

/* The principal's rows for a change; KV_BAD_REQUEST for an id that is none, naming `field`. */
kv_status kv_access_read(const kv_access_work *work, kv_slice id, const char *field,
                         kv_principal_rows *out, kv_error *err) KV_MUST_USE;

/* Adds the update of the principal's row to the change: new digest over rows as they are now in
 * `*after`, `updated`, and a new epoch when `end_tokens`. */
kv_status kv_access_write_principal(const kv_access_work *work, kv_principal_rows *after,
                                    bool end_tokens, kv_change *change, kv_error *err) KV_MUST_USE;

/* If the change makes principal `id`, who `was` an administrator (kv_principal_rows_administer),
 * none
 * (`is`), another one must remain: KV_PRECONDITION otherwise. The other one's row (`*witness`, to
 * live until the commit) is written unchanged in the same change, so two changes cannot each count
 * on the administrator that the other removes. */
kv_status kv_access_keep_administrator(const kv_access_work *work, kv_slice id, bool was, bool is,
                                       kv_principal_row *witness, kv_change *change,
                                       kv_error *err) KV_MUST_USE;

/* Adds the deletion of a credential and of the slots it takes to the change. (access_credential.c)
 */
kv_status kv_access_delete_credential(const kv_access_work *work, kv_credential_row *row,
                                      kv_change *change, kv_error *err) KV_MUST_USE;

/* 16 random bytes in the arena. */
kv_status kv_access_new_id(kv_arena *arena, kv_slice *out, kv_error *err) KV_MUST_USE;

/* 1 to KV_ACCESS_NAME_MAX bytes of printable text that does not begin or end with a space. */
kv_status kv_access_check_name(kv_slice name, kv_error *err) KV_MUST_USE;

/* Two roles of one principal that exclude each other are let pass: once a pair. */
kv_status kv_access_warn(const kv_access_work *work, kv_role role, kv_role other,
                         kv_error *err) KV_MUST_USE;
/* What was let pass, to the log. `id` is the principal's. */
void kv_access_log_warnings(const kv_access_work *work, kv_slice id);

/* The size of a page, checked. */
kv_status kv_access_page_size(const kv_access_page *page, unsigned *out, kv_error *err) KV_MUST_USE;

/* What a pinned certificate needs: readable, not expired. */
kv_status kv_access_check_certificate(const kv_certificate *certificate, int64_t now_ms,
                                      kv_error *err) KV_MUST_USE;
