/* principal_rows.c - reading a principal's rows, and the digest that binds them. */
#include "server/auth/principal_rows.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "server/auth/oidc.h"
#include "server/auth/policy.h"
#include "server/base/text.h"

enum { READ_ATTEMPTS = 5, CA_PREFIX = 3, SHA256_DIGITS = 64 };

static void hasher_cleanup(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}

static bool add_number(EVP_MD_CTX *hash, int64_t number)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
    return EVP_DigestUpdate(hash, bytes, sizeof(bytes)) == 1;
}

/* Length first, so no two lists of fields look alike. */
static bool add_bytes(EVP_MD_CTX *hash, kv_slice bytes)
{
    return add_number(hash, (int64_t)bytes.len) &&
           (bytes.len == 0 || EVP_DigestUpdate(hash, bytes.data, bytes.len) == 1);
}

static bool add_assignment(EVP_MD_CTX *hash, const kv_assignment_row *row)
{
    return add_bytes(hash, row->id) && add_bytes(hash, row->role) && add_bytes(hash, row->scope) &&
           add_number(hash, row->ends_at) && add_number(hash, row->created) &&
           add_bytes(hash, row->created_by);
}

static bool add_credential(EVP_MD_CTX *hash, const kv_credential_row *row)
{
    return add_bytes(hash, row->id) && add_bytes(hash, row->match) && add_number(hash, row->kind) &&
           add_bytes(hash, row->certificate) && add_bytes(hash, row->vault) &&
           add_number(hash, row->not_after) && add_bytes(hash, row->registered_by) &&
           add_number(hash, row->created);
}

static int assignment_order(const void *a, const void *b)
{
    return kv_slice_compare((*(const kv_assignment_row *const *)a)->id,
                            (*(const kv_assignment_row *const *)b)->id);
}

static int credential_order(const void *a, const void *b)
{
    return kv_slice_compare((*(const kv_credential_row *const *)a)->id,
                            (*(const kv_credential_row *const *)b)->id);
}

static bool hash_rows(EVP_MD_CTX *hash, const kv_slice principal_id,
                      const kv_assignment_row **assignments, unsigned assignment_count,
                      const kv_credential_row **credentials, unsigned credential_count)
{
    bool done = EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
                add_bytes(hash, KV_SLICE("keyvault grants 1")) && add_bytes(hash, principal_id) &&
                add_number(hash, assignment_count);

    for (unsigned i = 0; done && i < assignment_count; i++)
        done = add_assignment(hash, assignments[i]);
    done = done && add_number(hash, credential_count);
    for (unsigned i = 0; done && i < credential_count; i++)
        done = add_credential(hash, credentials[i]);
    return done;
}

kv_status kv_principal_rows_digest(const kv_principal_rows *rows, kv_arena *arena, kv_slice *out,
                                   kv_error *err)
{
    __attribute__((cleanup(hasher_cleanup))) EVP_MD_CTX *hash = EVP_MD_CTX_new();
    const kv_assignment_row **assignments =
        kv_arena_array(arena, rows->assignment_count, sizeof(const kv_assignment_row *));
    const kv_credential_row **credentials =
        kv_arena_array(arena, rows->credential_count, sizeof(const kv_credential_row *));
    uint8_t *digest = kv_arena_alloc(arena, KV_GRANTS_DIGEST_BYTES);
    unsigned len = 0;

    if (!assignments || !credentials || !digest)
        return kv_arena_full(err);
    for (unsigned i = 0; i < rows->assignment_count; i++)
        assignments[i] = &rows->assignments[i];
    for (unsigned i = 0; i < rows->credential_count; i++)
        credentials[i] = &rows->credentials[i];
    qsort(assignments, rows->assignment_count, sizeof(const kv_assignment_row *), assignment_order);
    qsort(credentials, rows->credential_count, sizeof(const kv_credential_row *), credential_order);
    if (!hash ||
        !hash_rows(hash, rows->principal.id, assignments, rows->assignment_count, credentials,
                   rows->credential_count) ||
        EVP_DigestFinal_ex(hash, digest, &len) != 1)
        return kv_fail(err, KV_INTERNAL, "the grants could not be hashed");
    *out = kv_slice_of(digest, len);
    return KV_OK;
}

