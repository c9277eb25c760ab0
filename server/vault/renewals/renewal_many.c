/* renewal_many.c - renewals of many certificates: counted for the hours to come, brought forward.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/text.h"
#include "server/lifecycle/renewal.h"
#include "server/vault/issuers/issuer_state.h"
#include "server/vault/messages/messages_renewals.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"

enum {
    ROWS_PER_PAGE = 500,
    FEWER = 5, /* 100, 20, 4, 1 */
    TOKEN_MAX = 96,
    HOUR_MS = 60 * 60 * 1000
};

/* Where a page goes on: a time of the whole list, and the last row. */
typedef struct place {
    int64_t time;
    int64_t at;
    uint8_t object_uid[KV_UID_BYTES];
} place;

/* A number and the slash behind it. */
static bool take_number(const char **at, int64_t *out)
{
    char *end = NULL;

    errno = 0;
    *out = strtoll(*at, &end, 10);
    if (errno || end == *at || *end != '/')
        return false;
    *at = end + 1;
    return true;
}

static kv_status read_place(kv_slice token, place *out, bool *given, kv_error *err)
{
    char text[TOKEN_MAX] = { 0 };
    const char *rest = text;

    *given = token.len > 0;
    if (!token.len)
        return KV_OK;
    if (token.len < sizeof(text))
        memcpy(text, token.data, token.len);
    if (!take_number(&rest, &out->time) || !take_number(&rest, &out->at) ||
        !kv_unhex(kv_slice_text(rest), out->object_uid, sizeof(out->object_uid)))
        return kv_page_refused(err);
    return KV_OK;
}

static kv_status write_place(kv_work *work, int64_t time, int64_t at, kv_slice object_uid,
                             kv_slice *out, kv_error *err)
{
    char digits[2 * KV_UID_BYTES + 1];

    kv_hex(object_uid, digits);
    return kv_arena_print(work->arena, out, err, "%lld/%lld/%s", (long long)time, (long long)at,
                          digits);
}

/* --- the forecast --- */

enum { ISSUERS_KNOWN = 32, BLACKOUTS_FOLLOWED = 4 };

/* When an issuer of a vault is not asked; a page has certificates of few. */
typedef struct known_issuer {
    kv_slice vault_uid; /* empty: none yet */
    kv_slice issuer;
    kv_issuer_limits limits;
} known_issuer;

typedef struct counting {
    int64_t from;
    uint32_t *renewals;
    uint32_t hours;
    known_issuer *known; /* ISSUERS_KNOWN */
    unsigned next_known; /* that the next one replaces */
} counting;

/* A vault that is gone has no certificates that are renewed. */
static kv_status limits_of(kv_vault *vault, kv_work *work, const kv_renewal_row *row, counting *to,
                           const kv_issuer_limits **out, kv_error *err)
{
    known_issuer *fresh = &to->known[to->next_known];
    kv_vault_row vault_row;
    kv_status status;

    for (unsigned i = 0; i < ISSUERS_KNOWN; i++) {
        *out = &to->known[i].limits;
        if (kv_slice_equal(to->known[i].vault_uid, row->vault_uid) &&
            kv_slice_equal(to->known[i].issuer, row->issuer))
            return KV_OK;
    }
    status = kv_vault_by_uid(vault, work, row->vault_uid, &vault_row, err);
    if (status == KV_OK)
        status = kv_issuer_limits_of(vault, work, &vault_row, row->issuer, &fresh->limits, err);
    else if (status == KV_NOT_FOUND)
        fresh->limits = (kv_issuer_limits){ 0 };
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    fresh->vault_uid = row->vault_uid;
    fresh->issuer = row->issuer;
    to->next_known = (to->next_known + 1) % ISSUERS_KNOWN;
    *out = &fresh->limits;
    return KV_OK;
}

/* When what is planned for `at` begins, by the rules that are asked then; `facts` of the version
 * that is to be followed. Health and budgets of that day are not known. */
static int64_t past_blackouts(const kv_issuer_limits *limits, const kv_renewal_facts *facts,
                              int64_t at)
{
    const kv_health well = { 0 };

    for (unsigned i = 0; i < BLACKOUTS_FOLLOWED; i++) {
        kv_renewal_plan plan = { .renew_at = at };
        kv_gate_facts gate = {
            .now_ms = at,
            .health = &well,
            .blackout_end = kv_blackout_end(limits->blackouts, limits->blackout_count, at),
        };
        kv_renewal_turn turn = kv_renewal_turn_of(&plan, facts, &gate);

        if (turn.act != KV_RENEWAL_WAIT)
            break;
        at = turn.due_at;
    }
    return at;
}

