/* gates.c - identify, permit and record, as dispatch asks for them. */
#include "server/gates.h"

#include <stddef.h>
#include <stdio.h>

#include "server/audit/audit.h"
#include "server/auth/auth.h"
#include "server/base/secret_buf.h"

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
    call->entry.version = target->version;
}

static kv_status permit(void *context, kv_call *call)
{
    kv_services *services = context;
    const kv_target *target = kv_call_target(call);
    kv_resource resource = { .vault = target->vault,
                             .collection = target->collection,
                             .name = target->name };

    note_target(call, target);
    return kv_auth_admit(services->auth, &call->caller, call->route->needs, &resource,
                         kv_clock_now_ms(&services->clock), &call->arena, &call->error);
}

/* --- records --- */

static void recorded(kv_audit_ticket *ticket, kv_status status)
{
    kv_call *call = (kv_call *)(void *)((char *)ticket - offsetof(kv_call, audit));

    if (status != KV_OK)
        (void)kv_fail(&call->error, KV_UNAVAILABLE,
                      "the outcome could not be recorded; it may have happened");
    kv_call_answer(call);
}

static void audit_post(void *context, kv_call *calls)
{
    kv_services *services = context;

    while (calls) {
        kv_call *next = calls->next;

        calls->audit = (kv_audit_ticket){ .entry = &calls->entry,
                                          .pending = calls->entry.store_version > 0,
                                          .done = recorded };
        kv_audit_post(services->audit, &calls->audit);
        calls = next;
    }
}

static void audit_refused(void *context, const kv_call *call)
{
    kv_services *services = context;
    kv_audit_entry entry = { .status = call->error.status, .reason = call->error.reason };

    describe(&call->peer, call->route, call->request_id, kv_clock_now_ms(&services->clock), &entry);
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

void kv_gates_fill(kv_services *services)
{
    services->gates = (kv_gates){ .identify = identify,
                                  .permit = permit,
                                  .audit_post = audit_post,
                                  .audit_refused = audit_refused,
                                  .audit_left = audit_left,
                                  .context = services };
}
