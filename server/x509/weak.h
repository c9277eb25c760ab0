/* weak.h - RSA keys that a known mistake has made.
 *
 * Internal to this folder. Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>

#include <openssl/bn.h>
#include <openssl/evp.h>

/* The two primes are so close that Fermat's method finds them. */
bool kv_x509_primes_are_close(const BIGNUM *p, const BIGNUM *q);
/* The modulus has the shape of CVE-2017-15361 (ROCA). False positives: one in 2^27. */
bool kv_x509_modulus_is_roca(const BIGNUM *n);

/* What is wrong with a private key, as the end of a sentence, or NULL. Keys of other kinds pass. */
const char *kv_x509_weakness(const EVP_PKEY *key);