/* As often as it will be renewed, if everything stays as it is. */
static void count(const kv_renewal_row *row, const kv_issuer_limits *limits, counting *to)
{
    int64_t end = to->from + (int64_t)to->hours * HOUR_MS;
    int64_t period = row->period > HOUR_MS ? row->period : HOUR_MS;
    int64_t at = row->renew_at > to->from ? row->renew_at : to->from;
    kv_renewal_facts facts = { .not_before = row->not_before,
                               .not_after = row->expires,
                               .seed = kv_seed_of(row->version) };

    for (; at < end; at += period) {
        int64_t begins = past_blackouts(limits, &facts, at);

        if (begins < end)
            to->renewals[(begins - to->from) / HOUR_MS]++;
        facts.not_before += period;
        facts.not_after += period;
    }
}

static kv_status count_page(kv_vault *vault, kv_work *work, kv_slice vault_uid, const place *after,
                            counting *to, kv_slice *next, kv_error *err)
{
    kv_renewal_row from = { .renew_at = after->at,
                            .object_uid =
                                kv_slice_of(after->object_uid, sizeof(after->object_uid)) };
    kv_scan scan = { .table = &kv_table_renewals,
                     .index = 3,
                     .from = &from,
                     .after = true,
                     .limit = KV_SCAN_LIMIT };
    const kv_renewal_row *rows;
    kv_rows found;

    KV_TRY(kv_records_scan_sound(vault->config.records, &scan, work->arena, &found, err));
    rows = found.rows;
    for (unsigned i = 0; i < found.count; i++) {
        const kv_issuer_limits *limits;

        if (rows[i].renew_at >= to->from + (int64_t)to->hours * HOUR_MS)
            return KV_OK;
        if (vault_uid.len && !kv_slice_equal(rows[i].vault_uid, vault_uid))
            continue;
        KV_TRY(limits_of(vault, work, &rows[i], to, &limits, err));
        count(&rows[i], limits, to);
    }
    if (!found.more || !found.count)
        return KV_OK;
    return write_place(work, to->from, rows[found.count - 1].renew_at,
                       rows[found.count - 1].object_uid, next, err);
}

kv_status kv_forecast_read(kv_vault *vault, kv_work *work, const kv_forecast_get_in *in,
                           kv_forecast *out, kv_error *err)
{
    counting to = { .hours = in->hours ? in->hours : KV_FORECAST_HOURS };
    kv_slice next = KV_SLICE_NONE;
    kv_vault_row vault_row = { 0 };
    place after = { .at = INT64_MIN };
    bool given = false;

    work->entry->collection = KV_SLICE("certificates");
    if (to.hours > KV_FORECAST_HOURS_MAX)
        return kv_fail_field(err, "hours", "is at most %d", KV_FORECAST_HOURS_MAX);
    KV_TRY(read_place(in->token, &after, &given, err));
    if (in->target.vault.len)
        KV_TRY(kv_find_vault(vault, work, in->target.vault, &vault_row, err));
    to.from = given ? after.time : work->now_ms;
    to.renewals = kv_arena_array(work->arena, to.hours, sizeof(*to.renewals));
    to.known = kv_arena_array(work->arena, ISSUERS_KNOWN, sizeof(*to.known));
    if (!to.renewals || !to.known)
        return kv_arena_full(err);
    memset(to.known, 0, ISSUERS_KNOWN * sizeof(*to.known));
    memset(to.renewals, 0, to.hours * sizeof(*to.renewals));
    KV_TRY(count_page(vault, work, vault_row.uid, &after, &to, &next, err));
    *out = (kv_forecast){
        .from = to.from, .renewals = to.renewals, .hours = to.hours, .next_page_token = next
    };
    return KV_OK;
}

/* --- all of one issuer --- */

/* It keeps its time until it is renewed: the issuer is not asked what it suggests. */
static void bring_forward(kv_renewal_row *row, int64_t now_ms, int64_t until)
{
    int64_t steps = (int64_t)(kv_seed_of(row->version) % 10000);
    int64_t at = now_ms + (until - now_ms) / 10000 * steps;

    row->ask_at = 0;
    row->hint_from = now_ms;
    row->hint_until = until;
    row->hint_at = at;
    row->hint_why = KV_SLICE_NONE;
    row->renew_at = at;
    if (!row->attempts || row->due_at > at)
        row->due_at = at;
    row->waiting = KV_WAITING_NOTHING;
}

typedef struct bringing {
    kv_slice vault_uid;
    kv_slice issuer;
    int64_t until;
    place after;
    unsigned page; /* rows to be looked at at once */
    bool more;
    uint32_t count;
} bringing;

