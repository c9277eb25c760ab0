/* gates.c - identify, permit and record, as dispatch asks for them. */
#include "server/gates.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>

#include "server/audit/audit.h"
#include "server/auth/auth.h"
#include "server/base/secret_buf.h"
#include "server/core/watch.h"
#include "server/vault/events/event_denied.h"
#include "server/vault/idempotency.h"

/* What the record says of every call, whatever becomes of it. */
static void describe(const kv_peer *peer, const kv_route *route, const uint8_t request_id[16],
                     int64_t now_ms, kv_audit_entry *entry)
{
    entry->time_ms = now_ms;
    entry->operation = route ? route->name : "";
    entry->peer = kv_slice_text(peer->address);
    memcpy(entry->request_id, request_id, sizeof(entry->request_id));
    if (peer->has_certificate)
        memcpy(entry->certificate, peer->thumbprint, sizeof(entry->certificate));
}

static kv_status identify(void *context, kv_call *call)
{
    kv_services *services = context;
    kv_peer *peer = &call->peer;
    kv_status status;

    describe(peer, call->route, call->request_id, call->work.now_ms, &call->entry);
    status = kv_auth_identify(
        services->auth, peer->thumbprint, peer->has_certificate ? peer->certificate : KV_SLICE_NONE,
        call->credential, call->work.now_ms, &call->arena, &call->caller, &call->error);
    if (call->credential.len)
        kv_wipe((void *)(uintptr_t)call->credential.data, call->credential.len);
    call->credential = KV_SLICE_NONE;
    /* Nobody yet: the operation finds out who, or refuses. */
    if (status == KV_UNAUTHENTICATED && call->caller.proved && !call->caller.known &&
        call->route->needs == KV_MAY_BE_PROVED) {
        call->error = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    return kv_caller_roles_text(&call->caller, &call->arena, &call->entry.roles, &call->error);
}

/* The names go into the record before the answer is known, so a refusal says what was wanted. */
static void note_target(kv_call *call, const kv_target *target)
{
    static const char *const collections[KV_COLLECTION_COUNT] = { "", "certificates", "keys",
                                                                  "secrets" };

    call->entry.vault = target->vault;
    call->entry.collection = kv_slice_text(collections[target->collection]);
    call->entry.name = target->name;
    if (target->issuer.len) {
        call->entry.collection = KV_SLICE("issuers");
        if (target->collection == KV_COLLECTION_NONE)
            call->entry.collection = KV_SLICE("webhooks");
        call->entry.name = target->issuer;
    }
    call->entry.version = target->version;
}

static kv_status permit(void *context, kv_call *call)
{
    kv_services *services = context;
    const kv_target *target = kv_call_target(call);
    kv_resource resource = { .vault = target->vault,
                             .collection = target->collection,
                             .name = target->name };
    int64_t now_ms = kv_clock_now_ms(&services->clock);

    note_target(call, target);
    return kv_auth_admit(services->auth, &call->caller, call->route->needs, &resource, now_ms,
                         &call->arena, &call->error);
}

static kv_status recall(void *context, kv_call *call, bool *again)
{
    kv_services *services = context;

    return kv_idempotency_find(services->vault, &call->work, call->route->name,
                               call->idempotency_key, call->body, call->out, again, &call->error);
}

/* --- records --- */

static kv_call *call_of(kv_audit_ticket *ticket)
{
    return (kv_call *)(void *)((char *)ticket - offsetof(kv_call, audit));
}

/* The calls of a group go home together, so that a loop is woken once. */
static void recorded(kv_audit_ticket *tickets, kv_status status)
{
    kv_call *calls = NULL, **tail = &calls;

    for (; tickets; tickets = tickets->next) {
        kv_call *call = call_of(tickets);

        if (status != KV_OK)
            (void)kv_fail(&call->error, KV_UNAVAILABLE,
                          "the outcome could not be recorded; it may have happened");
        *tail = call;
        tail = &call->next;
    }
    *tail = NULL;
    kv_call_answer_all(calls);
}

/* Whoever refused it: what a caller may do to an object is known to the operation alone, sometimes.
 */
static void tell_denied(kv_services *services, const kv_call *call)
{
    if (call->error.status == KV_DENIED && call->error.reason == KV_REASON_PERMISSION_MISSING &&
        call->caller.known && call->in)
        kv_event_denied(services->vault, &call->caller, call->route->name, kv_call_target(call),
                        call->work.now_ms);
}

static void audit_post(void *context, kv_call *calls)
{
    kv_services *services = context;
    kv_audit_ticket *first = &calls->audit;

    for (; calls; calls = calls->next) {
        tell_denied(services, calls);
        calls->audit = (kv_audit_ticket){ .next = calls->next ? &calls->next->audit : NULL,
                                          .entry = &calls->entry,
                                          .pending = calls->entry.store_version > 0,
                                          .done_together = recorded };
    }
    kv_audit_post(services->audit, first);
}

static void audit_refused(void *context, const kv_refused *refused)
{
    kv_services *services = context;
    kv_audit_entry entry = { .status = refused->error->status, .reason = refused->error->reason };

    describe(refused->peer, refused->route, refused->request_id, kv_clock_now_ms(&services->clock),
             &entry);
    entry.has_principal = refused->principal != NULL;
    if (refused->principal)
        memcpy(entry.principal_id, refused->principal, sizeof(entry.principal_id));
    kv_audit_refused(services->audit, &entry);
}

static void audit_left(void *context, const uint8_t request_id[16], const kv_route *route,
                       const kv_peer *peer, kv_status status)
{
    kv_services *services = context;
    kv_audit_entry entry = { .status = status, .note = KV_SLICE("outcome=unknown") };

    describe(peer, route, request_id, kv_clock_now_ms(&services->clock), &entry);
    kv_audit_refused(services->audit, &entry);
}

/* A record somebody waits for. */
typedef struct beginning {
    kv_audit_ticket ticket;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t done;
    bool is_done;
    kv_status status;
} beginning;

static void begun(kv_audit_ticket *ticket, kv_status status)
{
    beginning *at = (beginning *)(void *)((char *)ticket - offsetof(beginning, ticket));

    pthread_mutex_lock(&at->mutex);
    at->status = status;
    at->is_done = true;
    pthread_cond_signal(&at->done);
    pthread_mutex_unlock(&at->mutex);
}

/* The messages of a stream leave before its outcome is known, so that it began is recorded first.
 */
static kv_status audit_begin(void *context, kv_call *call)
{
    kv_services *services = context;
    kv_audit_entry entry = call->entry;
    beginning at = { .ticket = { .entry = &entry, .done = begun },
                     .mutex = PTHREAD_MUTEX_INITIALIZER,
                     .done = PTHREAD_COND_INITIALIZER };

    entry.status = KV_OK;
    entry.note = KV_SLICE("stream=begins");
    entry.has_principal = call->caller.known;
    memcpy(entry.principal_id, call->caller.principal_id, sizeof(entry.principal_id));
    entry.principal_name = call->caller.principal_name;
    kv_audit_post(services->audit, &at.ticket);
    pthread_mutex_lock(&at.mutex);
    while (!at.is_done)
        (void)pthread_cond_wait(&at.done, &at.mutex);
    pthread_mutex_unlock(&at.mutex);
    if (at.status != KV_OK)
        return kv_fail(&call->error, KV_UNAVAILABLE, "the call could not be recorded");
    return KV_OK;
}

static void park(void *context, kv_call *call)
{
    (void)context;
    kv_watch_start(call->watcher);
}

void kv_gates_fill(kv_services *services)
{
    services->gates = (kv_gates){ .identify = identify,
                                  .permit = permit,
                                  .recall = recall,
                                  .audit_post = audit_post,
                                  .audit_refused = audit_refused,
                                  .audit_left = audit_left,
                                  .audit_begin = audit_begin,
                                  .park = park,
                                  .context = services };
}
