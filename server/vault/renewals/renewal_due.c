/* renewal_due.c - certificates are renewed when their time comes, without anybody asking.
 *
 * A row says when the current version of a certificate is to be followed. It is made and moved by
 * the change that makes a version, and read through an index by time: nothing scans tables. At its
 * time it is moved first (to when the next attempt would be), then an operation begins: a crash in
 * between costs a minute, and nothing is begun twice.
 */
#include "server/base/text.h"
#include "server/lifecycle/renewal.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/due.h"
#include "server/vault/errands.h"
#include "server/vault/events/event_rules.h"
#include "server/vault/issuers/issuer_state.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/renewals/renewal_rules.h"

enum {
    PAGE_ROWS = 32,
    DELETED_WAIT_MS = 60 * 60 * 1000,
    BROKEN_WAIT_MS = 60 * 60 * 1000,
    CROWDED_WAIT_MS = 5 * 1000, /* of our own making: the issuer has not been asked */
    WAKE_SPREAD_MS = 15 * 60 * 1000,
    DISABLED_WAIT_MS = 24 * 60 * 60 * 1000
};

static const kv_due renewals = { &kv_table_renewals, offsetof(kv_renewal_row, due_at),
                                 "CertificateRenewLater", "CertificateRenewNever" };

typedef struct renewal {
    const kv_issuer *issuer;
    kv_renewal_facts facts;
    int errand; /* -1: none */
    kv_renewal_row row;
    kv_vault_row vault_row;
    kv_object_row object;
    kv_policy_row policy_row;
    kv_x509_policy policy;
    kv_certificate_version_row version;
} renewal;

/* `*out` is false: nobody asked for renewal, or the issuer cannot do it alone. KV_BAD_REQUEST:
 * there is no such issuer at present. */
static kv_status planned(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                         const kv_x509_policy *policy, const kv_certificate_version_row *version,
                         kv_renewal_facts *facts, const kv_issuer **issuer, bool *out,
                         kv_error *err)
{
    *out = false;
    *facts = (kv_renewal_facts){ .not_before = version->not_before,
                                 .not_after = version->expires,
                                 .got = version->created,
                                 .seed = kv_seed_of(version->version) };
    if (!kv_renewal_asked(policy, &facts->trigger))
        return KV_OK;
    KV_TRY(kv_issuer_known(vault, work, vault_row, policy->issuer.name, issuer, err));
    *out = (*issuer)->auto_renew;
    return KV_OK;
}

static kv_renewal_hint hint_of(const kv_renewal_row *row)
{
    return (kv_renewal_hint){ row->hint_from, row->hint_until, row->hint_at };
}

/* When it is renewed, and when it is looked at. */
static void plan(kv_renewal_row *row, const kv_renewal_facts *facts)
{
    kv_renewal_hint hint = hint_of(row);

    row->renew_at = kv_renewal_at(facts, &hint);
    row->due_at = row->renew_at;
    if (row->ask_at && row->ask_at < row->due_at)
        row->due_at = row->ask_at;
    row->waiting = KV_WAITING_NOTHING;
}