static kv_status gather(kv_vault *vault, kv_work *step, bringing *of, kv_change *change,
                        kv_error *err)
{
    kv_renewal_row from = { .vault_uid = of->vault_uid,
                            .issuer = of->issuer,
                            .due_at = of->after.at,
                            .object_uid =
                                kv_slice_of(of->after.object_uid, sizeof(of->after.object_uid)) };
    kv_scan scan = {
        .table = &kv_table_renewals, .index = 2, .from = &from, .after = true, .limit = of->page
    };
    kv_renewal_row *rows;
    kv_rows found;

    KV_TRY(kv_records_scan_sound(vault->config.records, &scan, step->arena, &found, err));
    KV_TRY(kv_change_room(change, step->arena, ROWS_PER_PAGE, err));
    rows = found.rows;
    of->more = found.more;
    for (unsigned i = 0; i < found.count; i++) {
        if (!kv_slice_equal(rows[i].vault_uid, of->vault_uid) ||
            !kv_slice_equal(rows[i].issuer, of->issuer)) {
            of->more = false;
            break;
        }
        of->after.at = rows[i].due_at;
        memcpy(of->after.object_uid, rows[i].object_uid.data, sizeof(of->after.object_uid));
        if (rows[i].renew_at <= of->until)
            continue;
        bring_forward(&rows[i], step->now_ms, of->until);
        KV_TRY(kv_change_update(change, &kv_table_renewals, &rows[i], err));
    }
    return KV_OK;
}

/* The last one makes the call complete, and is what a repeated call is told from. */
static kv_status store_page(kv_vault *vault, kv_work *step, const bringing *of, kv_change *change,
                            kv_error *err)
{
    if (!change->count)
        return KV_OK;
    if (of->more)
        return kv_lost_race(kv_commit_step(vault, step, "CertificateIssuerRenewSome", change, err),
                            err);
    return kv_lost_race(kv_commit_change(vault, step, change, err), err);
}

static kv_status try_page(kv_vault *vault, kv_work *work, bringing *of, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
    kv_work step = kv_step_of(work, &arena);
    kv_change change = { 0 };
    unsigned count;

    KV_TRY(gather(vault, &step, of, &change, err));
    count = change.count; /* the last page's change gets the call's idempotency key, too */
    if (of->more && kv_deadline_passed(work->deadline))
        return kv_fail(err, KV_TIMEOUT, "%u were brought forward in time; call again for the rest",
                       of->count);
    KV_TRY(store_page(vault, &step, of, &change, err));
    of->count += count;
    return KV_OK;
}

/* Who renews them changes these rows all the time: the fewer are to be changed at once, the surer
 * nobody comes first. */
static kv_status bring_page(kv_vault *vault, kv_work *work, bringing *of, kv_error *err)
{
    const place from = of->after;
    unsigned races = 0;
    kv_status status;

    of->page = ROWS_PER_PAGE;
    do {
        of->after = from;
        status = try_page(vault, work, of, err);
        of->page = (of->page + FEWER - 1) / FEWER;
    } while (kv_race_again(work, status, &races, err));
    return status;
}

static kv_status find_issuer(kv_vault *vault, kv_work *work, const kv_renew_all_in *in,
                             kv_vault_row *vault_row, kv_slice *issuer, kv_error *err)
{
    KV_AUTO(kv_chosen_issuer) chosen = { 0 };

    work->entry->collection = KV_SLICE("issuers");
    KV_TRY(kv_find_vault(vault, work, in->target.vault, vault_row, err));
    KV_TRY(kv_check_name(in->target.issuer, "issuer", err));
    work->entry->name = in->target.issuer;
    KV_TRY(kv_issuer_open(vault, work, vault_row, in->target.issuer, &chosen, err));
    return kv_text_lower(work->arena, in->target.issuer, issuer, err);
}

kv_status kv_renewal_all(kv_vault *vault, kv_work *work, const kv_renew_all_in *in,
                         kv_renewed_all *out, kv_error *err)
{
    int64_t spread = in->spread_seconds ? in->spread_seconds : KV_RENEW_ALL_SPREAD_S;
    bringing of = { .after = { .at = INT64_MIN }, .more = true };
    kv_vault_row vault_row;
    kv_status status = KV_OK;

    if (spread > KV_RENEW_ALL_SPREAD_MAX_S)
        return kv_fail_field(err, "spread_seconds", "is at most %d", KV_RENEW_ALL_SPREAD_MAX_S);
    KV_TRY(find_issuer(vault, work, in, &vault_row, &of.issuer, err));
    of.vault_uid = vault_row.uid;
    of.until = work->now_ms + spread * 1000;
    while (status == KV_OK && of.more)
        status = bring_page(vault, work, &of, err);
    /* Those of the pages that were stored, whatever became of the others. */
    if (of.count)
        kv_wake_steps(vault);
    KV_TRY(status);
    *out = (kv_renewed_all){ .count = of.count };
    return KV_OK;
}
