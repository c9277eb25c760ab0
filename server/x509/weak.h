/* weak.h - RSA keys that a known mistake has made.
 *
 * Internal to this folder. KV_BUSY: memory was short, and nothing is known about the key. Threads:
 * any; pure functions.
 */
#pragma once

#include <stdbool.h>

#include <openssl/bn.h>
#include <openssl/evp.h>

#include "server/base/error.h"

/* The two primes are so close that Fermat's method finds them. */
kv_status kv_x509_primes_are_close(const BIGNUM *p, const BIGNUM *q, bool *out,
                                   kv_error *err) KV_MUST_USE;
/* The modulus has the shape of CVE-2017-15361 (ROCA). False positives: one in 2^27. */
bool kv_x509_modulus_is_roca(const BIGNUM *n);
/* It has a prime factor below 752 (baseline requirements, section 6.1.6). */
bool kv_x509_modulus_has_small_factor(const BIGNUM *n);

/* Fermat's method finds the factors in so many rounds; the baseline requirements (section 6.1.1.3)
 * ask for 100. A modulus of more than 16384 bits, which nothing verifies with, is not tried. */
enum { KV_X509_FERMAT_ROUNDS = 100 };
kv_status kv_x509_fermat_factors(const BIGNUM *n, unsigned rounds, bool *out,
                                 kv_error *err) KV_MUST_USE;

/* What is wrong with a private key of any kind, as the end of a sentence, or NULL. */
kv_status kv_x509_weakness(EVP_PKEY *key, const char **out, kv_error *err) KV_MUST_USE;
