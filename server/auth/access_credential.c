/* access_credential.c - which certificates and claims belong to a principal. */
#include "server/auth/access_change.h"

#include "server/base/text.h"

/* The principal with one credential more or less. */
typedef struct kv_credential_change {
    const kv_mapping_new *mapping;
    const kv_certificate_new *pin;
    bool federated;
    kv_slice match;
    kv_slice vault; /* lower case */
    kv_slice scope; /* where access/write is needed */
    int64_t not_after_ms;
    kv_slice principal_id;
    kv_credential_row row;
} kv_credential_change;

static kv_status check_free(const kv_access_work *work, kv_slice match, kv_error *err)
{
    kv_credential_row from = { .match = match };
    kv_scan scan = {
        .table = &kv_table_credentials, .index = 1, .prefix = 1, .from = &from, .limit = 1
    };
    kv_rows found;

    KV_TRY(kv_records_scan(work->auth->records, &scan, work->arena, &found, err));
    if (found.count > 0)
        return kv_fail(err, KV_EXISTS, "the credential belongs to a principal already");
    return KV_OK;
}

/* --- slots: what makes a limit hold while many add at once --- */

static kv_status free_slot(const kv_access_work *work, kv_slice owner, const char *full,
                           int64_t *out, kv_error *err)
{
    bool taken[KV_MANAGEMENT_CERTIFICATES_MAX] = { false };
    kv_slot_row from = { .owner = owner };
    kv_scan scan = { .table = &kv_table_slots,
                     .prefix = 1,
                     .from = &from,
                     .limit = KV_MANAGEMENT_CERTIFICATES_MAX };
    const kv_slot_row *rows;
    kv_rows found;

    KV_TRY(kv_records_scan(work->auth->records, &scan, work->arena, &found, err));
    rows = found.rows;
    for (unsigned i = 0; i < found.count; i++) {
        if (rows[i].slot >= 0 && rows[i].slot < KV_MANAGEMENT_CERTIFICATES_MAX)
            taken[rows[i].slot] = true;
    }
    for (int64_t slot = 0; slot < KV_MANAGEMENT_CERTIFICATES_MAX; slot++) {
        if (!taken[slot]) {
            *out = slot;
            return KV_OK;
        }
    }
    kv_fail(err, KV_PRECONDITION, "%s", full);
    return kv_because(err, KV_REASON_LIMIT_REACHED);
}

static kv_status take_slot(const kv_access_work *work, kv_slice owner, const char *full,
                           kv_slice credential_id, kv_change *change, kv_error *err)
{
    kv_slot_row *row = kv_arena_alloc(work->arena, sizeof(*row));

    if (!row)
        return kv_arena_full(err);
    *row = (kv_slot_row){ .owner = owner, .credential_id = credential_id };
    KV_TRY(free_slot(work, owner, full, &row->slot, err));
    return kv_change_insert(change, &kv_table_slots, row, err);
}

static kv_status take_slots(const kv_access_work *work, const kv_credential_row *credential,
                            kv_change *change, kv_error *err)
{
    char id[2 * KV_PRINCIPAL_ID_BYTES + 1];
    kv_slice vault, administrator;

    kv_hex(kv_slice_of(work->caller->principal_id, KV_PRINCIPAL_ID_BYTES), id);
    KV_TRY(kv_arena_print(work->arena, &vault, err, "vault:%.*s", KV_SLICE_ARG(credential->vault)));
    KV_TRY(kv_arena_print(work->arena, &administrator, err, "administrator:%s", id));
    KV_TRY(take_slot(work, vault,
                     "the vault has 100 management certificates, the most it can have: remove one "
                     "first",
                     credential->id, change, err));
    return take_slot(work, administrator,
                     "you have registered 100 management certificates, the most one administrator "
                     "can: another administrator can go on",
                     credential->id, change, err);
}

