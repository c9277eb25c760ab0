/* principal_rows.h - a principal with all its grants, read together and proved by one seal.
 *
 * Assignments carry no seal: the principal's sealed row holds a digest over all its assignments and
 * credentials, so a row added, removed, edited or put back in the database shows.
 *
 * Threads:  any worker.
 * Lifetime: rows are borrowed from the arena they were read to.
 */
#pragma once

#include "server/auth/access_types.h"
#include "server/store/records.h"
#include "server/store/schema.h"

enum { KV_GRANTS_DIGEST_BYTES = 32 };

typedef struct kv_principal_rows {
    kv_principal_row principal;
    kv_assignment_row *assignments;
    unsigned assignment_count;
    kv_credential_row *credentials;
    unsigned credential_count;
} kv_principal_rows;

/* All of one principal, consistent. KV_NOT_FOUND; KV_INTERNAL with KV_REASON_INTEGRITY when the
 * digest does not fit; KV_CONFLICT when it keeps changing meanwhile. */
kv_status kv_principal_rows_read(kv_records *records, kv_slice id, kv_arena *arena,
                                 kv_principal_rows *out, kv_error *err) KV_MUST_USE;

/* The digest of the rows as they are in `*rows`; in any order. */
kv_status kv_principal_rows_digest(const kv_principal_rows *rows, kv_arena *arena, kv_slice *out,
                                   kv_error *err) KV_MUST_USE;

/* Is it an access administrator of the whole server who can sign in and whom nothing ends? */
bool kv_principal_rows_administer(const kv_principal_rows *rows);

/* Rows as the operations of access.h show them. */
kv_principal kv_principal_of(const kv_principal_row *row);
kv_status kv_assignment_of(const kv_assignment_row *row, kv_assignment *out,
                           kv_error *err) KV_MUST_USE;
/* The same in memory of its own. */
kv_status kv_assignment_copy(kv_arena *arena, const kv_assignment_row *row, kv_assignment *out,
                             kv_error *err) KV_MUST_USE;
kv_status kv_credential_of(const kv_credential_row *row, kv_arena *arena, kv_credential *out,
                           kv_error *err) KV_MUST_USE;
