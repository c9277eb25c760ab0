/* proofs.c - the board of proofs, in the store. */
#include "server/vault/operations/proofs.h"

#include "server/vault/own_step.h"

enum { SWEEP_ROWS = 500, ATTEMPTS = 3 };

/* What follows the token says whose account it is: a digest of the account's key. */
static kv_slice account_of(kv_slice says)
{
    const uint8_t *dot = says.len ? memrchr(says.data, '.', says.len) : NULL;

    return dot ? kv_slice_of(dot, says.len - (size_t)(dot - says.data)) : says;
}

static kv_status find_row(kv_vault *vault, kv_arena *arena, const kv_challenge_notice *notice,
                          kv_proof_row *row, bool *exists, kv_error *err)
{
    kv_status status;

    *row = (kv_proof_row){ .type = notice->type, .asked = notice->asked };
    status = kv_records_get(vault->config.records, &kv_table_proofs, row, arena, err);
    *exists = status == KV_OK;
    if (status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    *row = (kv_proof_row){ .type = notice->type, .asked = notice->asked };
    return KV_OK;
}

static kv_status post_once(kv_vault *vault, kv_work *work, const kv_challenge_notice *notice,
                           kv_error *err)
{
    kv_change change = { 0 };
    kv_proof_row row;
    bool exists = false;

    KV_TRY(find_row(vault, work->arena, notice, &row, &exists, err));
    if (exists && row.ends_at > work->now_ms) {
        bool same = kv_slice_equal(row.says, notice->says);

        if (same && row.ends_at > work->now_ms + KV_PROOF_MS / 2)
            return KV_OK;
        if (!same && !kv_slice_equal(account_of(row.says), account_of(notice->says)))
            return kv_fail(err, KV_UNAVAILABLE,
                           "another account is proving the same at this moment");
    }
    row.says = notice->says;
    row.ends_at = work->now_ms + KV_PROOF_MS;
    KV_TRY(exists ? kv_change_update(&change, &kv_table_proofs, &row, err)
                  : kv_change_insert(&change, &kv_table_proofs, &row, err));
    return kv_commit_step(vault, work, "ChallengePresent", &change, err);
}

static kv_status remove_once(kv_vault *vault, kv_work *work, const kv_challenge_notice *notice,
                             kv_error *err)
{
    kv_change change = { 0 };
    kv_proof_row row;
    bool exists = false;

    KV_TRY(find_row(vault, work->arena, notice, &row, &exists, err));
    if (!exists || !kv_slice_equal(row.says, notice->says))
        return KV_OK;
    KV_TRY(kv_change_delete(&change, &kv_table_proofs, &row, err));
    return kv_commit_step(vault, work, "ChallengeClean", &change, err);
}

typedef kv_status change_once(kv_vault *vault, kv_work *work, const kv_challenge_notice *notice,
                              kv_error *err);

/* Two that meet: the later one looks again. */
static kv_status change(kv_vault *vault, change_once *once, const kv_challenge_notice *notice,
                        kv_error *err)
{
    kv_status status = KV_CONFLICT;

    for (int i = 0; i < ATTEMPTS && (status == KV_CONFLICT || status == KV_EXISTS); i++) {
        kv_own_step at;

        *err = (kv_error){ 0 };
        status = kv_own_step_begin(vault, &at, err);
        if (status == KV_OK)
            status = once(vault, &at.work, notice, err);
        kv_own_step_end(&at);
    }
    return status;
}

static kv_status post(void *context, const kv_challenge_notice *notice, kv_error *err)
{
    return change(context, post_once, notice, err);
}

static kv_status take_down(void *context, const kv_challenge_notice *notice, kv_error *err)
{
    return change(context, remove_once, notice, err);
}

static kv_status find(void *context, kv_challenge_notice *notice, kv_arena *arena, kv_error *err)
{
    kv_vault *vault = context;
    kv_proof_row row;
    bool exists = false;

    KV_TRY(find_row(vault, arena, notice, &row, &exists, err));
    if (!exists || row.ends_at <= kv_clock_now_ms(vault->config.clock))
        return kv_fail(err, KV_NOT_FOUND, "no authority is to be told that");
    notice->says = row.says;
    return KV_OK;
}

kv_challenge_board kv_vault_board(kv_vault *vault)
{
    return (
        kv_challenge_board){ .post = post, .find = find, .remove = take_down, .context = vault };
}

static kv_status sweep(kv_vault *vault, kv_work *work, bool *more, kv_error *err)
{
    kv_proof_row from = { 0 };
    kv_scan scan = { .table = &kv_table_proofs, .index = 1, .from = &from, .limit = SWEEP_ROWS };
    kv_change gone = { 0 };
    kv_proof_row *found;
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    KV_TRY(kv_change_room(&gone, work->arena, rows.count, err));
    found = rows.rows;
    for (unsigned i = 0; i < rows.count; i++)
        if (found[i].ends_at <= work->now_ms)
            KV_TRY(kv_change_delete(&gone, &kv_table_proofs, &found[i], err));
    *more = gone.count == SWEEP_ROWS;
    return gone.count ? kv_commit_step(vault, work, "ChallengeSweep", &gone, err) : KV_OK;
}

kv_status kv_vault_proofs_due(kv_vault *vault, bool *more, kv_error *err)
{
    kv_own_step at;
    kv_status status;

    *more = false;
    status = kv_own_step_begin(vault, &at, err);
    if (status == KV_OK)
        status = sweep(vault, &at.work, more, err);
    kv_own_step_end(&at);
    return status;
}
