/* authority_keys.c - an authority and the keys that it had before.
 *
 * A former key keeps its row, with all that was issued by it, its revocation list and its responder
 * under its uid. The row has the name "NAME.NUMBER", which no caller can ask for as a name; it is
 * disabled for ever. A key that waits for its certificate has a row of that kind too.
 */
#include <stdio.h>

#include "server/base/text.h"
#include "server/vault/authorities/authority_keys.h"
#include "server/vault/objects.h"
#include "server/vault/row_walk.h"
#include "server/x509/inspect.h"

bool kv_authority_is_current(const kv_authority_row *row)
{
    return !row->name.len || !memchr(row->name.data, '.', row->name.len);
}

bool kv_authority_split(kv_slice name, kv_slice *base, uint32_t *number)
{
    const uint8_t *dot = name.len ? memchr(name.data, '.', name.len) : NULL;
    uint64_t value = 1;

    *base = name;
    if (dot) {
        base->len = (size_t)(dot - name.data);
        if (!kv_text_number(kv_slice_of(dot + 1, name.len - base->len - 1), UINT32_MAX, &value))
            return false;
    }
    *number = (uint32_t)value;
    return true;
}

kv_status kv_authority_numbered(kv_work *work, kv_slice name, int64_t number, kv_slice *out,
                                kv_error *err)
{
    return kv_arena_print(work->arena, out, err, "%.*s.%lld", KV_SLICE_ARG(name),
                          (long long)number);
}

kv_status kv_authority_of_key(kv_vault *vault, kv_work *work, const kv_authority_row *current,
                              uint32_t number, kv_authority_row *out, bool *exists, kv_error *err)
{
    kv_slice name;

    *exists = number == 0 || number == current->number;
    if (*exists) {
        *out = *current;
        return KV_OK;
    }
    KV_TRY(kv_authority_numbered(work, current->name, number, &name, err));
    return kv_authority_look_up(vault, work, current->vault_uid, name, out, exists, err);
}

kv_status kv_authority_formers(kv_vault *vault, kv_work *work, const kv_authority_row *current,
                               kv_authority_row **out, size_t *count, kv_error *err)
{
    kv_authority_row *rows = kv_arena_array(work->arena, KV_AUTHORITY_KEYS_MAX, sizeof(*rows));
    size_t found = 0;

    if (!rows)
        return kv_arena_full(err);
    for (int64_t n = current->number - 1; n > 0 && found < KV_AUTHORITY_KEYS_MAX; n--) {
        bool exists = false;

        KV_TRY(kv_authority_of_key(vault, work, current, (uint32_t)n, &rows[found], &exists, err));
        found += exists;
    }
    *out = rows;
    *count = found;
    return KV_OK;
}

kv_status kv_authority_waiting(kv_vault *vault, kv_work *work, const kv_authority_row *current,
                               kv_authority_row *out, bool *exists, kv_error *err)
{
    return kv_authority_of_key(vault, work, current, (uint32_t)current->number + 1, out, exists,
                               err);
}

kv_status kv_authority_all_keys(kv_vault *vault, kv_work *work, const kv_authority_row *current,
                                kv_authority_row **out, size_t *count, kv_error *err)
{
    kv_authority_row *formers;
    kv_authority_row *all;
    size_t found = 0;

    KV_TRY(kv_authority_formers(vault, work, current, &formers, &found, err));
    all = kv_arena_array(work->arena, found + 1, sizeof(*all));
    if (!all)
        return kv_arena_full(err);
    all[0] = *current;
    for (size_t i = 0; i < found; i++)
        all[i + 1] = formers[i];
    *out = all;
    *count = found + 1;
    return KV_OK;
}

/* --- above --- */

static kv_status signer_among(kv_vault *vault, kv_work *work, const kv_authority_row *row,
                              kv_slice spki, const kv_rows *rows, kv_authority_row *out,
                              bool *exists, kv_error *err)
{
    const kv_authority_row *found = rows->rows;
    kv_slice base;
    uint32_t number;

    for (unsigned i = 0; i < rows->count; i++) {
        if (found[i].certificate.len && kv_slice_equal(found[i].spki, spki) &&
            kv_authority_split(found[i].name, &base, &number))
            return kv_authority_look_up(vault, work, row->vault_uid, base, out, exists, err);
    }
    return KV_OK;
}

