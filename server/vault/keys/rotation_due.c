/* rotation_due.c - keys are followed, told of and retired when their time comes, without anybody
 * asking.
 *
 * A row says when a key is to be looked at, read through an index by time: nothing scans tables.
 * What is then due follows from the policy and the versions alone. Before the token is asked the
 * row is moved to the time of the next attempt, and what the token did is stored only if the row is
 * as it was left: a crash in between costs a minute, and of two servers one wins.
 */
#include "server/vault/due.h"
#include "server/vault/events/event_rules.h"
#include "server/vault/keys/rotation_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"

enum { DELETED_WAIT_MS = KV_DAY_MS, BROKEN_WAIT_MS = 60 * 60 * 1000 };

static const kv_due rotations = { &kv_table_rotations, offsetof(kv_rotation_row, due_at),
                                  "KeyRotateLater", "KeyRotateNever" };

typedef struct rotation {
    kv_rotation_row row;
    kv_vault_row vault_row;
    kv_object_row object;
    kv_key_version_row version; /* the current one */
    kv_rotation_times times;
} rotation;

static kv_status look(kv_vault *vault, kv_work *work, rotation *at, kv_error *err)
{
    kv_rotation_view view = { &at->vault_row, &at->object, NULL, &at->version, NULL };

    KV_TRY(kv_object_by_uid(vault, work, at->row.object_uid, &at->object, err));
    KV_TRY(kv_vault_by_uid(vault, work, at->row.vault_uid, &at->vault_row, err));
    work->entry->vault = at->vault_row.display_name;
    work->entry->collection = KV_SLICE("keys");
    work->entry->name = at->object.display_name;
    KV_TRY(kv_find_key_version(vault, work, at->object.uid, at->object.current, &at->version, err));
    return kv_rotation_times_of(vault, work, &view, &at->row, &at->times, err);
}

static void report(kv_vault *vault, kv_work *work, const rotation *at, kv_log_level level,
                   const char *event, const char *why)
{
    kv_slice name = KV_SLICE_NONE;
    kv_error ignored = { 0 };

    if (kv_arena_print(work->arena, &name, &ignored, "%.*s/%.*s%c",
                       KV_SLICE_ARG(at->vault_row.display_name),
                       KV_SLICE_ARG(at->object.display_name), 0) != KV_OK)
        return;
    kv_log_write(vault->config.log, level, event,
                 (kv_log_field[]){ { "key", (const char *)name.data, 0 },
                                   { "why", why, 0 },
                                   { "attempt", NULL, at->row.attempts },
                                   { 0 } });
}

/* A lost race is no failure: somebody else did it, or it is not to be done any more. */
static void report_failure(kv_vault *vault, kv_work *work, const rotation *at, kv_log_level level,
                           const char *event, kv_status status, const kv_error *why)
{
    if (status != KV_OK && status != KV_CONFLICT)
        report(vault, work, at, level, event, why->message);
}

/* The attempt is counted and the next one has its time before this one begins. */
static kv_status begin(kv_vault *vault, kv_work *work, rotation *at, int64_t end, kv_error *err)
{
    kv_change change = { 0 };
    int64_t left = end > work->now_ms ? end - work->now_ms : 0;

    at->row.attempts++;
    at->row.due_at =
        work->now_ms + kv_backoff_ms(at->row.attempts, left, kv_seed_of(at->version.version));
    KV_TRY(kv_change_update(&change, &kv_table_rotations, &at->row, err));
    return kv_commit_step(vault, work, "KeyRotateBegin", &change, err);
}

/* Without the token nothing can be born, and what was begun would have to be cleared away. */
static bool token_is_there(const kv_vault *vault)
{
    const kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_KEYS);

    return token && kv_token_state_of(token) != KV_TOKEN_DOWN;
}

static kv_status rotate(kv_vault *vault, kv_work *work, rotation *at, kv_error *err)
{
    kv_key_bundle made;
    kv_error why = { 0 };

    KV_TRY(begin(vault, work, at, at->version.expires, err));
    if (!token_is_there(vault)) {
        report(vault, work, at, KV_LOG_WARNING, "key.rotation.failed", "the token is away");
        return KV_OK;
    }
    report_failure(vault, work, at, KV_LOG_WARNING, "key.rotation.failed",
                   kv_key_follow(vault, work, &at->vault_row, &at->object, &at->row, &made, &why),
                   &why);
    return KV_OK;
}

