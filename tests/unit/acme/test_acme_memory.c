/* test_acme_memory.c - nonces are given once, pauses are kept. */
#include "server/acme/memory.h"

#include "tests/support/kv_cmocka.h"

#define ONE   KV_SLICE("https://one.test/nonce")
#define OTHER KV_SLICE("https://other.test/nonce")

static int open_memory(void **state)
{
    kv_error err = { 0 };

    assert_kv_ok(kv_acme_memory_new((kv_acme_memory **)state, &err));
    return 0;
}

static int close_memory(void **state)
{
    kv_acme_memory_free(*state);
    return 0;
}

static void a_nonce_is_given_once_and_to_its_server(void **state)
{
    char nonce[KV_ACME_NONCE_ROOM];

    kv_acme_nonce_put(*state, ONE, KV_SLICE("first"));
    kv_acme_nonce_put(*state, ONE, KV_SLICE("second"));
    assert_false(kv_acme_nonce_take(*state, OTHER, nonce));
    assert_true(kv_acme_nonce_take(*state, ONE, nonce));
    assert_true(kv_acme_nonce_take(*state, ONE, nonce));
    assert_false(kv_acme_nonce_take(*state, ONE, nonce));
}

static void only_so_many_are_kept(void **state)
{
    char nonce[KV_ACME_NONCE_ROOM];
    unsigned taken = 0;

    for (unsigned i = 0; i < 1000; i++)
        kv_acme_nonce_put(*state, i % 2 ? ONE : OTHER, KV_SLICE("n"));
    while (kv_acme_nonce_take(*state, ONE, nonce) || kv_acme_nonce_take(*state, OTHER, nonce))
        taken++;
    assert_in_range(taken, 8, 64);
}

static void what_is_no_nonce_is_not_kept(void **state)
{
    char nonce[KV_ACME_NONCE_ROOM];
    char text[KV_ACME_NONCE_MOST + 1];

    memset(text, 'a', sizeof(text));
    assert_true(kv_acme_nonce_good(kv_slice_of(text, KV_ACME_NONCE_MOST)));
    kv_acme_nonce_put(*state, ONE, kv_slice_of(text, KV_ACME_NONCE_MOST));
    assert_true(kv_acme_nonce_take(*state, ONE, nonce));
    assert_int_equal(strlen(nonce), KV_ACME_NONCE_MOST);

    kv_acme_nonce_put(*state, ONE, kv_slice_of(text, sizeof(text)));
    kv_acme_nonce_put(*state, ONE, KV_SLICE(""));
    kv_acme_nonce_put(*state, ONE, KV_SLICE("a=b"));
    kv_acme_nonce_put(*state, ONE, KV_SLICE("a\"b"));
    kv_acme_nonce_put(*state, ONE, kv_slice_of("a\0b", 3));
    assert_false(kv_acme_nonce_take(*state, ONE, nonce));
    kv_acme_nonce_put(NULL, ONE, KV_SLICE("a"));
    assert_false(kv_acme_nonce_take(NULL, ONE, nonce));
}

static int64_t paused(void **state, kv_slice server, kv_slice key, int64_t now_ms)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(4096);
    kv_slice words;

    return kv_acme_paused(*state, server, key, now_ms, &arena, &words);
}

static void a_pause_is_of_one_account_and_ends(void **state)
{
    void *none = NULL;

    kv_acme_pause(*state, ONE, KV_SLICE("key"), 5000, KV_SLICE_NONE);
    assert_int_equal(paused(state, ONE, KV_SLICE("key"), 1000), 4000);
    assert_int_equal(paused(state, ONE, KV_SLICE("another key"), 1000), 0);
    assert_int_equal(paused(state, OTHER, KV_SLICE("key"), 1000), 0);
    assert_int_equal(paused(state, ONE, KV_SLICE("key"), 5000), 0);
    assert_int_equal(paused(state, ONE, KV_SLICE("key"), 9000), 0);
    kv_acme_pause(*state, ONE, KV_SLICE("key"), 7000, KV_SLICE_NONE);
    assert_int_equal(paused(state, ONE, KV_SLICE("key"), 5000), 2000);
    assert_int_equal(paused(&none, ONE, KV_SLICE("key"), 0), 0);
    for (unsigned i = 0; i < 500; i++)
        kv_acme_pause(*state, ONE, kv_slice_of(&i, sizeof(i)), 6000 + i, KV_SLICE_NONE);
    assert_int_equal(paused(state, ONE, KV_SLICE("key"), 5000), 2000);
}

static void of_several_the_longest_counts_with_its_words(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(4096);
    KV_AUTO(kv_arena) small = KV_ARENA(4);
    char long_words[KV_ACME_WORDS_KEPT + 1];
    kv_slice words;

    kv_acme_pause(*state, ONE, KV_SLICE("key"), 5000, KV_SLICE("too many orders"));
    kv_acme_pause(*state, ONE, KV_SLICE("key"), 3000, KV_SLICE("a moment"));
    assert_int_equal(kv_acme_paused(*state, ONE, KV_SLICE("key"), 1000, &arena, &words), 4000);
    assert_slice_equal(words, KV_SLICE("too many orders"));
    assert_int_equal(kv_acme_paused(*state, ONE, KV_SLICE("key"), 1000, &small, &words), 4000);
    assert_int_equal(words.len, 0);
    assert_int_equal(kv_acme_paused(*state, ONE, KV_SLICE("key"), 5000, &arena, &words), 0);
    assert_int_equal(words.len, 0);
    memset(long_words, 'x', sizeof(long_words));
    kv_acme_pause(*state, ONE, KV_SLICE("key"), 6000, kv_slice_of(long_words, sizeof(long_words)));
    assert_int_equal(kv_acme_paused(*state, ONE, KV_SLICE("key"), 1000, &arena, &words), 5000);
    assert_int_equal(words.len, 0);
    kv_acme_pause(*state, ONE, KV_SLICE("key"), 7000, kv_slice_of(long_words, KV_ACME_WORDS_KEPT));
    assert_int_equal(kv_acme_paused(*state, ONE, KV_SLICE("key"), 1000, &arena, &words), 6000);
    assert_int_equal(words.len, KV_ACME_WORDS_KEPT);
}

#define MEMORY_TEST(name) cmocka_unit_test_setup_teardown(name, open_memory, close_memory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(a_nonce_is_given_once_and_to_its_server),
        MEMORY_TEST(only_so_many_are_kept),
        MEMORY_TEST(what_is_no_nonce_is_not_kept),
        MEMORY_TEST(a_pause_is_of_one_account_and_ends),
        MEMORY_TEST(of_several_the_longest_counts_with_its_words),
    };

    return cmocka_run_group_tests_name("acme_memory", tests, NULL, NULL);
}
