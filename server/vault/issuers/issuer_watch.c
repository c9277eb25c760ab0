/* issuer_watch.c - issuers that will not go on working: their credentials end, they are unwell, or
 * they have had what is allowed. And budgets that are full again, which nobody needs. */
#include "server/base/text.h"
#include "server/lifecycle/expiry.h"
#include "server/vault/checks.h"
#include "server/vault/events/event_rules.h"
#include "server/vault/issuers/issuer_state.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/own_step.h"
#include "server/vault/watch.h"

enum { SOON_DAYS = 30, TOLD_MOST = 10, ROWS_PER_STEP = 100 };

/* --- credentials --- */

typedef kv_status ending(kv_vault *vault, kv_work *work, const kv_issuer_row *issuer,
                         const kv_vault_row *vault_row, void *context, kv_error *err);

/* Each issuer whose credential ends soon, or has ended. */
static kv_status each_ending(kv_vault *vault, kv_work *work, ending *visit, void *context,
                             unsigned *count, kv_error *err)
{
    const kv_issuer_row *issuers;
    kv_rows rows;

    KV_TRY(kv_issuers_expiring(vault, work, work->now_ms + (int64_t)SOON_DAYS * KV_DAY_MS, &rows,
                               err));
    issuers = rows.rows;
    *count = rows.count;
    for (unsigned i = 0; i < rows.count; i++) {
        kv_vault_row vault_row;
        kv_status status = kv_vault_by_uid(vault, work, issuers[i].vault_uid, &vault_row, err);

        if (status == KV_NOT_FOUND) {
            *err = (kv_error){ 0 };
            continue;
        }
        KV_TRY(status);
        KV_TRY(visit(vault, work, &issuers[i], &vault_row, context, err));
    }
    return KV_OK;
}

static kv_status check_ending(kv_vault *vault, kv_work *work, const kv_issuer_row *issuer,
                              const kv_vault_row *vault_row, void *context, kv_error *err)
{
    bool over = issuer->credential_expires <= work->now_ms;
    char date[KV_TIME_TEXT_BYTES];

    (void)vault;
    kv_time_text(issuer->credential_expires, date);
    return kv_checks_add(context, "issuer", over ? KV_CHECK_ERROR : KV_CHECK_WARNING,
                         "get a new one from the authority, then 'kvctl issuer update "
                         "--credential-file'",
                         err, "the credential of '%.*s' in vault '%.*s' %s on %.10s",
                         KV_SLICE_ARG(issuer->display_name), KV_SLICE_ARG(vault_row->display_name),
                         over ? "ended" : "ends", date);
}

static kv_status log_ending(kv_vault *vault, kv_work *work, const kv_issuer_row *issuer,
                            const kv_vault_row *vault_row, void *context, kv_error *err)
{
    int64_t left_ms = issuer->credential_expires - work->now_ms;
    kv_slice name;

    (void)context;
    KV_TRY(kv_arena_print(work->arena, &name, err, "%.*s/%.*s%c",
                          KV_SLICE_ARG(vault_row->display_name), KV_SLICE_ARG(issuer->display_name),
                          0));
    kv_log_write(vault->config.log, left_ms > 0 ? KV_LOG_WARNING : KV_LOG_ERROR,
                 left_ms > 0 ? "issuer.credential_expires" : "issuer.credential_expired",
                 (kv_log_field[]){ { "issuer", (const char *)name.data, 0 },
                                   { "days_left", NULL, left_ms > 0 ? left_ms / KV_DAY_MS : 0 },
                                   { 0 } });
    return KV_OK;
}

kv_status kv_vault_watch_issuers(kv_vault *vault, kv_error *err)
{
    unsigned count = 0;
    kv_own_step at;
    kv_status status = kv_own_step_begin(vault, &at, err);

    if (status == KV_OK)
        status = each_ending(vault, &at.work, log_ending, NULL, &count, err);
    kv_own_step_end(&at);
    return status;
}

/* The moment is stored with the event, so each is told once, whoever looks and however often. */
static kv_status announce(kv_vault *vault, kv_work *work, const kv_issuer_row *issuer,
                          const kv_expiry_notice *notice, const kv_vault_row *vault_row,
                          kv_error *err)
{
    kv_event_row event = { .issuer = issuer->name,
                           .not_before = issuer->credential_since,
                           .expires = issuer->credential_expires,
                           .cause = kv_slice_text(notice->cause) };
    kv_issuer_row row = *issuer;
    kv_change change = { 0 };

    row.credential_told = notice->at;
    KV_TRY(kv_change_update(&change, &kv_table_issuers, &row, err));
    kv_event_place(vault_row, NULL, &event);
    KV_TRY(kv_event_add(work,
                        notice->over ? KV_EVENT_ISSUER_CREDENTIAL_EXPIRED
                                     : KV_EVENT_ISSUER_CREDENTIAL_NEAR_EXPIRY,
                        &event, &change, err));
    return kv_commit_step(vault, work, "IssuerCredentialAnnounce", &change, err);
}

