/* fuzz_acme_messages.c - bodies of an ACME server: the first byte chooses the message. */
#include <stdlib.h>

#include "server/acme/messages.h"
#include "server/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool done)
{
    if (!done)
        abort();
}

static void must_be_url(const char *url)
{
    must(!url || kv_acme_url_good(kv_slice_text(url)));
}

static void look_at_problem(kv_arena *arena, const kv_acme_problem *problem)
{
    kv_error err = { 0 };
    kv_slice words;

    must(problem->count <= KV_ACME_SUBPROBLEMS && problem->detail.len <= KV_ACME_DETAIL_MOST);
    must(kv_acme_problem_action(problem) != KV_ACME_NOTHING);
    must(kv_acme_problem_say(arena, problem, &words, &err) == KV_OK);
    must(kv_text_printable(words));
}

static void read_problem(kv_arena *arena, kv_slice body, int status)
{
    kv_acme_problem problem;
    kv_error err = { 0 };

    must(kv_acme_problem_read(arena, body, status, &problem, &err) == KV_OK);
    must(problem.detail.len > 0);
    look_at_problem(arena, &problem);
}

static void read_directory(kv_arena *arena, kv_slice body)
{
    kv_acme_directory directory;
    kv_error err = { 0 };

    if (kv_acme_directory_read(arena, body, &directory, &err) != KV_OK) {
        must(err.status == KV_UNAVAILABLE);
        return;
    }
    must(directory.new_nonce && directory.new_account && directory.new_order);
    must_be_url(directory.new_nonce);
    must_be_url(directory.new_account);
    must_be_url(directory.new_order);
    must_be_url(directory.renewal_info);
    must(directory.profile_count <= KV_ACME_PROFILES_MOST);
}

static void read_order(kv_arena *arena, kv_slice body)
{
    kv_acme_order order;
    kv_error err = { 0 };

    if (kv_acme_order_read(arena, body, &order, &err) != KV_OK) {
        must(err.status == KV_UNAVAILABLE);
        return;
    }
    must(order.state && order.finalize && order.count >= 1 && order.count <= KV_ACME_NAMES_MOST);
    for (size_t i = 0; i < order.count; i++)
        must_be_url(order.authorizations[i]);
    must_be_url(order.finalize);
    must_be_url(order.certificate);
    if (order.failed)
        look_at_problem(arena, &order.problem);
}

static void read_authorization(kv_arena *arena, kv_slice body)
{
    kv_acme_authorization read;
    kv_error err = { 0 };

    if (kv_acme_authorization_read(arena, body, &read, &err) != KV_OK) {
        must(err.status == KV_UNAVAILABLE);
        return;
    }
    must(read.state && read.name.len && kv_text_printable(read.name));
    must(read.count <= KV_ACME_CHALLENGES_MOST);
    for (size_t i = 0; i < read.count; i++) {
        must(read.challenges[i].url && read.challenges[i].token.len <= KV_ACME_TOKEN_MOST);
        must_be_url(read.challenges[i].url);
        if (read.challenges[i].failed)
            look_at_problem(arena, &read.challenges[i].problem);
    }
}

static void read_window(kv_arena *arena, kv_slice body)
{
    kv_acme_window window;
    kv_error err = { 0 };

    if (kv_acme_window_read(arena, body, &window, &err) != KV_OK)
        must(err.status == KV_UNAVAILABLE);
    else
        must(window.start_ms >= 0 && window.start_ms < window.end_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(64 << 20);
    kv_slice rest;

    if (size == 0)
        return 0;
    rest = kv_slice_of(data + 1, size - 1);
    if (data[0] == 'd')
        read_directory(&arena, rest);
    else if (data[0] == 'o')
        read_order(&arena, rest);
    else if (data[0] == 'a')
        read_authorization(&arena, rest);
    else if (data[0] == 'w')
        read_window(&arena, rest);
    else
        read_problem(&arena, rest, data[0] == 'i' ? 0 : 300 + data[0]);
    return 0;
}
