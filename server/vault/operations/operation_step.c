/* operation_step.c - one step of an operation at an issuer outside: ask, and store the answer.
 *
 * The row is stored before each question (by the change before, or by the claim), so whatever is
 * asked is known after a crash, and may be asked again. What the issuer sends is stored before it
 * is looked at, and becomes a version only when it is a certificate for this operation's key.
 */
#include "server/base/text.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/certificates/certificate_transparency.h"
#include "server/vault/events/event_rules.h"
#include "server/vault/issuers/issuer_state.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"
#include "server/x509/inspect.h"
#include "server/x509/merge.h"

enum { DELETED_WAIT_MS = 60 * 60 * 1000 };

typedef struct step {
    kv_issuance at;
    kv_operation_row *row; /* as claimed */
    kv_vault_row vault_row;
    kv_object_row object;
    kv_chosen_issuer chosen;
    kv_operation_heard heard;
    kv_issuer_answer answer;
    kv_name_budget_row names;
} step;

/* The version that is to be followed, for authorities that want to know it. */
static kv_status add_predecessor(kv_vault *vault, kv_work *work, const step *on,
                                 kv_issuer_order *order, kv_error *err)
{
    kv_slice *der = kv_arena_array(work->arena, 1, sizeof(*der));
    kv_certificate_version_row version;

    if (!der)
        return kv_arena_full(err);
    if (!on->object.current.len)
        return KV_OK;
    KV_TRY(kv_find_certificate_version(vault, work, on->object.uid, on->object.current, &version,
                                       err));
    *der = version.der;
    order->chain = (kv_x509_list){ .items = der, .count = 1 };
    return KV_OK;
}

static kv_status ask(kv_vault *vault, kv_work *work, step *on, kv_error *err)
{
    const kv_issuer *issuer = on->chosen.issuer;
    kv_issuer_order order = { .operation = on->row->request_id,
                              .attempt = (unsigned)on->row->attempts + 1,
                              .account = &on->chosen.account,
                              .policy = &on->at.policy,
                              .csr = on->row->csr,
                              .spki = on->row->spki,
                              .external_id = on->row->external_id,
                              .begun_ms = on->row->created,
                              .now_ms = work->now_ms,
                              .now_us = work->now_us,
                              .deadline = work->deadline,
                              .arena = work->arena };

    KV_TRY(kv_enrolment_open(vault, work, &on->vault_row, &on->chosen, err));
    KV_TRY(kv_names_load(work, on->row->names, &order.names, &order.name_count, err));
    if (!order.external_id.len)
        KV_TRY(add_predecessor(vault, work, on, &order, err));
    if (on->heard.act == KV_OPERATION_CANCEL)
        return kv_issuer_cancel(issuer, &order, &on->answer, err);
    if (on->heard.act == KV_OPERATION_SUBMIT)
        return kv_issuer_submit(issuer, &order, &on->answer, err);
    KV_TRY(kv_issuer_poll(issuer, &order, &on->answer, err));
    if (on->answer.state != KV_ISSUER_READY)
        return KV_OK;
    on->answer = (kv_issuer_answer){ 0 };
    return kv_issuer_fetch(issuer, &order, &on->answer, err);
}

/* --- the certificate has come --- */

static kv_status check(kv_vault *vault, kv_work *work, step *on, kv_x509_merged *out, kv_error *err)
{
    kv_x509_list sent;
    kv_x509_merge_in in = {
        .field = "certificate",
        .spki = on->row->spki,
        .csr = on->row->csr,
        .policy = &on->at.policy,
        .now_ms = work->now_ms,
        .requested_ms = on->row->created,
        .scope = on->chosen.account.trust,
        .strict = on->chosen.account.strict_lint ? KV_X509_STRICT_LINT : 0,
    };
    kv_transparency_in promised = { .policy = in.policy, .trust = in.scope, .field = in.field };

    if (kv_chain_split(work, KV_SLICE_NONE, on->row->chain, &sent, err) != KV_OK)
        return kv_fail(err, KV_BAD_REQUEST, "what the issuer sent is not a certificate");
    in.given = (kv_x509_list){ .items = sent.items + 1, .count = sent.count - 1 };
    KV_TRY(kv_known_issuers(vault, work, &on->object, &in.anchors, err));
    KV_TRY(kv_x509_merge(work->arena, &in, out, err));
    KV_TRY(kv_transparency_judge(vault, work, &promised, out, &on->row->transparency, err));
    return kv_issuer_permit_leaf(vault, work, &on->vault_row, &on->at.policy, &out->leaf, err);
}