static kv_status find_row(kv_vault *vault, kv_work *work, kv_slice object_uid, kv_renewal_row *row,
                          bool *exists, kv_error *err)
{
    kv_status status;

    *row = (kv_renewal_row){ .object_uid = object_uid };
    status = kv_records_get(vault->config.records, &kv_table_renewals, row, work->arena, err);
    *exists = status == KV_OK;
    if (status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    *row = (kv_renewal_row){ .object_uid = object_uid };
    return KV_OK;
}

kv_status kv_renewal_keep(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                          const kv_x509_policy *policy, const kv_certificate_version_row *version,
                          kv_renewal_row *row, kv_change *change, kv_error *err)
{
    const kv_issuer *issuer = NULL;
    kv_renewal_facts facts;
    kv_slice name;
    bool exists = false;
    bool yes = false;
    kv_status status;

    KV_TRY(find_row(vault, work, version->object_uid, row, &exists, err));
    status = planned(vault, work, vault_row, policy, version, &facts, &issuer, &yes, err);
    if (status != KV_BAD_REQUEST)
        KV_TRY(status);
    else
        *err = (kv_error){ 0 };
    if (!yes)
        return exists ? kv_change_delete(change, &kv_table_renewals, row, err) : KV_OK;
    KV_TRY(kv_text_lower(work->arena, policy->issuer.name, &name, err));
    /* A hint is about one certificate, by the issuer that gave it. */
    if (!kv_slice_equal(row->version, version->version) || !kv_slice_equal(row->issuer, name))
        *row = (kv_renewal_row){ .head = row->head, .object_uid = version->object_uid };
    row->issuer = name;
    row->vault_uid = vault_row->uid;
    row->version = version->version;
    row->attempts = 0;
    if (!issuer->renewal_hint)
        row->ask_at = 0;
    else if (!row->ask_at)
        row->ask_at = work->now_ms;
    plan(row, &facts);
    row->period = row->renew_at - facts.got;
    row->not_before = version->not_before;
    row->expires = version->expires;
    return exists ? kv_change_update(change, &kv_table_renewals, row, err)
                  : kv_change_insert(change, &kv_table_renewals, row, err);
}

/* --- when it is time --- */

/* Somebody else may have been at it since it was found, and has moved it: an issuer would be asked
 * twice. */
static kv_status read_again(kv_vault *vault, kv_work *work, const kv_renewal_row *found,
                            renewal *at, kv_error *err)
{
    bool exists = false;
    kv_status status = find_row(vault, work, found->object_uid, &at->row, &exists, err);

    if (status == KV_OK && exists && at->row.due_at <= work->now_ms)
        return KV_OK;
    if (kv_errand_end(vault->errands, at->errand))
        kv_wake_steps(vault);
    at->errand = -1;
    /* What cannot be trusted is passed over by the next scan. */
    return status;
}

/* The first that is due and that nobody is at. */
static kv_status earliest(kv_vault *vault, kv_work *work, renewal *at, int64_t *next_at,
                          kv_error *err)
{
    kv_renewal_row from = { 0 };
    kv_scan scan = { .table = &kv_table_renewals, .index = 1, .from = &from, .limit = PAGE_ROWS };
    int64_t held_ms = kv_clock_steady_ms(vault->config.clock);
    const kv_renewal_row *found;
    kv_rows rows;

    KV_TRY(kv_records_scan_sound(vault->config.records, &scan, work->arena, &rows, err));
    found = rows.rows;
    for (unsigned i = 0; i < rows.count && at->errand < 0; i++) {
        kv_errand errand = { .object_uid = found[i].object_uid,
                             .vault_uid = found[i].vault_uid,
                             .until_ms = held_ms + KV_OPERATION_CLAIM_MS };

        *next_at = found[i].due_at;
        if (found[i].due_at > work->now_ms)
            break;
        at->errand = kv_errand_begin(vault->errands, &errand, held_ms);
        if (at->errand >= 0)
            KV_TRY(read_again(vault, work, &found[i], at, err));
    }
    return KV_OK;
}

static kv_status look(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    KV_TRY(kv_object_by_uid(vault, work, at->row.object_uid, &at->object, err));
    KV_TRY(kv_vault_by_uid(vault, work, at->row.vault_uid, &at->vault_row, err));
    KV_TRY(kv_policy_find(vault, work, at->row.object_uid, &at->policy_row, &at->policy, err));
    KV_TRY(kv_find_certificate_version(vault, work, at->row.object_uid, at->object.current,
                                       &at->version, err));
    work->entry->vault = at->vault_row.display_name;
    work->entry->collection = KV_SLICE("certificates");
    work->entry->name = at->object.display_name;
    return KV_OK;
}

static void report(kv_vault *vault, kv_work *work, const renewal *at, const kv_error *why)
{
    kv_slice name = KV_SLICE_NONE;
    kv_error ignored = { 0 };

    if (kv_arena_print(work->arena, &name, &ignored, "%.*s/%.*s%c",
                       KV_SLICE_ARG(at->vault_row.display_name),
                       KV_SLICE_ARG(at->object.display_name), 0) != KV_OK)
        return;
    kv_log_write(vault->config.log, KV_LOG_WARNING, "certificate.renewal.failed",
                 (kv_log_field[]){ { "certificate", (const char *)name.data, 0 },
                                   { "why", why->message, 0 },
                                   { "attempt", NULL, at->row.attempts },
                                   { 0 } });
}

/* Where there is no operation that would. */
static kv_status tell_failure(kv_work *work, const renewal *at, const kv_error *why,
                              kv_change *change, kv_error *err)
{
    kv_event_row event = { .version = at->version.version,
                           .not_before = at->version.not_before,
                           .expires = at->version.expires,
                           .issuer = at->policy.issuer.name,
                           .cause = kv_event_renewal_cause(at->row.attempts),
                           .error_code = kv_slice_text(kv_status_spelling(why->status)->name),
                           .error_message = kv_slice_text(why->message) };

    kv_event_place(&at->vault_row, &at->object, &event);
    return kv_event_add(work, KV_EVENT_CERTIFICATE_RENEWAL_FAILED, &event, change, err);
}

static kv_status failed(kv_vault *vault, kv_work *work, const renewal *at, kv_renewing how,
                        const kv_error *why, kv_error *err)
{
    kv_change change = { 0 };

    if (how == KV_RENEWING_TAKEN_AWAY)
        return KV_OK;
    report(vault, work, at, why);
    /* The operation has told of its end; the server stops, or somebody else was quicker. */
    if (how == KV_RENEWING_BEGUN || why->status == KV_CANCELLED || why->status == KV_CONFLICT)
        return KV_OK;
    KV_TRY(tell_failure(work, at, why, &change, err));
    return kv_commit_step(vault, work, "CertificateRenewFail", &change, err);
}

/* Once for each version: who wants to be there, is. */
static kv_status tell(kv_work *work, const renewal *at, kv_change *change, kv_error *err)
{
    kv_event_row event = { .version = at->version.version,
                           .not_before = at->version.not_before,
                           .expires = at->version.expires,
                           .issuer = at->policy.issuer.name };

    kv_event_place(&at->vault_row, &at->object, &event);
    return kv_event_add(work, KV_EVENT_CERTIFICATE_RENEWAL_STARTED, &event, change, err);
}

/* The attempt is counted and the next one has its time before this one begins. */
static kv_status begin(kv_vault *vault, kv_work *work, renewal *at, int64_t again, kv_error *err)
{
    kv_change change = { 0 };
    kv_operation_row operation;
    bool exists = false;
    kv_renewing how;
    kv_error why = { 0 };

    KV_TRY(kv_operation_find(vault, work, at->object.uid, &operation, &exists, err));
    at->row.attempts++;
    at->row.due_at = again;
    at->row.waiting = KV_WAITING_NOTHING;
    KV_TRY(kv_change_update(&change, &kv_table_renewals, &at->row, err));
    if (at->row.attempts == 1)
        KV_TRY(tell(work, at, &change, err));
    KV_TRY(kv_commit_step(vault, work, "CertificateRenewBegin", &change, err));
    if (exists && kv_operation_in_progress(&operation) &&
        !kv_operation_stranded(&operation, work->now_ms))
        return KV_OK;
    if (kv_certificate_renew(vault, work, &at->vault_row, &at->object, &how, &why) == KV_OK)
        return KV_OK;
    return failed(vault, work, at, how, &why, err);
}

/* --- what the issuer suggests --- */

static kv_status ask_issuer(kv_vault *vault, kv_work *work, const renewal *at,
                            kv_issuer_window *out, kv_error *err)
{
    KV_AUTO(kv_chosen_issuer) chosen = { 0 };
    kv_issuer_order order = { .account = &chosen.account,
                              .policy = &at->policy,
                              .now_ms = work->now_ms,
                              .now_us = work->now_us,
                              .deadline = work->deadline,
                              .arena = work->arena };

    kv_issuer_state_row state;
    kv_health health;
    int64_t until;

    KV_TRY(kv_issuer_state_find(vault, work, at->vault_row.uid, at->row.issuer, &state, err));
    health = kv_issuer_health(&state);
    if (kv_health_may_ask(&health, work->now_ms, &until) != KV_HEALTH_ASK)
        return kv_fail(err, KV_UNAVAILABLE, "the issuer is not asked now");
    KV_TRY(kv_issuer_open(vault, work, &at->vault_row, at->policy.issuer.name, &chosen, err));
    KV_TRY(kv_chain_split(work, at->version.der, at->version.chain, &order.chain, err));
    return kv_issuer_renewal_hint(chosen.issuer, &order, out, err);
}

/* Not more at once than may be with one issuer. */
static kv_status ask_window(kv_vault *vault, kv_work *work, const renewal *at,
                            kv_issuer_window *out, bool *crowded, kv_error *err)
{
    int64_t now_ms = kv_clock_steady_ms(vault->config.clock);
    kv_errand errand = { .object_uid = at->row.version,
                         .vault_uid = at->row.vault_uid,
                         .issuer = at->row.issuer,
                         .until_ms = now_ms + KV_OPERATION_CLAIM_MS };
    int number = kv_errand_begin(vault->errands, &errand, now_ms);
    kv_status status;

    *crowded = number < 0;
    if (*crowded)
        return kv_fail(err, KV_BUSY, "enough are with the issuer");
    status = ask_issuer(vault, work, at, out, err);
    if (kv_errand_end(vault->errands, number))
        kv_wake_steps(vault);
    return status;
}

/* An issuer that explains a window wants people to read it: something has happened. */
static void take_window(kv_vault *vault, kv_work *work, renewal *at, const kv_issuer_window *window,
                        const kv_renewal_hint *hint)
{
    bool news =
        window->until_ms > window->from_ms && window->explanation.len &&
        (hint->at != at->row.hint_at || !kv_slice_equal(window->explanation, at->row.hint_why));
    kv_slice text = KV_SLICE_NONE;
    kv_error ignored = { 0 };

    if (window->until_ms > window->from_ms)
        at->row.hint_why = window->explanation;
    at->row.hint_from = hint->from;
    at->row.hint_until = hint->until;
    at->row.hint_at = hint->at;
    if (!news || kv_arena_print(work->arena, &text, &ignored, "%.*s/%.*s%c%.*s%c",
                                KV_SLICE_ARG(at->vault_row.display_name),
                                KV_SLICE_ARG(at->object.display_name), 0,
                                KV_SLICE_ARG(window->explanation), 0) != KV_OK)
        return;
    kv_log_write(vault->config.log, KV_LOG_WARNING, "certificate.renewal.suggested",
                 (kv_log_field[]){ { "certificate", (const char *)text.data, 0 },
                                   { "explanation", strchr((const char *)text.data, 0) + 1, 0 },
                                   { 0 } });
}

/* Nothing is stored before: a crash asks once more. No answer is no harm: the plan stands. */
static kv_status ask(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    kv_renewal_hint hint = hint_of(&at->row);
    kv_issuer_window window = { 0 };
    kv_change change = { 0 };
    uint64_t random = 0;
    kv_error why = { 0 };
    bool crowded = false;

    if (!kv_random_id((uint8_t *)&random, sizeof(random)))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    if (ask_window(vault, work, at, &window, &crowded, &why) == KV_OK)
        at->row.ask_failures = 0;
    else if (!crowded)
        at->row.ask_failures++;
    hint = kv_renewal_hint_of(&hint, window.from_ms, window.until_ms, random);
    take_window(vault, work, at, &window, &hint);
    at->row.ask_at =
        crowded ? work->now_ms + CROWDED_WAIT_MS
                : kv_renewal_ask_again(work->now_ms, window.retry_ms, at->row.ask_failures);
    plan(&at->row, &at->facts);
    KV_TRY(kv_change_update(&change, &kv_table_renewals, &at->row, err));
    return kv_commit_step(vault, work, "CertificateRenewHint", &change, err);
}

/* --- its turn --- */

static kv_status turn_of(kv_vault *vault, kv_work *work, renewal *at, kv_renewal_turn *out,
                         kv_error *err)
{
    kv_renewal_plan plan_now = { .renew_at = at->row.renew_at,
                                 .ask_at = at->row.ask_at,
                                 .attempts = at->row.attempts };
    kv_gate_facts gate;
    kv_health health;

    KV_TRY(kv_issuer_gate_facts(vault, work, &at->vault_row, at->row.issuer, &at->policy,
                                at->version.expires - at->version.not_before, &health, &gate, err));
    *out = kv_renewal_turn_of(&plan_now, &at->facts, &gate);
    return KV_OK;
}

/* What it waits for may have ended, and those who wait may have been woken, before it was one of
 * them: then it has missed that, and is woken here. */
static kv_status put_off(kv_vault *vault, kv_work *work, renewal *at, const kv_renewal_turn *turn,
                         kv_error *err)
{
    kv_renewal_turn now;
    kv_status status;

    at->row.waiting = turn->waiting;
    KV_TRY(kv_due_move(vault, work, &renewals, &at->row, turn->due_at, err));
    if (turn->waiting != KV_WAITING_HEALTH && turn->waiting != KV_WAITING_BLACKOUT)
        return KV_OK;
    status = kv_vault_by_uid(vault, work, at->row.vault_uid, &at->vault_row, err);
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    KV_TRY(turn_of(vault, work, at, &now, err));
    if (now.act == KV_RENEWAL_WAIT && now.waiting == turn->waiting)
        return KV_OK;
    at->row.waiting = KV_WAITING_NOTHING;
    return kv_due_move(vault, work, &renewals, &at->row,
                       kv_health_wake(work->now_ms, turn->due_at, WAKE_SPREAD_MS, at->facts.seed),
                       err);
}

static kv_status act(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    kv_renewal_turn turn;

    KV_TRY(turn_of(vault, work, at, &turn, err));
    switch (turn.act) {
    case KV_RENEWAL_WAIT:
        return put_off(vault, work, at, &turn, err);
    case KV_RENEWAL_ASK:
        return ask(vault, work, at, err);
    case KV_RENEWAL_BEGIN:
        break;
    }
    return begin(vault, work, at, turn.due_at, err);
}

/* Its issuer is not there, or not what it was: an attempt that failed. */
static kv_status without_issuer(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    kv_change change = { 0 };
    kv_error why = *err;

    *err = (kv_error){ 0 };
    at->row.attempts++;
    at->row.due_at = kv_renewal_again(work->now_ms, at->row.attempts, at->version.expires,
                                      kv_seed_of(at->version.version));
    report(vault, work, at, &why);
    KV_TRY(kv_change_update(&change, &kv_table_renewals, &at->row, err));
    KV_TRY(tell_failure(work, at, &why, &change, err));
    return kv_commit_step(vault, work, "CertificateRenewFail", &change, err);
}

/* Something that it belongs to cannot be trusted: those behind it do not wait for that. */
static kv_status shelve(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    report(vault, work, at, err);
    return kv_due_shelve(vault, work, &renewals, &at->row, work->now_ms + BROKEN_WAIT_MS, err);
}

static kv_status renew_or_wait(kv_vault *vault, kv_work *work, renewal *at, kv_error *err)
{
    kv_status status = look(vault, work, at, err);
    bool yes = false;

    if (status == KV_NOT_FOUND)
        return kv_due_forget(vault, work, &renewals, &at->row, err);
    KV_TRY(status);
    if (at->object.deleted || at->vault_row.deleted)
        return kv_due_move(vault, work, &renewals, &at->row, work->now_ms + DELETED_WAIT_MS, err);
    KV_TRY(planned(vault, work, &at->vault_row, &at->policy, &at->version, &at->facts, &at->issuer,
                   &yes, err));
    if (!yes)
        return kv_due_forget(vault, work, &renewals, &at->row, err);
    if (!at->version.enabled)
        return kv_due_move(vault, work, &renewals, &at->row, work->now_ms + DISABLED_WAIT_MS, err);
    return act(vault, work, at, err);
}

static kv_status take_turn(kv_vault *vault, kv_work *work, int64_t *next_at, kv_error *err)
{
    renewal at = { .errand = -1 };
    kv_status status;

    KV_TRY(earliest(vault, work, &at, next_at, err));
    if (at.errand < 0)
        return KV_OK;
    status = renew_or_wait(vault, work, &at, err);
    if (status == KV_BAD_REQUEST && at.version.version.len)
        status = without_issuer(vault, work, &at, err);
    else if (status == KV_INTERNAL || status == KV_BAD_REQUEST)
        status = shelve(vault, work, &at, err);
    if (kv_errand_end(vault->errands, at.errand))
        kv_wake_steps(vault);
    return status;
}

kv_status kv_vault_step_renewal(kv_vault *vault, int64_t *next_at, kv_error *err)
{
    return kv_due_step(vault, "CertificateRenew", take_turn, next_at, err);
}
