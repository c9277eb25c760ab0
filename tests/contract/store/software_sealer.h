/* software_sealer.h - a seal key in memory, for tests that have no token.
 *
 * Threads: any may sign at once.
 */
#pragma once

#include "server/store/records.h"

typedef struct kv_software_sealer kv_software_sealer;

/* A new P-256 key with a random id; aborts when OpenSSL fails. */
kv_software_sealer *kv_software_sealer_new(void);
void kv_software_sealer_free(kv_software_sealer *software);
/* Borrows from `software`, which must live as long as what it is given to. */
kv_sealer kv_software_sealer_lend(kv_software_sealer *software);
/* While true, signing fails with KV_UNAVAILABLE. Set it before threads start. */
void kv_software_sealer_break(kv_software_sealer *software, bool broken);