kv_status kv_access_delete_credential(const kv_access_work *work, kv_credential_row *row,
                                      kv_change *change, kv_error *err)
{
    kv_slot_row from = { .credential_id = row->id };
    kv_scan scan = { .table = &kv_table_slots, .index = 1, .prefix = 1, .from = &from, .limit = 2 };
    kv_slot_row *slots;
    kv_rows found;

    KV_TRY(kv_change_delete(change, &kv_table_credentials, row, err));
    KV_TRY(kv_records_scan(work->auth->records, &scan, work->arena, &found, err));
    slots = found.rows;
    for (unsigned i = 0; i < found.count; i++)
        KV_TRY(kv_change_delete(change, &kv_table_slots, &slots[i], err));
    return KV_OK;
}

/* --- adding --- */

static kv_status append(const kv_access_work *work, const kv_credential_row *row,
                        kv_principal_rows *rows, kv_error *err)
{
    kv_credential_row *longer =
        kv_arena_array(work->arena, rows->credential_count + 1, sizeof(*longer));

    if (!longer)
        return kv_arena_full(err);
    if (rows->credential_count)
        memcpy(longer, rows->credentials, rows->credential_count * sizeof(*longer));
    longer[rows->credential_count++] = *row;
    rows->credentials = longer;
    return KV_OK;
}

/* A management principal lives in one vault, which its first certificate decides. */
static kv_status check_kind(const kv_credential_change *adding, kv_principal_row *principal,
                            kv_error *err)
{
    bool management = principal->kind == KV_PRINCIPAL_MANAGEMENT;

    if (management != (adding->vault.len > 0))
        return kv_fail(err, KV_PRECONDITION,
                       management ? "a management principal is known by management certificates of "
                                    "its vault only"
                                  : "only a management principal has management certificates");
    if (!management)
        return KV_OK;
    if (principal->home_vault.len == 0)
        principal->home_vault = adding->vault;
    if (!kv_slice_equal(principal->home_vault, adding->vault))
        return kv_fail(err, KV_PRECONDITION, "the management principal belongs to another vault");
    return KV_OK;
}

static kv_credential_kind kind_of(const kv_credential_change *adding)
{
    if (adding->mapping)
        return KV_CREDENTIAL_MAPPING;
    if (adding->federated)
        return KV_CREDENTIAL_OIDC;
    return adding->vault.len > 0 ? KV_CREDENTIAL_MANAGEMENT : KV_CREDENTIAL_PINNED;
}

static kv_status add(const kv_access_work *work, void *context, kv_error *err)
{
    kv_credential_change *adding = context;
    kv_credential_row *row = &adding->row;
    kv_principal_rows rows;
    kv_change change = { 0 };

    KV_TRY(kv_access_may(work, KV_MAY_ACCESS_WRITE, adding->scope, err));
    KV_TRY(kv_access_read(work, adding->principal_id, "principal_id", &rows, err));
    KV_TRY(check_kind(adding, &rows.principal, err));
    KV_TRY(check_free(work, adding->match, err));
    if (rows.credential_count >= KV_CREDENTIALS_PER_PRINCIPAL) {
        kv_fail(err, KV_PRECONDITION, "the principal has %d credentials, the most it can have",
                KV_CREDENTIALS_PER_PRINCIPAL);
        return kv_because(err, KV_REASON_LIMIT_REACHED);
    }
    *row =
        (kv_credential_row){ .principal_id = rows.principal.id,
                             .match = adding->match,
                             .kind = kind_of(adding),
                             .certificate = adding->pin ? adding->pin->certificate : KV_SLICE_NONE,
                             .vault = adding->vault,
                             .not_after = adding->not_after_ms,
                             .registered_by =
                                 kv_slice_of(work->caller->principal_id, KV_PRINCIPAL_ID_BYTES),
                             .created = work->now_ms };
    KV_TRY(kv_access_new_id(work->arena, &row->id, err));
    KV_TRY(append(work, row, &rows, err));
    KV_TRY(kv_change_insert(&change, &kv_table_credentials, row, err));
    if (row->kind == KV_CREDENTIAL_MANAGEMENT)
        KV_TRY(take_slots(work, row, &change, err));
    KV_TRY(kv_access_write_principal(work, &rows, false, &change, err));
    return kv_access_commit(work, &change, err);
}

