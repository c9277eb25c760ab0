/* issuer_state.c - how an issuer of a vault is, how much it may be asked, and when not. */
#include "server/vault/issuers/issuer_state.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "server/base/text.h"
#include "server/vault/events/event_rules.h"

enum { RACES_MAX = 8, SHA256_BYTES = 32, SHARE_OF_LIFE = 4 };

#define HOUR_MS INT64_C(3600000)
#define WEEK_MS (7 * (int64_t)KV_DAY_MS)

/* --- what is allowed --- */

/* Adds them to those that there are. */
static kv_status read_blackouts(kv_work *work, kv_slice stored, kv_issuer_limits *out,
                                kv_error *err)
{
    kv_x509_list texts;

    KV_TRY(kv_texts_load(work, stored, &texts, err));
    if (texts.count > KV_BLACKOUTS_MAX)
        return kv_fail(err, KV_INTERNAL, "a vault or an issuer has too many blackouts");
    for (size_t i = 0; i < texts.count; i++)
        KV_TRY(kv_blackout_parse(texts.items[i], "blackouts",
                                 &out->blackouts[out->blackout_count++], err));
    return KV_OK;
}

kv_status kv_issuer_limits_of(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                              kv_slice issuer, kv_issuer_limits *out, kv_error *err)
{
    const kv_issuer *provider;
    kv_issuer_row row;
    bool exists = false;

    *out = (kv_issuer_limits){ 0 };
    KV_TRY(read_blackouts(work, vault_row->blackouts, out, err));
    KV_TRY(kv_issuer_look_up(vault, work, vault_row->uid, issuer, &row, &exists, err));
    if (!exists)
        return KV_OK;
    KV_TRY(read_blackouts(work, row.blackouts, out, err));
    provider = kv_provider_find(vault, row.provider);
    if (!provider || !provider->outside)
        return KV_OK;
    out->orders =
        kv_budget_of(row.orders_per_hour ? row.orders_per_hour : KV_ORDERS_PER_HOUR, HOUR_MS);
    out->certificates_per_week =
        row.certificates_per_week ? row.certificates_per_week : KV_CERTIFICATES_PER_WEEK;
    return KV_OK;
}

/* So many a week, but as often as certificates that live for hours need it. */
static kv_budget names_budget(const kv_issuer_limits *limits, int64_t life_ms)
{
    kv_budget budget = kv_budget_of(limits->certificates_per_week, WEEK_MS);

    if (budget.every_ms && life_ms > 0 && budget.every_ms > life_ms / SHARE_OF_LIFE)
        budget.every_ms = life_ms / SHARE_OF_LIFE;
    return budget;
}

/* --- the row --- */

kv_status kv_issuer_state_find(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_slice issuer,
                               kv_issuer_state_row *out, kv_error *err)
{
    kv_issuer_state_row row = { .vault_uid = vault_uid, .issuer = issuer };
    kv_status status =
        kv_records_get(vault->config.records, &kv_table_issuer_states, &row, work->arena, err);

    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        row = (kv_issuer_state_row){ .vault_uid = vault_uid, .issuer = issuer };
    }
    *out = row;
    return KV_OK;
}

kv_health kv_issuer_health(const kv_issuer_state_row *state)
{
    return (kv_health){ .failures = state->failures,
                        .unwell_since = state->unwell_since,
                        .probe_at = state->probe_at,
                        .paused_until = state->paused_until };
}

kv_slice kv_issuer_trouble(const kv_issuer_state_row *state, int64_t now_ms)
{
    return state->unwell_since || state->paused_until > now_ms ? state->reason : KV_SLICE_NONE;
}

