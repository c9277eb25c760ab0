/* test_vault_proofs.c - the board of proofs: up, down, after a crash, when old, and when edited. */
#include <pthread.h>
#include <stdio.h>

#include "server/vault/operations/proofs.h"
#include "tests/contract/vault/house.h"

static int start(void **state)
{
    *state = house_new(false);
    return 0;
}

static int stop(void **state)
{
    house_free(*state);
    return 0;
}

static kv_challenge_notice notice(const char *asked, const char *says)
{
    return (kv_challenge_notice){ KV_SLICE("http-01"), kv_slice_text(asked), kv_slice_text(says) };
}

static kv_status post(house *h, kv_challenge_notice it, kv_error *err)
{
    kv_challenge_board board = kv_vault_board(h->vault);

    return board.post(board.context, &it, err);
}

static kv_status take_down(house *h, kv_challenge_notice it, kv_error *err)
{
    kv_challenge_board board = kv_vault_board(h->vault);

    return board.remove(board.context, &it, err);
}

static kv_status find(house *h, kv_challenge_notice it, char out[64], kv_error *err)
{
    kv_challenge_board board = kv_vault_board(h->vault);
    kv_arena arena = KV_ARENA(64 * 1024);
    kv_status status;

    *err = (kv_error){ 0 };
    status = board.find(board.context, &it, &arena, err);
    if (status == KV_OK)
        (void)snprintf(out, 64, "%.*s", KV_SLICE_ARG(it.says));
    kv_arena_cleanup(&arena);
    return status;
}

static void a_proof_stands_until_it_is_taken_down(void **state)
{
    house *h = *state;
    kv_error err = { 0 };
    char says[64];

    assert_kv_fails(KV_NOT_FOUND, find(h, notice("abc", ""), says, &err));
    assert_kv_ok(post(h, notice("abc", "abc.mine"), &err));
    assert_kv_ok(find(h, notice("abc", ""), says, &err));
    assert_string_equal(says, "abc.mine");
    assert_kv_fails(KV_NOT_FOUND, find(h, notice("ABC", ""), says, &err));
    assert_kv_fails(KV_NOT_FOUND, find(h, notice("ab", ""), says, &err));

    /* It is there for whoever is started next. */
    assert_kv_ok(house_restart(h, &err));
    assert_kv_ok(find(h, notice("abc", ""), says, &err));

    err = (kv_error){ 0 };
    assert_kv_ok(take_down(h, notice("abc", "abc.mine"), &err));
    assert_kv_fails(KV_NOT_FOUND, find(h, notice("abc", ""), says, &err));
    err = (kv_error){ 0 };
    assert_kv_ok(take_down(h, notice("abc", "abc.mine"), &err));
    house_assert_tidy(h);
}

static void the_same_again_writes_nothing(void **state)
{
    house *h = *state;
    kv_error err = { 0 };
    unsigned before;
    char says[64];

    assert_kv_ok(post(h, notice("abc", "abc.mine"), &err));
    before = house_count(h, "SELECT version FROM store_state");
    assert_kv_ok(post(h, notice("abc", "abc.mine"), &err));
    assert_int_equal(house_count(h, "SELECT version FROM store_state"), before);
    atomic_fetch_add(&h->now_ms, KV_PROOF_MS / 2 + 1);
    assert_kv_ok(post(h, notice("abc", "abc.mine"), &err));
    atomic_fetch_add(&h->now_ms, KV_PROOF_MS / 2 + 1);
    assert_kv_ok(find(h, notice("abc", ""), says, &err));
    house_assert_tidy(h);
}

static void another_account_does_not_take_its_place(void **state)
{
    house *h = *state;
    kv_error err = { 0 };
    char says[64];

    assert_kv_ok(post(h, notice("www.example.org", "one.mine"), &err));
    assert_kv_fails(KV_UNAVAILABLE, post(h, notice("www.example.org", "two.other"), &err));
    err = (kv_error){ 0 };
    assert_kv_ok(post(h, notice("www.example.org", "three.mine"), &err));
    assert_kv_ok(find(h, notice("www.example.org", ""), says, &err));
    assert_string_equal(says, "three.mine");

    /* The first one's end does not take the second one down. */
    assert_kv_ok(take_down(h, notice("www.example.org", "one.mine"), &err));
    assert_kv_ok(find(h, notice("www.example.org", ""), says, &err));
    assert_kv_ok(take_down(h, notice("www.example.org", "three.mine"), &err));
    assert_kv_ok(post(h, notice("www.example.org", "two.other"), &err));
    house_assert_tidy(h);
}