/* A share of a long life is over long before the last month begins, so all are looked at. */
static kv_status announce_if_due(kv_vault *vault, kv_own_step *at, void *row, void *context,
                                 kv_error *err)
{
    const kv_issuer_row *issuer = row;
    kv_expiry_life life = { .begins = issuer->credential_since,
                            .expires = issuer->credential_expires };
    kv_expiry_notice notice = kv_expiry_latest(&life, at->work.now_ms);
    kv_vault_row vault_row;
    kv_status status;

    (void)context;
    if (!life.expires || !notice.cause || notice.at <= issuer->credential_told)
        return KV_OK;
    status = kv_vault_by_uid(vault, &at->work, issuer->vault_uid, &vault_row, err);
    if (status == KV_OK && !vault_row.deleted)
        status = announce(vault, &at->work, issuer, &notice, &vault_row, err);
    /* The vault is gone; or somebody sets the issuer in this moment, or another server was first.
     */
    if (status != KV_NOT_FOUND && status != KV_CONFLICT)
        return status;
    *err = (kv_error){ 0 };
    return KV_OK;
}

kv_status kv_vault_announce_credentials(kv_vault *vault, kv_error *err)
{
    return kv_each_row(vault, &kv_table_issuers, announce_if_due, NULL, err);
}

/* --- how they are --- */

typedef struct looking {
    kv_checks *checks;
    unsigned asked, told;
} looking;

static kv_status check_orders(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                              const kv_issuer_state_row *state, looking *at, kv_error *err)
{
    kv_issuer_limits limits;
    char date[KV_TIME_TEXT_BYTES];
    int64_t ready;

    KV_TRY(kv_issuer_limits_of(vault, work, vault_row, state->issuer, &limits, err));
    if (!limits.orders.every_ms)
        return KV_OK;
    ready = kv_budget_ready(limits.orders, state->orders_full_at, 0, work->now_ms);
    if (ready <= work->now_ms)
        return KV_OK;
    at->told++;
    kv_time_text(ready, date);
    return kv_checks_add(at->checks, "issuer", KV_CHECK_WARNING,
                         "it evens out; or 'kvctl issuer update --orders-per-hour'", err,
                         "'%.*s' in vault '%.*s' has had all orders that are allowed, until %s",
                         KV_SLICE_ARG(state->issuer), KV_SLICE_ARG(vault_row->display_name), date);
}

static kv_status check_state(kv_vault *vault, kv_own_step *step, void *row, void *context,
                             kv_error *err)
{
    const kv_issuer_state_row *state = row;
    looking *at = context;
    char date[KV_TIME_TEXT_BYTES];
    kv_vault_row vault_row;
    kv_status status;

    at->asked++;
    if (at->told >= TOLD_MOST)
        return KV_OK;
    status = kv_vault_by_uid(vault, &step->work, state->vault_uid, &vault_row, err);
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    if (!state->unwell_since)
        return check_orders(vault, &step->work, &vault_row, state, at, err);
    at->told++;
    kv_time_text(state->unwell_since, date);
    return kv_checks_add(at->checks, "issuer", KV_CHECK_ERROR,
                         "'kvctl issuer check' asks it; what waits for it goes on by itself", err,
                         "'%.*s' in vault '%.*s' does not work since %s: %.*s",
                         KV_SLICE_ARG(state->issuer), KV_SLICE_ARG(vault_row.display_name), date,
                         KV_SLICE_ARG(state->reason));
}

kv_status kv_issuers_check(kv_vault *vault, kv_work *work, kv_checks *checks, kv_error *err)
{
    looking at = { .checks = checks };
    unsigned ends = 0;

    KV_TRY(each_ending(vault, work, check_ending, checks, &ends, err));
    KV_TRY(kv_each_row(vault, &kv_table_issuer_states, check_state, &at, err));
    if (ends || at.told)
        return KV_OK;
    return kv_checks_add(checks, "issuers", KV_CHECK_OK, "", err,
                         "%u outside were asked and work; no credential ends within %d days",
                         at.asked, SOON_DAYS);
}

/* --- budgets --- */

static kv_status sweep_some(kv_vault *vault, kv_work *work, bool *more, kv_error *err)
{
    kv_name_budget_row from = { 0 };
    kv_scan scan = {
        .table = &kv_table_name_budgets, .index = 1, .from = &from, .limit = ROWS_PER_STEP
    };
    kv_change change = { 0 };
    kv_name_budget_row *found;
    unsigned count = 0;
    kv_rows rows;

    KV_TRY(kv_records_scan_sound(vault->config.records, &scan, work->arena, &rows, err));
    found = rows.rows;
    while (count < rows.count && found[count].full_at <= work->now_ms)
        count++;
    *more = rows.more && count == rows.count;
    if (!count)
        return KV_OK;
    KV_TRY(kv_change_room(&change, work->arena, count, err));
    for (unsigned i = 0; i < count; i++)
        KV_TRY(kv_change_delete(&change, &kv_table_name_budgets, &found[i], err));
    return kv_commit_step(vault, work, "BudgetSweep", &change, err);
}

kv_status kv_vault_sweep_budgets(kv_vault *vault, bool *more, kv_error *err)
{
    kv_own_step at;
    kv_status status = kv_own_step_begin(vault, &at, err);

    *more = false;
    if (status == KV_OK)
        status = sweep_some(vault, &at.work, more, err);
    kv_own_step_end(&at);
    /* A certificate of those names came meanwhile: another time. */
    if (status != KV_CONFLICT)
        return status;
    *more = false;
    *err = (kv_error){ 0 };
    return KV_OK;
}
