/* role_tokens.c - one state under one lock: what is known, what is kept, who waits for what. */
#include "client/role_tokens.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyvault/v1/access.pb-c.h>
#include <utlist.h>

#include "client/failure.h"
#include "client/role_choice.h"
#include "server/base/secret_buf.h"

#define ACCESS "/keyvault.v1.AccessService/"

enum {
    TOKENS_MAX = 64,
    HELD_MAX = 4096,
    LEAST_LIFE_MS = 30000, /* whatever the server's clock says about ours */
    LONGEST_LIFE_MS = 24 * 3600 * 1000,
    LAST_USE_MS = 3000, /* a token is not given out in its last moments */
    RENEW_PARTS = 5,    /* renewed in the last fifth of its life */
    RENEW_MS = 10000,   /* how long a renewal may take */
    ASK_AGAIN_MS = 10000,
    TOGETHER_MS = 100,  /* callers at one moment share a request, whoever came first */
    TOGETHER_PARTS = 8, /* but never so that one waits this part of its time longer */
    TRIES_MAX = 3,
    MS = 1000
};

/* A caller who waits. */
typedef struct ask {
    struct ask *next, *prev;
    char target[KV_SCOPE_BYTES];
    kv_deadline deadline;
    int64_t began_ms;
    unsigned tries; /* answers that did not settle it */
    kv_role_tokens_done *done;
    void *context;
    keyvault_error err; /* set when it is to fail */
    kv_secret_buf token;
} ask;

/* A request on its way: WhoAmI, or IssueRoleToken for `choice`. */
typedef struct fetch {
    struct fetch *next, *prev;
    kv_role_tokens *owner;
    bool who;
    kv_role_choice choice;
    kv_deadline deadline;
    kv_deadline not_before; /* when the server said to come again */
    unsigned delays;
    ask *waiting; /* each with a deadline that is later, or hardly sooner */
} fetch;

typedef struct kept {
    struct kept *next, *prev; /* the one used last comes first */
    kv_role_choice choice;
    kv_secret_buf token;
    int64_t renew_ms, end_ms; /* by now_ms() */
} kept;

struct kv_role_tokens {
    kv_role_tokens_config config;
    int roles[KV_ROLES_MAX];
    char scope[KV_SCOPE_BYTES];

    pthread_mutex_t mutex; /* guards what follows */
    kv_held_role *held;
    size_t held_count;
    bool known;       /* held is an answer of the server */
    int64_t known_ms; /* when it was asked for */
    kept *kept;
    size_t kept_count;
    fetch *fetches;
};

/* Monotonic, so that a step of the wall clock ends no token. */
static int64_t now_ms(const kv_role_tokens *tokens)
{
    if (tokens->config.clock.now_ms)
        return tokens->config.clock.now_ms(tokens->config.clock.context);
    return kv_monotonic_us() / MS;
}

/* --- what is kept --- */

static void kept_free(kv_role_tokens *tokens, kept *gone)
{
    DL_DELETE(tokens->kept, gone);
    tokens->kept_count--;
    kv_secret_buf_cleanup(&gone->token);
    free(gone);
}

static kept *kept_find(kv_role_tokens *tokens, const kv_role_choice *choice)
{
    kept *row;

    DL_FOREACH (tokens->kept, row)
        if (kv_role_choice_equal(&row->choice, choice))
            return row;
    return NULL;
}

static bool keep(kv_role_tokens *tokens, const fetch *from, const Keyvault__V1__RoleToken *answer)
{
    int64_t life =
        kv_clock_ms_until(&tokens->config.clock, answer->expires, LEAST_LIFE_MS, LONGEST_LIFE_MS);
    kept *row = kept_find(tokens, &from->choice);
    kv_error ignored;

    if (row)
        kept_free(tokens, row);
    row = calloc(1, sizeof(*row));
    if (!row || kv_secret_buf_copy(kv_slice_text(answer->token), &row->token, &ignored) != KV_OK) {
        free(row);
        return false;
    }
    row->choice = from->choice;
    row->end_ms = now_ms(tokens) + life - LAST_USE_MS;
    row->renew_ms = now_ms(tokens) + life - life / RENEW_PARTS;
    DL_PREPEND(tokens->kept, row);
    if (++tokens->kept_count > TOKENS_MAX)
        kept_free(tokens, tokens->kept->prev);
    return true;
}

/* --- sending --- */

static void answered(void *context, const kv_channel_result *result, const kv_error *err);

