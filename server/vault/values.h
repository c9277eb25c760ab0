/* values.h - small values every noun shares: tags, attributes, ids, pages. Inner to this folder. */
#pragma once

#include "server/store/schema.h"
#include "server/vault/messages/messages_common.h"

/* --- tags: stored as a JSON object of strings --- */

/* At most 15, names unique, 1 to 256 bytes; values at most 256 bytes. */
kv_status kv_tags_check(const kv_tags *tags, kv_error *err) KV_MUST_USE;
kv_status kv_tags_store(kv_work *work, const kv_tags *tags, kv_slice *out,
                        kv_error *err) KV_MUST_USE;
kv_status kv_tags_load(kv_work *work, kv_slice stored, kv_tags *out, kv_error *err) KV_MUST_USE;

/* --- attributes --- */

/* The members that key, secret and certificate versions have in common. */
typedef struct kv_life {
    int64_t enabled;
    int64_t not_before;
    int64_t expires;
} kv_life;

/* Takes what was said over what was; for a new version `life` holds the defaults. Checks that
 * expires is after not_before and that neither is negative or absurd. */
kv_status kv_life_take(const kv_attributes_in *in, kv_life *life, kv_error *err) KV_MUST_USE;

#define KV_LIFE_NEW ((kv_life){ .enabled = 1 })
#define KV_LIFE_OF(version) \
    ((kv_life){ (version).enabled, (version).not_before, (version).expires })

kv_attributes kv_attributes_of(const kv_vault_row *vault, const kv_life *life, int64_t created,
                               int64_t updated);
kv_deletion kv_deletion_of(const kv_object_row *object);
kv_object_id kv_id_of(const kv_vault_row *vault, const kv_object_row *object, kv_slice version);

/* --- pages --- */

/* The size to use: 100 for 0; KV_BAD_REQUEST above 1000 or for a token of another kind. */
kv_status kv_page_check(const kv_page *page, unsigned *size, kv_error *err) KV_MUST_USE;
/* KV_BAD_REQUEST: the token is not one of this list. */
kv_status kv_page_refused(kv_error *err) KV_MUST_USE;
