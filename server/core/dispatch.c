/* dispatch.c - the whole of a request, in the order it happens. */
#include "server/core/dispatch.h"

#include <stddef.h>
#include <string.h>

#include "server/base/secret_buf.h"
#include "server/core/services.h"
#include "server/core/throttle.h"

enum {
    GATHER_LEAST_US = 1000,
    GATHER_MOST_US = 5000,
    GATHER_PARTS = 4,         /* of the time that the call has taken so far */
    GATHER_CALLS = 4,         /* fewer are not worth a group before their time */
    DECODE_SPARE = 64 * 1024, /* what decoding may take: this and so many times the message */
    DECODE_TIMES = 8,
    RUNS_MAX = 5 /* of a row that repeats */
};

static kv_status identify(kv_call *call)
{
    const kv_gates *gates = &call->services->gates;
    kv_status status;

    if (call->route->needs == KV_MAY_BE_ANYONE)
        return KV_OK;
    status = gates->identify(gates->context, call);
    /* The arena is ours: the bearer token has done its work. */
    kv_wipe((uint8_t *)(uintptr_t)call->credential.data, call->credential.len);
    call->credential = KV_SLICE_NONE;
    call->identified = status == KV_OK && (call->caller.known || !call->caller.proved);
    return status;
}

/* A small message cannot unfold into a large structure: decoding has a budget of its own. */
static kv_status decode(kv_call *call)
{
    kv_arena *arena = &call->arena;
    size_t budget = DECODE_SPARE + DECODE_TIMES * call->body.len;
    size_t limit = arena->limit;
    kv_status status;

    call->in = kv_arena_alloc(arena, call->route->in_size);
    call->out = kv_arena_alloc(arena, call->route->out_size);
    if (!call->in || !call->out)
        return kv_arena_full(&call->error);
    if (budget < limit - arena->used)
        arena->limit = arena->used + budget;
    status = call->route->at[call->door].decode(call->body, arena, call->in, &call->error);
    arena->limit = limit;
    return status;
}

static kv_status permit(kv_call *call)
{
    const kv_gates *gates = &call->services->gates;

    if (call->route->needs == KV_MAY_BE_ANYONE)
        return KV_OK;
    if (call->route->needs == KV_MAY_NOTHING)
        return kv_fail(&call->error, KV_DENIED, "nobody may do that");
    return gates->permit(gates->context, call);
}

/* A change that was made before is not made again, but answered. */
static kv_status run_once(kv_call *call)
{
    const kv_gates *gates = &call->services->gates;
    bool again = false;

    if (call->route->mutates && call->idempotency_key.len && gates->recall)
        KV_TRY(gates->recall(gates->context, call, &again));
    return again ? KV_OK : call->route->run(call);
}

/* What came to nothing is neither answered nor recorded. */
static void begin_again(kv_call *call, const kv_audit_entry *asked)
{
    call->error = (kv_error){ 0 };
    memset(call->out, 0, call->route->out_size);
    if (!call->entry.store_version) /* else its change was made, and this is the record of it */
        call->entry = *asked;
}

/* A call with the same key may have come first: then its answer is this one's too, also where the
 * row does not repeat. */
static kv_status answer_of_other(kv_call *call, const kv_audit_entry *asked)
{
    const kv_gates *gates = &call->services->gates;
    kv_audit_entry failed = call->entry;
    kv_error why = call->error;
    bool again = false;

    if (!call->route->mutates || !call->idempotency_key.len || !gates->recall)
        return why.status;
    begin_again(call, asked);
    KV_TRY(gates->recall(gates->context, call, &again));
    if (again)
        return KV_OK;
    call->error = why;
    call->entry = failed;
    return why.status;
}

static kv_status run(kv_call *call)
{
    const kv_audit_entry asked = call->entry;
    kv_status status = run_once(call);

    for (int runs = 1; call->route->repeats && status == KV_CONFLICT && runs < RUNS_MAX; runs++) {
        KV_TRY(kv_call_still_wanted(call));
        begin_again(call, &asked);
        status = run_once(call);
    }
    return status == KV_CONFLICT ? answer_of_other(call, &asked) : status;
}

static kv_status encode(kv_call *call)
{
    if (call->route->streams)
        return KV_OK;
    return call->route->at[call->door].encode(call->out, &call->arena, &call->answer, &call->error);
}

