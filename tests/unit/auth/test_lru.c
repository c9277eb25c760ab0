/* test_lru.c - a memory that forgets what was asked for longest ago. */
#include "server/auth/lru.h"
#include "tests/support/kv_cmocka.h"

static const uint8_t *key(uint8_t *out, uint8_t number)
{
    memset(out, number, 32);
    return out;
}

static bool has(kv_lru *lru, uint8_t number)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(4096);
    uint8_t bytes[32];
    kv_slice found;

    if (!kv_lru_get(lru, key(bytes, number), &arena, &found))
        return false;
    assert_int_equal(found.len, 1);
    assert_int_equal(found.data[0], number);
    return true;
}

static void put(kv_lru *lru, uint8_t number)
{
    uint8_t bytes[32];

    kv_lru_put(lru, key(bytes, number), kv_slice_of(&number, 1));
}

static void forgets_the_longest_unused(void **state)
{
    kv_lru *lru = kv_lru_new(3);

    (void)state;
    for (uint8_t i = 1; i <= 3; i++)
        put(lru, i);
    assert_true(has(lru, 1)); /* now 2 is the oldest */
    put(lru, 4);
    assert_true(has(lru, 1));
    assert_false(has(lru, 2));
    assert_true(has(lru, 3));
    assert_true(has(lru, 4));
    kv_lru_free(lru);
}

static void replaces_and_does_not_grow(void **state)
{
    kv_lru *lru = kv_lru_new(2);

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        put(lru, 1);
    put(lru, 2);
    assert_true(has(lru, 1));
    assert_true(has(lru, 2));
    kv_lru_free(lru);
}

static void a_full_arena_is_a_miss(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(16);
    kv_lru *lru = kv_lru_new(2);
    uint8_t value[64] = { 0 };
    uint8_t bytes[32];
    kv_slice found;

    (void)state;
    kv_lru_put(lru, key(bytes, 1), kv_slice_of(value, sizeof(value)));
    assert_false(kv_lru_get(lru, key(bytes, 1), &arena, &found));
    kv_lru_free(lru);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forgets_the_longest_unused),
        cmocka_unit_test(replaces_and_does_not_grow),
        cmocka_unit_test(a_full_arena_is_a_miss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
