/* test_weak.c - RSA keys of broken generators are known, others are not taken for such. */
#include "server/x509/weak.h"

#include <limits.h>

#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/crypto_memory.h"
#include "tests/unit/x509/soft_key.h"

static BIGNUM *number(const char *decimal)
{
    BIGNUM *out = NULL;

    assert_true(BN_dec2bn(&out, decimal) > 0);
    return out;
}

static bool are_close(const BIGNUM *p, const BIGNUM *q)
{
    kv_error err = { 0 };
    bool out = false;

    assert_kv_ok(kv_x509_primes_are_close(p, q, &out, &err));
    return out;
}

static bool factors(const BIGNUM *n, unsigned rounds)
{
    kv_error err = { 0 };
    bool out = false;

    assert_kv_ok(kv_x509_fermat_factors(n, rounds, &out, &err));
    return out;
}

static const char *weakness(const soft_key *key)
{
    const char *out = NULL;
    kv_error err = { 0 };

    assert_kv_ok(kv_x509_weakness(key->pair, &out, &err));
    return out;
}

static void knows_close_primes(void **state)
{
    BIGNUM *p = BN_new(), *q = BN_new();

    (void)state;
    assert_true(BN_generate_prime_ex(p, 512, 0, NULL, NULL, NULL));
    assert_non_null(BN_copy(q, p));
    assert_true(are_close(p, q));
    assert_true(BN_add_word(q, 1000002));
    assert_true(are_close(p, q));
    assert_true(are_close(q, p));
    /* Far apart is a difference of more than 412 bits. */
    assert_true(BN_set_bit(p, 505));
    assert_non_null(BN_copy(q, p));
    assert_true(BN_clear_bit(q, 505));
    assert_false(are_close(p, q));
    assert_non_null(BN_copy(q, p));
    assert_true(BN_set_bit(p, 411) && BN_clear_bit(q, 411));
    assert_true(are_close(p, q));
    BN_free(p);
    BN_free(q);
}

/* A power of 65537 modulo the product of the first primes, and more of that product. */
static BIGNUM *roca_like(unsigned long exponent)
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM *product = number("1"), *base = number("65537"), *out = BN_new(), *e = BN_new();

    for (unsigned long i = 2; i <= 167; i++) {
        bool prime = true;

        for (unsigned long k = 2; k < i; k++)
            prime = prime && i % k;
        assert_true(!prime || BN_mul_word(product, i));
    }
    assert_true(BN_set_word(e, exponent));
    assert_true(BN_mod_exp(out, base, e, product, context));
    assert_true(BN_mul_word(product, 1234567) && BN_add(out, out, product));
    BN_free(product);
    BN_free(base);
    BN_free(e);
    BN_CTX_free(context);
    return out;
}

static void knows_roca(void **state)
{
    BIGNUM *n;

    (void)state;
    for (unsigned long exponent = 0; exponent < 5000; exponent += 491) {
        n = roca_like(exponent);
        assert_true(kv_x509_modulus_is_roca(n));
        assert_true(BN_add_word(n, 2));
        assert_false(kv_x509_modulus_is_roca(n));
        BN_free(n);
    }
}

static void knows_small_factors(void **state)
{
    BIGNUM *prime = BN_new();

    (void)state;
    assert_true(BN_generate_prime_ex(prime, 512, 0, NULL, NULL, NULL));
    assert_false(kv_x509_modulus_has_small_factor(prime));
    assert_true(BN_mul_word(prime, 757)); /* the first prime above */
    assert_false(kv_x509_modulus_has_small_factor(prime));
    assert_true(BN_mul_word(prime, 751));
    assert_true(kv_x509_modulus_has_small_factor(prime));
    BN_free(prime);
}

/* The first is found in the 100th round, the second one in the 101st. */
static void fermat_stops_when_it_is_told_to(void **state)
{
    BIGNUM *last = number("4149515568880992958512407863691161151012446232242436899995657329690652"
                          "8154366829185418992605301806527829689347843260358853563635340296271037"
                          "93703628423792856314595583989172352200520");
    BIGNUM *next = number("4149515568880992958512407863691161151012446232242436899995657329690652"
                          "8154366829185418992564561087001139967622474346590666000414310928429634"
                          "20963908818617959504567510134276967418048");
    BIGNUM *square = number("1000000000000000000000000000000000000000000");
    BIGNUM *none = number("0");

    (void)state;
    assert_false(factors(last, 99));
    assert_true(factors(last, 100));
    assert_false(factors(next, 100));
    assert_true(factors(next, 101));
    assert_true(factors(square, 1));
    assert_false(factors(none, 100));
    assert_true(BN_set_bit(square, 16384));
    assert_false(factors(square, 100));
    BN_free(last);
    BN_free(next);
    BN_free(square);
    BN_free(none);
}

