/* local.h - an authority of this server, as the provider that issues from one sees it. */
#pragma once

#include "server/x509/certificate.h"

/* A certification authority of this server, for the provider that issues from one. */
typedef struct kv_issuer_local {
    kv_x509_list chain;  /* its certificate, then those above it */
    kv_x509_list served; /* what goes out with a certificate instead of that; empty: the chain */
    kv_x509_signer signer;
    kv_x509_authority authority; /* what it writes into certificates */
    uint32_t max_months;         /* of a certificate */
    kv_slice profile;            /* the one certificate type it is for; empty: all */
    /* Stores a serial number that is this order's alone, before anything is signed. */
    kv_status (*reserve)(void *context, kv_slice *serial, kv_error *err);
    void *context; /* borrowed */
} kv_issuer_local;