static void an_old_one_goes(void **state)
{
    enum { MANY = 510 };
    house *h = *state;
    kv_error err = { 0 };
    char says[64], token[16];
    bool more = true;

    for (int i = 0; i < MANY; i++) {
        char proof[32];

        (void)snprintf(token, sizeof(token), "token-%d", i);
        (void)snprintf(proof, sizeof(proof), "%s.mine", token);
        assert_kv_ok(post(h, notice(token, proof), &err));
    }
    atomic_fetch_add(&h->now_ms, KV_PROOF_MS - 1);
    assert_kv_ok(kv_vault_proofs_due(h->vault, &more, &err));
    assert_false(more);
    assert_kv_ok(find(h, notice("token-1", ""), says, &err));
    atomic_fetch_add(&h->now_ms, 1);
    assert_kv_fails(KV_NOT_FOUND, find(h, notice("token-1", ""), says, &err));
    err = (kv_error){ 0 };

    /* Not swept yet, and in nobody's way. */
    assert_kv_ok(post(h, notice("token-1", "token-1.other"), &err));
    assert_kv_ok(kv_vault_proofs_due(h->vault, &more, &err));
    assert_true(more);
    assert_kv_ok(kv_vault_proofs_due(h->vault, &more, &err));
    assert_false(more);
    assert_int_equal(house_count(h, "SELECT count(*) FROM proofs"), 1);
    assert_kv_ok(find(h, notice("token-1", ""), says, &err));
    house_assert_tidy(h);
}

static void an_edited_row_says_nothing(void **state)
{
    static const char *const edits[] = {
        "UPDATE proofs SET says = 'abc.theirs'",
        "UPDATE proofs SET asked = 'abd'",
        "UPDATE proofs SET type = 'tls-alpn-01'",
        "UPDATE proofs SET ends_at = ends_at + 1",
    };
    house *h = *state;
    kv_error err = { 0 };
    char says[64];

    for (size_t i = 0; i < KV_COUNT(edits); i++) {
        kv_challenge_notice asked = notice(i == 1 ? "abd" : "abc", "");

        if (i == 2)
            asked.type = KV_SLICE("tls-alpn-01");
        err = (kv_error){ 0 };
        assert_kv_ok(post(h, notice("abc", "abc.mine"), &err));
        assert_true(house_attack(h, "CREATE TABLE kept AS SELECT * FROM proofs") >= 0);
        assert_int_equal(house_attack(h, edits[i]), 1);
        assert_kv_fails(KV_INTERNAL, find(h, asked, says, &err));
        assert_int_equal(err.reason, KV_REASON_INTEGRITY);
        assert_int_equal(house_attack(h, "DELETE FROM proofs"), 1);
        assert_int_equal(house_attack(h, "INSERT INTO proofs SELECT * FROM kept"), 1);
        assert_true(house_attack(h, "DROP TABLE kept") >= 0);
        assert_kv_ok(find(h, notice("abc", ""), says, &err));
    }
    house_assert_tidy(h);
}

static void *post_many(void *context)
{
    house *h = context;
    kv_error err = { 0 };
    uintptr_t failed = 0;

    for (int i = 0; i < 10; i++) {
        err = (kv_error){ 0 };
        failed += post(h, notice("www.example.org", i % 2 ? "a.mine" : "b.mine"), &err) != KV_OK;
    }
    return (void *)failed;
}

/* They meet at one row; some may give up after three meetings, none breaks anything. */
static void many_at_once_leave_one(void **state)
{
    enum { MANY = 4 };
    house *h = *state;
    pthread_t threads[MANY];
    kv_error err = { 0 };
    char says[64];

    for (int i = 0; i < MANY; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, h), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_kv_ok(find(h, notice("www.example.org", ""), says, &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM proofs"), 1);
    house_assert_tidy(h);
}

#define ON_FAKE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_FAKE(a_proof_stands_until_it_is_taken_down),
        ON_FAKE(the_same_again_writes_nothing),
        ON_FAKE(another_account_does_not_take_its_place),
        ON_FAKE(an_old_one_goes),
        ON_FAKE(an_edited_row_says_nothing),
        ON_FAKE(many_at_once_leave_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
