/* problem.c - what an authority says when it refuses, and what follows from it. */
#include "server/acme/problem.h"

#include "server/acme/json.h"
#include "server/acme/parse.h"

#define PREFIX "urn:ietf:params:acme:error:"

/* shape: table */
static const struct {
    const char *type;
    kv_acme_action action;
} rows[] = {
    { "badNonce", KV_ACME_AGAIN },
    { "rateLimited", KV_ACME_WAIT },
    { "serverInternal", KV_ACME_LATER },
    /* Of the customer's network: it may be mended meanwhile. */
    { "connection", KV_ACME_NEW_ORDER },
    { "dns", KV_ACME_NEW_ORDER },
    { "tls", KV_ACME_NEW_ORDER },
    { "incorrectResponse", KV_ACME_NEW_ORDER },
    { "unauthorized", KV_ACME_NEW_ORDER },
    { "caa", KV_ACME_FINAL },
    { "rejectedIdentifier", KV_ACME_FINAL },
    { "unsupportedIdentifier", KV_ACME_FINAL },
    { "badCSR", KV_ACME_FINAL },
    { "badPublicKey", KV_ACME_FINAL },
    { "badRevocationReason", KV_ACME_FINAL },
    { "badSignatureAlgorithm", KV_ACME_FINAL },
    { "invalidProfile", KV_ACME_FINAL },
    { "unsupportedContact", KV_ACME_ACCOUNT },
    { "invalidContact", KV_ACME_ACCOUNT },
    { "accountDoesNotExist", KV_ACME_ACCOUNT },
    { "userActionRequired", KV_ACME_ACCOUNT },
    { "externalAccountRequired", KV_ACME_ACCOUNT },
    { "alreadyReplaced", KV_ACME_NO_REPLACES },
    { "orderNotReady", KV_ACME_LOOK },
    { "alreadyRevoked", KV_ACME_IS_SO_ALREADY },
};

enum {
    SERVER_TROUBLE = 500,
    TOO_EARLY = 425,
    TOO_MANY = 429,
    UNAVAILABLE = 503,
    TIMED_OUT = 408,
    GONE = 410,
    NOT_FOUND = 404
};

static kv_acme_action by_status(int status)
{
    if (status == TOO_MANY || status == UNAVAILABLE)
        return KV_ACME_WAIT;
    if (status == NOT_FOUND || status == GONE)
        return KV_ACME_NEW_ORDER;
    /* What is no refusal was no answer either. */
    if (status < 400 || status >= SERVER_TROUBLE || status == TIMED_OUT || status == TOO_EARLY)
        return KV_ACME_LATER;
    return KV_ACME_FINAL;
}

static kv_acme_action by_type(kv_slice type)
{
    for (size_t i = 0; i < KV_COUNT(rows); i++)
        if (kv_slice_equal(type, kv_slice_text(rows[i].type)))
            return rows[i].action;
    return KV_ACME_NOTHING;
}

/* Of several: what is final for one is for all. */
static kv_acme_action by_parts(const kv_acme_problem *problem)
{
    for (size_t i = 0; i < problem->count; i++)
        if (by_type(problem->items[i].type) == KV_ACME_FINAL)
            return KV_ACME_FINAL;
    return KV_ACME_NEW_ORDER;
}

kv_acme_action kv_acme_problem_action(const kv_acme_problem *problem)
{
    kv_acme_action action = by_type(problem->type);

    if (problem->status == UNAVAILABLE)
        return KV_ACME_WAIT;
    /* Of a proof it is about the proof, of a request about who made it. */
    if (problem->status && kv_slice_equal(problem->type, KV_SLICE("unauthorized")))
        return KV_ACME_ACCOUNT;
    if (kv_slice_equal(problem->type, KV_SLICE("compound")))
        return by_parts(problem);
    if (action)
        return action;
    return problem->status ? by_status(problem->status) : KV_ACME_NEW_ORDER;
}

static kv_status type_of(kv_arena *arena, const json_t *json, kv_slice *out, kv_error *err)
{
    KV_TRY(kv_acme_words_of(arena, json, "type", KV_ACME_TYPE_MOST, out, err));
    if (kv_slice_starts_with(*out, KV_SLICE(PREFIX)))
        *out = kv_slice_of(out->data + sizeof(PREFIX) - 1, out->len - (sizeof(PREFIX) - 1));
    return KV_OK;
}

static kv_status sub(kv_arena *arena, const json_t *json, kv_acme_subproblem *out, kv_error *err)
{
    KV_TRY(type_of(arena, json, &out->type, err));
    KV_TRY(kv_acme_words_of(arena, json, "detail", KV_ACME_DETAIL_MOST, &out->detail, err));
    return kv_acme_words_of(arena, json_object_get(json, "identifier"), "value", KV_ACME_TYPE_MOST,
                            &out->name, err);
}

kv_status kv_acme_problem_of(kv_arena *arena, const json_t *json, kv_acme_problem *out,
                             kv_error *err)
{
    const json_t *items = json_object_get(json, "subproblems");
    size_t count = json_array_size(items);
    kv_acme_subproblem *subs;

    if (count > KV_ACME_SUBPROBLEMS)
        count = KV_ACME_SUBPROBLEMS;
    subs = kv_arena_array(arena, count, sizeof(*subs));
    if (!subs)
        return kv_arena_full(err);
    for (size_t i = 0; i < count; i++)
        KV_TRY(sub(arena, json_array_get(items, i), &subs[i], err));
    out->items = subs;
    out->count = count;
    KV_TRY(type_of(arena, json, &out->type, err));
    return kv_acme_words_of(arena, json, "detail", KV_ACME_DETAIL_MOST, &out->detail, err);
}

kv_status kv_acme_problem_read(kv_arena *arena, kv_slice body, int status, kv_acme_problem *out,
                               kv_error *err)
{
    KV_AUTO(kv_acme_json) json = kv_acme_parse(body);

    *out = (kv_acme_problem){ .status = status };
    if (json)
        KV_TRY(kv_acme_problem_of(arena, json, out, err));
    if (out->detail.len)
        return KV_OK;
    return kv_arena_print(arena, &out->detail, err, "the authority answered with HTTP status %d",
                          status);
}

kv_status kv_acme_problem_say(kv_arena *arena, const kv_acme_problem *problem, kv_slice *out,
                              kv_error *err)
{
    *out = problem->detail.len ? problem->detail : problem->type;
    for (size_t i = 0; i < problem->count; i++) {
        const kv_acme_subproblem *of = &problem->items[i];

        KV_TRY(kv_arena_print(arena, out, err, "%.*s%s%.*s: %.*s%s", KV_SLICE_ARG(*out),
                              i ? "; " : " (", KV_SLICE_ARG(of->name),
                              KV_SLICE_ARG(of->detail.len ? of->detail : of->type),
                              i + 1 == problem->count ? ")" : ""));
    }
    return KV_OK;
}
