/* operation_gate.c - before an issuer is asked about an operation: may it be, now? */
#include "server/lifecycle/renewal.h"
#include "server/vault/issuers/issuer_state.h"
#include "server/vault/operations/operation_rules.h"

/* What the certificate that is to be followed still has. Nothing, where there is none. */
static kv_status add_urgency(kv_vault *vault, kv_work *work, const kv_operation_row *row,
                             kv_gate_facts *facts, kv_error *err)
{
    kv_certificate_version_row current = { 0 };
    kv_object_row object;
    kv_status status = kv_object_by_uid(vault, work, row->object_uid, &object, err);

    if (status == KV_OK && object.current.len)
        status =
            kv_find_certificate_version(vault, work, object.uid, object.current, &current, err);
    else if (status == KV_OK)
        return KV_OK;
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    facts->not_after = current.expires;
    facts->urgent = work->now_ms >= kv_renewal_floor(current.not_before, current.expires);
    return KV_OK;
}

static kv_status look(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                      const kv_operation_row *row, kv_operation_act act, kv_gate *out,
                      kv_error *err)
{
    kv_x509_policy policy;
    kv_gate_facts facts;
    kv_health health;

    KV_TRY(kv_policy_load(work, row->policy, &policy, err));
    KV_TRY(kv_issuer_gate_facts(vault, work, vault_row, row->issuer_lower, &policy, 0, &health,
                                &facts, err));
    /* A repeated submit is one order. Blackouts are for renewals that have not begun. */
    facts.places_order = act == KV_OPERATION_SUBMIT && !row->failures;
    facts.blackout_end = 0;
    facts.seed = kv_seed_of(row->request_id);
    *out = kv_gate_of(&facts);
    if (!out->waiting)
        return KV_OK;
    KV_TRY(add_urgency(vault, work, row, &facts, err));
    *out = kv_gate_of(&facts);
    return KV_OK;
}

/* Whoever looks at an operation that has not been asked for reads why. */
static kv_status say_why(kv_vault *vault, kv_work *work, kv_operation_row *row, kv_waiting waiting,
                         kv_error *err)
{
    kv_issuer_state_row state;
    kv_slice why;

    if (waiting != KV_WAITING_HEALTH && waiting != KV_WAITING_PAUSE)
        return KV_OK;
    KV_TRY(kv_issuer_state_find(vault, work, row->vault_uid, row->issuer_lower, &state, err));
    why = kv_issuer_trouble(&state, work->now_ms);
    if (!why.len)
        return KV_OK;
    return kv_arena_print(work->arena, &row->status_details, err, "The issuer %s: %.*s",
                          waiting == KV_WAITING_PAUSE ? "wants to be asked later" : "is unwell",
                          KV_SLICE_ARG(why));
}

/* It may have recovered, and woken those who waited, before this one was among them. */
static kv_status wake_if_well(kv_vault *vault, kv_work *work, const kv_operation_row *row,
                              kv_error *err)
{
    kv_issuer_state_row state;

    KV_TRY(kv_issuer_state_find(vault, work, row->vault_uid, row->issuer_lower, &state, err));
    return state.unwell_since ? KV_OK
                              : kv_issuer_wake(vault, work, row->vault_uid, row->issuer_lower, err);
}

static kv_status put_off(kv_vault *vault, kv_work *work, kv_operation_row *row, const kv_gate *gate,
                         kv_error *err)
{
    kv_change change = { 0 };

    KV_TRY(say_why(vault, work, row, gate->waiting, err));
    row->worker = KV_SLICE_NONE;
    row->next_at = gate->until;
    row->waiting = gate->waiting;
    KV_TRY(kv_change_update(&change, &kv_table_operations, row, err));
    KV_TRY(kv_commit_step(vault, work, "CertificateOrderWait", &change, err));
    return gate->waiting == KV_WAITING_HEALTH ? wake_if_well(vault, work, row, err) : KV_OK;
}

kv_status kv_operation_pass(kv_vault *vault, kv_work *work, kv_operation_row *row, bool *pass,
                            kv_error *err)
{
    kv_operation_act act = kv_operation_act_of(row->state, row->cancellation_requested != 0);
    kv_vault_row vault_row;
    kv_gate gate = { 0 };
    kv_status status;

    *pass = true;
    if (act != KV_OPERATION_SUBMIT && act != KV_OPERATION_POLL)
        return KV_OK;
    status = kv_vault_by_uid(vault, work, row->vault_uid, &vault_row, err);
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    KV_TRY(look(vault, work, &vault_row, row, act, &gate, err));
    *pass = !gate.waiting;
    if (gate.waiting)
        return put_off(vault, work, row, &gate, err);
    if (row->waiting)
        row->status_details = KV_SLICE_NONE;
    if (gate.probe)
        KV_TRY(kv_issuer_probing(vault, work, &vault_row, row->issuer_lower, err));
    if (act == KV_OPERATION_SUBMIT && !row->failures)
        KV_TRY(kv_issuer_take_order(vault, work, &vault_row, row->issuer_lower, err));
    return KV_OK;
}
