/* turning.h - a key "k" that is rotated, and time that passes. */
#pragma once

#include "tests/contract/vault/acts.h"

#define DAY INT64_C(86400000)

#define EACH_90_DAYS ((kv_rotation_policy_texts){ .rotate_after = KV_SLICE("P90D") })

/* With a vault. */
house *turning_start(void);
unsigned turning_versions(house *h);
unsigned turning_due_rows(house *h);
/* As the server's thread does, until that moment. */
kv_status turning_live_until(house *h, int64_t until, kv_error *err);
/* The same, in days after HOUSE_NOW_MS; it works. */
void turning_live(house *h, int64_t days);
kv_status turning_set_policy(house *h, kv_rotation_policy_texts policy, kv_error *err) KV_MUST_USE;
/* Both empty: withdrawn. */
kv_status turning_permit(house *h, kv_slice disable_after, kv_slice destroy_after,
                         kv_error *err) KV_MUST_USE;
kv_status turning_rotate(house *h, kv_key_bundle *out, kv_error *err) KV_MUST_USE;
/* KeyGet; the empty version is the current one. */
kv_key_bundle turning_look(house *h, kv_slice version);
kv_status turning_enable(house *h, kv_slice version, bool enabled, kv_error *err) KV_MUST_USE;
/* A copy that lives as long as the house. */
kv_slice turning_keep(house *h, kv_slice text);
