/* authority_rechain.c - the chains of those below follow the one above. */
#include "server/vault/authority_keys.h"
#include "server/vault/certificate_rules.h"
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

kv_status kv_authority_rechain(kv_vault *vault, kv_work *work, kv_slice vault_uid,
                               const kv_slice before[2], const kv_slice after[2], kv_error *err)
{
    chains all = { .vault_uid = vault_uid };
    kv_error why = { 0 };

    KV_TRY(kv_chain_join(work, &(kv_x509_list){ .items = before, .count = 2 }, 0, &all.from, err));
    KV_TRY(kv_chain_join(work, &(kv_x509_list){ .items = after, .count = 2 }, 0, &all.to, err));
    if (all.from.len && kv_each_row(vault, &kv_table_authorities, rechain_one, &all, &why) != KV_OK)
        kv_log_write(vault->config.log, KV_LOG_WARNING, "authority.chain_stays",
                     (kv_log_field[]){ { "why", why.message, 0 }, { 0 } });
    return KV_OK;
}
