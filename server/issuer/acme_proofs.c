/* acme_proofs.c - each name of an order is proved: shown, looked at by the authority, cleared away.
 *
 * Nothing is remembered here. What is to be done next is read from the authorizations, so that a
 * step that a crash took away is taken again: showing a proof may be repeated, and asking the
 * authority to look is done only while it has not begun to.
 */
#include <stdio.h>

#include "server/base/text.h"
#include "server/issuer/acme_visit.h"

enum {
    LEAST_LEFT_MS = 20 * 1000, /* of the step, to begin with another name */
    TROUBLE_WAIT_MS = 30 * 1000,
    OFFERED_MOST = 200
};

typedef struct proof {
    const kv_acme_challenge *challenge;
    const kv_challenge_solver *solver;
    kv_slice settings;
} proof;

typedef struct proving {
    kv_acme_visit *visit;
    const kv_issuer_order *order;
    kv_acme_progress *progress;
    kv_slice thumbprint;
    bool dead; /* the order has failed: nothing is to be proved for it any more */
} proving;

/* --- which proof --- */

static bool suits(const kv_challenge_solver *solver, const kv_acme_authorization *of)
{
    return solver && (!of->wildcard || solver->challenge->wildcards) &&
           (!of->address || solver->challenge->addresses);
}

static const kv_acme_challenge *offered(const kv_acme_authorization *of, kv_slice type)
{
    for (size_t i = 0; i < of->count; i++)
        if (kv_slice_equal(of->challenges[i].type, type) &&
            of->challenges[i].state != KV_ACME_INVALID)
            return &of->challenges[i];
    return NULL;
}

/* The next one that is offered, that the settings allow and that this server can do. */
static bool choose(const kv_acme_visit *visit, const kv_acme_authorization *of, size_t *from,
                   proof *out)
{
    const kv_issuer_world *world = visit->account->world;

    while (*from < visit->settings.proof_count) {
        const kv_acme_proof *allowed = &visit->settings.proofs[(*from)++];

        out->challenge = offered(of, allowed->type);
        out->solver = kv_challenge_find(world->solvers, world->solver_count, allowed->type);
        out->settings = allowed->settings;
        if (out->challenge && suits(out->solver, of))
            return true;
    }
    return false;
}

static kv_status task_of(const proving *at, const kv_acme_authorization *of, const proof *with,
                         kv_challenge_task *out, kv_error *err)
{
    *out = (kv_challenge_task){
        .name = of->name,
        .address = of->address,
        .wildcard = of->wildcard,
        .token = with->challenge->token,
        .account_uri = kv_slice_text(at->visit->client.account),
        .directory = kv_slice_text(at->visit->client.directory_url),
        .authority_domain = kv_acme_authority_domain(&at->visit->client.directory, with->challenge),
        .account_offered = with->challenge->account,
        .account_hash_prefix = at->visit->client.directory.account_hash_prefix,
        .thumbprint = at->thumbprint,
        .settings = with->settings,
        .now_ms = at->order->now_ms,
        .deadline = at->order->deadline,
        .arena = at->order->arena,
    };
    if (!out->token.len)
        return KV_OK;
    return kv_arena_print(at->order->arena, &out->key_authorization, err, "%.*s.%.*s",
                          KV_SLICE_ARG(out->token), KV_SLICE_ARG(at->thumbprint));
}

/* --- one name --- */

static const kv_issuer_name *before(const proving *at, kv_slice name)
{
    for (size_t i = 0; i < at->order->name_count; i++)
        if (kv_slice_equal(at->order->names[i].name, name))
            return &at->order->names[i];
    return NULL;
}

static void set(const proving *at, kv_issuer_name *out, kv_slice status, kv_slice details)
{
    const kv_issuer_name *was = before(at, out->name);

    out->status = status;
    out->details = details;
    out->since_ms = was && kv_slice_equal(was->status, status) ? was->since_ms : at->order->now_ms;
}

static void wait_for(const proving *at, int64_t ms)
{
    if (at->progress->wait_ms < ms)
        at->progress->wait_ms = ms;
}

/* "words; what somebody has to put up", or the one of them that there is. */
static kv_status add_instruction(const proving *at, const kv_acme_authorization *of,
                                 const proof *with, kv_slice *words, kv_error *err)
{
    kv_challenge_task task;
    kv_slice text = KV_SLICE_NONE;

    if (!with->solver || !with->solver->challenge->instruct)
        return KV_OK;
    KV_TRY(task_of(at, of, with, &task, err));
    if (with->solver->challenge->instruct(&task, &text, err) != KV_OK) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    return kv_arena_print(at->order->arena, words, err, "%.*s%s%.*s", KV_SLICE_ARG(*words),
                          words->len ? "; " : "", KV_SLICE_ARG(text));
}