kv_status kv_issuer_show_health(kv_vault *vault, kv_work *work, const kv_issuer_row *row,
                                kv_issuer_bundle *out, kv_error *err)
{
    kv_issuer_state_row state;

    KV_TRY(kv_issuer_state_find(vault, work, row->vault_uid, row->name, &state, err));
    out->healthy = !state.unwell_since;
    out->unhealthy_since = state.unwell_since;
    out->paused_until = state.paused_until > work->now_ms ? state.paused_until : 0;
    out->unhealthy_reason = kv_issuer_trouble(&state, work->now_ms);
    return KV_OK;
}

static void put_health(kv_issuer_state_row *state, const kv_health *health)
{
    state->failures = health->failures;
    state->unwell_since = health->unwell_since;
    state->probe_at = health->probe_at;
    state->paused_until = health->paused_until;
}

/* With an event, if `type` is one. */
static kv_status store_state(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                             kv_issuer_state_row *state, const char *step,
                             const kv_event_type *type, kv_error *err)
{
    kv_event_row event = { .issuer = state->issuer };
    kv_change change = { 0 };

    state->updated = work->now_ms;
    if (state->head.generation)
        KV_TRY(kv_change_update(&change, &kv_table_issuer_states, state, err));
    else
        KV_TRY(kv_change_insert(&change, &kv_table_issuer_states, state, err));
    if (type) {
        kv_event_place(vault_row, NULL, &event);
        if (*type == KV_EVENT_ISSUER_UNHEALTHY) {
            event.error_code = KV_SLICE("IssuerUnhealthy");
            event.error_message = state->reason;
        }
        KV_TRY(kv_event_add(work, *type, &event, &change, err));
    }
    return kv_commit_step(vault, work, step, &change, err);
}

static bool lost_race(kv_status status)
{
    return status == KV_CONFLICT || status == KV_EXISTS;
}

/* --- names --- */

static int compare(const void *a, const void *b)
{
    const kv_slice *left = a;
    const kv_slice *right = b;

    return kv_slice_compare(*left, *right);
}

/* Names of one kind, in whatever order and case they are written. */
static kv_status hash_list(kv_work *work, EVP_MD_CTX *hash, char kind, const kv_x509_list *names,
                           kv_error *err)
{
    kv_slice *sorted = kv_arena_array(work->arena, names->count, sizeof(*sorted));

    if (!sorted)
        return kv_arena_full(err);
    for (size_t i = 0; i < names->count; i++)
        KV_TRY(kv_text_lower(work->arena, names->items[i], &sorted[i], err));
    if (names->count)
        qsort(sorted, names->count, sizeof(*sorted), compare);
    for (size_t i = 0; i < names->count; i++)
        if (!EVP_DigestUpdate(hash, &kind, 1) ||
            !EVP_DigestUpdate(hash, sorted[i].data, sorted[i].len) ||
            !EVP_DigestUpdate(hash, "", 1))
            return kv_fail(err, KV_INTERNAL, "names could not be hashed");
    return KV_OK;
}

static kv_status hash_names(kv_work *work, EVP_MD_CTX *hash, const kv_x509_props *props,
                            kv_error *err)
{
    kv_x509_list subject = { .items = &props->subject, .count = props->subject.len > 0 };
    const kv_x509_sans *sans = &props->sans;

    KV_TRY(hash_list(work, hash, 'd', &sans->dns_names, err));
    KV_TRY(hash_list(work, hash, 'e', &sans->emails, err));
    KV_TRY(hash_list(work, hash, 'u', &sans->upns, err));
    KV_TRY(hash_list(work, hash, 'r', &sans->uris, err));
    KV_TRY(hash_list(work, hash, 'i', &sans->ip_addresses, err));
    if (sans->dns_names.count || sans->ip_addresses.count)
        return KV_OK;
    return hash_list(work, hash, 's', &subject, err);
}

