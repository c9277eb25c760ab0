/* test_acme_problem.c - problem documents, and what follows from each type. */
#include "server/acme/problem.h"

#include <stdio.h>

#include "server/base/compiler.h"
#include "tests/support/kv_cmocka.h"

#define TYPE "urn:ietf:params:acme:error:"

static int open_arena(void **state)
{
    static kv_arena arena;

    arena = KV_ARENA(1 << 20);
    *state = &arena;
    return 0;
}

static int close_arena(void **state)
{
    kv_arena_cleanup(*state);
    return 0;
}

static kv_acme_problem read_problem(void **state, const char *body, int status)
{
    kv_acme_problem problem;
    kv_error err = { 0 };

    assert_kv_ok(kv_acme_problem_read(*state, kv_slice_text(body), status, &problem, &err));
    return problem;
}

static void every_type_has_its_action(void **state)
{
    static const struct {
        const char *type;
        int status;
        kv_acme_action action;
    } cases[] = {
        { "badNonce", 400, KV_ACME_AGAIN },
        { "rateLimited", 429, KV_ACME_WAIT },
        { "rateLimited", 403, KV_ACME_WAIT },
        { "serverInternal", 500, KV_ACME_LATER },
        { "serverInternal", 503, KV_ACME_WAIT },
        { "connection", 0, KV_ACME_NEW_ORDER },
        { "dns", 0, KV_ACME_NEW_ORDER },
        { "tls", 0, KV_ACME_NEW_ORDER },
        { "incorrectResponse", 0, KV_ACME_NEW_ORDER },
        { "unauthorized", 0, KV_ACME_NEW_ORDER },
        { "unauthorized", 403, KV_ACME_ACCOUNT },
        { "unauthorized", 401, KV_ACME_ACCOUNT },
        { "caa", 0, KV_ACME_FINAL },
        { "caa", 403, KV_ACME_FINAL },
        { "rejectedIdentifier", 403, KV_ACME_FINAL },
        { "unsupportedIdentifier", 400, KV_ACME_FINAL },
        { "badCSR", 403, KV_ACME_FINAL },
        { "badPublicKey", 400, KV_ACME_FINAL },
        { "badRevocationReason", 400, KV_ACME_FINAL },
        { "badSignatureAlgorithm", 400, KV_ACME_FINAL },
        { "invalidProfile", 400, KV_ACME_FINAL },
        { "invalidContact", 400, KV_ACME_ACCOUNT },
        { "unsupportedContact", 400, KV_ACME_ACCOUNT },
        { "accountDoesNotExist", 400, KV_ACME_ACCOUNT },
        { "userActionRequired", 403, KV_ACME_ACCOUNT },
        { "externalAccountRequired", 403, KV_ACME_ACCOUNT },
        { "alreadyReplaced", 409, KV_ACME_NO_REPLACES },
        { "orderNotReady", 403, KV_ACME_LOOK },
        { "alreadyRevoked", 400, KV_ACME_IS_SO_ALREADY },
        /* what nobody has heard of yet goes by the status */
        { "novelty", 400, KV_ACME_FINAL },
        { "novelty", 404, KV_ACME_NEW_ORDER },
        { "novelty", 429, KV_ACME_WAIT },
        { "novelty", 502, KV_ACME_LATER },
        { "novelty", 302, KV_ACME_LATER },
        { "novelty", 408, KV_ACME_LATER },
        { "novelty", 0, KV_ACME_NEW_ORDER },
        { "compound", 403, KV_ACME_NEW_ORDER },
    };
    char body[128];

    for (size_t i = 0; i < KV_COUNT(cases); i++) {
        kv_acme_problem problem;

        (void)snprintf(body, sizeof(body), "{\"type\":\"" TYPE "%s\",\"detail\":\"why\"}",
                       cases[i].type);
        problem = read_problem(state, body, cases[i].status);
        assert_slice_equal(kv_slice_text(cases[i].type), problem.type);
        if (kv_acme_problem_action(&problem) != cases[i].action)
            fail_msg("%s, %d: %d", cases[i].type, cases[i].status,
                     (int)kv_acme_problem_action(&problem));
    }
}