/* Without the lock: the answer may come at once. */
static void send_fetch(kv_role_tokens *tokens, fetch *it)
{
    uint8_t packed[KV_ROLE_REQUEST_BYTES];
    kv_channel_request request = { .path = ACCESS "WhoAmI", .deadline = it->deadline };
    kv_error err = { 0 };

    request.not_before = it->not_before;
    if (!it->who) {
        request.path = ACCESS "IssueRoleToken";
        request.message =
            kv_slice_of(packed, kv_role_choice_pack(&it->choice, tokens->config.seconds, packed));
    }
    if (tokens->config.send(tokens->config.context, &request, answered, it, &err) != KV_OK)
        answered(it, &(kv_channel_result){ .status = err.status, .code = KV_CODE_UNAVAILABLE },
                 &err);
}

/* Whether a caller with `deadline` can wait for a request that ends at `other`. Threads that begin
 * together read the clock in one order and come here in another: who is a moment ahead of the
 * request on its way does not need one of its own. */
static bool can_wait_for(kv_deadline deadline, kv_deadline other)
{
    int64_t left = kv_deadline_left_ms(deadline), grace = left / TOGETHER_PARTS;

    return kv_deadline_left_ms(other) <= left + (grace < TOGETHER_MS ? grace : TOGETHER_MS);
}

static fetch *fetch_find(kv_role_tokens *tokens, bool who, const kv_role_choice *choice,
                         const kv_deadline *not_after)
{
    fetch *it;

    DL_FOREACH (tokens->fetches, it)
        if (it->who == who && (who || kv_role_choice_equal(&it->choice, choice)) &&
            (!not_after || can_wait_for(*not_after, it->deadline)))
            return it;
    return NULL;
}

/* NULL when out of memory. */
static fetch *fetch_add(kv_role_tokens *tokens, bool who, const kv_role_choice *choice,
                        kv_deadline deadline)
{
    fetch *it = calloc(1, sizeof(*it));

    if (!it)
        return NULL;
    it->owner = tokens;
    it->who = who;
    if (choice)
        it->choice = *choice;
    it->deadline = deadline;
    DL_APPEND(tokens->fetches, it);
    return it;
}

/* --- the way of one caller --- */

/* What is to be done once the lock is given back. */
typedef struct work {
    ask *over;
    fetch *send[2]; /* at most one for the caller and one renewal */
    size_t sends;
} work;

static void end_ask(work *todo, ask *it)
{
    DL_APPEND(todo->over, it);
}

static void wait_for(kv_role_tokens *tokens, ask *it, bool who, const kv_role_choice *choice,
                     work *todo)
{
    fetch *on = fetch_find(tokens, who, choice, &it->deadline);

    if (!on) {
        on = fetch_add(tokens, who, choice, it->deadline);
        if (!on) {
            (void)kv_failure(&it->err, KV_CODE_UNAVAILABLE, "out of memory");
            end_ask(todo, it);
            return;
        }
        todo->send[todo->sends++] = on;
    }
    DL_APPEND(on->waiting, it);
}

static void give(kv_role_tokens *tokens, ask *it, kept *row, work *todo)
{
    kv_error err;

    DL_DELETE(tokens->kept, row);
    DL_PREPEND(tokens->kept, row);
    if (kv_secret_buf_copy(kv_secret_buf_slice(&row->token), &it->token, &err) != KV_OK)
        (void)kv_failure_of(&it->err, &err);
    end_ask(todo, it);
    if (now_ms(tokens) < row->renew_ms || fetch_find(tokens, false, &row->choice, NULL))
        return;
    todo->send[todo->sends] = fetch_add(tokens, false, &row->choice, kv_deadline_in_ms(RENEW_MS));
    if (todo->send[todo->sends])
        todo->sends++;
}

static bool choose(const kv_role_tokens *tokens, const char *target, kv_role_choice *out)
{
    const char *where = tokens->scope[0] ? tokens->scope : target;

    if (!kv_role_choose(tokens->held, tokens->held_count, tokens->roles, tokens->config.role_count,
                        where, out))
        return false;
    if (tokens->scope[0])
        memcpy(out->scope, tokens->scope, sizeof(out->scope));
    return true;
}