static kv_status broken(const kv_principal_rows *rows, const char *why, kv_error *err)
{
    char id[2 * KV_PRINCIPAL_ID_BYTES + 1] = "";

    if (rows->principal.id.len == KV_PRINCIPAL_ID_BYTES)
        kv_hex(rows->principal.id, id);
    kv_fail(err, KV_INTERNAL, "the grants of a principal do not verify");
    kv_because(err, KV_REASON_INTEGRITY);
    return kv_note(err, "principals %s: %s", id, why);
}

static kv_status read_grants(kv_records *records, kv_arena *arena, kv_principal_rows *out,
                             kv_error *err)
{
    kv_assignment_row assignment = { .principal_id = out->principal.id };
    kv_credential_row credential = { .principal_id = out->principal.id };
    kv_scan assignments = { .table = &kv_table_assignments,
                            .prefix = 1,
                            .from = &assignment,
                            .limit = KV_ASSIGNMENTS_PER_PRINCIPAL + 1 };
    kv_scan credentials = { .table = &kv_table_credentials,
                            .index = 2,
                            .prefix = 1,
                            .from = &credential,
                            .limit = KV_CREDENTIALS_PER_PRINCIPAL + 1 };
    kv_rows found;

    KV_TRY(kv_records_scan(records, &assignments, arena, &found, err));
    out->assignments = found.rows;
    out->assignment_count = found.count;
    KV_TRY(kv_records_scan(records, &credentials, arena, &found, err));
    out->credentials = found.rows;
    out->credential_count = found.count;
    return KV_OK;
}

static kv_status check_digest(const kv_principal_rows *rows, kv_arena *arena, bool *fits,
                              kv_error *err)
{
    kv_slice digest;

    KV_TRY(kv_principal_rows_digest(rows, arena, &digest, err));
    *fits = kv_slice_equal(digest, rows->principal.grants_digest);
    return KV_OK;
}

kv_status kv_principal_rows_read(kv_records *records, kv_slice id, kv_arena *arena,
                                 kv_principal_rows *out, kv_error *err)
{
    kv_principal_rows rows = { .principal = { .id = id } };
    bool fits = false;

    KV_TRY(kv_records_get(records, &kv_table_principals, &rows.principal, arena, err));
    for (unsigned attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
        kv_principal_row again = { .id = id };

        KV_TRY(read_grants(records, arena, &rows, err));
        KV_TRY(check_digest(&rows, arena, &fits, err));
        if (fits) {
            *out = rows;
            return KV_OK;
        }
        /* The three reads are no transaction: a change between them explains a misfit, and only
         * then is the principal's row another one. */
        KV_TRY(kv_records_get(records, &kv_table_principals, &again, arena, err));
        if (again.head.generation == rows.principal.head.generation)
            return broken(&rows, "the digest over assignments and credentials differs", err);
        rows.principal = again;
    }
    return kv_fail(err, KV_CONFLICT, "the principal is being changed: try again");
}

bool kv_principal_rows_administer(const kv_principal_rows *rows)
{
    unsigned certificates = 0;

    /* An identity provider can go away, or be taken out of the configuration. */
    for (unsigned i = 0; i < rows->credential_count; i++)
        certificates += rows->credentials[i].kind != KV_CREDENTIAL_OIDC;
    if (rows->principal.disabled || certificates == 0)
        return false;
    for (unsigned i = 0; i < rows->assignment_count; i++) {
        const kv_assignment_row *row = &rows->assignments[i];

        if (row->ends_at == 0 && kv_slice_equal(row->scope, KV_SLICE("/")) &&
            kv_role_find(row->role) == KV_ROLE_ACCESS_ADMINISTRATOR)
            return true;
    }
    return false;
}

kv_principal kv_principal_of(const kv_principal_row *row)
{
    return (kv_principal){ .id = row->id,
                           .name = row->name,
                           .kind = (kv_principal_kind)row->kind,
                           .enabled = !row->disabled,
                           .home_vault = row->home_vault,
                           .epoch = row->epoch,
                           .created_ms = row->created,
                           .updated_ms = row->updated };
}

