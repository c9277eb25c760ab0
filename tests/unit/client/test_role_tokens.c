/* test_role_tokens.c - a fake server answers when the test says so. */
#include "client/role_tokens.h"

#include <stdio.h>
#include <stdlib.h>

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>
#include <keyvault/v1/access.pb-c.h>

#include "client/failure.h"
#include "tests/support/kv_cmocka.h"

enum { SENT_MAX = 16, HOUR_MS = 3600000, ROLE_A = 4, ROLE_B = 9 };

typedef struct sent {
    char path[64];
    uint8_t message[256];
    size_t len;
    kv_deadline not_before;
    kv_channel_done *done;
    void *context;
} sent;

typedef struct world {
    kv_role_tokens *tokens;
    sent sent[SENT_MAX];
    size_t count;
    int64_t now_ms;
    unsigned issued;
    unsigned served, failed;
    char token[64]; /* the last one given out */
    keyvault_error err;
} world;

static kv_status take(void *context, const kv_channel_request *request, kv_channel_done *done,
                      void *done_context, kv_error *err)
{
    world *it = context;
    sent *slot = &it->sent[it->count++];

    (void)err;
    assert_true(it->count <= SENT_MAX);
    (void)snprintf(slot->path, sizeof(slot->path), "%s", request->path);
    memcpy(slot->message, request->message.data ? request->message.data : (const uint8_t *)"",
           request->message.len);
    slot->len = request->message.len;
    slot->not_before = request->not_before;
    slot->done = done;
    slot->context = done_context;
    return KV_OK;
}

static int64_t now(void *context)
{
    return ((world *)context)->now_ms;
}

static void open_with(world *it, const int *roles, size_t count, const char *scope)
{
    const kv_role_tokens_config config = { .send = take,
                                           .context = it,
                                           .roles = roles,
                                           .role_count = count,
                                           .scope = scope,
                                           .clock = { .now_ms = now, .context = it } };
    keyvault_error err;

    it->now_ms = HOUR_MS;
    assert_int_equal(kv_role_tokens_new(&config, &it->tokens, &err), 0);
}

static int set_up(void **state)
{
    world *it = calloc(1, sizeof(*it));

    open_with(it, NULL, 0, NULL);
    *state = it;
    return 0;
}

static int tear_down(void **state)
{
    world *it = *state;

    kv_role_tokens_free(it->tokens);
    free(it);
    return 0;
}

static void got(void *context, kv_slice token, const keyvault_error *err)
{
    world *it = context;

    it->err = *err;
    if (err->code)
        it->failed++;
    else
        it->served++;
    (void)snprintf(it->token, sizeof(it->token), "%.*s", (int)token.len, (const char *)token.data);
}

static void ask(world *it, const char *target, int64_t ms)
{
    kv_role_tokens_get(it->tokens, target, kv_deadline_in_ms(ms), got, it);
}

static sent *last(world *it)
{
    assert_true(it->count > 0);
    return &it->sent[it->count - 1];
}

static void answer(const sent *to, kv_slice message)
{
    const kv_error good = { 0 };
    const kv_channel_result result = { .message = message };

    to->done(to->context, &result, &good);
}

static void refuse(const sent *to, int code, kv_status status)
{
    kv_error err = { 0 };
    const kv_channel_result result = { .status = status, .code = code };

    kv_fail(&err, status, "no");
    to->done(to->context, &result, &err);
}

/* The server is busy and says when to come again. */
static void put_off(const sent *to, int ms)
{
    Google__Rpc__RetryInfo retry = GOOGLE__RPC__RETRY_INFO__INIT;
    Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;
    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT, *list[] = { &any };
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    uint8_t inner[64], outer[256];
    kv_error err = { 0 };
    kv_channel_result result = { .status = KV_BUSY, .code = KV_CODE_RESOURCE_EXHAUSTED };

    delay.seconds = ms / 1000;
    delay.nanos = ms % 1000 * 1000000;
    retry.retry_delay = &delay;
    any.type_url = (char[]){ "type.googleapis.com/google.rpc.RetryInfo" };
    any.value.len = google__rpc__retry_info__pack(&retry, inner);
    any.value.data = inner;
    status.details = list;
    status.n_details = 1;
    result.details = kv_slice_of(outer, google__rpc__status__pack(&status, outer));
    kv_fail(&err, KV_BUSY, "later");
    to->done(to->context, &result, &err);
}

