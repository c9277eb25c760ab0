/* local_ca.h - what the settings of an issuer object of the provider LocalCA say.
 *
 * One JSON object: {"vault": "pki", "authority": "tls", "profile": "tls-server"}. All members are
 * optional: the vault is that of the issuer, the authority has the issuer's name, and the policy
 * chooses the type of certificate.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/issuer/issuer.h"

typedef struct kv_local_ca_settings {
    kv_slice vault;     /* empty: the issuer's own */
    kv_slice authority; /* empty: it has the issuer's name */
    kv_slice profile;   /* the one type of certificate; empty: the policy's issuer.cty says */
} kv_local_ca_settings;

/* Reads `settings` (empty is fine) into the arena. KV_BAD_REQUEST about "settings": not one JSON
 * object, another member, no text, no such profile. */
kv_status kv_local_ca_settings_read(kv_slice settings, kv_arena *arena, kv_local_ca_settings *out,
                                    kv_error *err) KV_MUST_USE;
