/* details.h - what only the lint asks of a certificate. What cannot be read counts as absent: the
 * rules say what has to be there.
 *
 * Internal to this folder, but for the struct. Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>

#include "server/base/error.h"
#include "server/base/slice.h"

struct x509_st;

typedef struct kv_x509_details {
    bool two_algorithms;        /* another one is signed than signed with */
    bool good_pss;              /* signed with RSA-PSS, all hashes equal: SHA-256, 384 or 512 */
    bool has_unique_ids;        /* of issuer or subject */
    bool has_constraints;       /* name constraints */
    unsigned common_names;      /* in the subject */
    bool has_unit;              /* organizationalUnitName in the subject */
    bool bad_country;           /* countryName that is not two capital letters */
    bool bad_rsa;               /* exponent, odd bits, or a modulus that is known to be weak */
    bool close_primes;          /* of an RSA key */
    bool not_der;               /* its bytes are not those that encoding it anew gives */
    bool long_times;            /* GeneralizedTime before 2050 */
    bool has_revocation;        /* says where a list or OCSP is */
    bool foreign_url;           /* of these, or of the issuer's certificate, one that is not http */
    unsigned reserved_policies; /* of the CA/Browser Forum */
} kv_x509_details;

/* `der` is what the certificate was read from. KV_BUSY: out of memory. */
kv_status kv_x509_details_of(const struct x509_st *certificate, kv_slice der, kv_x509_details *out,
                             kv_error *err) KV_MUST_USE;