static void say_roles(world *it, const int *roles, size_t count)
{
    Keyvault__V1__WhoAmIResponse who = KEYVAULT__V1__WHO_AM_IRESPONSE__INIT;
    Keyvault__V1__RoleAssignment held[4];
    Keyvault__V1__RoleAssignment *list[4];
    uint8_t packed[512];

    assert_string_equal(last(it)->path, "/keyvault.v1.AccessService/WhoAmI");
    for (size_t i = 0; i < count; i++) {
        keyvault__v1__role_assignment__init(&held[i]);
        held[i].role = (Keyvault__V1__Role)roles[i];
        held[i].scope = (char *)(uintptr_t) "/vaults/shop";
        list[i] = &held[i];
    }
    who.assignments = list;
    who.n_assignments = count;
    answer(last(it), kv_slice_of(packed, keyvault__v1__who_am_iresponse__pack(&who, packed)));
}

static void give_token_until(world *it, int64_t expires)
{
    Keyvault__V1__RoleToken token = KEYVAULT__V1__ROLE_TOKEN__INIT;
    char text[32];
    uint8_t packed[256];

    assert_string_equal(last(it)->path, "/keyvault.v1.AccessService/IssueRoleToken");
    (void)snprintf(text, sizeof(text), "token-%u", ++it->issued);
    token.token = text;
    token.expires = expires;
    answer(last(it), kv_slice_of(packed, keyvault__v1__role_token__pack(&token, packed)));
}

static void give_token(world *it, int64_t seconds)
{
    give_token_until(it, it->now_ms / 1000 + seconds);
}

static const int both[] = { ROLE_A, ROLE_B };

/* --- */

static void asks_who_we_are_then_for_a_token_of_all_roles_there(void **state)
{
    world *it = *state;
    Keyvault__V1__IssueRoleTokenRequest *request;

    ask(it, "/vaults/shop/keys/k", HOUR_MS);
    say_roles(it, both, 2);
    request =
        keyvault__v1__issue_role_token_request__unpack(NULL, last(it)->len, last(it)->message);
    assert_non_null(request);
    assert_int_equal(request->n_roles, 2);
    assert_string_equal(request->scope, "/vaults/shop");
    keyvault__v1__issue_role_token_request__free_unpacked(request, NULL);
    give_token(it, 900);
    assert_int_equal(it->served, 1);
    assert_string_equal(it->token, "token-1");
}

static void gives_the_same_token_for_everything_in_its_scope(void **state)
{
    world *it = *state;

    ask(it, "/vaults/shop/keys/k", HOUR_MS);
    say_roles(it, both, 2);
    give_token(it, 900);
    ask(it, "/vaults/shop/keys/other", HOUR_MS);
    ask(it, "/vaults/shop", HOUR_MS);
    assert_int_equal(it->served, 3);
    assert_int_equal(it->count, 2);
}

static void asks_once_for_many_that_wait(void **state)
{
    world *it = *state;

    /* A later caller has more time than the request that is on its way. */
    for (int i = 0; i < 5; i++)
        ask(it, "/vaults/shop/keys/k", HOUR_MS + 1000 * i);
    assert_int_equal(it->count, 1);
    say_roles(it, both, 2);
    assert_int_equal(it->count, 2);
    give_token(it, 900);
    assert_int_equal(it->served, 5);
}

static void does_not_let_a_hurried_caller_wait_for_a_patient_ones_request(void **state)
{
    world *it = *state;

    ask(it, "/vaults/shop/keys/k", HOUR_MS);
    ask(it, "/vaults/shop/keys/k", 1000);
    assert_int_equal(it->count, 2);
    say_roles(it, both, 2);
    give_token(it, 900);
    assert_int_equal(it->served, 1);
    refuse(&it->sent[0], KV_CODE_UNAVAILABLE, KV_UNAVAILABLE);
    assert_int_equal(it->failed, 1);
}

static void renews_before_the_end_and_gives_the_old_one_meanwhile(void **state)
{
    world *it = *state;

    ask(it, "/vaults/shop/keys/k", HOUR_MS);
    say_roles(it, both, 2);
    give_token(it, 900);
    it->now_ms += 800 * 1000;
    ask(it, "/vaults/shop/keys/k", HOUR_MS);
    assert_string_equal(it->token, "token-1");
    assert_int_equal(it->count, 3);
    ask(it, "/vaults/shop/keys/k", HOUR_MS);
    assert_int_equal(it->count, 3); /* one renewal is enough */
    give_token(it, 900);
    ask(it, "/vaults/shop/keys/k", HOUR_MS);
    assert_string_equal(it->token, "token-2");
    assert_int_equal(it->served, 4);
}

