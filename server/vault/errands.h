/* errands.h - who is on an errand in this server: a step of one certificate at its issuer.
 *
 * Threads that take what is due ask here first, so that no two of them go for one certificate, and
 * that an issuer which hangs, or a vault with many of those, holds only as many as it may. Only
 * this server's threads know of it; between servers the generation of the rows decides.
 *
 * Threads: any. Inner to vault.
 */
#pragma once

#include "server/base/compiler.h"
#include "server/base/slice.h"

enum { KV_ERRANDS_MAX = 32 };

typedef struct kv_errands kv_errands;

/* `per_issuer` at once for one issuer of one vault, `per_vault` for all of its issuers. NULL: out
 * of memory. */
kv_errands *kv_errands_new(unsigned per_issuer, unsigned per_vault);
void kv_errands_free(kv_errands *errands);

/* What an errand is for. Borrowed for the call. */
typedef struct kv_errand {
    kv_slice object_uid;
    kv_slice vault_uid;
    kv_slice issuer; /* lower case; none: nobody outside is asked, and the bounds do not count */
    /* From then on another may go too: this one has hung for too long. Of a time that only grows: a
     * clock that steps makes nobody go twice. */
    int64_t until_ms;
} kv_errand;

/* A number for kv_errand_end(), or -1: somebody is on the way for this certificate, or enough are
 * for this issuer or vault. */
int kv_errand_begin(kv_errands *errands, const kv_errand *errand, int64_t now_ms);
/* True: somebody was turned away meanwhile, and may want to know. */
bool kv_errand_end(kv_errands *errands, int number);
