/* authority_serve.c - which authority an issuer stands for, and which vaults an authority serves.
 *
 * An authority serves its own vault, and those that the people who run it have allowed. They are
 * stored by uid, so that a vault that gets a name later gets nothing with it.
 */
#include <stdio.h>

#include "server/base/text.h"
#include "server/issuer/local_ca.h"
#include "server/vault/authorities/authority_keys.h"
#include "server/vault/issuers/issuer_rules.h"

enum { VAULTS_MAX = 64, UID_DIGITS = 2 * KV_UID_BYTES };

static bool names_vault(kv_slice text, const char *digits)
{
    return kv_slice_starts_with(text, kv_slice_text(digits));
}

static kv_slice name_of(kv_slice text)
{
    return kv_slice_of(text.data + UID_DIGITS + 1, text.len - UID_DIGITS - 1);
}

static kv_status load(kv_work *work, const kv_authority_row *row, kv_x509_list *out, kv_error *err)
{
    *out = (kv_x509_list){ 0 };
    if (!row->vaults.len)
        return KV_OK;
    KV_TRY(kv_texts_load(work, row->vaults, out, err));
    for (size_t i = 0; i < out->count; i++)
        if (out->items[i].len <= UID_DIGITS + 1)
            return kv_fail(err, KV_INTERNAL, "an authority's vaults are not well formed");
    return KV_OK;
}

kv_status kv_authority_vaults(kv_work *work, const kv_authority_row *row, kv_x509_list *out,
                              kv_error *err)
{
    kv_x509_list texts;
    kv_slice *names;

    KV_TRY(load(work, row, &texts, err));
    names = kv_arena_array(work->arena, texts.count, sizeof(*names));
    if (!names)
        return kv_arena_full(err);
    for (size_t i = 0; i < texts.count; i++)
        names[i] = name_of(texts.items[i]);
    *out = (kv_x509_list){ .items = names, .count = texts.count };
    return KV_OK;
}

/* Without a note in the record of the call, whose vault is another. `*exists`: and not deleted. */
static kv_status look_up_vault(kv_vault *vault, kv_work *work, kv_slice name, kv_vault_row *out,
                               bool *exists, kv_error *err)
{
    kv_vault_row row = { 0 };
    kv_status status = kv_check_vault_name(name, err);

    *exists = false;
    if (status == KV_OK) {
        KV_TRY(kv_text_lower(work->arena, name, &row.name, err));
        status = kv_records_get(vault->config.records, &kv_table_vaults, &row, work->arena, err);
    }
    if (status == KV_BAD_REQUEST || status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    *exists = !row.deleted && !row.purging;
    *out = row;
    return KV_OK;
}

/* --- the list is changed --- */

static kv_status add(kv_vault *vault, kv_work *work, kv_slice name, const char *field,
                     kv_slice *texts, size_t *count, kv_error *err)
{
    char digits[UID_DIGITS + 1];
    kv_vault_row row;
    bool exists = false;

    KV_TRY(look_up_vault(vault, work, name, &row, &exists, err));
    if (!exists)
        return kv_fail_field(err, field, "there is no vault '%.*s'", KV_SLICE_ARG(name));
    kv_hex(row.uid, digits);
    for (size_t i = 0; i < *count; i++)
        if (names_vault(texts[i], digits))
            return KV_OK;
    return kv_arena_print(work->arena, &texts[(*count)++], err, "%s %.*s", digits,
                          KV_SLICE_ARG(row.display_name));
}

static void take_away(kv_slice name, kv_slice *texts, size_t *count)
{
    size_t kept = 0;

    for (size_t i = 0; i < *count; i++)
        if (!kv_text_equal_nocase(name_of(texts[i]), name))
            texts[kept++] = texts[i];
    *count = kept;
}

kv_status kv_authority_allow(kv_vault *vault, kv_work *work, const kv_x509_list *allow,
                             const kv_x509_list *disallow, kv_authority_row *row, kv_error *err)
{
    kv_x509_list before;
    kv_slice *texts;
    size_t count = 0;
    char field[64];

    if (allow->count > VAULTS_MAX)
        return kv_fail_field(err, "allow_vaults", "has at most %d elements", VAULTS_MAX);
    KV_TRY(load(work, row, &before, err));
    texts = kv_arena_array(work->arena, before.count + allow->count, sizeof(*texts));
    if (!texts)
        return kv_arena_full(err);
    for (; count < before.count; count++)
        texts[count] = before.items[count];
    for (size_t i = 0; i < disallow->count; i++)
        take_away(disallow->items[i], texts, &count);
    for (size_t i = 0; i < allow->count; i++) {
        (void)snprintf(field, sizeof(field), "allow_vaults[%zu]", i);
        KV_TRY(add(vault, work, allow->items[i], field, texts, &count, err));
    }
    if (count > VAULTS_MAX)
        return kv_fail_field(err, "allow_vaults", "an authority serves at most %d other vaults",
                             VAULTS_MAX);
    return kv_texts_store(work, &(kv_x509_list){ .items = texts, .count = count }, &row->vaults,
                          err);
}

/* --- an issuer stands for an authority --- */

static kv_status serves(kv_work *work, const kv_authority_row *row, const kv_vault_row *by,
                        bool *out, kv_error *err)
{
    char digits[UID_DIGITS + 1];
    kv_x509_list texts;

    *out = kv_slice_equal(row->vault_uid, by->uid);
    if (*out)
        return KV_OK;
    kv_hex(by->uid, digits);
    KV_TRY(load(work, row, &texts, err));
    for (size_t i = 0; i < texts.count && !*out; i++)
        *out = names_vault(texts.items[i], digits);
    return KV_OK;
}

kv_status kv_authority_named(kv_vault *vault, kv_work *work, const kv_vault_row *by, kv_slice name,
                             kv_slice settings, kv_named_authority *out, kv_error *err)
{
    kv_named_authority named = { .vault_row = *by };
    kv_local_ca_settings says;
    bool found = true;

    KV_TRY(kv_local_ca_settings_read(settings, work->arena, &says, err));
    if (says.authority.len)
        name = says.authority;
    if (says.vault.len)
        KV_TRY(look_up_vault(vault, work, says.vault, &named.vault_row, &found, err));
    if (found)
        KV_TRY(
            kv_authority_look_up(vault, work, named.vault_row.uid, name, &named.row, &found, err));
    if (found && kv_authority_is_current(&named.row))
        KV_TRY(serves(work, &named.row, by, &found, err));
    else
        found = false;
    if (!found) {
        kv_fail(err, KV_DENIED, "there is no certificate authority '%.*s' that serves this vault",
                KV_SLICE_ARG(name));
        return kv_because(err, KV_REASON_ISSUER_RULES);
    }
    named.profile = says.profile;
    *out = named;
    return KV_OK;
}
