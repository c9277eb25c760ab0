/* authority_issue.c - certificates from an authority of this server.
 *
 * The serial number stands in the store before anything is signed, and what was signed counts only
 * with the change that stores it: a certificate that a crash took away never left this process.
 */
#include "pkcs11/token_cipher.h"
#include "server/base/text.h"
#include "server/vault/authorities/authority_keys.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/x509/inspect.h"

static kv_status find_operation(kv_vault *vault, kv_work *work, kv_slice operation,
                                kv_issued_row *out, bool *exists, kv_error *err)
{
    kv_issued_row from = { .operation = operation };
    kv_scan scan = {
        .table = &kv_table_issued, .index = 1, .prefix = 1, .from = &from, .limit = 1
    };
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    *exists = rows.count > 0;
    if (rows.count)
        *out = *(const kv_issued_row *)rows.rows;
    return KV_OK;
}

/* Positive, and always of the same length; 126 random bits of the token are left. */
static kv_status new_serial(kv_vault *vault, kv_work *work, kv_slice *out, kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_CA);
    uint8_t *bytes = kv_arena_alloc(work->arena, KV_X509_SERIAL_BYTES);

    if (!bytes)
        return kv_arena_full(err);
    if (!token)
        return kv_fail(err, KV_UNSUPPORTED, "this server has no token for certificate authorities");
    KV_TRY(kv_token_random(token, bytes, KV_X509_SERIAL_BYTES, err));
    bytes[0] = (bytes[0] & 0x3f) | 0x40;
    *out = kv_slice_of(bytes, KV_X509_SERIAL_BYTES);
    return KV_OK;
}

kv_status kv_serial_reserve(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                            kv_slice operation, kv_issued_row *out, kv_error *err)
{
    kv_issued_row before = { 0 };
    kv_change change = { 0 };
    bool exists = false;

    *out = (kv_issued_row){ .authority_uid = authority->uid,
                            .operation = operation,
                            .state = KV_ISSUED_RESERVED,
                            .created = work->now_ms };
    if (operation.len)
        KV_TRY(find_operation(vault, work, operation, &before, &exists, err));
    else
        KV_TRY(kv_new_version(work, &out->operation, err));
    if (exists && !kv_slice_equal(before.state, KV_ISSUED_RESERVED))
        return kv_fail(err, KV_EXISTS, "this operation has its certificate already");
    KV_TRY(new_serial(vault, work, &out->serial, err));
    if (exists)
        KV_TRY(kv_change_delete(&change, &kv_table_issued, &before, err));
    KV_TRY(kv_change_insert(&change, &kv_table_issued, out, err));
    return kv_commit_step(vault, work, "CertificateAuthorityReserve", &change, err);
}

kv_status kv_serial_used(kv_work *work, kv_slice der, kv_slice object_uid, kv_slice version,
                         kv_issued_row *row, kv_error *err)
{
    kv_x509_facts facts;

    KV_TRY(kv_x509_inspect(work->arena, der, &facts, err));
    row->state = KV_ISSUED_ISSUED;
    row->object_uid = object_uid;
    row->version = version;
    row->subject = facts.subject;
    row->not_before = facts.not_before_ms;
    row->not_after = facts.not_after_ms;
    return kv_arena_copy(work->arena, kv_slice_of(facts.sha256, sizeof(facts.sha256)), &row->sha256,
                         err);
}

/* --- orders of certificates --- */

static kv_status reserve(void *context, kv_slice *serial, kv_error *err)
{
    kv_authority_use *use = context;

    KV_TRY(kv_serial_reserve(use->vault, use->work, &use->row, use->operation, use->issued, err));
    *serial = use->issued->serial;
    return KV_OK;
}

kv_status kv_authority_use_for(kv_vault *vault, kv_work *work, kv_issuance *at,
                               const kv_issuer_account *account, kv_authority_use *use,
                               kv_error *err)
{
    kv_slice name = account->name.len ? account->name : at->policy.issuer.name;
    kv_named_authority named;

    *use = (kv_authority_use){
        .vault = vault, .work = work, .operation = at->operation->request_id, .issued = &at->issued
    };
    KV_TRY(kv_authority_named(vault, work, at->vault_row, name, account->settings, &named, err));
    use->row = named.row;
    KV_TRY(kv_authority_may_issue(&use->row, err));
    KV_TRY(kv_authority_chain(work, &use->row, &use->local.chain, err));
    KV_TRY(kv_authority_served(work, &use->row, &use->local.served, err));
    KV_TRY(kv_authority_signer(vault, &use->row, &use->key, &use->local.signer, err));
    use->local.authority = (kv_x509_authority){ .crl_url = use->row.crl_url,
                                                .ocsp_url = use->row.ocsp_url,
                                                .issuer_url = use->row.issuer_url };
    use->local.max_months = (uint32_t)use->row.max_months;
    use->local.profile = named.profile;
    use->local.reserve = reserve;
    use->local.context = use;
    return KV_OK;
}