static kv_status finish(kv_vault *vault, kv_work *work, step *on, kv_error *err)
{
    kv_x509_merged merged = { 0 };

    KV_TRY(kv_start_load(work, on->row->attributes, &on->at.enabled, &on->at.tags, err));
    on->at.usage = on->at.policy.x509_props.key_usage;
    KV_TRY(check(vault, work, on, &merged, err));
    KV_TRY(kv_issuance_find_key(vault, work, &on->at, err));
    work->entry->has_key = true;
    memcpy(work->entry->key_id, on->at.key.id, sizeof(work->entry->key_id));
    KV_TRY(kv_texts_store(work, &merged.warnings, &on->row->warnings, err));
    return kv_issuance_finish(vault, work, &on->at, &merged.chain, err);
}

/* Would the same certificate be refused again? */
static bool for_good(kv_status status)
{
    return status == KV_BAD_REQUEST || status == KV_EXISTS || status == KV_PRECONDITION ||
           status == KV_DENIED;
}

/* What the issuer sent: the certificate for our key, or else the first that can be read. */
static bool find_sent(kv_work *work, const kv_operation_row *row, kv_x509_facts *out)
{
    kv_error ignored = { 0 };
    kv_x509_list sent;
    bool found = false;

    if (kv_chain_split(work, KV_SLICE_NONE, row->chain, &sent, &ignored) != KV_OK)
        return false;
    for (size_t i = 1; i < sent.count; i++) {
        kv_x509_facts facts;
        bool ours;

        if (kv_x509_inspect(work->arena, sent.items[i], &facts, &ignored) != KV_OK)
            continue;
        ours = kv_slice_equal(facts.spki, row->spki);
        if (ours || !found)
            *out = facts;
        found = true;
        if (ours)
            break;
    }
    return found;
}

/* --- what was heard is stored --- */

static kv_status note_trouble(kv_work *work, step *on, const kv_error *why, kv_error *err)
{
    on->heard.answered = false;
    on->row->error_code = kv_slice_text(kv_status_spelling(why->status)->name);
    return kv_arena_copy(work->arena, kv_slice_text(why->message), &on->row->error_message, err);
}

/* The issuer's own words: in the operation, whether it goes on or not. */
static kv_status note_answer(kv_work *work, step *on, kv_error *err)
{
    const kv_issuer_answer *answer = &on->answer;
    kv_operation_row *row = on->row;
    bool bad = answer->state == KV_ISSUER_REFUSED || answer->state == KV_ISSUER_RETRYABLE;

    /* Not about this order: it is kept, and asked for again. */
    on->heard.answered = !(bad && answer->issuer_fault) &&
                         !(answer->state == KV_ISSUER_RETRYABLE && answer->pause_ms);
    on->heard.answer = answer->state;
    on->heard.retry_ms = answer->retry_ms;
    row->status_details = bad ? KV_SLICE_NONE : answer->details;
    row->error_code = bad ? answer->code : KV_SLICE_NONE;
    row->error_message = bad ? answer->details : KV_SLICE_NONE;
    if (bad && !row->error_code.len)
        row->error_code = KV_SLICE("IssuerRefused");
    if (answer->external_id.len)
        row->external_id = answer->external_id;
    if (answer->state == KV_ISSUER_RETRYABLE && on->heard.answered)
        row->external_id = KV_SLICE_NONE;
    if (answer->name_count)
        KV_TRY(kv_names_store(work, answer->names, answer->name_count, &row->names, err));
    if (answer->warnings.count)
        KV_TRY(kv_texts_store(work, &answer->warnings, &row->warnings, err));
    if (answer->state == KV_ISSUER_ISSUED)
        KV_TRY(kv_chain_join(work, &answer->chain, 0, &row->chain, err));
    if (answer->state == KV_ISSUER_ISSUED && !row->chain.len)
        return kv_fail(err, KV_INTERNAL, "the issuer gave no certificate");
    if (row->chain.len > KV_X509_MERGE_MAX)
        return kv_fail(err, KV_INTERNAL, "the issuer gave more than %d bytes", KV_X509_MERGE_MAX);
    return KV_OK;
}

static const char *step_name(kv_slice state)
{
    if (kv_slice_equal(state, KV_STATE_FAILED))
        return "CertificateCreateFailed";
    if (kv_slice_equal(state, KV_STATE_CANCELLED))
        return "CertificateCreateCancelled";
    return "CertificateOrderAnswer";
}