kv_status kv_authority_above(kv_vault *vault, kv_work *work, const kv_authority_row *row,
                             kv_authority_row *out, bool *exists, kv_error *err)
{
    kv_authority_row from = { .vault_uid = row->vault_uid };
    kv_scan scan = { .table = &kv_table_authorities, .prefix = 1, .from = &from, .limit = 50 };
    kv_x509_list chain;
    kv_x509_facts above;
    kv_rows rows = { .more = true };

    *exists = false;
    KV_TRY(kv_authority_chain(work, row, &chain, err));
    if (chain.count < 2)
        return KV_OK;
    KV_TRY(kv_x509_inspect(work->arena, chain.items[1], &above, err));
    while (rows.more && !*exists) {
        KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);

        KV_TRY(kv_records_scan(vault->config.records, &scan, &arena, &rows, err));
        KV_TRY(signer_among(vault, work, row, above.spki, &rows, out, exists, err));
        if (rows.count)
            KV_TRY(kv_copy_row_key(&kv_table_authorities,
                                   (const kv_authority_row *)rows.rows + rows.count - 1,
                                   work->arena, &from, err));
        scan.after = true;
    }
    return KV_OK;
}

/* --- a new one --- */

kv_status kv_authority_succeed(kv_vault *vault, kv_work *work, const kv_authority_row *old,
                               kv_authority_row *next, kv_authority_row *former,
                               kv_crl_row *old_list, kv_change *change, kv_error *err)
{
    *former = *old;
    former->head = (kv_row_head){ 0 };
    former->enabled = 0;
    former->csr = KV_SLICE_NONE;
    former->updated = work->now_ms;
    KV_TRY(kv_authority_numbered(work, old->name, old->number, &former->name, err));
    next->head = old->head;
    next->name = old->name;
    *old_list = (kv_crl_row){ .authority_uid = old->uid };
    KV_TRY(kv_records_get(vault->config.records, &kv_table_crls, old_list, work->arena, err));
    old_list->authority = former->name;
    old_list->owed = 1;
    KV_TRY(kv_change_update(change, &kv_table_authorities, next, err));
    KV_TRY(kv_change_insert(change, &kv_table_authorities, former, err));
    return kv_change_update(change, &kv_table_crls, old_list, err);
}

/* --- what is handed out --- */

kv_status kv_authority_served(kv_work *work, const kv_authority_row *row, kv_x509_list *out,
                              kv_error *err)
{
    kv_x509_facts facts;
    kv_x509_list cross = { 0 };

    if (row->cross.len) {
        KV_TRY(kv_chain_split(work, KV_SLICE_NONE, row->cross, &cross, err));
        cross = (kv_x509_list){ .items = cross.items + 1, .count = cross.count - 1 };
    }
    if (!cross.count)
        return kv_authority_chain(work, row, out, err);
    KV_TRY(kv_x509_inspect(work->arena, cross.items[0], &facts, err));
    if (facts.not_after_ms <= work->now_ms)
        return kv_authority_chain(work, row, out, err);
    *out = cross;
    return KV_OK;
}

/* --- URLs --- */

static kv_status under(const kv_vault *vault, kv_work *work, const char *folder,
                       const kv_vault_row *vault_row, const kv_authority_row *row, int64_t number,
                       const char *suffix, kv_slice *out, kv_error *err)
{
    const char *base = vault->config.pki_base_url;
    size_t len = base ? strlen(base) : 0;
    char digits[24] = "";

    *out = KV_SLICE_NONE;
    if (!len)
        return KV_OK;
    if (base[len - 1] == '/')
        len--;
    if (number > 1)
        (void)snprintf(digits, sizeof(digits), ".%lld", (long long)number);
    return kv_arena_print(work->arena, out, err, "%.*s/%s/%.*s/%.*s%s%s", (int)len, base, folder,
                          KV_SLICE_ARG(vault_row->name), KV_SLICE_ARG(row->name), digits, suffix);
}

kv_status kv_authority_urls(const kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                            const kv_authority_row *row, int64_t number, kv_revocation_config *out,
                            kv_error *err)
{
    *out = (kv_revocation_config){ .given = vault->config.pki_base_url != NULL };
    KV_TRY(under(vault, work, "crl", vault_row, row, number, ".crl", &out->crl_url, err));
    KV_TRY(under(vault, work, "ca", vault_row, row, number, ".cer", &out->issuer_url, err));
    return under(vault, work, "ocsp", vault_row, row, 1, "", &out->ocsp_url, err);
}