/* One step for the caller, with the lock held: served, parked or failed. */
static void advance(kv_role_tokens *tokens, ask *it, work *todo)
{
    kv_role_choice choice = { .count = tokens->config.role_count };
    kept *row;

    if (kv_deadline_passed(it->deadline)) {
        (void)kv_failure(&it->err, KV_CODE_DEADLINE_EXCEEDED, "the deadline has passed");
        end_ask(todo, it);
        return;
    }
    if (choice.count && tokens->scope[0]) {
        memcpy(choice.roles, tokens->roles, sizeof(choice.roles));
        memcpy(choice.scope, tokens->scope, sizeof(choice.scope));
    } else if (!tokens->known ||
               (!choose(tokens, it->target, &choice) && tokens->known_ms < it->began_ms)) {
        wait_for(tokens, it, true, NULL, todo);
        return;
    } else if (!choice.count) {
        (void)kv_failure(&it->err, KV_CODE_PERMISSION_DENIED, "you hold no role that covers %s",
                         it->target);
        (void)snprintf(it->err.reason, sizeof(it->err.reason), "%s",
                       kv_reason_name(KV_REASON_PERMISSION_MISSING));
        end_ask(todo, it);
        return;
    }
    row = kept_find(tokens, &choice);
    if (row && now_ms(tokens) < row->end_ms)
        give(tokens, it, row, todo);
    else
        wait_for(tokens, it, false, &choice, todo);
}

static void do_work(kv_role_tokens *tokens, work *todo)
{
    while (todo->over) {
        ask *it = todo->over;

        DL_DELETE(todo->over, it);
        it->done(it->context, kv_secret_buf_slice(&it->token), &it->err);
        kv_secret_buf_cleanup(&it->token);
        free(it);
    }
    for (size_t i = 0; i < todo->sends; i++)
        send_fetch(tokens, todo->send[i]);
}

static void go_on(kv_role_tokens *tokens, ask *it)
{
    work todo = { 0 };

    pthread_mutex_lock(&tokens->mutex);
    advance(tokens, it, &todo);
    pthread_mutex_unlock(&tokens->mutex);
    do_work(tokens, &todo);
}

/* --- answers --- */

static bool take_who(kv_role_tokens *tokens, kv_slice message, int64_t asked_ms)
{
    Keyvault__V1__WhoAmIResponse *who =
        keyvault__v1__who_am_iresponse__unpack(NULL, message.len, message.data);
    size_t count = who && who->n_assignments < HELD_MAX ? who->n_assignments : 0;
    kv_held_role *held = who ? calloc(count + 1, sizeof(*held)) : NULL;

    for (size_t i = 0; held && i < count; i++) {
        held[i].role = who->assignments[i]->role;
        (void)snprintf(held[i].scope, sizeof(held[i].scope), "%s", who->assignments[i]->scope);
    }
    if (who)
        keyvault__v1__who_am_iresponse__free_unpacked(who, NULL);
    if (!held)
        return false;
    free(tokens->held);
    tokens->held = held;
    tokens->held_count = count;
    tokens->known = true;
    tokens->known_ms = asked_ms;
    return true;
}

static bool take_token(kv_role_tokens *tokens, const fetch *it, kv_slice message)
{
    Keyvault__V1__RoleToken *token =
        keyvault__v1__role_token__unpack(NULL, message.len, message.data);
    bool taken = token && *token->token && keep(tokens, it, token);

    if (!token)
        return false;
    kv_wipe(token->token, strlen(token->token));
    keyvault__v1__role_token__free_unpacked(token, NULL);
    return taken;
}

/* What the answer means for those who wait; 0 when they can go on. */
static int take_answer(kv_role_tokens *tokens, const fetch *it, const kv_channel_result *result,
                       const kv_error *err, keyvault_error *out)
{
    bool taken;

    if (result->status != KV_OK) {
        /* A role that was taken away since we were told of it. */
        if (result->code == KV_CODE_PERMISSION_DENIED && !it->who)
            tokens->known = false;
        return kv_failure_from_server(out, result->code, err->message, result->details);
    }
    taken = it->who ? take_who(tokens, result->message, now_ms(tokens))
                    : take_token(tokens, it, result->message);
    if (!taken)
        return kv_failure(out, KV_CODE_INTERNAL, "the server's answer about roles is unreadable");
    return 0;
}

/* Whether the failure settles the matter for this caller: a token may be refused for a role that
 * was taken away since we were told of it, and somebody else's deadline is not this one's. */
static bool settles(ask *it, const fetch *from, int code)
{
    if (++it->tries >= TRIES_MAX)
        return true;
    if (code == KV_CODE_PERMISSION_DENIED)
        return from->who || it->tries > 1;
    return code != KV_CODE_DEADLINE_EXCEEDED || kv_deadline_passed(it->deadline);
}

