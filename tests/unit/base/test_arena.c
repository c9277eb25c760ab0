/* test_arena.c - the memory of a call has a limit and is wiped before it goes. */
#include "server/base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include "server/base/secret_buf.h"
#include "tests/support/kv_cmocka.h"

enum { LIMIT = 64 * 1024, HEAP_BYTES = 256 * 1024, PATTERN = 0xa5 };

/* The linker calls __wrap_free where the arena says free. */
void __real_free(void *block);
void __wrap_free(void *block);

/* One piece of a block, and what it held in the moment its block was freed. */
static struct {
    const uint8_t *piece;
    size_t len;
    size_t frees;
    size_t left; /* bytes of the pattern */
} watched;

static size_t count_pattern(const uint8_t *data, size_t len)
{
    size_t count = 0;

    for (size_t i = 0; i < len; i++)
        count += data[i] == PATTERN;
    return count;
}

void __wrap_free(void *block)
{
    uintptr_t start = (uintptr_t)block;
    uintptr_t piece = (uintptr_t)watched.piece;

    if (watched.piece && start < piece && piece - start < LIMIT) {
        watched.frees++;
        watched.left += count_pattern(watched.piece, watched.len);
        watched.piece = NULL;
    }
    __real_free(block);
}

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(LIMIT);
    uint8_t *last = NULL;

    (void)state;
    for (size_t len = 0; len < 200; len++) {
        uint8_t *piece = kv_arena_alloc(&arena, len);

        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % alignof(max_align_t), 0);
        assert_ptr_not_equal(piece, last);
        for (size_t i = 0; i < len; i++)
            assert_int_equal(piece[i], 0);
        memset(piece, PATTERN, len);
        last = piece;
    }
}

static void the_limit_is_exact(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(1024);

    (void)state;
    assert_null(kv_arena_alloc(&arena, 1025));
    assert_non_null(kv_arena_alloc(&arena, 1008));
    assert_non_null(kv_arena_alloc(&arena, 16));
    assert_null(kv_arena_alloc(&arena, 1));
    assert_null(kv_arena_alloc(&arena, 0));
}

static void sizes_that_overflow_are_refused(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(SIZE_MAX);

    (void)state;
    assert_null(kv_arena_alloc(&arena, SIZE_MAX));
    assert_null(kv_arena_alloc(&arena, SIZE_MAX / 2 + 1));
    assert_null(kv_arena_array(&arena, SIZE_MAX / 2, 3));
    assert_null(kv_arena_array(&arena, SIZE_MAX, SIZE_MAX));
    assert_non_null(kv_arena_array(&arena, 0, 8));
    assert_non_null(kv_arena_array(&arena, 8, 0));
    assert_non_null(kv_arena_array(&arena, 1000, 8));
}

static void a_piece_may_be_larger_than_a_block(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(LIMIT);
    uint8_t *small = kv_arena_alloc(&arena, 10);
    uint8_t *large = kv_arena_alloc(&arena, 50000);

    (void)state;
    assert_non_null(small);
    assert_non_null(large);
    memset(large, PATTERN, 50000);
    assert_int_equal(count_pattern(small, 10), 0);
}

static void copies_are_followed_by_a_nul(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(LIMIT);
    const char *text = NULL;
    kv_slice copy;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_arena_copy(&arena, KV_SLICE("a\0b"), &copy, &err));
    assert_slice_equal(KV_SLICE("a\0b"), copy);
    assert_kv_ok(kv_arena_copy(&arena, KV_SLICE_NONE, &copy, &err));
    assert_int_equal(copy.len, 0);
    assert_kv_ok(kv_arena_text(&arena, kv_slice_of("keyvault", 3), &text, &err));
    assert_string_equal(text, "key");
    assert_kv_ok(kv_arena_print(&arena, &copy, &err, "%s-%d", "a", 7));
    assert_slice_equal(KV_SLICE("a-7"), copy);
    assert_int_equal(copy.data[copy.len], 0);
}

static void a_full_arena_is_an_error_that_says_so(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(32);
    kv_slice untouched = KV_SLICE("x");
    const char *text = "untouched";
    kv_error err = { 0 };

    (void)state;
    assert_kv_fails(KV_BUSY, kv_arena_copy(&arena, KV_SLICE("0123456789abcdef0123456789abcdef"),
                                           &untouched, &err));
    assert_int_equal(err.reason, KV_REASON_LIMIT_REACHED);
    assert_kv_fails(KV_BUSY, kv_arena_print(&arena, &untouched, &err, "%64d", 1));
    assert_int_equal(err.reason, KV_REASON_LIMIT_REACHED);
    assert_kv_fails(
        KV_BUSY,
        kv_arena_text(&arena, kv_slice_text("0123456789abcdef0123456789abcdef"), &text, &err));
    assert_slice_equal(KV_SLICE("x"), untouched);
    assert_string_equal(text, "untouched");
}

static void an_arena_may_be_used_again(void **state)
{
    kv_arena arena = KV_ARENA(1024);

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_non_null(kv_arena_alloc(&arena, 1024));
        assert_null(kv_arena_alloc(&arena, 1));
        kv_arena_cleanup(&arena);
        assert_int_equal(arena.used, 0);
    }
    kv_arena_cleanup(&arena);
}

static void every_block_is_wiped_before_it_is_freed(void **state)
{
    static const size_t sizes[] = { 1, 100, 4000, 40000 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(sizes); i++) {
        kv_arena arena = KV_ARENA(LIMIT);
        uint8_t *piece = kv_arena_alloc(&arena, sizes[i]);

        assert_non_null(piece);
        memset(piece, PATTERN, sizes[i]);
        watched.piece = piece;
        watched.len = sizes[i];
        watched.frees = 0;
        watched.left = 0;
        kv_arena_cleanup(&arena);
        assert_int_equal(watched.frees, 1);
        assert_int_equal(watched.left, 0);
    }
}

static void a_secret_arena_lives_on_the_locked_heap(void **state)
{
    KV_AUTO(kv_arena) secret = KV_ARENA_SECRET(LIMIT);
    KV_AUTO(kv_arena) plain = KV_ARENA(LIMIT);
    size_t before = CRYPTO_secure_used();

    (void)state;
    assert_true(CRYPTO_secure_allocated(kv_arena_alloc(&secret, 100)));
    assert_false(CRYPTO_secure_allocated(kv_arena_alloc(&plain, 100)));
    kv_arena_cleanup(&secret);
    assert_int_equal(CRYPTO_secure_used(), before);
}

static void a_secret_arena_ends_with_the_heap(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA_SECRET(100 * HEAP_BYTES);

    (void)state;
    assert_null(kv_arena_alloc(&arena, 2 * HEAP_BYTES));
    assert_non_null(kv_arena_alloc(&arena, 100));
}

static int open_heap(void **state)
{
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_secret_heap_open(HEAP_BYTES, &err));
    return 0;
}

static int close_heap(void **state)
{
    (void)state;
    assert_int_equal(CRYPTO_secure_used(), 0);
    kv_secret_heap_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(the_limit_is_exact),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(a_piece_may_be_larger_than_a_block),
        cmocka_unit_test(copies_are_followed_by_a_nul),
        cmocka_unit_test(a_full_arena_is_an_error_that_says_so),
        cmocka_unit_test(an_arena_may_be_used_again),
        cmocka_unit_test(every_block_is_wiped_before_it_is_freed),
        cmocka_unit_test(a_secret_arena_lives_on_the_locked_heap),
        cmocka_unit_test(a_secret_arena_ends_with_the_heap),
    };

    return cmocka_run_group_tests_name("arena", tests, open_heap, close_heap);
}