/* With the lock of the client CAs. */
static kv_status choose_ca(const kv_client_cas *cas, kv_slice asked, const uint8_t **out,
                           kv_error *err)
{
    unsigned count = kv_client_cas_count(cas);

    if (count == 0)
        return kv_fail(err, KV_PRECONDITION, "no client CA is configured");
    if (asked.len == 0 && count == 1) {
        *out = kv_client_cas_hash(cas, 0);
        return KV_OK;
    }
    if (asked.len == 32 && kv_client_cas_has(cas, asked.data)) {
        *out = asked.data;
        return KV_OK;
    }
    return kv_fail_field(err, "ca_sha256", "must be the SHA-256 of one of the %u client CAs",
                         count);
}

static kv_status find_ca(kv_auth *auth, kv_slice asked, uint8_t out[32], kv_error *err)
{
    const uint8_t *chosen;
    kv_status status;

    (void)pthread_rwlock_rdlock(&auth->cas_lock);
    status = choose_ca(auth->cas, asked, &chosen, err);
    if (status == KV_OK)
        memcpy(out, chosen, 32);
    (void)pthread_rwlock_unlock(&auth->cas_lock);
    return status;
}

kv_status kv_access_add_mapping(const kv_access_work *work, const kv_mapping_new *in,
                                kv_credential *out, kv_error *err)
{
    kv_credential_change adding = { .mapping = in,
                                    .scope = KV_SLICE("/"),
                                    .principal_id = in->principal_id };
    uint8_t ca[32];

    KV_TRY(find_ca(work->auth, in->ca_sha256, ca, err));
    KV_TRY(kv_match_mapping(ca, in->name_type, in->value, work->arena, &adding.match, err));
    KV_TRY(kv_access_retry(work, add, &adding, err));
    return kv_credential_of(&adding.row, work->arena, out, err);
}

kv_status kv_access_add_federation(const kv_access_work *work, const kv_federation_new *in,
                                   kv_credential *out, kv_error *err)
{
    kv_credential_change adding = { .federated = true,
                                    .scope = KV_SLICE("/"),
                                    .principal_id = in->principal_id };

    KV_TRY(kv_oidc_match(work->auth->oidc, in->provider, in->claim, in->value, work->arena,
                         &adding.match, err));
    KV_TRY(kv_access_retry(work, add, &adding, err));
    return kv_credential_of(&adding.row, work->arena, out, err);
}

kv_status kv_access_add_certificate(const kv_access_work *work, const kv_certificate_new *in,
                                    kv_credential *out, kv_error *err)
{
    kv_credential_change adding = { .pin = in,
                                    .scope = KV_SLICE("/"),
                                    .principal_id = in->principal_id };
    kv_certificate certificate;
    kv_scope scope;

    if (in->vault.len > 0) {
        if (in->vault.len > KV_SCOPE_NAME_MAX)
            return kv_fail_field(err, "vault", "is longer than a name can be");
        KV_TRY(kv_arena_print(work->arena, &adding.scope, err, "/vaults/%.*s",
                              KV_SLICE_ARG(in->vault)));
        KV_TRY(kv_scope_parse(work->arena, adding.scope, "vault", &adding.scope, err));
        if (!kv_scope_read(adding.scope, &scope) || scope.collection != KV_COLLECTION_NONE)
            return kv_fail_field(err, "vault", "must be the name of a vault");
        adding.vault = scope.vault;
    }
    KV_TRY(kv_certificate_read(NULL, in->certificate, work->arena, &certificate, err));
    KV_TRY(kv_access_check_certificate(&certificate, work->now_ms, err));
    adding.not_after_ms = certificate.not_after_ms;
    KV_TRY(kv_match_pin(certificate.sha256, work->arena, &adding.match, err));
    KV_TRY(kv_access_retry(work, add, &adding, err));
    return kv_credential_of(&adding.row, work->arena, out, err);
}

/* --- listing --- */

