/* certificate_pending.c - operations are shown, cancelled, forgotten, and resumed after a crash. */
#include "server/base/text.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operation_rules.h"
#include "server/vault/operations/operations.h"
#include "server/vault/own_step.h"

/* No call lasts longer than an hour, and no step of the server's own. */
enum { RESUME_MS = 60 * 1000, STRANDED_MS = 2 * 60 * 60 * 1000 };

bool kv_operation_in_progress(const kv_operation_row *row)
{
    return kv_state_in_progress(row->state);
}

bool kv_operation_stranded(const kv_operation_row *row, int64_t now_ms)
{
    return kv_slice_equal(row->state, KV_STATE_WORKING) && row->updated <= now_ms - STRANDED_MS;
}

kv_status kv_operation_out(kv_work *work, const kv_vault_row *vault_row,
                           const kv_object_row *object, const kv_operation_row *row,
                           kv_certificate_operation *out, kv_error *err)
{
    kv_object_id id = { .vault = vault_row->display_name,
                        .name = object->display_name,
                        .version = row->version };
    kv_x509_policy policy;

    KV_TRY(kv_policy_load(work, row->policy, &policy, err));
    *out = (kv_certificate_operation){
        .id = id,
        .issuer_name = row->issuer,
        .issuer_cty = policy.issuer.cty,
        .csr = row->csr,
        .cancellation_requested = row->cancellation_requested != 0,
        .status = kv_operation_in_progress(row) ? KV_SLICE("inProgress") : row->state,
        .status_details = row->status_details,
        .error_code = row->error_code,
        .error_message = row->error_message,
        .request_id = row->request_id,
        .created = row->created,
        .updated = row->updated,
        .transparency = row->transparency,
    };
    if (kv_slice_equal(row->state, KV_STATE_COMPLETED))
        out->target = id;
    KV_TRY(kv_names_load(work, row->names, &out->names, &out->name_count, err));
    return kv_texts_load(work, row->warnings, &out->warnings, err);
}

kv_status kv_operation_find(kv_vault *vault, kv_work *work, kv_slice object_uid,
                            kv_operation_row *out, bool *exists, kv_error *err)
{
    kv_operation_row row = { .object_uid = object_uid };
    kv_status status =
        kv_records_get(vault->config.records, &kv_table_operations, &row, work->arena, err);

    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *exists = status == KV_OK;
    if (*exists)
        *out = row;
    else
        *err = (kv_error){ 0 };
    return KV_OK;
}

kv_status kv_operation_refuse(kv_vault *vault, kv_work *work, const kv_object_row *object,
                              kv_operation_row *row, bool *exists, kv_error *err)
{
    KV_TRY(kv_operation_find(vault, work, object->uid, row, exists, err));
    if (!*exists || !kv_operation_in_progress(row) || kv_operation_stranded(row, work->now_ms))
        return KV_OK;
    kv_fail(err, KV_PRECONDITION,
            "a new certificate cannot be created or imported while an operation on '%.*s' is in "
            "progress",
            KV_SLICE_ARG(object->display_name));
    return kv_because(err, KV_REASON_OPERATION_IN_PROGRESS);
}

kv_status kv_operation_has_own_key(kv_vault *vault, kv_work *work,
                                   const kv_operation_row *operation, bool *own, kv_error *err)
{
    kv_key_version_row from = { .key_id = operation->key_id };
    kv_scan scan = {
        .table = &kv_table_key_versions, .index = 1, .prefix = 1, .from = &from, .limit = 1
    };
    kv_rows rows;

    *own = false;
    if (!operation->key_id.len)
        return KV_OK;
    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    *own = rows.count == 0;
    return KV_OK;
}

kv_status kv_operation_drop_key(kv_vault *vault, kv_work *work, const kv_operation_row *operation,
                                kv_error *err)
{
    bool own = false;

    KV_TRY(kv_operation_has_own_key(vault, work, operation, &own, err));
    return own ? kv_destroy_key(vault, work, operation->key_id, err) : KV_OK;
}

/* The change that ends an operation dooms its key, so that no crash leaves it without an owner. */
static kv_status end_operation(kv_vault *vault, kv_work *work, const kv_operation_row *operation,
                               kv_change *change, kv_error *err)
{
    kv_token_object_row key;
    kv_error later = { 0 };
    bool own = false;

    KV_TRY(kv_operation_has_own_key(vault, work, operation, &own, err));
    if (own)
        KV_TRY(kv_change_doom(vault, work, operation->key_id, &key, change, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, change, err), err));
    /* The call has succeeded; what cannot be destroyed now is by the next start. */
    if (own && kv_destroy_key(vault, work, operation->key_id, &later) != KV_OK)
        kv_log_write(vault->config.log, KV_LOG_WARNING, "token.key.undo_later",
                     (kv_log_field[]){ { "why", later.message, 0 }, { 0 } });
    return KV_OK;
}