kv_status kv_assignment_of(const kv_assignment_row *row, kv_assignment *out, kv_error *err)
{
    kv_role role = kv_role_find(row->role);

    if (role == KV_ROLE_NONE || row->id.len != 16 || row->principal_id.len != 16)
        return kv_fail(err, KV_INTERNAL, "an assignment cannot be read");
    *out = (kv_assignment){ .id = row->id,
                            .principal_id = row->principal_id,
                            .role = role,
                            .scope = row->scope,
                            .ends_ms = row->ends_at,
                            .created_ms = row->created,
                            .created_by = row->created_by };
    return KV_OK;
}

kv_status kv_assignment_copy(kv_arena *arena, const kv_assignment_row *row, kv_assignment *out,
                             kv_error *err)
{
    KV_TRY(kv_assignment_of(row, out, err));
    KV_TRY(kv_arena_copy(arena, row->id, &out->id, err));
    KV_TRY(kv_arena_copy(arena, row->principal_id, &out->principal_id, err));
    KV_TRY(kv_arena_copy(arena, row->scope, &out->scope, err));
    return kv_arena_copy(arena, row->created_by, &out->created_by, err);
}

static kv_status unhex(kv_arena *arena, kv_slice digits, kv_slice *out, kv_error *err)
{
    uint8_t *bytes = kv_arena_alloc(arena, SHA256_DIGITS / 2);

    if (!bytes)
        return kv_arena_full(err);
    if (!kv_unhex(digits, bytes, SHA256_DIGITS / 2))
        return kv_fail(err, KV_INTERNAL, "a credential cannot be read");
    *out = kv_slice_of(bytes, SHA256_DIGITS / 2);
    return KV_OK;
}

/* "ca:<64 digits>:<type>:<value>" */
static kv_status read_mapping(kv_slice match, kv_arena *arena, kv_credential *out, kv_error *err)
{
    static const char *const types[] = {
        [KV_NAME_URI] = ":uri:", [KV_NAME_DNS] = ":dns:", [KV_NAME_SUBJECT] = ":subject:"
    };
    kv_slice rest;

    if (match.len < CA_PREFIX + SHA256_DIGITS)
        return kv_fail(err, KV_INTERNAL, "a credential cannot be read");
    KV_TRY(unhex(arena, kv_slice_of(match.data + CA_PREFIX, SHA256_DIGITS), &out->ca_sha256, err));
    rest =
        kv_slice_of(match.data + CA_PREFIX + SHA256_DIGITS, match.len - CA_PREFIX - SHA256_DIGITS);
    for (unsigned type = KV_NAME_URI; type < KV_COUNT(types); type++) {
        kv_slice prefix = kv_slice_text(types[type]);

        if (!kv_slice_starts_with(rest, prefix))
            continue;
        out->name_type = (kv_name_type)type;
        out->value = kv_slice_of(rest.data + prefix.len, rest.len - prefix.len);
        return KV_OK;
    }
    return kv_fail(err, KV_INTERNAL, "a credential cannot be read");
}

kv_status kv_credential_of(const kv_credential_row *row, kv_arena *arena, kv_credential *out,
                           kv_error *err)
{
    kv_slice pin = KV_SLICE("sha256:");
    kv_credential credential = { .id = row->id,
                                 .principal_id = row->principal_id,
                                 .kind = (kv_credential_kind)row->kind,
                                 .certificate = row->certificate,
                                 .vault = row->vault,
                                 .not_after_ms = row->not_after,
                                 .registered_by = row->registered_by,
                                 .created_ms = row->created };

    if (kv_slice_starts_with(row->match, pin))
        KV_TRY(unhex(arena, kv_slice_of(row->match.data + pin.len, row->match.len - pin.len),
                     &credential.certificate_sha256, err));
    else if (!kv_oidc_match_parts(row->match, &credential.provider, &credential.claim,
                                  &credential.value))
        KV_TRY(read_mapping(row->match, arena, &credential, err));
    *out = credential;
    return KV_OK;
}