static kv_status digest_of(kv_work *work, const kv_x509_policy *policy, kv_slice *out,
                           kv_error *err)
{
    uint8_t *digest = kv_arena_alloc(work->arena, SHA256_BYTES);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    kv_status status = KV_OK;

    if (!digest || !hash)
        status = kv_arena_full(err);
    else if (!EVP_DigestInit_ex(hash, EVP_sha256(), NULL))
        status = kv_fail(err, KV_INTERNAL, "names could not be hashed");
    if (status == KV_OK)
        status = hash_names(work, hash, &policy->x509_props, err);
    if (status == KV_OK && !EVP_DigestFinal_ex(hash, digest, NULL))
        status = kv_fail(err, KV_INTERNAL, "names could not be hashed");
    EVP_MD_CTX_free(hash);
    *out = kv_slice_of(digest, SHA256_BYTES);
    return status;
}

static kv_status find_names(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                            kv_slice issuer, const kv_x509_policy *policy, kv_name_budget_row *out,
                            kv_error *err)
{
    kv_name_budget_row row = { .vault_uid = vault_row->uid, .issuer = issuer };
    kv_status status;

    KV_TRY(digest_of(work, policy, &row.names, err));
    *out = row;
    status = kv_records_get(vault->config.records, &kv_table_name_budgets, &row, work->arena, err);
    if (status == KV_OK)
        *out = row;
    if (status == KV_NOT_FOUND)
        *err = (kv_error){ 0 };
    return status == KV_NOT_FOUND ? KV_OK : status;
}

/* --- gates --- */

kv_status kv_issuer_gate_facts(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                               kv_slice issuer, const kv_x509_policy *policy, int64_t life_ms,
                               kv_health *health, kv_gate_facts *out, kv_error *err)
{
    kv_issuer_state_row state;
    kv_name_budget_row names;
    kv_issuer_limits limits;

    KV_TRY(kv_issuer_limits_of(vault, work, vault_row, issuer, &limits, err));
    KV_TRY(kv_issuer_state_find(vault, work, vault_row->uid, issuer, &state, err));
    *health = kv_issuer_health(&state);
    *out = (kv_gate_facts){
        .now_ms = work->now_ms,
        .health = health,
        .orders = limits.orders,
        .orders_full_at = state.orders_full_at,
        .blackout_end = kv_blackout_end(limits.blackouts, limits.blackout_count, work->now_ms),
    };
    if (!policy || !limits.certificates_per_week)
        return KV_OK;
    KV_TRY(find_names(vault, work, vault_row, issuer, policy, &names, err));
    out->names = names_budget(&limits, life_ms);
    out->names_full_at = names.full_at;
    return KV_OK;
}

kv_status kv_issuer_probing(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                            kv_slice issuer, kv_error *err)
{
    kv_issuer_state_row state;
    kv_health health;
    int64_t until;

    KV_TRY(kv_issuer_state_find(vault, work, vault_row->uid, issuer, &state, err));
    health = kv_issuer_health(&state);
    if (kv_health_may_ask(&health, work->now_ms, &until) == KV_HEALTH_WAIT)
        return kv_fail(err, KV_CONFLICT, "somebody else asks the issuer");
    kv_health_probing(&health, work->now_ms, KV_OPERATION_CLAIM_MS);
    put_health(&state, &health);
    return store_state(vault, work, vault_row, &state, "IssuerProbe", NULL, err);
}

kv_status kv_issuer_take_order(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                               kv_slice issuer, kv_error *err)
{
    kv_issuer_limits limits;
    kv_status status = KV_CONFLICT;

    KV_TRY(kv_issuer_limits_of(vault, work, vault_row, issuer, &limits, err));
    if (!limits.orders.every_ms)
        return KV_OK;
    for (unsigned i = 0; i < RACES_MAX && lost_race(status); i++) {
        kv_issuer_state_row state;

        *err = (kv_error){ 0 };
        KV_TRY(kv_issuer_state_find(vault, work, vault_row->uid, issuer, &state, err));
        state.orders_full_at = kv_budget_take(limits.orders, state.orders_full_at, work->now_ms);
        status = store_state(vault, work, vault_row, &state, "IssuerOrder", NULL, err);
    }
    return status;
}