kv_status kv_operation_of(kv_vault *vault, kv_work *work, const kv_target *target,
                          kv_vault_row *vault_row, kv_object_row *object, kv_operation_row *out,
                          kv_error *err)
{
    bool exists = false;

    KV_TRY(kv_find_object(vault, work, target, vault_row, object, err));
    KV_TRY(kv_operation_find(vault, work, object->uid, out, &exists, err));
    if (!exists)
        return kv_fail(err, KV_NOT_FOUND, "there is no operation on certificate '%.*s'",
                       KV_SLICE_ARG(target->name));
    work->entry->version = out->version;
    return KV_OK;
}

kv_status kv_certificate_pending_get(kv_vault *vault, kv_work *work,
                                     const kv_certificate_pending_get_in *in,
                                     kv_certificate_operation *out, kv_error *err)
{
    kv_operation_row operation;
    kv_vault_row vault_row;
    kv_object_row object;

    KV_TRY(kv_operation_of(vault, work, &in->target, &vault_row, &object, &operation, err));
    return kv_operation_out(work, &vault_row, &object, &operation, out, err);
}

void kv_operation_clear(kv_operation_row *row)
{
    row->secret_key_id = KV_SLICE_NONE;
    row->secret_ciphertext = KV_SLICE_NONE;
    row->worker = KV_SLICE_NONE;
    row->chain = KV_SLICE_NONE;
    row->next_at = 0;
}

/* Is somebody outside to hear of a cancellation first? */
static bool at_issuer(const kv_operation_row *row)
{
    return kv_slice_equal(row->state, KV_STATE_ORDERING) ||
           kv_slice_equal(row->state, KV_STATE_ISSUED) || row->external_id.len || row->next_at;
}

/* The worker tells the issuer. A claim stays: what it is about to store meets our generation and
 * is thrown away, and then it comes here again. */
static kv_status ask_to_cancel(kv_vault *vault, kv_work *work, kv_operation_row *row, kv_error *err)
{
    kv_change change = { 0 };

    if (!row->worker.len)
        row->next_at = work->now_ms;
    KV_TRY(kv_change_update(&change, &kv_table_operations, row, err));
    KV_TRY(kv_lost_race(kv_commit_change(vault, work, &change, err), err));
    kv_wake_steps(vault);
    return KV_OK;
}

kv_status kv_certificate_pending_update(kv_vault *vault, kv_work *work,
                                        const kv_certificate_pending_update_in *in,
                                        kv_certificate_operation *out, kv_error *err)
{
    kv_operation_row operation;
    kv_change change = { 0 };
    kv_vault_row vault_row;
    kv_object_row object;

    KV_TRY(kv_operation_of(vault, work, &in->target, &vault_row, &object, &operation, err));
    if (!kv_operation_in_progress(&operation))
        return kv_fail(err, KV_PRECONDITION, "the operation is not in progress any more");
    operation.cancellation_requested = 1;
    operation.updated = work->now_ms;
    if (at_issuer(&operation)) {
        KV_TRY(ask_to_cancel(vault, work, &operation, err));
        return kv_operation_out(work, &vault_row, &object, &operation, out, err);
    }
    /* Nobody but us works on it, so the wish is granted at once. */
    operation.state = KV_STATE_CANCELLED;
    operation.status_details = KV_SLICE_NONE;
    kv_operation_clear(&operation);
    KV_TRY(kv_change_update(&change, &kv_table_operations, &operation, err));
    KV_TRY(end_operation(vault, work, &operation, &change, err));
    return kv_operation_out(work, &vault_row, &object, &operation, out, err);
}

kv_status kv_certificate_pending_delete(kv_vault *vault, kv_work *work,
                                        const kv_certificate_pending_delete_in *in,
                                        kv_certificate_operation *out, kv_error *err)
{
    kv_operation_row operation;
    kv_change change = { 0 };
    kv_vault_row vault_row;
    kv_object_row object;

    KV_TRY(kv_operation_of(vault, work, &in->target, &vault_row, &object, &operation, err));
    KV_TRY(kv_change_delete(&change, &kv_table_operations, &operation, err));
    KV_TRY(end_operation(vault, work, &operation, &change, err));
    return kv_operation_out(work, &vault_row, &object, &operation, out, err);
}

/* --- after a crash --- */

kv_status kv_object_by_uid(kv_vault *vault, kv_work *work, kv_slice uid, kv_object_row *out,
                           kv_error *err)
{
    kv_object_row from = { .uid = uid };
    kv_scan scan = {
        .table = &kv_table_objects, .index = 1, .prefix = 1, .from = &from, .limit = 1
    };
    kv_rows rows;

    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    if (!rows.count)
        return kv_fail(err, KV_NOT_FOUND, "an operation's certificate is gone");
    *out = *(const kv_object_row *)rows.rows;
    return KV_OK;
}