static kv_status add_instruction_for(const proving *at, const kv_acme_authorization *of,
                                     const kv_acme_challenge *failed, kv_slice *words,
                                     kv_error *err)
{
    const kv_issuer_world *world = at->visit->account->world;
    proof with = { .challenge = failed,
                   .solver = kv_challenge_find(world->solvers, world->solver_count, failed->type) };

    return add_instruction(at, of, &with, words, err);
}

static kv_status fail_name(const proving *at, const kv_acme_authorization *of, kv_issuer_name *out,
                           kv_error *err)
{
    kv_acme_progress *progress = at->progress;
    kv_slice words = KV_SLICE_NONE;

    progress->failed = true;
    progress->all = false;
    for (size_t i = 0; i < of->count; i++) {
        const kv_acme_challenge *challenge = &of->challenges[i];

        if (!challenge->failed)
            continue;
        KV_TRY(kv_acme_problem_say(at->order->arena, &challenge->problem, &words, err));
        KV_TRY(add_instruction_for(at, of, challenge, &words, err));
        progress->final =
            progress->final || kv_acme_problem_action(&challenge->problem) == KV_ACME_FINAL;
        if (!progress->code.len)
            progress->code = challenge->problem.type;
        break;
    }
    if (!words.len)
        KV_TRY(kv_arena_print(at->order->arena, &words, err, "the authorization is %s",
                              kv_acme_state_name(of->state)));
    set(at, out, KV_SLICE("invalid"), words);
    return KV_OK;
}

/* Shown long enough? Where nobody has to wait it is shown anew each time: who showed it before may
 * have been another process. */
static kv_status show(const proving *at, const proof *with, const kv_challenge_task *task,
                      kv_issuer_name *out, bool *shown, kv_error *err)
{
    const kv_issuer_name *was = before(at, out->name);
    int64_t settle = kv_challenge_settle_ms(with->solver);
    bool proved = was && kv_slice_equal(was->status, KV_SLICE("proving"));

    *shown = proved && settle && at->order->now_ms - was->since_ms >= settle;
    if (*shown)
        return KV_OK;
    if (!proved || !settle)
        KV_TRY(with->solver->challenge->present(with->solver->context, task, err));
    set(at, out, KV_SLICE("proving"), KV_SLICE_NONE);
    *shown = !settle;
    if (!*shown)
        wait_for(at, settle - (at->order->now_ms - out->since_ms));
    return KV_OK;
}

/* The authority is told to look, unless it has begun. */
static kv_status have_it_looked_at(const proving *at, const kv_acme_authorization *of,
                                   const proof *with, kv_issuer_name *out, kv_error *err)
{
    kv_acme_client *client = &at->visit->client;
    kv_slice words = KV_SLICE_NONE;

    /* One that goes on looking may say what it saw last (RFC 8555, 8.2). */
    if (with->challenge->failed)
        KV_TRY(kv_acme_problem_say(at->order->arena, &with->challenge->problem, &words, err));
    KV_TRY(add_instruction(at, of, with, &words, err));
    if (with->challenge->state == KV_ACME_PENDING || with->challenge->state == KV_ACME_UNKNOWN)
        KV_TRY(kv_acme_challenge_begin(client, with->challenge->url, err));
    if (client->retry_ms > 0)
        wait_for(at, client->retry_ms);
    set(at, out, KV_SLICE("checking"), words);
    return KV_OK;
}

static kv_status say_what_is_offered(const proving *at, const kv_acme_authorization *of,
                                     kv_issuer_name *out, kv_error *err)
{
    char types[OFFERED_MOST] = "";
    size_t len = 0;
    kv_slice words;

    for (size_t i = 0; i < of->count && len < sizeof(types); i++)
        len += (size_t)snprintf(types + len, sizeof(types) - len, "%s%.*s", i ? ", " : "",
                                KV_SLICE_ARG(of->challenges[i].type));
    KV_TRY(kv_arena_print(at->order->arena, &words, err,
                          "the authority offers %s; this server, and the issuer's settings, have "
                          "none of them for this name",
                          of->count ? types : "no challenge"));
    set(at, out, KV_SLICE("pending"), words);
    wait_for(at, TROUBLE_WAIT_MS);
    return KV_OK;
}

