/* weak.c - recognises RSA keys of known bad generators. */
#include "server/x509/weak.h"

#include <openssl/core_names.h>

#include "server/x509/openssl.h"

enum { GENERATOR = 65537, CLOSE_BITS = 100, PRIME_MAX = 167 };

KV_OSSL_TYPE(bn, BIGNUM, BN_clear_free)

/* FIPS 186-4: at least as far apart as half the modulus is long, less 100 bits. */
bool kv_x509_primes_are_close(const BIGNUM *p, const BIGNUM *q)
{
    KV_AUTO(kv_ossl_bn) difference = BN_new();

    if (!difference || !BN_sub(difference, p, q))
        return true;
    return BN_num_bits(difference) <= BN_num_bits(p) - CLOSE_BITS;
}

static bool is_power_of_generator(unsigned long value, unsigned long prime)
{
    unsigned long power = 1;

    for (unsigned long i = 0; i < prime; i++) {
        if (power == value)
            return true;
        power = power * GENERATOR % prime;
    }
    return false;
}

static bool is_prime(unsigned long number)
{
    for (unsigned long i = 2; i * i <= number; i++)
        if (number % i == 0)
            return false;
    return true;
}

/* The primes of that generator are powers of 65537 modulo the product of small primes, and so is
 * their product. */
bool kv_x509_modulus_is_roca(const BIGNUM *n)
{
    for (unsigned long prime = 3; prime <= PRIME_MAX; prime += 2)
        if (is_prime(prime) && !is_power_of_generator(BN_mod_word(n, prime), prime))
            return false;
    return true;
}

const char *kv_x509_weakness(const EVP_PKEY *key)
{
    BIGNUM *n = NULL, *p = NULL, *q = NULL;
    const char *problem = NULL;

    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
        return NULL;
    if (!EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) ||
        !EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR1, &p) ||
        !EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR2, &q))
        problem = "has no primes";
    else if (kv_x509_primes_are_close(p, q))
        problem = "has primes that are too close to each other";
    else if (kv_x509_modulus_is_roca(n))
        problem = "comes from a broken generator (ROCA, CVE-2017-15361)";
    BN_free(n);
    BN_clear_free(p);
    BN_clear_free(q);
    return problem;
}
