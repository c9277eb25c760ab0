/* families.h - operations that are done with trouble at each of their steps, and done again after
 * it.
 */
#pragma once

#include "tests/contract/vault/acts.h"

typedef kv_status act(house *h, kv_error *err);

typedef struct family {
    const char *name;
    act *prepare; /* without faults; NULL: nothing */
    act *run;
    act *reset;       /* takes away what run made, whether it worked once or twice */
    kv_status second; /* a status of the second run that also means it has been done */
} family;

extern const family families[];
extern const size_t family_count;

/* A house with a vault, and with issuers that do what the test says. */
house *family_house(void);
/* What has to be there for the n-th time of it. */
void family_prepare(house *h, const family *of);
/* After trouble: starts again, looks, and does it once more. */
void family_repeat(house *h, const family *of, unsigned n);
