/* births.c - token keys come and go with their rows, so that no crash leaves one without the other.
 *
 * Before a key is made its id stands in the store as `creating`, with this server and a lease;
 * before one is destroyed it stands there as `destroying`. Whatever a crash interrupts is finished
 * by reconcile.c from these rows. A key whose row is `ready` is never touched on the way back from
 * a failure: that is somebody's.
 */
#include "pkcs11/token_import.h"
#include "pkcs11/token_key.h"
#include "server/base/text.h"
#include "server/vault/objects.h"

enum { BIRTH_LEASE_MS = 10 * 60 * 1000 };

static const char *const class_names[KV_CLASS_COUNT] = {
    [KV_CLASS_NONE] = "",         [KV_CLASS_SIGN] = "sign", [KV_CLASS_DECRYPT] = "decrypt",
    [KV_CLASS_SECRET] = "secret", [KV_CLASS_SEAL] = "seal", [KV_CLASS_MAC] = "mac",
    [KV_CLASS_CIPHER] = "cipher", [KV_CLASS_WRAP] = "wrap", [KV_CLASS_EXCHANGE] = "exchange",
};

kv_slice kv_class_name(kv_key_class class)
{
    return kv_slice_text(class < KV_CLASS_COUNT ? class_names[class] : "");
}

static kv_status begin(kv_vault *vault, kv_work *work, kv_birth *birth, kv_token *token,
                       kv_token_object_row *row, kv_error *err)
{
    kv_change change = { 0 };
    kv_slice id;

    KV_TRY(kv_new_uid(work, &id, err));
    memcpy(birth->key_id, id.data, sizeof(birth->key_id));
    *row = (kv_token_object_row){
        .key_id = id,
        .state = KV_SLICE("creating"),
        .duty = birth->duty,
        .token = kv_slice_text(kv_token_label(token)),
        .class = kv_class_name(birth->class),
        .kind = kv_slice_text(kv_key_kind_of(birth->kind)->name),
        .node = kv_slice_of(vault->node, sizeof(vault->node)),
        .lease_until = work->now_ms + BIRTH_LEASE_MS,
        .owner_uid = birth->owner_uid,
        .created = work->now_ms,
    };
    KV_TRY(kv_change_insert(&change, &kv_table_token_objects, row, err));
    return kv_commit_step(vault, work, "TokenKeyBegin", &change, err);
}

static kv_status mark(kv_vault *vault, kv_work *work, const char *step, kv_token_object_row *row,
                      kv_error *err)
{
    kv_change change = { 0 };

    if (kv_slice_equal(row->state, KV_SLICE("destroying")))
        return KV_OK;
    row->state = KV_SLICE("destroying");
    KV_TRY(kv_change_update(&change, &kv_table_token_objects, row, err));
    return kv_commit_step(vault, work, step, &change, err);
}

/* The row first: from then on no crash makes it `ready` again. `step` is the name of that. */
static kv_status destroy(kv_vault *vault, kv_work *work, const char *step, kv_token_object_row *row,
                         kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, (kv_duty)row->duty);
    kv_change change = { 0 };

    if (!token || row->key_id.len != KV_KEY_ID_BYTES)
        return kv_fail(err, KV_INTERNAL, "a key belongs to a token this server does not have");
    KV_TRY(mark(vault, work, step, row, err));
    KV_TRY(kv_token_key_destroy(token, row->key_id.data, err));
    KV_TRY(kv_change_delete(&change, &kv_table_token_objects, row, err));
    return kv_commit_step(vault, work, "TokenKeyDestroyed", &change, err);
}

/* A change that failed may stand all the same: it was made and the answer was lost, or it is in the
 * file, could not be brought to the disk for certain, and counts if the process is killed now. So
 * the row says what becomes of the key, and where it is not `ready` it is changed before the key is
 * touched: with that the failed change is void. */
static kv_status undo(kv_vault *vault, kv_work *work, const kv_birth *birth, bool *kept,
                      kv_error *err)
{
    kv_token_object_row row = { .key_id = kv_slice_of(birth->key_id, sizeof(birth->key_id)) };
    kv_status status =
        kv_records_get(vault->config.records, &kv_table_token_objects, &row, work->arena, err);

    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return kv_token_key_destroy(kv_tokens_get(vault->config.tokens, birth->duty), birth->key_id,
                                    err);
    }
    KV_TRY(status);
    *kept = kv_slice_equal(row.state, KV_SLICE("ready"));
    return *kept ? KV_OK : destroy(vault, work, "TokenKeyUndo", &row, err);
}

void kv_birth_undo(kv_vault *vault, kv_work *work, const kv_birth *birth)
{
    /* The call's own memory may be what there was not enough of. */
    KV_AUTO(kv_arena) arena = KV_ARENA(KV_STEP_ARENA_BYTES);
    kv_work step = kv_step_of(work, &arena);
    kv_error why = { 0 };
    bool kept = false;

    if (undo(vault, &step, birth, &kept, &why) != KV_OK)
        kv_log_write(vault->config.log, KV_LOG_WARNING, "token.key.undo_later",
                     (kv_log_field[]){ { "why", why.message, 0 }, { 0 } });
    else if (kept)
        kv_log_write(vault->config.log, KV_LOG_WARNING, "token.key.kept",
                     (kv_log_field[]){ { "why", "the change that failed was made", 0 }, { 0 } });
}

kv_status kv_birth_key(kv_vault *vault, kv_work *work, kv_birth *birth, kv_token_object_row *row,
                       kv_key_born *born, kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, birth->duty);
    kv_key_spec spec = { .class = birth->class,
                         .kind = birth->kind,
                         .label = birth->label,
                         .exportable = birth->exportable };
    kv_status status;

    if (!token)
        return kv_fail(err, KV_UNSUPPORTED, "this server has no token for that");
    KV_TRY(begin(vault, work, birth, token, row, err));
    memcpy(spec.id, birth->key_id, sizeof(spec.id));
    if (birth->exchange)
        status = kv_token_key_import_byok(token, &spec, birth->exchange, birth->wrapped,
                                          birth->spki, work->arena, born, err);
    else if (birth->material)
        status =
            kv_token_key_import(token, &spec, birth->material, birth->spki, work->arena, born, err);
    else
        status = kv_token_key_generate(token, &spec, work->arena, born, err);
    if (status != KV_OK) {
        kv_birth_undo(vault, work, birth);
        return status;
    }
    row->state = KV_SLICE("ready");
    row->lease_until = 0;
    row->spki = born->spki;
    return KV_OK;
}

kv_status kv_change_doom(kv_vault *vault, kv_work *work, kv_slice key_id, kv_token_object_row *row,
                         kv_change *change, kv_error *err)
{
    kv_status status;

    *row = (kv_token_object_row){ .key_id = key_id };
    status = kv_records_get(vault->config.records, &kv_table_token_objects, row, work->arena, err);
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    row->state = KV_SLICE("destroying");
    return kv_change_update(change, &kv_table_token_objects, row, err);
}

kv_status kv_destroy_key(kv_vault *vault, kv_work *work, kv_slice key_id, kv_error *err)
{
    kv_token_object_row row = { .key_id = key_id };
    kv_status status;

    status = kv_records_get(vault->config.records, &kv_table_token_objects, &row, work->arena, err);
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    return destroy(vault, work, "TokenKeyDestroyBegin", &row, err);
}