static void fermat_finds_neighbours(void **state)
{
    BIGNUM *p = BN_new(), *q = BN_new(), *n = BN_new();
    BN_CTX *context = BN_CTX_new();

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_true(BN_generate_prime_ex(p, 1024, 0, NULL, NULL, NULL));
        assert_non_null(BN_copy(q, p));
        assert_true(BN_add_word(q, 2000002) && BN_mul(n, p, q, context));
        assert_true(factors(n, 1));
        assert_true(BN_generate_prime_ex(q, 1024, 0, NULL, NULL, NULL));
        assert_true(BN_mul(n, p, q, context));
        assert_false(factors(n, KV_X509_FERMAT_ROUNDS));
    }
    BN_free(p);
    BN_free(q);
    BN_free(n);
    BN_CTX_free(context);
}

static void passes_good_keys(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 16);
    soft_key key;

    (void)state;
    for (int i = 0; i < 3; i++) {
        soft_key_make_rsa(&key, 1024, &arena);
        assert_null(weakness(&key));
        soft_key_cleanup(&key);
    }
    soft_key_make(&key, KV_KEY_P256, &arena);
    assert_null(weakness(&key));
    soft_key_cleanup(&key);
}

/* ---- without memory nothing is known ---- */

/* False: it needed no more allocations than that. */
static bool without_memory(EVP_PKEY *key, unsigned n, unsigned times)
{
    const char *found = NULL;
    kv_error err = { 0 };
    kv_status status;
    bool failed;

    crypto_memory_fail(n, times);
    status = kv_x509_weakness(key, &found, &err);
    failed = crypto_memory_spare();
    if (status != KV_BUSY && (status != KV_OK || found))
        fail_msg("allocation %u, %u times: status %d, '%s'", n, times, status, found);
    assert_true(failed || status == KV_OK);
    return failed;
}

static void a_key_is_not_weak_for_lack_of_memory(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 16);
    soft_key keys[2];

    (void)state;
    soft_key_make_rsa(&keys[0], 512, &arena);
    soft_key_make(&keys[1], KV_KEY_P256, &arena);
    for (size_t i = 0; i < KV_COUNT(keys); i++) {
        unsigned n = 1;

        while (without_memory(keys[i].pair, n, UINT_MAX))
            n++;
        assert_true(n > 10);
        while (n-- > 1)
            (void)without_memory(keys[i].pair, n, 1);
        soft_key_cleanup(&keys[i]);
    }
}

static void a_modulus_is_not_weak_for_lack_of_memory(void **state)
{
    BIGNUM *p = BN_new(), *q = BN_new(), *n = BN_new();
    BN_CTX *context = BN_CTX_new();
    unsigned busy[2] = { 0 };

    (void)state;
    assert_true(BN_generate_prime_ex(p, 512, 0, NULL, NULL, NULL));
    assert_true(BN_generate_prime_ex(q, 512, 0, NULL, NULL, NULL));
    assert_true(BN_mul(n, p, q, context));
    for (unsigned i = 1; i < 100; i++) {
        kv_error err = { 0 };
        bool close = false;
        bool found = false;

        crypto_memory_fail(i, 1);
        busy[0] += kv_x509_fermat_factors(n, 3, &found, &err) == KV_BUSY;
        crypto_memory_fail(i, 1);
        busy[1] += kv_x509_primes_are_close(p, q, &close, &err) == KV_BUSY;
        (void)crypto_memory_spare();
        assert_false(found || close);
    }
    assert_in_range(busy[0], 5, 98);
    assert_in_range(busy[1], 2, 98);
    BN_free(p);
    BN_free(q);
    BN_free(n);
    BN_CTX_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_close_primes),
        cmocka_unit_test(knows_roca),
        cmocka_unit_test(knows_small_factors),
        cmocka_unit_test(fermat_stops_when_it_is_told_to),
        cmocka_unit_test(fermat_finds_neighbours),
        cmocka_unit_test(passes_good_keys),
        cmocka_unit_test(a_key_is_not_weak_for_lack_of_memory),
        cmocka_unit_test(a_modulus_is_not_weak_for_lack_of_memory),
    };

    crypto_memory_take();
    return cmocka_run_group_tests_name("weak", tests, NULL, NULL);
}
