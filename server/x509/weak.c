/* weak.c - recognises RSA keys of known bad generators. */
#include "server/x509/weak.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

#include "server/x509/openssl.h"

enum {
    GENERATOR = 65537,
    CLOSE_BITS = 100,
    PRIME_MAX = 167,
    FACTOR_MAX = 751,
    FERMAT_BITS_MAX = 16384
};

KV_OSSL_TYPE(bn, BIGNUM, BN_clear_free)
KV_OSSL_TYPE(context, BN_CTX, BN_CTX_free)

/* FIPS 186-4: at least as far apart as half the modulus is long, less 100 bits. */
kv_status kv_x509_primes_are_close(const BIGNUM *p, const BIGNUM *q, bool *out, kv_error *err)
{
    KV_AUTO(kv_ossl_bn) difference = BN_new();

    if (!difference || !BN_sub(difference, p, q))
        return kv_ossl_no_memory(err);
    *out = BN_num_bits(difference) <= BN_num_bits(p) - CLOSE_BITS;
    return KV_OK;
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

bool kv_x509_modulus_has_small_factor(const BIGNUM *n)
{
    for (unsigned long prime = 2; prime <= FACTOR_MAX; prime++)
        if (is_prime(prime) && BN_mod_word(n, prime) == 0)
            return true;
    return false;
}

/* ---- Fermat's method ---- */

typedef struct fermat {
    BN_CTX *context;
    BIGNUM *root;   /* the number in turn */
    BIGNUM *square; /* of it, less the modulus: a square itself when the factors are found */
    BIGNUM *other, *quotient;
} fermat;

/* The integer part of the square root into `root`, by Newton's method from above. */
static bool square_root(fermat *f, const BIGNUM *of, BIGNUM *root)
{
    if (!BN_set_word(f->other, 1) || !BN_lshift(f->other, f->other, (BN_num_bits(of) + 1) / 2))
        return false;
    do {
        if (!BN_copy(root, f->other) || !BN_div(f->quotient, NULL, of, root, f->context) ||
            !BN_add(f->other, root, f->quotient) || !BN_rshift1(f->other, f->other))
            return false;
    } while (BN_cmp(f->other, root) < 0);
    return true;
}

/* Most numbers are no square modulo some small one. */
static bool may_be_square(const BIGNUM *number)
{
    static const unsigned char moduli[] = { 64, 63, 65, 11, 17, 19, 23 };

    for (size_t i = 0; i < sizeof(moduli); i++) {
        BN_ULONG rest = BN_mod_word(number, moduli[i]);
        bool square = false;

        for (unsigned k = 0; k < moduli[i] && !square; k++)
            square = k * k % moduli[i] == rest;
        if (!square)
            return false;
    }
    return true;
}

static bool is_square(fermat *f, const BIGNUM *number, BIGNUM *root, bool *out)
{
    *out = false;
    if (BN_is_zero(number)) {
        *out = true;
        return true;
    }
    if (!may_be_square(number))
        return true;
    if (!square_root(f, number, root) || !BN_sqr(f->other, root, f->context))
        return false;
    *out = BN_cmp(f->other, number) == 0;
    return true;
}

/* From the least number whose square is not less than the modulus. */
static bool begin(fermat *f, const BIGNUM *n)
{
    if (!square_root(f, n, f->root) || !BN_sqr(f->square, f->root, f->context))
        return false;
    if (BN_cmp(f->square, n) < 0 &&
        (!BN_add_word(f->root, 1) || !BN_sqr(f->square, f->root, f->context)))
        return false;
    return BN_sub(f->square, f->square, n);
}

/* (a + 1)^2 - n = a^2 - n + 2a + 1 */
static bool go_on(fermat *f)
{
    return BN_add(f->square, f->square, f->root) && BN_add_word(f->root, 1) &&
           BN_add(f->square, f->square, f->root);
}

kv_status kv_x509_fermat_factors(const BIGNUM *n, unsigned rounds, bool *out, kv_error *err)
{
    KV_AUTO(kv_ossl_context) context = BN_CTX_new();
    KV_AUTO(kv_ossl_bn) root = BN_new();
    KV_AUTO(kv_ossl_bn) square = BN_new();
    KV_AUTO(kv_ossl_bn) other = BN_new();
    KV_AUTO(kv_ossl_bn) quotient = BN_new();
    KV_AUTO(kv_ossl_bn) beside = BN_new();
    fermat f = { context, root, square, other, quotient };
    bool found = false, good;

    *out = false;
    if (BN_num_bits(n) > FERMAT_BITS_MAX || BN_is_zero(n) || BN_is_negative(n))
        return KV_OK;
    good = context && root && square && other && quotient && beside && begin(&f, n);
    for (unsigned i = 0; good && !found && i < rounds; i++)
        good = is_square(&f, square, beside, &found) && (found || go_on(&f));
    if (!good)
        return kv_ossl_no_memory(err);
    *out = found;
    return KV_OK;
}

/* ---- private keys ---- */

static bool is_sound(EVP_PKEY *key)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool sound = context && EVP_PKEY_check(context) == 1;

    EVP_PKEY_CTX_free(context);
    return sound;
}

static kv_status judge(const BIGNUM *n, const BIGNUM *p, const BIGNUM *q, const char **out,
                       kv_error *err)
{
    bool close = false;

    KV_TRY(kv_x509_primes_are_close(p, q, &close, err));
    if (close)
        *out = "has primes that are too close to each other";
    else if (kv_x509_modulus_is_roca(n))
        *out = "comes from a broken generator (ROCA, CVE-2017-15361)";
    return KV_OK;
}

static kv_status look(const EVP_PKEY *key, const char **out, kv_error *err)
{
    BIGNUM *n = NULL, *p = NULL, *q = NULL;
    kv_status status = KV_OK;

    if (!EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) ||
        !EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR1, &p) ||
        !EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR2, &q))
        *out = "has no primes";
    else
        status = judge(n, p, q, out, err);
    BN_free(n);
    BN_clear_free(p);
    BN_clear_free(q);
    return status;
}

kv_status kv_x509_weakness(EVP_PKEY *key, const char **out, kv_error *err)
{
    *out = NULL;
    ERR_clear_error();
    if (!is_sound(key))
        *out = "is not sound";
    else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        KV_TRY(look(key, out, err));
    return kv_ossl_out_of_memory() ? kv_ossl_no_memory(err) : KV_OK;
}
