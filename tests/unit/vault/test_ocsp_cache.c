/* test_ocsp_cache.c - OCSP answers are kept as long as they hold. */
#include <pthread.h>

#include "server/vault/authorities/ocsp_cache.h"
#include "tests/support/kv_cmocka.h"

typedef struct fixture {
    kv_ocsp_cache *cache;
    kv_arena arena;
} fixture;

static int set_up(void **state)
{
    fixture *f = test_calloc(1, sizeof(*f));

    f->cache = kv_ocsp_cache_new();
    f->arena = KV_ARENA(1 << 20);
    *state = f;
    return f->cache ? 0 : -1;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    kv_ocsp_cache_free(f->cache);
    kv_arena_cleanup(&f->arena);
    test_free(f);
    return 0;
}

static void what_holds_is_given_again(void **state)
{
    const uint8_t key[KV_OCSP_CACHE_KEY] = { 9, 9, 9 };
    kv_ocsp_kept answer = { .der = KV_SLICE("an answer"), .this_ms = 1000, .next_ms = 2000 };
    fixture *f = *state;
    kv_ocsp_kept got = { 0 };

    assert_false(kv_ocsp_cache_get(f->cache, key, 1500, &f->arena, &got));
    kv_ocsp_cache_put(f->cache, key, &answer);
    assert_true(kv_ocsp_cache_get(f->cache, key, 1000, &f->arena, &got));
    assert_slice_equal(got.der, answer.der);
    assert_ptr_not_equal(got.der.data, answer.der.data);
    assert_int_equal(got.this_ms, 1000);
    assert_int_equal(got.next_ms, 2000);
    /* Not before it was signed (a clock that was set back), and not when it is over. */
    assert_false(kv_ocsp_cache_get(f->cache, key, 999, &f->arena, &got));
    assert_false(kv_ocsp_cache_get(f->cache, key, 2000, &f->arena, &got));
}

/* Keys that fall together: only their last byte differs. */
static bool keeps(fixture *f, uint8_t last, const char *says)
{
    const uint8_t key[KV_OCSP_CACHE_KEY] = { 1, 2, [31] = last };
    kv_ocsp_kept got = { 0 };

    if (!kv_ocsp_cache_get(f->cache, key, 1, &f->arena, &got))
        return false;
    assert_slice_equal(got.der, kv_slice_text(says));
    return true;
}

static void put(fixture *f, uint8_t last, const char *says)
{
    const uint8_t key[KV_OCSP_CACHE_KEY] = { 1, 2, [31] = last };
    kv_ocsp_kept answer = { .der = kv_slice_text(says), .next_ms = 10 };

    kv_ocsp_cache_put(f->cache, key, &answer);
}

static void another_key_is_another_answer(void **state)
{
    fixture *f = *state;

    put(f, 0, "one");
    assert_false(keeps(f, 1, "one"));
    put(f, 1, "two");
    assert_true(keeps(f, 0, "one"));
    assert_true(keeps(f, 1, "two"));
    put(f, 1, "another");
    assert_true(keeps(f, 0, "one"));
    assert_true(keeps(f, 1, "another"));
}

static void of_keys_that_fall_together_the_first_one_goes(void **state)
{
    fixture *f = *state;

    put(f, 0, "zero");
    put(f, 1, "one");
    put(f, 2, "two");
    put(f, 3, "three");
    put(f, 0, "zero again");
    assert_true(keeps(f, 1, "one"));
    put(f, 4, "four");
    assert_false(keeps(f, 1, "one"));
    put(f, 5, "five");
    assert_false(keeps(f, 2, "two"));
    assert_true(keeps(f, 0, "zero again"));
    assert_true(keeps(f, 3, "three"));
    assert_true(keeps(f, 4, "four"));
    assert_true(keeps(f, 5, "five"));
}

static void what_is_too_long_or_empty_is_not_kept(void **state)
{
    static const uint8_t bytes[KV_OCSP_CACHE_ANSWER + 1] = { 0x30 };
    const uint8_t key[KV_OCSP_CACHE_KEY] = { 7 };
    kv_ocsp_kept answer = { .der = kv_slice_of(bytes, sizeof(bytes)), .next_ms = 10 };
    fixture *f = *state;
    kv_ocsp_kept got = { 0 };

    kv_ocsp_cache_put(f->cache, key, &answer);
    assert_false(kv_ocsp_cache_get(f->cache, key, 1, &f->arena, &got));
    answer.der = KV_SLICE_NONE;
    kv_ocsp_cache_put(f->cache, key, &answer);
    assert_false(kv_ocsp_cache_get(f->cache, key, 1, &f->arena, &got));
    answer.der = kv_slice_of(bytes, KV_OCSP_CACHE_ANSWER);
    kv_ocsp_cache_put(f->cache, key, &answer);
    assert_true(kv_ocsp_cache_get(f->cache, key, 1, &f->arena, &got));
}

static void a_full_arena_is_no_answer(void **state)
{
    const uint8_t key[KV_OCSP_CACHE_KEY] = { 7 };
    kv_ocsp_kept answer = { .der = KV_SLICE("an answer of some length"), .next_ms = 10 };
    KV_AUTO(kv_arena) small = KV_ARENA(8);
    fixture *f = *state;
    kv_ocsp_kept got = { 0 };

    kv_ocsp_cache_put(f->cache, key, &answer);
    assert_false(kv_ocsp_cache_get(f->cache, key, 1, &small, &got));
}

static void *use(void *context)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);
    kv_ocsp_cache *cache = context;

    for (unsigned i = 0; i < 2000; i++) {
        uint8_t key[KV_OCSP_CACHE_KEY] = { 0, (uint8_t)(i % 8) };
        kv_ocsp_kept answer = { .der = kv_slice_of(key, sizeof(key)), .next_ms = 10 };
        kv_ocsp_kept got = { 0 };

        kv_ocsp_cache_put(cache, key, &answer);
        if (kv_ocsp_cache_get(cache, key, 1, &arena, &got) && !kv_slice_equal(got.der, answer.der))
            return cache;
    }
    return NULL;
}

static void many_threads_share_it(void **state)
{
    fixture *f = *state;
    pthread_t threads[4];
    void *wrong = NULL;

    for (size_t i = 0; i < KV_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, f->cache), 0);
    for (size_t i = 0; i < KV_COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_holds_is_given_again),
        TEST(another_key_is_another_answer),
        TEST(of_keys_that_fall_together_the_first_one_goes),
        TEST(what_is_too_long_or_empty_is_not_kept),
        TEST(a_full_arena_is_no_answer),
        TEST(many_threads_share_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
