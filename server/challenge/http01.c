/* http01.c - http-01: the authority reads a page of the name. */
#include "server/challenge/http01.h"

static kv_challenge_notice notice_of(const kv_challenge_task *task)
{
    return (kv_challenge_notice){ .type = KV_SLICE("http-01"),
                                  .asked = task->token,
                                  .says = task->key_authorization };
}

static kv_status present(void *context, const kv_challenge_task *task, kv_error *err)
{
    const kv_http01 *http01 = context;
    kv_challenge_notice notice = notice_of(task);

    KV_TRY(kv_challenge_check_token(task, err));
    if (task->wildcard)
        return kv_fail(err, KV_PRECONDITION, "http-01 cannot prove a wildcard name");
    return http01->board->post(http01->board->context, &notice, err);
}

static kv_status clean(void *context, const kv_challenge_task *task, kv_error *err)
{
    const kv_http01 *http01 = context;
    kv_challenge_notice notice = notice_of(task);

    KV_TRY(kv_challenge_check_token(task, err));
    return http01->board->remove(http01->board->context, &notice, err);
}

kv_status kv_http01_page(const kv_http01 *http01, kv_slice token, kv_arena *arena, kv_slice *out,
                         kv_error *err)
{
    kv_challenge_notice notice = { .type = KV_SLICE("http-01"), .asked = token };

    if (!kv_challenge_token_good(token))
        return kv_fail(err, KV_NOT_FOUND, "not a token");
    KV_TRY(http01->board->find(http01->board->context, &notice, arena, err));
    *out = notice.says;
    return KV_OK;
}

const kv_challenge kv_challenge_http01 = {
    .type = "http-01",
    .addresses = true,
    .present = present,
    .clean = clean,
    .check = kv_challenge_check_plain,
};