static kv_status serve(kv_call *call)
{
    KV_TRY(kv_call_still_wanted(call));
    KV_TRY(identify(call));
    KV_TRY(decode(call));
    KV_TRY(permit(call));
    KV_TRY(kv_call_still_wanted(call));
    KV_TRY(run(call));
    return encode(call);
}

static void prepare(kv_call *call, unsigned worker)
{
    call->worker = worker;
    call->work = (kv_work){
        .arena = &call->arena,
        .deadline = call->deadline,
        .now_ms = kv_clock_now_ms(&call->services->clock),
        .now_us = kv_monotonic_us(),
        .caller = &call->caller,
        .newcomer = &call->caller,
        .entry = &call->entry,
    };
}

/* How long a finished call may wait for others, so that they share a group. */
static int64_t gather_us(const kv_call *call, int64_t now_us)
{
    int64_t part = (now_us - call->started_us) / GATHER_PARTS;

    if (part < GATHER_LEAST_US)
        return GATHER_LEAST_US;
    return part < GATHER_MOST_US ? part : GATHER_MOST_US;
}

static void add_done(kv_worker *worker, kv_call *call)
{
    kv_call *before = atomic_load(&worker->done);
    int64_t now_us = kv_monotonic_us();

    if (!before)
        atomic_store(&worker->done_until_us, now_us + gather_us(call, now_us));
    do
        call->next = before;
    while (!atomic_compare_exchange_weak(&worker->done, &before, call));
    atomic_fetch_add(&worker->done_count, 1);
}

/* What was learned about the certificate says whom its next calls are counted for. */
static void settle(const kv_call *call, kv_status status)
{
    kv_throttle *throttle = call->services->throttle;
    const uint8_t *certificate = call->peer.has_certificate ? call->peer.thumbprint : NULL;
    uint8_t key[KV_THROTTLE_KEY_BYTES];

    if (!throttle || call->route->needs == KV_MAY_BE_ANYONE)
        return;
    kv_throttle_key_of(call->caller.principal_id, key);
    if (!call->caller.known && status == KV_UNAUTHENTICATED)
        kv_throttle_failed(throttle, certificate, call->peer.host_key, kv_monotonic_us());
    else if (call->caller.known && certificate && memcmp(key, call->task.key, sizeof(key)) != 0)
        kv_throttle_learn(throttle, certificate, call->caller.principal_id);
}

static void tell_refused(const kv_call *call)
{
    const kv_gates *gates = &call->services->gates;

    gates->audit_refused(gates->context, &(kv_refused){ .request_id = call->request_id,
                                                        .route = call->route,
                                                        .peer = &call->peer,
                                                        .error = &call->error });
}

void kv_dispatch(kv_task *task, kv_worker *worker)
{
    kv_call *call = (kv_call *)((char *)task - offsetof(kv_call, task));
    const kv_gates *gates = &call->services->gates;

    kv_status status;

    prepare(call, worker->index);
    status = serve(call);
    settle(call, status);
    if (status == KV_OK && call->watcher) {
        gates->park(gates->context, call);
        return;
    }
    /* Whom only the operation could identify (KV_MAY_BE_PROVED). */
    call->identified = call->identified || (call->caller.proved && call->caller.known);
    kv_call_conclude(call, status);

    /* No record, no answer: an identified caller's outcome goes home through the audit thread. */
    if (call->identified) {
        add_done(worker, call);
        return;
    }
    if (call->error.status != KV_OK)
        tell_refused(call);
    kv_call_answer(call);
}

bool kv_dispatch_should_flush(const kv_worker *worker, int64_t began_us, unsigned waiting)
{
    unsigned count = atomic_load(&worker->done_count);
    int64_t now_us;

    if (!atomic_load(&worker->done))
        return false;
    if (count >= GATHER_CALLS && count >= waiting)
        return true;
    now_us = kv_monotonic_us();
    return now_us + (now_us - began_us) >= atomic_load(&worker->done_until_us);
}

void kv_dispatch_flush(kv_worker *worker)
{
    kv_call *newest = atomic_exchange(&worker->done, NULL);
    kv_call *calls = NULL;

    atomic_store(&worker->done_count, 0);
    while (newest) {
        kv_call *next = newest->next;

        newest->next = calls;
        calls = newest;
        newest = next;
    }
    if (!calls)
        return;
    calls->services->gates.audit_post(calls->services->gates.context, calls);
}