static void asks_again_when_the_token_has_ended(void **state)
{
    world *it = *state;

    ask(it, "/vaults/shop/keys/k", HOUR_MS);
    say_roles(it, both, 2);
    give_token(it, 900);
    it->now_ms += 900 * 1000;
    ask(it, "/vaults/shop/keys/k", HOUR_MS);
    assert_int_equal(it->served, 1);
    give_token(it, 900);
    assert_string_equal(it->token, "token-2");
}

/* Whatever the server says of its end. */
static void uses_a_token_for_a_day_at_most(void **state)
{
    static const int64_t ends[] = { INT64_MAX / 1000, INT64_MAX, INT64_MIN };
    world *it = *state;

    for (unsigned i = 0; i < KV_COUNT(ends); i++) {
        ask(it, "/vaults/shop", HOUR_MS);
        if (i == 0)
            say_roles(it, both, 2);
        assert_int_equal(it->count, i + 2);
        give_token_until(it, ends[i]);
        ask(it, "/vaults/shop", HOUR_MS);
        assert_int_equal(it->served, 2 * (i + 1));
        it->now_ms += 24 * HOUR_MS;
    }
}

static void does_not_give_out_what_was_dropped(void **state)
{
    world *it = *state;

    ask(it, "/vaults/shop/keys/k", HOUR_MS);
    say_roles(it, both, 2);
    give_token(it, 900);
    kv_role_tokens_drop(it->tokens, KV_SLICE("token-1"));
    ask(it, "/vaults/shop/keys/k", HOUR_MS);
    give_token(it, 900);
    assert_string_equal(it->token, "token-2");
}

static void says_so_when_no_role_covers_the_target(void **state)
{
    world *it = *state;

    ask(it, "/vaults/other", HOUR_MS);
    say_roles(it, both, 2);
    assert_int_equal(it->failed, 1);
    assert_int_equal(it->err.code, KV_CODE_PERMISSION_DENIED);
    assert_string_equal(it->err.reason, "PERMISSION_MISSING");
    assert_non_null(strstr(it->err.message, "/vaults/other"));
}

static void sees_a_role_that_was_granted_meanwhile(void **state)
{
    world *it = *state;

    ask(it, "/vaults/shop", HOUR_MS);
    say_roles(it, NULL, 0);
    assert_int_equal(it->failed, 1);
    it->now_ms += 1000;
    ask(it, "/vaults/shop", HOUR_MS);
    say_roles(it, both, 1);
    give_token(it, 900);
    assert_int_equal(it->served, 1);
}

static void does_without_a_role_that_was_taken_away(void **state)
{
    world *it = *state;

    ask(it, "/vaults/shop", HOUR_MS);
    say_roles(it, both, 2);
    refuse(last(it), KV_CODE_PERMISSION_DENIED, KV_DENIED);
    assert_int_equal(it->failed, 0);
    say_roles(it, both, 1);
    give_token(it, 900);
    assert_int_equal(it->served, 1);
}

static void gives_up_when_it_is_denied_twice(void **state)
{
    world *it = *state;

    ask(it, "/vaults/shop", HOUR_MS);
    say_roles(it, both, 2);
    refuse(last(it), KV_CODE_PERMISSION_DENIED, KV_DENIED);
    say_roles(it, both, 2);
    refuse(last(it), KV_CODE_PERMISSION_DENIED, KV_DENIED);
    assert_int_equal(it->failed, 1);
    assert_int_equal(it->err.code, KV_CODE_PERMISSION_DENIED);
}

static void tells_all_who_wait_that_the_server_is_away(void **state)
{
    world *it = *state;

    ask(it, "/vaults/shop", HOUR_MS);
    ask(it, "/vaults/shop/keys", HOUR_MS + 5000);
    refuse(last(it), KV_CODE_UNAVAILABLE, KV_UNAVAILABLE);
    assert_int_equal(it->failed, 2);
    assert_int_equal(it->err.code, KV_CODE_UNAVAILABLE);
}

