/* authority_rechain.c - the chains of those below follow the one above.
 *
 * There may be many, so each is a change of its own; what is left to do stands in the row of the
 * one above from the change that gave it its certificate on, until all is done.
 */
#include "server/vault/authorities/authority_keys.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/objects.h"
#include "server/vault/own_step.h"

typedef struct chains {
    kv_slice vault_uid;
    kv_slice from;
    kv_slice to;
} chains;

static kv_status rechain_one(kv_vault *vault, kv_own_step *at, void *row, void *context,
                             kv_error *err)
{
    const chains *all = context;
    kv_authority_row *below = row;
    kv_change change = { 0 };
    size_t before = below->chain.len - all->from.len;

    if (!kv_slice_equal(below->vault_uid, all->vault_uid) || below->chain.len < all->from.len ||
        !kv_slice_equal(kv_slice_of(below->chain.data + before, all->from.len), all->from))
        return KV_OK;
    {
        uint8_t *bytes = kv_arena_alloc(&at->arena, before + all->to.len);

        if (!bytes)
            return kv_arena_full(err);
        memcpy(bytes, below->chain.data, before);
        memcpy(bytes + before, all->to.data, all->to.len);
        below->chain = kv_slice_of(bytes, before + all->to.len);
    }
    KV_TRY(kv_change_update(&change, &kv_table_authorities, below, err));
    return kv_commit_step(vault, &at->work, "CertificateAuthorityChain", &change, err);
}

kv_status kv_authority_owe_chains(kv_work *work, kv_authority_row *row, const kv_slice before[2],
                                  const kv_slice after[2], kv_error *err)
{
    KV_TRY(kv_chain_join(work, &(kv_x509_list){ .items = before, .count = 2 }, 0, &row->chains_from,
                         err));
    return kv_chain_join(work, &(kv_x509_list){ .items = after, .count = 2 }, 0, &row->chains_to,
                         err);
}

kv_status kv_authority_settle_chains(kv_vault *vault, kv_work *work, kv_authority_row *row,
                                     kv_error *err)
{
    chains all = { row->vault_uid, row->chains_from, row->chains_to };
    kv_change change = { 0 };
    bool exists = false;

    if (!row->chains_from.len)
        return KV_OK;
    KV_TRY(kv_each_row(vault, &kv_table_authorities, rechain_one, &all, err));
    KV_TRY(kv_authority_look_up(vault, work, row->vault_uid, row->name, row, &exists, err));
    if (!exists || !kv_slice_equal(row->chains_from, all.from))
        return kv_fail(err, KV_CONFLICT, "the authority was changed meanwhile");
    row->chains_from = KV_SLICE_NONE;
    row->chains_to = KV_SLICE_NONE;
    KV_TRY(kv_change_update(&change, &kv_table_authorities, row, err));
    return kv_commit_step(vault, work, "CertificateAuthorityChains", &change, err);
}

void kv_authority_try_chains(kv_vault *vault, kv_work *work, const kv_authority_row *row)
{
    kv_authority_row stored = *row;
    kv_error why = { 0 };

    if (kv_authority_settle_chains(vault, work, &stored, &why) != KV_OK)
        kv_log_write(vault->config.log, KV_LOG_WARNING, "authority.chains_later",
                     (kv_log_field[]){ { "why", why.message, 0 }, { 0 } });
}