kv_status kv_issuer_take_names(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                               kv_slice issuer, const kv_x509_policy *policy, int64_t life_ms,
                               kv_name_budget_row *row, kv_change *change, kv_error *err)
{
    kv_issuer_limits limits;

    KV_TRY(kv_issuer_limits_of(vault, work, vault_row, issuer, &limits, err));
    if (!limits.certificates_per_week)
        return KV_OK;
    KV_TRY(find_names(vault, work, vault_row, issuer, policy, row, err));
    row->full_at = kv_budget_take(names_budget(&limits, life_ms), row->full_at, work->now_ms);
    return row->head.generation ? kv_change_update(change, &kv_table_name_budgets, row, err)
                                : kv_change_insert(change, &kv_table_name_budgets, row, err);
}

/* --- what was heard --- */

static void log_change(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                       const kv_issuer_state_row *state, kv_health_change change)
{
    bool ill = change == KV_HEALTH_FELL_ILL;
    kv_error ignored = { 0 };
    kv_slice name;
    kv_slice why;

    if (kv_arena_print(work->arena, &name, &ignored, "%.*s/%.*s%c",
                       KV_SLICE_ARG(vault_row->display_name), KV_SLICE_ARG(state->issuer),
                       0) != KV_OK ||
        kv_arena_print(work->arena, &why, &ignored, "%.*s%c", KV_SLICE_ARG(state->reason), 0) !=
            KV_OK)
        return;
    kv_log_write(vault->config.log, ill ? KV_LOG_ERROR : KV_LOG_INFO,
                 ill ? "issuer.unhealthy" : "issuer.healthy",
                 (kv_log_field[]){ { "issuer", (const char *)name.data, 0 },
                                   { "why", (const char *)why.data, 0 },
                                   { 0 } });
}

static kv_status hear(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                      kv_slice issuer, const kv_health_news *news, kv_slice why,
                      kv_issuer_state_row *state, kv_health_change *change, kv_error *err)
{
    static const kv_event_type types[] = { [KV_HEALTH_FELL_ILL] = KV_EVENT_ISSUER_UNHEALTHY,
                                           [KV_HEALTH_RECOVERED] = KV_EVENT_ISSUER_HEALTHY };
    kv_health health;

    KV_TRY(kv_issuer_state_find(vault, work, vault_row->uid, issuer, state, err));
    health = kv_issuer_health(state);
    *change = kv_health_heard(&health, news);
    if (*change == KV_HEALTH_SAME)
        return KV_OK;
    put_health(state, &health);
    if (news->fault || news->pause_ms > 0)
        state->reason = why;
    else if (*change == KV_HEALTH_RECOVERED)
        state->reason = KV_SLICE_NONE;
    return store_state(vault, work, vault_row, state, "IssuerHealth",
                       *change >= KV_HEALTH_FELL_ILL ? &types[*change] : NULL, err);
}

kv_status kv_issuer_heard(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                          kv_slice issuer, kv_health_news *news, kv_slice why, int64_t *resume_at,
                          kv_error *err)
{
    kv_health_change change = KV_HEALTH_SAME;
    kv_issuer_state_row state = { 0 };
    kv_status status = KV_CONFLICT;
    kv_health health;

    news->now_ms = work->now_ms;
    news->seed = kv_seed_of(issuer);
    for (unsigned i = 0; i < RACES_MAX && lost_race(status); i++) {
        *err = (kv_error){ 0 };
        status = hear(vault, work, vault_row, issuer, news, why, &state, &change, err);
    }
    KV_TRY(status);
    health = kv_issuer_health(&state);
    (void)kv_health_may_ask(&health, work->now_ms, resume_at);
    if (change < KV_HEALTH_FELL_ILL)
        return KV_OK;
    log_change(vault, work, vault_row, &state, change);
    return change == KV_HEALTH_RECOVERED ? kv_issuer_wake(vault, work, vault_row->uid, issuer, err)
                                         : KV_OK;
}
