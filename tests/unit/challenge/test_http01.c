/* test_http01.c - a page by its token, and nothing by anything else. */
#include "server/challenge/http01.h"

#include "tests/support/kv_cmocka.h"
#include "tests/unit/challenge/memory_board.h"

typedef struct bench {
    memory_board memory;
    kv_http01 http01;
    kv_arena arena;
    kv_challenge_task task;
} bench;

static void set_up(bench *at)
{
    memory_board_open(&at->memory);
    at->http01 = (kv_http01){ .board = &at->memory.board };
    at->arena = KV_ARENA(16 * 1024);
    at->task = (kv_challenge_task){ .name = KV_SLICE("www.example.org"),
                                    .token = KV_SLICE("tok-en_1"),
                                    .key_authorization = KV_SLICE("tok-en_1.thumb"),
                                    .arena = &at->arena };
}

static void a_page_is_there_between_present_and_clean(void **state)
{
    const kv_challenge *row = &kv_challenge_http01;
    kv_slice body;
    kv_error err = { 0 };
    bench at;

    (void)state;
    set_up(&at);
    assert_kv_fails(KV_NOT_FOUND,
                    kv_http01_page(&at.http01, at.task.token, &at.arena, &body, &err));
    assert_kv_ok(row->present(&at.http01, &at.task, &err));
    assert_kv_ok(kv_http01_page(&at.http01, at.task.token, &at.arena, &body, &err));
    assert_slice_equal(KV_SLICE("tok-en_1.thumb"), body);
    assert_kv_ok(row->clean(&at.http01, &at.task, &err));
    assert_kv_fails(KV_NOT_FOUND,
                    kv_http01_page(&at.http01, at.task.token, &at.arena, &body, &err));
    kv_arena_cleanup(&at.arena);
}

static void what_is_no_token_is_not_looked_for(void **state)
{
    static const char *const bad[] = { "",       "../tok-en_1",   "tok-en_1/", "tok-en_1%00",
                                       "tok en", "tok-en_1.thumb" };
    kv_slice body;
    kv_error err = { 0 };
    bench at;

    (void)state;
    set_up(&at);
    for (size_t i = 0; i < KV_COUNT(bad); i++)
        assert_kv_fails(KV_NOT_FOUND,
                        kv_http01_page(&at.http01, kv_slice_text(bad[i]), &at.arena, &body, &err));
    assert_int_equal(at.memory.looked, 0);
    kv_arena_cleanup(&at.arena);
}

static void only_what_an_order_brings_is_put_up(void **state)
{
    const kv_challenge *row = &kv_challenge_http01;
    kv_error err = { 0 };
    bench at;

    (void)state;
    set_up(&at);
    at.task.wildcard = true;
    assert_kv_fails(KV_PRECONDITION, row->present(&at.http01, &at.task, &err));
    at.task.wildcard = false;
    at.task.token = KV_SLICE("a/b");
    assert_kv_fails(KV_INTERNAL, row->present(&at.http01, &at.task, &err));
    assert_kv_fails(KV_INTERNAL, row->clean(&at.http01, &at.task, &err));
    assert_int_equal(at.memory.posted, 0);
    kv_arena_cleanup(&at.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_there_between_present_and_clean),
        cmocka_unit_test(what_is_no_token_is_not_looked_for),
        cmocka_unit_test(only_what_an_order_brings_is_put_up),
    };

    return cmocka_run_group_tests_name("http01", tests, NULL, NULL);
}
