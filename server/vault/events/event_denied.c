/* event_denied.c - who tried what they may not is told, once an hour for each operation.
 *
 * The refusal itself is answered and recorded as ever; here it is only noted, in bounded memory, by
 * the worker that refused. A thread of the server's own makes the event.
 */
#include "server/vault/events/event_denied.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/vault/events/event_rules.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/own_step.h"

enum { SEEN = 1024, WAITING = 64, HOUR_MS = 60 * 60 * 1000, TEXT_BYTES = 132 };

/* The last one of a principal and operation, or of another pair with the same place. */
typedef struct seen {
    uint8_t principal[KV_PRINCIPAL_ID_BYTES];
    const char *operation;
    int64_t at;
} seen;

typedef struct denial {
    char principal[TEXT_BYTES];
    const char *operation; /* static */
    char vault[TEXT_BYTES];
    kv_collection collection;
    char name[TEXT_BYTES];
} denial;

struct kv_denials {
    pthread_mutex_t mutex; /* guards all that follows */
    seen seen[SEEN];
    denial waiting[WAITING];
    unsigned count;
};

kv_denials *kv_denials_new(void)
{
    kv_denials *denials = calloc(1, sizeof(*denials));

    if (denials)
        (void)pthread_mutex_init(&denials->mutex, NULL);
    return denials;
}

void kv_denials_free(kv_denials *denials)
{
    if (!denials)
        return;
    (void)pthread_mutex_destroy(&denials->mutex);
    free(denials);
}

/* With the mutex held. */
static bool is_news(kv_denials *denials, const kv_caller *caller, const char *operation,
                    int64_t now)
{
    uint32_t place = (uint32_t)(uintptr_t)operation >> 3;
    seen *at;

    for (unsigned i = 0; i < KV_PRINCIPAL_ID_BYTES; i++)
        place = place * 31 + caller->principal_id[i];
    at = &denials->seen[place % SEEN];
    if (at->operation == operation && now >= at->at && now - at->at < HOUR_MS &&
        kv_slice_equal(kv_slice_of(at->principal, sizeof(at->principal)),
                       kv_slice_of(caller->principal_id, sizeof(caller->principal_id))))
        return false;
    memcpy(at->principal, caller->principal_id, sizeof(at->principal));
    at->operation = operation;
    at->at = now;
    return true;
}

static void keep_text(kv_slice text, bool good, char out[TEXT_BYTES])
{
    (void)snprintf(out, TEXT_BYTES, "%.*s", good ? (int)text.len : 0, (const char *)text.data);
}

/* Names are the caller's own words: what is no name is left out. */
static denial denial_of(const kv_caller *caller, const char *operation, const kv_target *target)
{
    kv_error ignored = { 0 };
    denial made = { .operation = operation, .collection = target->collection };

    keep_text(caller->principal_name, caller->principal_name.len < TEXT_BYTES, made.principal);
    keep_text(target->vault, kv_check_vault_name(target->vault, &ignored) == KV_OK, made.vault);
    keep_text(target->name, kv_check_name(target->name, "name", &ignored) == KV_OK, made.name);
    return made;
}

void kv_event_denied(kv_vault *vault, const kv_caller *caller, const char *operation,
                     const kv_target *target, int64_t now_ms)
{
    kv_denials *denials = vault->denials;
    denial made = denial_of(caller, operation, target);
    bool news;

    pthread_mutex_lock(&denials->mutex);
    news = denials->count < WAITING && is_news(denials, caller, operation, now_ms);
    if (news)
        denials->waiting[denials->count++] = made;
    pthread_mutex_unlock(&denials->mutex);
    if (news)
        kv_wake_steps(vault);
}

static bool take(kv_denials *denials, denial *out)
{
    bool found;

    pthread_mutex_lock(&denials->mutex);
    found = denials->count > 0;
    if (found)
        *out = denials->waiting[--denials->count];
    pthread_mutex_unlock(&denials->mutex);
    return found;
}

static kv_status tell(kv_vault *vault, kv_work *work, const denial *what, kv_error *err)
{
    kv_event_row row = { .collection = what->collection,
                         .vault = kv_slice_text(what->vault),
                         .name = kv_slice_text(what->name),
                         .principal = kv_slice_text(what->principal),
                         .operation = kv_slice_text(what->operation) };
    kv_change change = { 0 };
    kv_vault_row vault_row;
    kv_status status = KV_NOT_FOUND;

    if (row.vault.len)
        status = kv_find_any_vault(vault, work, row.vault, &vault_row, err);
    if (status == KV_OK)
        kv_event_place(&vault_row, NULL, &row);
    else if (status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    work->entry->vault = row.vault;
    KV_TRY(kv_event_add(work, KV_EVENT_ACCESS_DENIED, &row, &change, err));
    return kv_commit_step(vault, work, "AccessDeniedTell", &change, err);
}

kv_status kv_vault_step_denied(kv_vault *vault, int64_t *next_at, kv_error *err)
{
    kv_status status = KV_OK;
    denial what;

    *next_at = 0;
    while (status == KV_OK && take(vault->denials, &what)) {
        kv_own_step at;

        status = kv_own_step_begin(vault, &at, err);
        if (status == KV_OK)
            status = tell(vault, &at.work, &what, err);
        kv_own_step_end(&at);
    }
    return status;
}
