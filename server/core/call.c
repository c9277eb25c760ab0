/* call.c - how a call is made, raced for, streamed from and wiped. */
#include "server/core/call.h"

#include <stdlib.h>

#include "server/base/secret_buf.h"
#include "server/core/dispatch.h"
#include "server/core/services.h"

/* A failed call_make gives back the memory; the error stays. */
static kv_status fill(kv_call *call, const kv_call_start *start, kv_error *err)
{
    call->peer = *start->peer;
    call->entry.peer = kv_slice_text(call->peer.address);
    memcpy(call->entry.certificate, call->peer.thumbprint, sizeof(call->entry.certificate));
    KV_TRY(kv_arena_copy(&call->arena, start->peer->certificate, &call->peer.certificate, err));
    KV_TRY(kv_arena_copy(&call->arena, start->credential, &call->credential, err));
    KV_TRY(kv_arena_copy(&call->arena, start->idempotency_key, &call->idempotency_key, err));
    return kv_arena_copy(&call->arena, start->body, &call->body, err);
}

static void open_entry(kv_call *call)
{
    call->entry.time_ms = kv_clock_now_ms(&call->services->clock);
    call->entry.operation = call->route->name;
    call->entry.count = 1;
    memcpy(call->entry.request_id, call->request_id, sizeof(call->entry.request_id));
}

kv_status kv_call_make(const kv_call_start *start, kv_call **out, kv_error *err)
{
    kv_call *call = calloc(1, sizeof(*call));
    kv_status status;

    if (!call)
        return kv_fail(err, KV_BUSY, "the server is out of memory");
    call->arena =
        start->route->secret ? KV_ARENA_SECRET(start->memory_bytes) : KV_ARENA(start->memory_bytes);
    call->task.run = kv_dispatch;
    memcpy(call->task.key, start->key ? start->key : start->peer->thumbprint,
           sizeof(call->task.key));
    call->route = start->route;
    call->services = start->services;
    call->door = start->door;
    call->ticket = start->ticket;
    atomic_init(&call->race, KV_RACE_OPEN);
    memcpy(call->request_id, start->request_id, sizeof(call->request_id));
    call->deadline = start->deadline;
    call->started_us = kv_monotonic_us();

    open_entry(call);

    status = fill(call, start, err);
    if (status != KV_OK) {
        kv_call_free(call);
        return status;
    }
    *out = call;
    return KV_OK;
}

void kv_call_free(kv_call *call)
{
    if (!call)
        return;
    kv_flow_free(call->flow);
    kv_arena_cleanup(&call->arena);
    kv_wipe(call, sizeof(*call));
    free(call);
}

bool kv_call_win(kv_call *call, kv_race as)
{
    int open = KV_RACE_OPEN;

    return atomic_compare_exchange_strong(&call->race, &open, (int)as);
}

kv_status kv_call_still_wanted(kv_call *call)
{
    if (atomic_load(&call->race) == KV_RACE_LEFT)
        return kv_fail(&call->error, KV_CANCELLED, "the caller has left");
    if (kv_deadline_passed(call->deadline))
        return kv_fail(&call->error, KV_TIMEOUT, "the deadline has passed");
    return KV_OK;
}

void kv_call_conclude(kv_call *call, kv_status status)
{
    kv_audit_entry *entry = &call->entry;

    call->error.status = status;
    call->late = !kv_call_win(call, KV_RACE_ANSWERED);
    entry->duration_us = kv_monotonic_us() - call->started_us;
    entry->status = status;
    entry->reason = call->error.reason;
    entry->field = kv_slice_text(call->error.field);
    if (call->identified && call->caller.known) {
        entry->has_principal = true;
        memcpy(entry->principal_id, call->caller.principal_id, sizeof(entry->principal_id));
        entry->principal_name = call->caller.principal_name;
    }
    if (call->late && !entry->note.len)
        entry->note = KV_SLICE("late=true");
}

const kv_target *kv_call_target(const kv_call *call)
{
    return call->in;
}

/* What comes before the first message: the record that the stream begins. */
static kv_status begin(kv_call *call)
{
    const kv_gates *gates = &call->services->gates;

    if (call->begun)
        return KV_OK;
    if (gates->audit_begin)
        KV_TRY(gates->audit_begin(gates->context, call));
    call->begun = true;
    return KV_OK;
}

void kv_message_free(kv_message *message)
{
    kv_arena_cleanup(&message->arena);
    free(message);
}

/* Encoded in memory of its own, which the loop wipes and frees. */
static kv_status make_message(kv_call *call, const void *out, kv_message **made)
{
    const kv_spelled *spelled = &call->route->at[call->door];
    kv_message *message = calloc(1, sizeof(*message));
    kv_status status;

    if (!message)
        return kv_fail(&call->error, KV_BUSY, "the server is out of memory");
    message->arena =
        call->route->secret ? KV_ARENA_SECRET(call->arena.limit) : KV_ARENA(call->arena.limit);
    message->serial = call->ticket.serial;
    message->mail.deliver = call->deliver_message;
    status = spelled->encode(out, &message->arena, &message->body, &call->error);
    if (status != KV_OK) {
        kv_message_free(message);
        return status;
    }
    *made = message;
    return KV_OK;
}

static kv_status post_message(kv_call *call, KV_TAKES kv_message *message, kv_status room)
{
    if (room == KV_OK)
        kv_mailbox_post(call->ticket.home, &message->mail);
    else
        kv_message_free(message);
    return room;
}

kv_status kv_call_send(kv_call *call, const void *out)
{
    const kv_gates *gates = &call->services->gates;
    kv_message *message;

    if (!call->flow)
        return kv_fail(&call->error, KV_INTERNAL, "this operation does not stream");
    if (call->route->needs != KV_MAY_BE_ANYONE)
        KV_TRY(gates->permit(gates->context, call));
    KV_TRY(kv_call_still_wanted(call));
    KV_TRY(begin(call));
    KV_TRY(make_message(call, out, &message));
    return post_message(call, message,
                        kv_flow_enter(call->flow, message->body.len, call->deadline, &call->error));
}

kv_status kv_call_offer(kv_call *call, const void *out, bool *sent)
{
    kv_message *message;
    kv_status room;

    *sent = false;
    KV_TRY(make_message(call, out, &message));
    room = post_message(call, message, kv_flow_try(call->flow, message->body.len, &call->error));
    *sent = room == KV_OK;
    return room == KV_BUSY ? KV_OK : room;
}

/* Posts those that live where the first one does; gives the others. */
static kv_call *answer_at(kv_mailbox *home, kv_call *calls)
{
    kv_call *others = NULL, **other = &others;
    kv_mail *mail = NULL, **tail = &mail;

    for (; calls; calls = calls->next) {
        if (calls->ticket.home != home) {
            *other = calls;
            other = &calls->next;
            continue;
        }
        if (calls->error.status != KV_OK)
            calls->answer = KV_SLICE_NONE;
        *tail = &calls->mail;
        tail = &calls->mail.next;
    }
    *other = NULL;
    *tail = NULL;
    kv_mailbox_post_all(home, mail);
    return others;
}

void kv_call_answer(kv_call *call)
{
    call->next = NULL;
    kv_call_answer_all(call);
}

void kv_call_answer_all(kv_call *calls)
{
    while (calls)
        calls = answer_at(calls->ticket.home, calls);
}