static kv_status tell(kv_vault *vault, kv_work *work, rotation *at, kv_error *err)
{
    kv_event_version about = KV_EVENT_VERSION_OF(&at->vault_row, &at->object, &at->version);
    kv_event_row event = kv_event_of_version(&about, "policy");
    kv_change change = { 0 };

    at->row.told_of = at->version.expires;
    at->row.due_at = work->now_ms;
    KV_TRY(kv_event_add(work, KV_EVENT_KEY_NEAR_EXPIRY, &event, &change, err));
    KV_TRY(kv_change_update(&change, &kv_table_rotations, &at->row, err));
    return kv_commit_step(vault, work, "KeyNearExpiry", &change, err);
}

static kv_status retire(kv_vault *vault, kv_work *work, rotation *at, kv_error *err)
{
    kv_error why = { 0 };

    if (at->times.retiree.turn.act == KV_RETIREMENT_DISABLE)
        return kv_version_disable(vault, work, &at->vault_row, &at->object,
                                  at->times.retiree.version, &at->row, err);
    KV_TRY(begin(vault, work, at, 0, err));
    if (!token_is_there(vault))
        return KV_OK;
    report_failure(vault, work, at, KV_LOG_ERROR, "key.destruction.failed",
                   kv_version_destroy(vault, work, &at->vault_row, &at->object,
                                      at->times.retiree.version, &at->row, &why),
                   &why);
    return KV_OK;
}

/* --- what is due --- */

static bool due(int64_t at, int64_t now_ms)
{
    return at && at <= now_ms;
}

/* What fails and is tried again does not keep the others waiting: the notice first, then in turns.
 */
static kv_status act(kv_vault *vault, kv_work *work, rotation *at, kv_error *err)
{
    bool rotates = due(at->times.rotate_at, work->now_ms);
    bool retires = due(at->times.retiree.turn.at, work->now_ms);

    if (due(at->times.notice_at, work->now_ms))
        return tell(vault, work, at, err);
    if (rotates && retires)
        rotates = at->row.attempts % 2 == 0;
    return rotates ? rotate(vault, work, at, err) : retire(vault, work, at, err);
}

static bool rests(const rotation *at)
{
    return at->object.deleted || at->vault_row.deleted;
}

static kv_status act_or_wait(kv_vault *vault, kv_work *work, rotation *at, kv_error *err)
{
    kv_status status = look(vault, work, at, err);
    int64_t next;

    if (status == KV_NOT_FOUND)
        return kv_due_forget(vault, work, &rotations, &at->row, err);
    KV_TRY(status);
    if (rests(at))
        return kv_due_move(vault, work, &rotations, &at->row, work->now_ms + DELETED_WAIT_MS, err);
    next = kv_rotation_first(&at->times);
    if (!next)
        return kv_due_forget(vault, work, &rotations, &at->row, err);
    if (next > work->now_ms)
        return kv_due_move(vault, work, &rotations, &at->row, next, err);
    return act(vault, work, at, err);
}

/* Something that it belongs to cannot be trusted: those behind it do not wait for that. */
static kv_status shelve(kv_vault *vault, kv_work *work, rotation *at, kv_error *err)
{
    report(vault, work, at, KV_LOG_ERROR, "key.rotation.failed", err->message);
    return kv_due_shelve(vault, work, &rotations, &at->row, work->now_ms + BROKEN_WAIT_MS, err);
}

static kv_status take_turn(kv_vault *vault, kv_work *work, int64_t *next_at, kv_error *err)
{
    rotation at = { 0 };
    bool found = false;
    kv_status status;

    KV_TRY(kv_due_first(vault, work, &rotations, &at.row, &found, err));
    *next_at = at.row.due_at;
    if (!found || at.row.due_at > work->now_ms)
        return KV_OK;
    status = act_or_wait(vault, work, &at, err);
    if (status == KV_INTERNAL || status == KV_NOT_FOUND)
        status = shelve(vault, work, &at, err);
    return status;
}

kv_status kv_vault_step_rotation(kv_vault *vault, int64_t *next_at, kv_error *err)
{
    return kv_due_step(vault, "KeyRotateIfDue", take_turn, next_at, err);
}
