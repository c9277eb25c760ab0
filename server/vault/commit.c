/* commit.c - how this layer changes the store: sealed, with its audit record, in one transaction.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/audit/audit.h"
#include "server/base/text.h"
#include "server/store/row.h"
#include "server/vault/events/event_outbox.h"
#include "server/vault/idempotency.h"
#include "server/vault/vault_impl.h"

/* The record of a step: it lives on after the call that made it. */
typedef struct step_record {
    kv_audit_ticket ticket; /* first: `done` gets a pointer to it */
    kv_audit_entry entry;
    kv_arena arena;
} step_record;

enum { STEP_ARENA_BYTES = 16 * 1024 };

static void note_changes(kv_audit_entry *entry, const kv_change *change)
{
    entry->change_count = 0;
    for (unsigned i = 0; i < change->count && entry->change_count < KV_AUDIT_CHANGES; i++) {
        const kv_change_op *op = &kv_change_ops(change)[i];
        kv_audit_change *note = &entry->changes[entry->change_count++];
        kv_row_head head;

        memcpy(&head, op->row, sizeof(head));
        *note =
            (kv_audit_change){ .generation = op->kind == KV_CHANGE_DELETE ? 0 : head.generation };
        (void)snprintf(note->table, sizeof(note->table), "%s", op->table->name);
        kv_row_key_text(op->table, op->row, note->key);
    }
}

/* Who lost a race tries again with the rows as they were read, not as they were to be written. */
static void take_back(const kv_change *change)
{
    for (unsigned i = 0; i < change->count; i++) {
        const kv_change_op *op = &kv_change_ops(change)[i];

        if (op->kind != KV_CHANGE_DELETE)
            kv_row_head_of((void *)op->row)->generation = op->expected;
    }
}

static kv_status seal_and_apply(kv_vault *vault, kv_arena *arena, kv_audit_entry *entry,
                                kv_change *change, kv_error *err)
{
    kv_store_state state;
    kv_slice record;

    KV_TRY(kv_records_seal(vault->config.records, change, arena, err));
    note_changes(entry, change);
    entry->status = KV_OK;
    KV_TRY(kv_audit_encode(entry, arena, &record, err));
    change->pending = (kv_pending){
        .node = kv_slice_of(vault->node, sizeof(vault->node)),
        .request_id = kv_slice_of(entry->request_id, sizeof(entry->request_id)),
        .record = record,
    };
    KV_TRY(kv_records_apply(vault->config.records, change, &state, err));
    entry->store_version = state.version;
    memcpy(entry->store_digest, state.digest, sizeof(entry->store_digest));
    return KV_OK;
}

static kv_status commit(kv_vault *vault, kv_arena *arena, kv_audit_entry *entry, kv_change *change,
                        kv_error *err)
{
    kv_outbox_turn turn;
    kv_status status;

    if (kv_audit_low_space(vault->config.audit))
        return kv_fail(err, KV_UNAVAILABLE, "the disk of the audit log is nearly full");
    kv_outbox_open(vault->outbox, change, kv_clock_now_ms(vault->config.clock), &turn);
    status = seal_and_apply(vault, arena, entry, change, err);
    kv_outbox_close(vault->outbox, &turn);
    if (status != KV_OK) {
        take_back(change);
        entry->change_count = 0;
    }
    return status;
}

/* With the call's idempotency key, if it came with one and no change has it yet. */
static kv_status commit_once(kv_vault *vault, kv_work *work, kv_audit_entry *entry,
                             kv_change *change, kv_error *err)
{
    kv_status status;
    bool added = false;

    KV_TRY(kv_idempotency_add(work, change, &added, err));
    status = commit(vault, work->arena, entry, change, err);
    return added ? kv_idempotency_added(vault, work, status, err) : status;
}

kv_status kv_commit_change(kv_vault *vault, kv_work *work, kv_change *change, kv_error *err)
{
    /* The caller has been told already that it is too late: what was made goes again. */
    if (kv_deadline_passed(work->deadline))
        return kv_fail(err, KV_TIMEOUT, "the deadline passed before the change; nothing changed");
    return commit_once(vault, work, work->entry, change, err);
}

static void step_done(kv_audit_ticket *ticket, kv_status status)
{
    step_record *step = (step_record *)(void *)ticket;

    /* A record that did not reach the disk stays in audit_pending and is appended at start-up. */
    (void)status;
    kv_arena_cleanup(&step->arena);
    free(step);
}

/* The step keeps its own copy of who asked for it. */
static kv_status copy_asker(const kv_audit_entry *from, const char *operation, step_record *step,
                            kv_error *err)
{
    kv_audit_entry *entry = &step->entry;

    *entry = (kv_audit_entry){
        .time_ms = from->time_ms,
        .has_principal = from->has_principal,
        .operation = operation,
    };
    memcpy(entry->principal_id, from->principal_id, sizeof(entry->principal_id));
    memcpy(entry->certificate, from->certificate, sizeof(entry->certificate));
    if (!kv_random_id(entry->request_id, sizeof(entry->request_id)))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    KV_TRY(kv_arena_copy(&step->arena, from->principal_name, &entry->principal_name, err));
    KV_TRY(kv_arena_copy(&step->arena, from->roles, &entry->roles, err));
    KV_TRY(kv_arena_copy(&step->arena, from->peer, &entry->peer, err));
    KV_TRY(kv_arena_copy(&step->arena, from->vault, &entry->vault, err));
    KV_TRY(kv_arena_copy(&step->arena, from->collection, &entry->collection, err));
    KV_TRY(kv_arena_copy(&step->arena, from->version, &entry->version, err));
    KV_TRY(kv_arena_copy(&step->arena, from->note, &entry->note, err));
    entry->has_key = from->has_key;
    memcpy(entry->key_id, from->key_id, sizeof(entry->key_id));
    return kv_arena_copy(&step->arena, from->name, &entry->name, err);
}

static kv_status commit_step(kv_vault *vault, kv_work *work, const char *operation, bool with_key,
                             kv_change *change, kv_error *err)
{
    step_record *step = calloc(1, sizeof(*step));
    kv_status status;

    if (!step)
        return kv_fail(err, KV_BUSY, "out of memory");
    step->arena = KV_ARENA(STEP_ARENA_BYTES);
    status = copy_asker(work->entry, operation, step, err);
    if (status == KV_OK)
        status = with_key ? commit_once(vault, work, &step->entry, change, err)
                          : commit(vault, work->arena, &step->entry, change, err);
    if (status != KV_OK) {
        step_done(&step->ticket, status);
        return status;
    }
    step->ticket = (kv_audit_ticket){ .entry = &step->entry, .pending = true, .done = step_done };
    kv_audit_post(vault->config.audit, &step->ticket);
    return KV_OK;
}

kv_status kv_commit_step(kv_vault *vault, kv_work *work, const char *operation, kv_change *change,
                         kv_error *err)
{
    return commit_step(vault, work, operation, false, change, err);
}

kv_status kv_commit_first_step(kv_vault *vault, kv_work *work, const char *operation,
                               kv_change *change, kv_error *err)
{
    return commit_step(vault, work, operation, true, change, err);
}
