/* fake_vault.h - a door that issues role tokens and gives keys that are only names.
 *
 * GetKey answers with the name that was asked for; "held" when it is let go, "missing" is not
 * found. SearchAudit streams `limit` records. Role tokens are numbers; those up to `expired_up_to`
 * have expired. Their digests are as good, unless the vault is `forgetful`.
 */
#pragma once

#include <stdatomic.h>

#include "server/front/front.h"
#include "tests/live/transport/certs.h"

typedef struct fake_vault {
    kv_services services;
    kv_lanes *lanes;
    kv_tls *tls;
    kv_front *front;
    atomic_uint who; /* WhoAmI calls */
    atomic_uint issued;
    atomic_uint expired_up_to;
    atomic_uint gets;    /* GetKey calls that ran */
    atomic_uint digests; /* calls with the digest of a role token */
    atomic_bool forgetful;
    atomic_bool holds; /* what is "held"; a stop lets it go */
} fake_vault;

void fake_vault_start(fake_vault *vault, const kv_test_certs *certs);
void fake_vault_stop(fake_vault *vault);
