/* merging.h - what the tests of merges have in common: an operation that waits, and its answer. */
#pragma once

#include "server/x509/merge.h"
#include "tests/unit/x509/pki.h"

typedef struct merging {
    pki p;
    kv_x509_policy policy;
    kv_x509_merge_in in; /* leaf, CA and root, as they should be */
    pki_spec spec;       /* of the leaf */
    kv_slice given[24];
} merging;

/* `sans`: of request and leaf; NULL: those of the pki. */
merging *merging_new(const char *sans);
int merging_tear_down(void **state);
