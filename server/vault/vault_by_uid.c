/* vault_by_uid.c - under which name a vault stands, remembered in a table of fixed size. */
#include "server/vault/vault_by_uid.h"

#include <stdlib.h>

#include "server/vault/objects.h"

/* A power of two; places are taken by whoever comes last. */
enum { PLACES = 4096, VAULTS_PER_STEP = 50 };

typedef struct hint {
    uint8_t uid[KV_UID_BYTES];
    uint8_t len; /* 0: none */
    char name[KV_VAULT_NAME_MAX];
} hint;

struct kv_vault_hints {
    pthread_mutex_t mutex; /* guards what follows */
    hint at[PLACES];
};

kv_vault_hints *kv_vault_hints_new(void)
{
    kv_vault_hints *hints = calloc(1, sizeof(*hints));

    if (hints)
        (void)pthread_mutex_init(&hints->mutex, NULL);
    return hints;
}

void kv_vault_hints_free(kv_vault_hints *hints)
{
    if (!hints)
        return;
    (void)pthread_mutex_destroy(&hints->mutex);
    free(hints);
}

/* A uid is random. */
static hint *place_of(kv_vault_hints *hints, kv_slice uid)
{
    return &hints->at[(uid.data[0] | (unsigned)uid.data[1] << 8) % PLACES];
}

static bool recall(kv_vault_hints *hints, kv_slice uid, hint *out)
{
    const hint *place = place_of(hints, uid);

    pthread_mutex_lock(&hints->mutex);
    *out = *place;
    pthread_mutex_unlock(&hints->mutex);
    return out->len && kv_slice_equal(kv_slice_of(out->uid, KV_UID_BYTES), uid);
}

static void note(kv_vault_hints *hints, const hint *found)
{
    hint *place = place_of(hints, kv_slice_of(found->uid, KV_UID_BYTES));

    pthread_mutex_lock(&hints->mutex);
    *place = *found;
    pthread_mutex_unlock(&hints->mutex);
}

static kv_status no_vault(kv_error *err)
{
    return kv_fail(err, KV_NOT_FOUND, "an operation's vault is gone");
}

static bool take_name(hint *at, kv_slice name)
{
    if (!name.len || name.len > KV_VAULT_NAME_MAX)
        return false;
    memcpy(at->name, name.data, name.len);
    at->len = (uint8_t)name.len;
    return true;
}

/* One page after `at`, which moves to the vault that was looked for or the last one. In memory of
 * its own: there may be any number of vaults. */
static kv_status look_on(kv_vault *vault, hint *at, bool *seen, bool *more, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
    kv_vault_row from = { .name = kv_slice_of(at->name, at->len) };
    kv_scan scan = {
        .table = &kv_table_vaults, .from = &from, .after = at->len > 0, .limit = VAULTS_PER_STEP
    };
    const kv_vault_row *vaults;
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, &arena, &rows, err));
    vaults = rows.rows;
    *more = rows.more;
    for (unsigned i = 0; i < rows.count && !*seen; i++) {
        *seen = kv_slice_equal(vaults[i].uid, kv_slice_of(at->uid, KV_UID_BYTES));
        if ((*seen || i + 1 == rows.count) && !take_name(at, vaults[i].name))
            return kv_fail(err, KV_INTERNAL, "a vault's row is not well formed");
    }
    return KV_OK;
}

/* KV_NOT_FOUND, too, when the name is another vault's by now. */
static kv_status read_there(kv_vault *vault, kv_work *work, const hint *at, kv_vault_row *out,
                            kv_error *err)
{
    kv_vault_row row = { 0 };

    KV_TRY(kv_arena_copy(work->arena, kv_slice_of(at->name, at->len), &row.name, err));
    KV_TRY(kv_records_get(vault->config.records, &kv_table_vaults, &row, work->arena, err));
    if (!kv_slice_equal(row.uid, kv_slice_of(at->uid, KV_UID_BYTES)))
        return no_vault(err);
    *out = row;
    return KV_OK;
}

kv_status kv_vault_by_uid(kv_vault *vault, kv_work *work, kv_slice uid, kv_vault_row *out,
                          kv_error *err)
{
    hint at;
    kv_status status;
    bool seen = false;
    bool more = true;

    if (uid.len != KV_UID_BYTES)
        return no_vault(err);
    if (recall(vault->hints, uid, &at)) {
        status = read_there(vault, work, &at, out, err);
        if (status != KV_NOT_FOUND)
            return status;
        *err = (kv_error){ 0 };
    }
    at = (hint){ 0 };
    memcpy(at.uid, uid.data, KV_UID_BYTES);
    while (!seen && more)
        KV_TRY(look_on(vault, &at, &seen, &more, err));
    if (!seen)
        return no_vault(err);
    status = read_there(vault, work, &at, out, err);
    if (status == KV_OK)
        note(vault->hints, &at);
    return status;
}