/* Takes out those for whom the failure is the end; the others go on. */
static void fail_waiting(fetch *it, const keyvault_error *failed, work *todo)
{
    ask *waiting, *next;

    DL_FOREACH_SAFE (it->waiting, waiting, next) {
        if (!settles(waiting, it, failed->code))
            continue;
        DL_DELETE(it->waiting, waiting);
        waiting->err = *failed;
        end_ask(todo, waiting);
    }
}

/* The server was busy and said for how long: those who wait go on waiting, if there is time. */
static bool delay(fetch *it, const keyvault_error *failed)
{
    if (failed->code != KV_CODE_RESOURCE_EXHAUSTED || !failed->retry_ms ||
        failed->retry_ms >= kv_deadline_left_ms(it->deadline))
        return false;
    it->not_before = kv_deadline_in_ms(failed->retry_ms);
    return it->delays++ < TRIES_MAX;
}

static void answered(void *context, const kv_channel_result *result, const kv_error *err)
{
    fetch *it = context;
    kv_role_tokens *tokens = it->owner;
    keyvault_error failed = { 0 };
    work todo = { 0 };

    pthread_mutex_lock(&tokens->mutex);
    if (take_answer(tokens, it, result, err, &failed) && delay(it, &failed)) {
        pthread_mutex_unlock(&tokens->mutex);
        send_fetch(tokens, it);
        return;
    }
    DL_DELETE(tokens->fetches, it);
    if (failed.code)
        fail_waiting(it, &failed, &todo);
    pthread_mutex_unlock(&tokens->mutex);
    do_work(tokens, &todo);
    while (it->waiting) {
        ask *served = it->waiting;

        DL_DELETE(it->waiting, served);
        go_on(tokens, served);
    }
    free(it);
}

/* --- the interface --- */

int kv_role_tokens_new(const kv_role_tokens_config *config, kv_role_tokens **out,
                       keyvault_error *err)
{
    kv_role_tokens *tokens;

    if (config->role_count > KV_ROLES_MAX)
        return kv_failure(err, KV_CODE_INVALID_ARGUMENT, "at most %d roles can be used at once",
                          KV_ROLES_MAX);
    if (config->scope && (*config->scope != '/' || strlen(config->scope) >= KV_SCOPE_BYTES))
        return kv_failure(err, KV_CODE_INVALID_ARGUMENT, "a scope begins with /");
    tokens = calloc(1, sizeof(*tokens));
    if (!tokens)
        return kv_failure(err, KV_CODE_UNAVAILABLE, "out of memory");
    tokens->config = *config;
    if (config->role_count)
        memcpy(tokens->roles, config->roles, config->role_count * sizeof(tokens->roles[0]));
    tokens->config.roles = NULL;
    if (config->scope)
        (void)snprintf(tokens->scope, sizeof(tokens->scope), "%s", config->scope);
    (void)pthread_mutex_init(&tokens->mutex, NULL);
    *out = tokens;
    return 0;
}

void kv_role_tokens_free(kv_role_tokens *tokens)
{
    if (!tokens)
        return;
    while (tokens->kept)
        kept_free(tokens, tokens->kept);
    free(tokens->held);
    (void)pthread_mutex_destroy(&tokens->mutex);
    free(tokens);
}

void kv_role_tokens_get(kv_role_tokens *tokens, const char *target, kv_deadline deadline,
                        kv_role_tokens_done *done, void *context)
{
    ask *it = calloc(1, sizeof(*it));
    keyvault_error err;

    if (!it) {
        (void)kv_failure(&err, KV_CODE_UNAVAILABLE, "out of memory");
        done(context, KV_SLICE_NONE, &err);
        return;
    }
    (void)snprintf(it->target, sizeof(it->target), "%s", target);
    it->deadline = deadline;
    it->began_ms = now_ms(tokens);
    it->done = done;
    it->context = context;
    go_on(tokens, it);
}

void kv_role_tokens_drop(kv_role_tokens *tokens, kv_slice token)
{
    kept *row, *next;

    pthread_mutex_lock(&tokens->mutex);
    DL_FOREACH_SAFE (tokens->kept, row, next)
        if (kv_secret_buf_equal(&row->token, token))
            kept_free(tokens, row);
    pthread_mutex_unlock(&tokens->mutex);
}

void kv_role_tokens_denied(kv_role_tokens *tokens)
{
    pthread_mutex_lock(&tokens->mutex);
    if (now_ms(tokens) - tokens->known_ms >= ASK_AGAIN_MS)
        tokens->known = false;
    pthread_mutex_unlock(&tokens->mutex);
}