static void fails_at_once_when_the_deadline_has_passed(void **state)
{
    world *it = *state;

    ask(it, "/vaults/shop", -1);
    assert_int_equal(it->failed, 1);
    assert_int_equal(it->err.code, KV_CODE_DEADLINE_EXCEEDED);
    assert_int_equal(it->count, 0);
}

static void asks_nobody_who_we_are_when_roles_and_scope_are_given(void **state)
{
    world *it = *state;
    Keyvault__V1__IssueRoleTokenRequest *request;

    kv_role_tokens_free(it->tokens);
    open_with(it, both, 1, "/vaults/shop");
    ask(it, "/vaults/shop/keys/k", HOUR_MS);
    request =
        keyvault__v1__issue_role_token_request__unpack(NULL, last(it)->len, last(it)->message);
    assert_non_null(request);
    assert_int_equal(request->n_roles, 1);
    assert_int_equal(request->roles[0], ROLE_A);
    keyvault__v1__issue_role_token_request__free_unpacked(request, NULL);
    give_token(it, 900);
    assert_int_equal(it->served, 1);
}

static void asks_again_after_a_denied_call_but_not_at_once(void **state)
{
    world *it = *state;

    ask(it, "/vaults/shop", HOUR_MS);
    say_roles(it, both, 1);
    give_token(it, 900);
    kv_role_tokens_denied(it->tokens);
    ask(it, "/vaults/shop", HOUR_MS);
    assert_int_equal(it->count, 2);
    it->now_ms += 20000;
    kv_role_tokens_denied(it->tokens);
    ask(it, "/vaults/shop", HOUR_MS);
    say_roles(it, both, 2);
    give_token(it, 900);
    assert_int_equal(it->served, 3);
}

static void comes_again_when_it_was_told_to(void **state)
{
    world *it = *state;
    int64_t left;

    ask(it, "/vaults/shop", HOUR_MS);
    put_off(last(it), 2500);
    assert_int_equal(it->count, 2);
    left = kv_deadline_left_ms(last(it)->not_before);
    assert_true(left > 1000 && left <= 2500);
    say_roles(it, both, 2);
    put_off(last(it), 10);
    assert_int_equal(it->count, 4);
    give_token(it, 900);
    assert_int_equal(it->served, 1);
}

static void does_not_come_again_for_ever_or_too_late(void **state)
{
    world *it = *state;

    ask(it, "/vaults/shop", HOUR_MS);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(it->failed, 0);
        put_off(last(it), 10);
    }
    assert_int_equal(it->failed, 1);
    assert_int_equal(it->err.code, KV_CODE_RESOURCE_EXHAUSTED);
    assert_int_equal(it->err.retry_ms, 10);
    ask(it, "/vaults/shop", 5000);
    put_off(last(it), 60000);
    assert_int_equal(it->failed, 2);
}

static void refuses_an_answer_that_makes_no_sense(void **state)
{
    world *it = *state;

    ask(it, "/vaults/shop", HOUR_MS);
    answer(last(it), KV_SLICE("\xff\xff\xff"));
    assert_int_equal(it->failed, 1);
    assert_int_equal(it->err.code, KV_CODE_INTERNAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(asks_who_we_are_then_for_a_token_of_all_roles_there),
        TEST(gives_the_same_token_for_everything_in_its_scope),
        TEST(asks_once_for_many_that_wait),
        TEST(does_not_let_a_hurried_caller_wait_for_a_patient_ones_request),
        TEST(renews_before_the_end_and_gives_the_old_one_meanwhile),
        TEST(asks_again_when_the_token_has_ended),
        TEST(uses_a_token_for_a_day_at_most),
        TEST(does_not_give_out_what_was_dropped),
        TEST(says_so_when_no_role_covers_the_target),
        TEST(sees_a_role_that_was_granted_meanwhile),
        TEST(does_without_a_role_that_was_taken_away),
        TEST(gives_up_when_it_is_denied_twice),
        TEST(tells_all_who_wait_that_the_server_is_away),
        TEST(fails_at_once_when_the_deadline_has_passed),
        TEST(asks_nobody_who_we_are_when_roles_and_scope_are_given),
        TEST(asks_again_after_a_denied_call_but_not_at_once),
        TEST(comes_again_when_it_was_told_to),
        TEST(does_not_come_again_for_ever_or_too_late),
        TEST(refuses_an_answer_that_makes_no_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
