/* authority_find.c - an authority as it is stored, as it is answered, and as it signs. */
#include "pkcs11/token_sign.h"
#include "server/base/text.h"
#include "server/vault/authorities/authority_keys.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"
#include "server/x509/inspect.h"

kv_status kv_authority_look_up(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_slice name,
                               kv_authority_row *out, bool *exists, kv_error *err)
{
    kv_authority_row row = { .vault_uid = vault_uid };
    kv_status status;

    KV_TRY(kv_text_lower(work->arena, name, &row.name, err));
    status = kv_records_get(vault->config.records, &kv_table_authorities, &row, work->arena, err);
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *exists = status == KV_OK;
    if (*exists)
        *out = row;
    else
        *err = (kv_error){ 0 };
    return KV_OK;
}

kv_status kv_authority_find(kv_vault *vault, kv_work *work, const kv_target *target,
                            kv_vault_row *vault_row, kv_authority_row *out, kv_error *err)
{
    kv_vault_row found;
    bool exists = false;

    KV_TRY(kv_find_vault(vault, work, target->vault, &found, err));
    KV_TRY(kv_check_name(target->name, "name", err));
    work->entry->name = target->name;
    KV_TRY(kv_authority_look_up(vault, work, found.uid, target->name, out, &exists, err));
    if (!exists)
        return kv_fail(err, KV_NOT_FOUND, "there is no certificate authority '%.*s' in this vault",
                       KV_SLICE_ARG(target->name));
    if (vault_row)
        *vault_row = found;
    return KV_OK;
}

kv_status kv_authority_chain(kv_work *work, const kv_authority_row *row, kv_x509_list *out,
                             kv_error *err)
{
    return kv_chain_split(work, row->certificate, row->chain, out, err);
}

static kv_slice state_of(const kv_authority_row *row, int64_t not_after, int64_t now_ms)
{
    if (!row->certificate.len)
        return KV_SLICE("PENDING_CERTIFICATE");
    if (not_after <= now_ms)
        return KV_SLICE("EXPIRED");
    return row->enabled ? KV_SLICE("ACTIVE") : KV_SLICE("DISABLED");
}

kv_status kv_authority_bundle_of(kv_work *work, const kv_vault_row *vault_row,
                                 const kv_authority_row *row, kv_authority_bundle *out,
                                 kv_error *err)
{
    kv_x509_facts facts = { 0 };
    kv_x509_list chain = { 0 };
    kv_x509_list vaults;

    KV_TRY(kv_authority_vaults(work, row, &vaults, err));
    if (row->certificate.len) {
        KV_TRY(kv_x509_inspect(work->arena, row->certificate, &facts, err));
        KV_TRY(kv_authority_served(work, row, &chain, err));
        if (kv_slice_equal(chain.items[0], row->certificate))
            chain = (kv_x509_list){ .items = chain.items + 1, .count = chain.count - 1 };
    }
    *out = (kv_authority_bundle){
        .vault = vault_row->display_name,
        .name = row->display_name,
        .kind = (kv_authority_kind)row->kind,
        .state = state_of(row, facts.not_after_ms, work->now_ms),
        .enabled = row->enabled != 0,
        .subject = facts.subject,
        .issuer = facts.issuer,
        .serial = facts.serial_hex,
        .not_before = facts.not_before_ms,
        .not_after = facts.not_after_ms,
        .certificate = row->certificate,
        .chain = chain,
        .csr = row->csr,
        .key_kind = row->key_kind,
        .revocation = { .given = true,
                        .crl_url = row->crl_url,
                        .ocsp_url = row->ocsp_url,
                        .issuer_url = row->issuer_url,
                        .crl_hours = (uint32_t)row->crl_hours },
        .max_months = (uint32_t)row->max_months,
        .allowed_vaults = vaults,
        .number = (uint32_t)row->number,
        .created = row->created,
        .updated = row->updated,
    };
    return KV_OK;
}

/* --- the key --- */

static kv_status sign(void *context, const kv_mechanism *alg, kv_slice digest, kv_arena *arena,
                      kv_slice *signature, kv_error *err)
{
    const kv_authority_key *with = context;
    uint8_t *bytes = kv_arena_alloc(arena, KV_SIGNATURE_MAX);
    size_t len = KV_SIGNATURE_MAX;
    kv_status status;

    if (!bytes)
        return kv_arena_full(err);
    status = kv_token_sign(with->token, &with->ref, alg, digest, bytes, &len, err);
    if (status == KV_NOT_FOUND)
        return kv_fail(err, KV_PRECONDITION,
                       "the key of the certificate authority is not on its token");
    KV_TRY(status);
    *signature = kv_slice_of(bytes, len);
    return KV_OK;
}

kv_status kv_authority_signer(kv_vault *vault, const kv_authority_row *row, kv_authority_key *key,
                              kv_x509_signer *out, kv_error *err)
{
    *key = (kv_authority_key){ .token = kv_tokens_get(vault->config.tokens, KV_DUTY_CA),
                               .ref = { .class = KV_CLASS_SIGN, .spki = row->spki } };
    if (!key->token)
        return kv_fail(err, KV_UNSUPPORTED, "this server has no token for certificate authorities");
    if (row->key_id.len != sizeof(key->ref.id))
        return kv_fail(err, KV_INTERNAL, "a certificate authority has lost its key");
    memcpy(key->ref.id, row->key_id.data, sizeof(key->ref.id));
    *out = (kv_x509_signer){ .sign = sign, .context = key };
    return KV_OK;
}

