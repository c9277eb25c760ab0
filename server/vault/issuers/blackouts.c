/* blackouts.c - when nothing is renewed, as a vault or an issuer says it; what waits for the end of
 * such a window looks again when the window is changed. */
#include <stdio.h>

#include "server/vault/issuers/issuer_state.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/row_walk.h"

enum { SPREAD_MS = 15 * 60 * 1000 };

kv_status kv_blackouts_store(kv_work *work, const kv_x509_list *texts, const char *field,
                             kv_slice *out, kv_error *err)
{
    kv_x509_list given = *texts;
    kv_blackout window;
    char element[64];

    /* As a command line says that there are to be none any more. */
    if (given.count == 1 && kv_slice_equal(given.items[0], KV_SLICE("none")))
        given = (kv_x509_list){ 0 };
    if (given.count > KV_BLACKOUTS_MAX)
        return kv_fail_field(err, field, "has at most %d elements", KV_BLACKOUTS_MAX);
    for (size_t i = 0; i < given.count; i++) {
        (void)snprintf(element, sizeof(element), "%s[%zu]", field, i);
        KV_TRY(kv_blackout_parse(given.items[i], element, &window, err));
    }
    return kv_texts_store(work, &given, out, err);
}

/* --- who waits for an end --- */

typedef struct windows {
    kv_blackout *items;
    unsigned count;
} windows;

static kv_status add(kv_work *work, kv_slice stored, windows *to, kv_error *err)
{
    kv_x509_list texts;

    KV_TRY(kv_texts_load(work, stored, &texts, err));
    for (size_t i = 0; i < texts.count && i < KV_BLACKOUTS_MAX; i++)
        KV_TRY(kv_blackout_parse(texts.items[i], "blackouts", &to->items[to->count++], err));
    return KV_OK;
}

/* Those of the vault, and of one of its issuers or of all: windows that follow each other are one.
 */
static kv_status gather(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                        kv_slice issuer, windows *to, kv_error *err)
{
    kv_issuer_row from = { .vault_uid = vault_row->uid };
    kv_scan scan = {
        .table = &kv_table_issuers, .prefix = 1, .from = &from, .limit = KV_ISSUERS_MAX
    };
    const kv_issuer_row *issuers;
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    issuers = rows.rows;
    to->items = kv_arena_array(work->arena, (rows.count + 1) * (size_t)KV_BLACKOUTS_MAX,
                               sizeof(*to->items));
    if (!to->items)
        return kv_arena_full(err);
    KV_TRY(add(work, vault_row->blackouts, to, err));
    for (unsigned i = 0; i < rows.count; i++)
        if (!issuer.len || kv_slice_equal(issuer, issuers[i].name))
            KV_TRY(add(work, issuers[i].blackouts, to, err));
    return KV_OK;
}

kv_status kv_blackout_change_begin(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                                   kv_slice issuer, kv_slice stored, kv_slice given,
                                   kv_blackout_change *out, kv_error *err)
{
    windows all = { 0 };
    int64_t end;

    *out = (kv_blackout_change){ .vault_uid = vault_row->uid, .issuer = issuer };
    if (kv_slice_equal(stored, given))
        return KV_OK;
    KV_TRY(gather(vault, work, vault_row, issuer, &all, err));
    end = kv_blackout_end(all.items, all.count, work->now_ms);
    out->until = end ? end + KV_GATE_SPREAD_MAX_MS : 0;
    return KV_OK;
}

static kv_row_verdict wake(const void *context, int64_t now_ms, void *found)
{
    const kv_blackout_change *of = context;
    kv_renewal_row *row = found;
    int64_t at;

    if (row->due_at > of->until)
        return KV_ROW_STOP;
    if (row->waiting != KV_WAITING_BLACKOUT || !kv_slice_equal(row->vault_uid, of->vault_uid) ||
        (of->issuer.len && !kv_slice_equal(row->issuer, of->issuer)))
        return KV_ROW_LEAVE;
    at = kv_health_wake(now_ms, row->due_at, SPREAD_MS, kv_seed_of(row->version));
    if (at == row->due_at)
        return KV_ROW_LEAVE;
    row->due_at = at;
    return KV_ROW_CHANGE;
}

void kv_blackout_change_end(kv_vault *vault, kv_work *work, const kv_blackout_change *change)
{
    kv_renewal_row from = { .due_at = work->now_ms };
    kv_row_walk walk = { .table = &kv_table_renewals,
                         .index = 1,
                         .from = &from,
                         .judge = wake,
                         .context = change,
                         .operation = "BlackoutWakeRenewals" };
    kv_error later = { 0 };

    if (!change->until)
        return;
    if (kv_walk_rows(vault, work, &walk, &later) != KV_OK)
        kv_log_write(vault->config.log, KV_LOG_WARNING, "blackout.wake",
                     (kv_log_field[]){ { "why", later.message, 0 }, { 0 } });
    kv_wake_steps(vault);
}