kv_status kv_certificate_gone(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                              const kv_object_row *object, bool *out, kv_error *err)
{
    kv_vault_row vault_now = { .name = vault_row->name };
    kv_object_row now;
    kv_status status =
        kv_records_get(vault->config.records, &kv_table_vaults, &vault_now, work->arena, err);

    if (status == KV_OK)
        status = kv_object_by_uid(vault, work, object->uid, &now, err);
    *out = status == KV_NOT_FOUND ||
           (status == KV_OK &&
            (vault_now.deleted || now.deleted || !kv_slice_equal(vault_now.uid, vault_row->uid)));
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    return KV_OK;
}

/* Nobody can ask for this operation any more. */
kv_status kv_operation_abandon(kv_vault *vault, kv_work *work, kv_operation_row *operation,
                               kv_error *err)
{
    kv_change change = { 0 };

    *err = (kv_error){ 0 };
    KV_TRY(kv_change_delete(&change, &kv_table_operations, operation, err));
    return kv_commit_step(vault, work, "CertificateOperationLost", &change, err);
}

/* Nobody makes a version of it; whoever recovers it may ask anew. */
static kv_status end_deleted(kv_vault *vault, kv_work *work, kv_operation_row *operation,
                             kv_error *err)
{
    kv_change change = { 0 };

    operation->state = KV_STATE_FAILED;
    operation->updated = work->now_ms;
    operation->error_code = kv_slice_text(kv_status_spelling(KV_NOT_FOUND)->name);
    operation->error_message = KV_SLICE("the certificate was deleted meanwhile");
    kv_operation_clear(operation);
    KV_TRY(kv_change_update(&change, &kv_table_operations, operation, err));
    return kv_commit_step(vault, work, "CertificateCreateFailed", &change, err);
}

static kv_status resume(kv_vault *vault, kv_work *work, kv_operation_row *operation, kv_error *err)
{
    kv_vault_row vault_row;
    kv_object_row object;
    kv_status status = kv_object_by_uid(vault, work, operation->object_uid, &object, err);

    if (status == KV_NOT_FOUND)
        return kv_operation_abandon(vault, work, operation, err);
    KV_TRY(status);
    status = kv_vault_by_uid(vault, work, operation->vault_uid, &vault_row, err);
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return kv_finish_purge(vault, work, &object, err);
    }
    KV_TRY(status);
    work->entry->vault = vault_row.display_name;
    work->entry->collection = KV_SLICE("certificates");
    work->entry->name = object.display_name;
    if (object.deleted || vault_row.deleted)
        return end_deleted(vault, work, operation, err);
    /* What had been made before the crash is rolled back as an unfinished birth. */
    operation->key_id = KV_SLICE_NONE;
    return kv_operation_run(vault, work, &vault_row, &object, operation, true, err);
}

/* A failure is stored in the operation, and then no reason not to start. Where even that was not
 * possible the operation would be found again for ever. */
static kv_status still_working(kv_vault *vault, kv_work *work, kv_slice object_uid,
                               kv_status status, kv_error *err)
{
    kv_operation_row row;
    kv_error ignored = { 0 };
    bool exists = false;

    if (kv_operation_find(vault, work, object_uid, &row, &exists, &ignored) != KV_OK)
        return status;
    if (exists && kv_slice_equal(row.state, KV_STATE_WORKING))
        return status;
    *err = (kv_error){ 0 };
    return KV_OK;
}

/* One operation; `*found` is false when there is none left. */
static kv_status resume_next(kv_vault *vault, bool *found, kv_error *err)
{
    kv_operation_row from = { .state = KV_STATE_WORKING };
    kv_scan scan = {
        .table = &kv_table_operations, .index = 1, .prefix = 1, .from = &from, .limit = 1
    };
    kv_rows rows = { 0 };
    kv_own_step at;
    kv_status status = kv_own_step_begin(vault, &at, err);

    if (status == KV_OK)
        status = kv_records_scan(vault->config.records, &scan, &at.arena, &rows, err);
    *found = status == KV_OK && rows.count;
    if (*found) {
        kv_slice object_uid = ((const kv_operation_row *)rows.rows)->object_uid;

        at.work.deadline = kv_deadline_in_ms(RESUME_MS);
        status = resume(vault, &at.work, rows.rows, err);
        if (status != KV_OK)
            status = still_working(vault, &at.work, object_uid, status, err);
    }
    kv_own_step_end(&at);
    return status;
}

kv_status kv_resume_operations(kv_vault *vault, unsigned *count, kv_error *err)
{
    bool found = true;

    while (found) {
        KV_TRY(resume_next(vault, &found, err));
        *count += found;
    }
    return KV_OK;
}