kv_status kv_access_list_credentials(const kv_access_work *work, kv_slice principal_id,
                                     kv_slice vault, const kv_access_page *page,
                                     kv_credential_list *out, kv_error *err)
{
    bool by_vault = principal_id.len == 0;
    kv_credential_row from = { .principal_id = principal_id, .id = page->token };
    kv_scan scan = { .table = &kv_table_credentials,
                     .index = by_vault ? 3 : 2,
                     .prefix = 1,
                     .from = &from,
                     .after = page->token.len > 0 };
    kv_credential_list list = { 0 };
    kv_principal principal;
    const kv_credential_row *rows;
    kv_rows found;

    if (page->token.len != 0 && page->token.len != KV_PRINCIPAL_ID_BYTES)
        return kv_fail_field(err, "page_token", "is not one of this server");
    KV_TRY(kv_access_page_size(page, &scan.limit, err));
    if (by_vault) {
        if (vault.len == 0 || vault.len > KV_SCOPE_NAME_MAX)
            return kv_fail_field(err, "vault", "must be the name of a vault");
        KV_TRY(kv_text_lower(work->arena, vault, &from.vault, err));
    } else {
        KV_TRY(kv_access_get_principal(work, principal_id, &principal, err));
    }
    KV_TRY(kv_records_scan(work->auth->records, &scan, work->arena, &found, err));
    list.items = kv_arena_array(work->arena, found.count, sizeof(*list.items));
    if (!list.items)
        return kv_arena_full(err);
    rows = found.rows;
    for (; list.count < found.count; list.count++)
        KV_TRY(kv_credential_of(&rows[list.count], work->arena, &list.items[list.count], err));
    if (found.more)
        list.next = rows[found.count - 1].id;
    *out = list;
    return KV_OK;
}

/* --- removing --- */

static bool take_credential(kv_principal_rows *rows, kv_slice id)
{
    for (unsigned i = 0; i < rows->credential_count; i++) {
        if (!kv_slice_equal(rows->credentials[i].id, id))
            continue;
        rows->credentials[i] = rows->credentials[--rows->credential_count];
        return true;
    }
    return false;
}

static kv_status scope_of(const kv_access_work *work, const kv_credential_row *row, kv_slice *out,
                          kv_error *err)
{
    *out = KV_SLICE("/");
    if (row->kind != KV_CREDENTIAL_MANAGEMENT)
        return KV_OK;
    return kv_arena_print(work->arena, out, err, "/vaults/%.*s", KV_SLICE_ARG(row->vault));
}

static kv_status remove_one(const kv_access_work *work, void *context, kv_error *err)
{
    const kv_slice *id = context;
    kv_credential_row row = { .id = *id };
    kv_principal_rows rows;
    kv_principal_row witness;
    kv_change change = { 0 };
    kv_status status;
    kv_slice scope;
    bool was;

    status = kv_records_get(work->auth->records, &kv_table_credentials, &row, work->arena, err);
    if (status == KV_NOT_FOUND) {
        /* Who may not write learns nothing of what is there. */
        KV_TRY(kv_access_may(work, KV_MAY_ACCESS_WRITE, KV_SLICE("/"), err));
        return kv_fail(err, KV_NOT_FOUND, "there is no such credential");
    }
    if (status != KV_OK)
        return status;
    KV_TRY(scope_of(work, &row, &scope, err));
    KV_TRY(kv_access_may(work, KV_MAY_ACCESS_WRITE, scope, err));
    KV_TRY(kv_access_read(work, row.principal_id, "principal_id", &rows, err));
    was = kv_principal_rows_administer(&rows);
    if (!take_credential(&rows, row.id))
        return kv_fail(err, KV_CONFLICT, "the credential is being changed: try again");
    KV_TRY(kv_access_delete_credential(work, &row, &change, err));
    KV_TRY(kv_access_write_principal(work, &rows, false, &change, err));
    KV_TRY(kv_access_keep_administrator(
        work, rows.principal.id, was, kv_principal_rows_administer(&rows), &witness, &change, err));
    return kv_access_commit(work, &change, err);
}

kv_status kv_access_remove_credential(const kv_access_work *work, kv_slice id, kv_error *err)
{
    if (id.len != KV_PRINCIPAL_ID_BYTES)
        return kv_fail_field(err, "credential_id", "must be an id: 32 hexadecimal digits");
    return kv_access_retry(work, remove_one, &id, err);
}