static void the_words_are_the_authoritys(void **state)
{
    kv_acme_problem problem = read_problem(
        state,
        "{\"type\":\"" TYPE "compound\",\"detail\":\"two names failed\",\"subproblems\":["
        "{\"type\":\"" TYPE "dns\",\"detail\":\"no such host\",\"identifier\":"
        "{\"type\":\"dns\",\"value\":\"a.test\"}},"
        "{\"type\":\"" TYPE "caa\",\"identifier\":{\"type\":\"dns\",\"value\":\"b.test\"}}]}",
        403);
    kv_error err = { 0 };
    kv_slice words;

    assert_int_equal(problem.count, 2);
    assert_kv_ok(kv_acme_problem_say(*state, &problem, &words, &err));
    assert_slice_equal(KV_SLICE("two names failed (a.test: no such host; b.test: caa)"), words);
    /* one of the two is final */
    assert_int_equal(kv_acme_problem_action(&problem), KV_ACME_FINAL);
}

static void what_is_no_document_is_told_by_its_status(void **state)
{
    static const char *const bodies[] = {
        "",
        "<html>502</html>",
        "[]",
        "{",
        "null",
        "{\"detail\":7}",
        "{\"type\":{}}",
        "{\"a\":1,\"a\":2}",
        "{\"detail\":\"\"}",
    };

    for (size_t i = 0; i < KV_COUNT(bodies); i++) {
        kv_acme_problem problem = read_problem(state, bodies[i], 502);

        assert_slice_equal(KV_SLICE("the authority answered with HTTP status 502"), problem.detail);
        assert_int_equal(kv_acme_problem_action(&problem), KV_ACME_LATER);
    }
}

static void texts_are_cut_and_made_printable(void **state)
{
    enum { LONG = 5000 };
    static char body[LONG + 64];
    kv_acme_problem problem;
    size_t at = (size_t)snprintf(body, sizeof(body), "{\"detail\":\"\\u001b[31m\\n");

    /* Two bytes each, so that the cut falls into the middle of one. */
    for (size_t i = 0; i < LONG / 2; i++, at += 2)
        memcpy(body + at, "\xc3\xa4", 2);
    (void)snprintf(body + at, sizeof(body) - at, "\"}");
    problem = read_problem(state, body, 400);
    assert_in_range(problem.detail.len, KV_ACME_DETAIL_MOST - 1, KV_ACME_DETAIL_MOST);
    assert_memory_equal(problem.detail.data, " [31m ", 6);
    assert_int_equal(problem.detail.data[problem.detail.len - 2], 0xc3);
}

static void of_many_parts_some_are_told(void **state)
{
    enum { MANY = 500 };
    static char body[MANY * 20 + 64];
    size_t at = (size_t)snprintf(body, sizeof(body), "{\"subproblems\":[{}");
    kv_acme_problem problem;
    kv_error err = { 0 };
    kv_slice words;

    for (size_t i = 1; i < MANY; i++)
        at += (size_t)snprintf(body + at, sizeof(body) - at, ",{\"detail\":\"d\"}");
    (void)snprintf(body + at, sizeof(body) - at, ",7,[],\"x\"]}");
    problem = read_problem(state, body, 400);
    assert_int_equal(problem.count, KV_ACME_SUBPROBLEMS);
    assert_kv_ok(kv_acme_problem_say(*state, &problem, &words, &err));
}

#define PROBLEM_TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBLEM_TEST(every_type_has_its_action),
        PROBLEM_TEST(the_words_are_the_authoritys),
        PROBLEM_TEST(what_is_no_document_is_told_by_its_status),
        PROBLEM_TEST(texts_are_cut_and_made_printable),
        PROBLEM_TEST(of_many_parts_some_are_told),
    };

    return cmocka_run_group_tests_name("acme_problem", tests, NULL, NULL);
}