kv_status kv_authority_can_sign(kv_vault *vault, const kv_authority_row *row, kv_error *err)
{
    kv_authority_key key;
    kv_x509_signer signer;
    kv_status status;

    KV_TRY(kv_authority_signer(vault, row, &key, &signer, err));
    status = kv_token_key_check(key.token, &key.ref, err);
    if (status == KV_NOT_FOUND)
        return kv_fail(err, KV_PRECONDITION,
                       "the key of the certificate authority is not on its token");
    return status;
}

kv_status kv_authority_may_issue(const kv_authority_row *row, kv_error *err)
{
    if (!row->certificate.len)
        return kv_fail(err, KV_PRECONDITION,
                       "the certificate authority '%.*s' has no certificate yet",
                       KV_SLICE_ARG(row->display_name));
    if (row->enabled)
        return KV_OK;
    kv_fail(err, KV_PRECONDITION, "the certificate authority '%.*s' is disabled",
            KV_SLICE_ARG(row->display_name));
    return kv_because(err, KV_REASON_DISABLED);
}

/* Whoever may order certificates could make identities of them. Compared by key: a certificate can
 * be made anew. */
kv_status kv_authority_not_for_callers(kv_vault *vault, const kv_x509_list *chain,
                                       const char *field, kv_error *err)
{
    for (size_t i = 0; i < chain->count; i++)
        if (kv_auth_is_client_ca(vault->config.auth, chain->items[i]))
            return kv_fail_field(err, field,
                                 "has an authority that vouches for callers of this server");
    return KV_OK;
}

/* --- operations that only read --- */

/* The keys that it had before, and the request of one that waits. */
static kv_status tell_keys(kv_vault *vault, kv_work *work, const kv_authority_row *row,
                           kv_authority_bundle *out, kv_error *err)
{
    kv_authority_former *told;
    kv_authority_row waiting;
    kv_authority_row *formers;
    size_t count = 0;
    bool waits = false;

    KV_TRY(kv_authority_formers(vault, work, row, &formers, &count, err));
    KV_TRY(kv_authority_waiting(vault, work, row, &waiting, &waits, err));
    if (waits)
        out->csr = waiting.csr;
    told = kv_arena_array(work->arena, count, sizeof(*told));
    if (!told)
        return kv_arena_full(err);
    for (size_t i = 0; i < count; i++) {
        kv_x509_facts facts;

        KV_TRY(kv_x509_inspect(work->arena, formers[i].certificate, &facts, err));
        told[i] = (kv_authority_former){ .number = (uint32_t)formers[i].number,
                                         .certificate = formers[i].certificate,
                                         .not_after = facts.not_after_ms,
                                         .crl_url = formers[i].crl_url,
                                         .destroyed = !formers[i].key_id.len };
    }
    out->formers = told;
    out->former_count = count;
    return KV_OK;
}

kv_status kv_authority_get(kv_vault *vault, kv_work *work, const kv_authority_get_in *in,
                           kv_authority_bundle *out, kv_error *err)
{
    kv_authority_row row;
    kv_vault_row vault_row;

    KV_TRY(kv_authority_find(vault, work, &in->target, &vault_row, &row, err));
    KV_TRY(kv_authority_bundle_of(work, &vault_row, &row, out, err));
    return tell_keys(vault, work, &row, out, err);
}

/* The name of the last row that was looked at. */
static bool good_token(kv_slice token)
{
    kv_error ignored = { 0 };
    kv_slice base;
    uint32_t number;

    return kv_authority_split(token, &base, &number) &&
           kv_check_name(base, "page_token", &ignored) == KV_OK;
}

kv_status kv_authority_list_all(kv_vault *vault, kv_work *work, const kv_authority_list_in *in,
                                kv_authority_list *out, kv_error *err)
{
    kv_authority_row from = { .name = in->page.token };
    kv_scan scan = {
        .table = &kv_table_authorities, .prefix = 1, .from = &from, .after = in->page.token.len > 0
    };
    kv_vault_row vault_row;
    kv_authority_bundle *items;
    const kv_authority_row *found;
    size_t count = 0;
    kv_rows rows;

    KV_TRY(kv_page_check(&in->page, &scan.limit, err));
    if (from.name.len && !good_token(from.name))
        return kv_page_refused(err);
    KV_TRY(kv_find_vault(vault, work, in->target.vault, &vault_row, err));
    from.vault_uid = vault_row.uid;
    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    items = kv_arena_array(work->arena, rows.count, sizeof(*items));
    if (!items)
        return kv_arena_full(err);
    found = rows.rows;
    for (unsigned i = 0; i < rows.count; i++)
        if (kv_authority_is_current(&found[i]))
            KV_TRY(kv_authority_bundle_of(work, &vault_row, &found[i], &items[count++], err));
    *out = (kv_authority_list){ .items = items, .count = count };
    if (rows.more && rows.count)
        out->next_page_token = found[rows.count - 1].name;
    return KV_OK;
}