/* The first kind of proof that can be shown. What hinders it is told, and tried again. */
static kv_status prove_name(const proving *at, const kv_acme_authorization *of, kv_issuer_name *out,
                            kv_error *err)
{
    kv_slice words = KV_SLICE_NONE;
    kv_challenge_task task;
    size_t from = 0;
    proof with;

    while (choose(at->visit, of, &from, &with)) {
        kv_error why = { 0 };
        bool shown = false;
        kv_status status;

        KV_TRY(task_of(at, of, &with, &task, err));
        status = show(at, &with, &task, out, &shown, &why);
        if (status == KV_OK)
            return shown ? have_it_looked_at(at, of, &with, out, err) : KV_OK;
        KV_TRY(kv_arena_copy(at->order->arena, kv_slice_text(why.message), &words, err));
        if (status != KV_PRECONDITION)
            break;
    }
    if (!words.len)
        return say_what_is_offered(at, of, out, err);
    set(at, out, KV_SLICE("pending"), words);
    wait_for(at, TROUBLE_WAIT_MS);
    return KV_OK;
}

static kv_status take_name(const proving *at, const kv_acme_authorization *of, kv_issuer_name *out,
                           kv_error *err)
{
    KV_TRY(kv_arena_print(at->order->arena, &out->name, err, "%s%.*s", of->wildcard ? "*." : "",
                          KV_SLICE_ARG(of->name)));
    switch (of->state) {
    case KV_ACME_VALID:
        set(at, out, KV_SLICE("valid"), KV_SLICE_NONE);
        return KV_OK;
    case KV_ACME_PENDING:
    case KV_ACME_PROCESSING:
    case KV_ACME_READY:
    case KV_ACME_UNKNOWN:
        at->progress->all = false;
        if (!at->dead && !at->progress->failed)
            return prove_name(at, of, out, err);
        set(at, out, KV_SLICE("pending"), KV_SLICE_NONE);
        return KV_OK;
    case KV_ACME_INVALID:
    case KV_ACME_DEACTIVATED:
    case KV_ACME_EXPIRED:
    case KV_ACME_REVOKED:
        break;
    }
    return fail_name(at, of, out, err);
}

/* --- all of them --- */

static kv_status begin(kv_acme_visit *visit, const kv_issuer_order *order, proving *out,
                       kv_error *err)
{
    *out = (proving){ .visit = visit, .order = order };
    return kv_acme_thumbprint(order->arena, visit->client.key.spki, &out->thumbprint, err);
}

/* A hundred names may need more than one step. */
static bool in_time(const kv_issuer_order *order)
{
    return kv_deadline_left_ms(order->deadline) > LEAST_LEFT_MS;
}

kv_status kv_acme_prove(kv_acme_visit *visit, const kv_issuer_order *order, const kv_acme_order *of,
                        kv_acme_progress *out, kv_error *err)
{
    kv_acme_authorization authorization;
    proving at;

    *out = (kv_acme_progress){ .all = true, .wait_ms = -1 };
    out->names = kv_arena_array(order->arena, of->count, sizeof(*out->names));
    if (!out->names)
        return kv_arena_full(err);
    KV_TRY(begin(visit, order, &at, err));
    at.progress = out;
    at.dead = of->state == KV_ACME_INVALID;
    for (size_t i = 0; i < of->count; i++) {
        if (!in_time(order)) {
            out->all = false;
            return KV_OK;
        }
        KV_TRY(
            kv_acme_authorization_get(&visit->client, of->authorizations[i], &authorization, err));
        if (visit->client.retry_ms > 0 && authorization.state == KV_ACME_PENDING)
            wait_for(&at, visit->client.retry_ms);
        KV_TRY(take_name(&at, &authorization, &out->names[out->count++], err));
    }
    return KV_OK;
}

static void clear(const proving *at, const kv_acme_authorization *of)
{
    size_t from = 0;
    proof with;

    while (choose(at->visit, of, &from, &with)) {
        kv_challenge_task task;
        kv_error ignored = { 0 };

        if (task_of(at, of, &with, &task, &ignored) == KV_OK)
            (void)with.solver->challenge->clean(with.solver->context, &task, &ignored);
    }
}

void kv_acme_unprove(kv_acme_visit *visit, const kv_issuer_order *order, const kv_acme_order *of,
                     bool end)
{
    kv_acme_authorization authorization;
    kv_error ignored = { 0 };
    proving at;

    if (begin(visit, order, &at, &ignored) != KV_OK)
        return;
    for (size_t i = 0; i < of->count && in_time(order); i++) {
        if (kv_acme_authorization_get(&visit->client, of->authorizations[i], &authorization,
                                      &ignored) != KV_OK)
            continue;
        clear(&at, &authorization);
        if (end && authorization.state == KV_ACME_PENDING)
            (void)!kv_acme_authorization_end(&visit->client, of->authorizations[i], &ignored);
    }
    visit->client.refused = KV_ACME_NOTHING;
}