/* An end without a certificate dooms the key in the same change. */
static kv_status store_end(kv_vault *vault, kv_work *work, const step *on, kv_error *err)
{
    kv_operation_row *row = on->row;
    kv_slice key_id = row->key_id;
    kv_token_object_row key;
    kv_change change = { 0 };
    kv_error later = { 0 };
    bool own = false;

    KV_TRY(kv_operation_has_own_key(vault, work, row, &own, err));
    kv_operation_clear(row);
    row->key_id = KV_SLICE_NONE;
    KV_TRY(kv_change_update(&change, &kv_table_operations, row, err));
    KV_TRY(kv_event_operation(vault, work, &on->vault_row, &on->object, row, &change, err));
    if (own)
        KV_TRY(kv_change_doom(vault, work, key_id, &key, &change, err));
    KV_TRY(kv_commit_step(vault, work, step_name(row->state), &change, err));
    if (own && kv_destroy_key(vault, work, key_id, &later) != KV_OK)
        kv_log_write(vault->config.log, KV_LOG_WARNING, "token.key.undo_later",
                     (kv_log_field[]){ { "why", later.message, 0 }, { 0 } });
    return KV_OK;
}

/* How long the certificate that came lives; 0 for one that cannot be read. */
static int64_t life_of(kv_work *work, const kv_operation_row *row)
{
    kv_x509_facts facts;

    return find_sent(work, row, &facts) ? facts.not_after_ms - facts.not_before_ms : 0;
}

static kv_status store_turn(kv_vault *vault, kv_work *work, step *on, kv_error *err)
{
    kv_operation_turn turn = kv_operation_turn_of(&on->heard);
    kv_operation_row *row = on->row;
    kv_change change = { 0 };

    row->state = turn.state;
    row->next_at = turn.next_at;
    row->attempts = turn.attempts;
    row->failures = turn.failures;
    row->worker = KV_SLICE_NONE;
    row->waiting = KV_WAITING_NOTHING;
    row->updated = work->now_ms;
    if (!kv_state_in_progress(row->state))
        return store_end(vault, work, on, err);
    KV_TRY(kv_change_update(&change, &kv_table_operations, row, err));
    if (on->heard.answered && on->heard.answer == KV_ISSUER_ISSUED)
        KV_TRY(kv_issuer_take_names(vault, work, &on->vault_row, row->issuer_lower, &on->at.policy,
                                    life_of(work, row), &on->names, &change, err));
    return kv_commit_step(vault, work, step_name(row->state), &change, err);
}

/* --- one step --- */

/* It exists although nobody here uses it: whoever has it revoked must know which one it is. */
static kv_status name_refused(kv_work *work, kv_operation_row *row, kv_error *err)
{
    kv_slice why = row->error_message;
    kv_x509_facts facts;
    char hash[2 * sizeof(facts.sha256) + 1];

    if (!find_sent(work, row, &facts))
        return KV_OK;
    kv_hex(kv_slice_of(facts.sha256, sizeof(facts.sha256)), hash);
    return kv_arena_print(work->arena, &row->error_message, err,
                          "%.*s; the certificate has the serial number %.*s and the SHA-256 %s",
                          KV_SLICE_ARG(why), KV_SLICE_ARG(facts.serial_hex), hash);
}

static kv_status accept(kv_vault *vault, kv_work *work, step *on, kv_error *err)
{
    kv_operation_row before = *on->row;
    kv_error why = { 0 };
    kv_status status = finish(vault, work, on, &why);

    if (status == KV_OK)
        return KV_OK;
    *on->row = before;
    KV_TRY(note_trouble(work, on, &why, err));
    if (for_good(status)) {
        on->heard.answered = true;
        on->heard.answer = KV_ISSUER_REFUSED;
        on->row->error_code = KV_SLICE("CertificateNotAccepted");
        KV_TRY(name_refused(work, on->row, err));
    }
    return store_turn(vault, work, on, err);
}

/* The rules may have changed since the order was asked for; what has been ordered goes on. */
static kv_status choose(kv_vault *vault, kv_work *work, step *on, kv_error *err)
{
    if (on->heard.act != KV_OPERATION_SUBMIT)
        return kv_issuer_open(vault, work, &on->vault_row, on->row->issuer, &on->chosen, err);
    return kv_issuer_choose(vault, work, &on->vault_row, &on->at.policy, on->row->requested_by,
                            &on->chosen, err);
}

static kv_status refuse(kv_vault *vault, kv_work *work, step *on, const kv_error *why,
                        kv_error *err)
{
    KV_TRY(note_trouble(work, on, why, err));
    on->heard.answered = true;
    on->heard.answer = KV_ISSUER_REFUSED;
    return store_turn(vault, work, on, err);
}

/* What is ours, not the issuer's. */
static bool our_fault(kv_status status)
{
    return status == KV_BUSY || status == KV_CANCELLED || status == KV_UNSUPPORTED;
}

/* What cannot be stored about the issuer is learned again from the next question. */
static void note_health(kv_vault *vault, kv_work *work, step *on, kv_status status,
                        const kv_error *why)
{
    const kv_issuer_answer *answer = &on->answer;
    kv_health_news news = { .fault = status != KV_OK || answer->issuer_fault,
                            .pause_ms = status == KV_OK ? answer->pause_ms : 0 };
    kv_slice reason = status == KV_OK ? answer->details : kv_slice_text(why->message);
    kv_error trouble = { 0 };

    if (our_fault(status) || on->heard.act == KV_OPERATION_CANCEL)
        return;
    if (kv_issuer_heard(vault, work, &on->vault_row, on->row->issuer_lower, &news, reason,
                        &on->heard.resume_at, &trouble) != KV_OK)
        kv_log_write(vault->config.log, KV_LOG_WARNING, "issuer.health.unknown",
                     (kv_log_field[]){ { "why", trouble.message, 0 }, { 0 } });
}

static kv_status ask_and_store(kv_vault *vault, kv_work *work, step *on, kv_error *err)
{
    kv_operation_row before = *on->row;
    kv_error why = { 0 };
    kv_status status = choose(vault, work, on, &why);

    if (status == KV_DENIED)
        return refuse(vault, work, on, &why, err);

    if (status == KV_OK && on->heard.act == KV_OPERATION_ACCEPT)
        return accept(vault, work, on, err);
    if (status == KV_OK) {
        status = ask(vault, work, on, &why);
        /* Somebody stored the account first: nothing has been asked with this one. */
        if (status == KV_CONFLICT)
            return kv_lost_race(status, err);
        note_health(vault, work, on, status, &why);
    }
    if (status == KV_OK)
        status = note_answer(work, on, &why);
    if (status != KV_OK) {
        *on->row = before;
        KV_TRY(note_trouble(work, on, &why, err));
    }
    return store_turn(vault, work, on, err);
}

/* A deleted certificate may be recovered; until then nobody is asked for it. */
static kv_status wait_for_recovery(kv_vault *vault, kv_work *work, kv_operation_row *row,
                                   kv_error *err)
{
    kv_change change = { 0 };

    row->worker = KV_SLICE_NONE;
    row->next_at = work->now_ms + DELETED_WAIT_MS;
    KV_TRY(kv_change_update(&change, &kv_table_operations, row, err));
    return kv_commit_step(vault, work, "CertificateOrderDeleted", &change, err);
}

static kv_status find_rows(kv_vault *vault, kv_work *work, step *on, kv_error *err)
{
    KV_TRY(kv_object_by_uid(vault, work, on->row->object_uid, &on->object, err));
    KV_TRY(kv_vault_by_uid(vault, work, on->row->vault_uid, &on->vault_row, err));
    KV_TRY(kv_policy_load(work, on->row->policy, &on->at.policy, err));
    work->entry->vault = on->vault_row.display_name;
    work->entry->collection = KV_SLICE("certificates");
    work->entry->name = on->object.display_name;
    return KV_OK;
}

kv_status kv_operation_step(kv_vault *vault, kv_work *work, kv_operation_row *operation,
                            kv_error *err)
{
    step on = { .row = operation };
    kv_status status = find_rows(vault, work, &on, err);

    if (status == KV_NOT_FOUND)
        return kv_operation_abandon(vault, work, operation, err);
    KV_TRY(status);
    if (on.object.deleted || on.vault_row.deleted)
        return wait_for_recovery(vault, work, operation, err);
    on.at.vault_row = &on.vault_row;
    on.at.object = &on.object;
    on.at.operation = operation;
    on.at.resumed = true;
    on.at.version = operation->version;
    on.heard = (kv_operation_heard){
        .act = kv_operation_act_of(operation->state, operation->cancellation_requested != 0),
        .attempts = operation->attempts,
        .failures = operation->failures,
        .now_ms = work->now_ms,
        .seed = kv_seed_of(operation->request_id),
    };
    if (on.heard.act == KV_OPERATION_NOTHING)
        return kv_fail(err, KV_INTERNAL, "an operation is due that is over");
    status = ask_and_store(vault, work, &on, err);
    kv_chosen_issuer_cleanup(&on.chosen);
    return status;
}
