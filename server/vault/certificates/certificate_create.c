/* certificate_create.c - a certificate is asked for: the operation is stored, then worked on.
 *
 * The first creation also takes the names of its key and secret, so nobody else can meanwhile.
 */
#include "server/base/text.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/issuers/issuer_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/renewals/renewal_rules.h"
#include "server/vault/values.h"

typedef struct request {
    kv_vault_row vault_row;
    kv_object_row object;
    bool exists;
    kv_x509_policy policy;
    kv_policy_row policy_row;
    bool policy_exists;
    kv_operation_row operation;
    bool operation_exists;
} request;

static kv_status take_policy(kv_vault *vault, kv_work *work, const kv_certificate_create_in *in,
                             request *new, kv_error *err)
{
    kv_x509_policy stored;
    kv_status status = KV_NOT_FOUND;

    if (new->exists)
        status = kv_policy_find(vault, work, new->object.uid, &new->policy_row, &stored, err);
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    new->policy_exists = status == KV_OK;
    if (in->has_policy)
        new->policy = in->policy;
    else if (new->policy_exists)
        new->policy = stored;
    else
        return kv_fail_field(err, "policy", "the first version of a certificate needs a policy");
    KV_TRY(kv_policy_complete(vault, work, &new->vault_row, &new->policy, err));
    KV_TRY(kv_issuer_permit(vault, work, &new->vault_row, &new->policy, kv_asker(work), err));
    if (!new->policy_exists)
        new->policy_row = (kv_policy_row){ .object_uid = new->object.uid, .created = work->now_ms };
    new->policy_row.updated = work->now_ms;
    return kv_policy_store(work, &new->policy, &new->policy_row.policy, err);
}

kv_status kv_start_change(kv_work *work, const kv_attributes_in *attributes, const kv_tags *tags,
                          bool *enabled, kv_slice *stored_tags, kv_error *err)
{
    if (attributes->has_not_before || attributes->has_expires)
        return kv_fail_field(err, "attributes",
                             "not_before and expires are those of the certificate itself");
    if (attributes->has_enabled)
        *enabled = attributes->enabled;
    KV_TRY(kv_tags_check(tags, err));
    return tags->count ? kv_tags_store(work, tags, stored_tags, err) : KV_OK;
}

/* The tags of the version before are kept unless new ones are given. */
static kv_status start_of(kv_vault *vault, kv_work *work, const kv_certificate_create_in *in,
                          request *new, kv_error *err)
{
    kv_certificate_version_row before;
    kv_life life = KV_LIFE_NEW;
    kv_tags tags = in->tags;

    KV_TRY(kv_tags_check(&in->tags, err));
    KV_TRY(kv_life_take(&in->attributes, &life, err));
    if (in->attributes.has_not_before || in->attributes.has_expires)
        return kv_fail_field(err, "attributes",
                             "not_before and expires are those of the certificate itself");
    if (!tags.count && new->object.current.len) {
        KV_TRY(kv_find_certificate_version(vault, work, new->object.uid, new->object.current,
                                           &before, err));
        KV_TRY(kv_tags_load(work, before.tags, &tags, err));
    }
    return kv_start_store(work, life.enabled != 0, &tags, &new->operation.attributes, err);
}

static kv_status fill_operation(kv_vault *vault, kv_work *work, const kv_certificate_create_in *in,
                                request *new, kv_error *err)
{
    kv_operation_row *operation = &new->operation;

    *operation = (kv_operation_row){
        .head = operation->head,
        .object_uid = new->object.uid,
        .vault_uid = new->vault_row.uid,
        .state = KV_STATE_WORKING,
        .issuer = new->policy.issuer.name,
        .policy = new->policy_row.policy,
        .warnings = KV_SLICE("[]"),
        .requested_by = kv_asker(work),
        .created = work->now_ms,
        .updated = work->now_ms,
    };
    KV_TRY(kv_text_lower(work->arena, operation->issuer, &operation->issuer_lower, err));
    KV_TRY(kv_new_version(work, &operation->request_id, err));
    KV_TRY(kv_new_version(work, &operation->version, err));
    return start_of(vault, work, in, new, err);
}

static kv_status refuse_taken(kv_vault *vault, kv_work *work, const kv_object_row *certificate,
                              kv_collection collection, kv_error *err)
{
    kv_object_row found;
    bool exists = false;

    KV_TRY(kv_look_up_object(vault, work, certificate->vault_uid, collection, certificate->name,
                             &found, &exists, err));
    if (!exists)
        return KV_OK;
    kv_fail(err, KV_EXISTS, "a %s of its own has the name '%.*s' already",
            kv_collection_noun(collection), KV_SLICE_ARG(certificate->display_name));
    return kv_because(err, found.deleted ? KV_REASON_SOFT_DELETED : KV_REASON_NONE);
}

kv_status kv_companion_new(kv_vault *vault, kv_work *work, const kv_object_row *certificate,
                           kv_collection collection, kv_object_row *out, kv_error *err)
{
    KV_TRY(refuse_taken(vault, work, certificate, collection, err));
    *out = (kv_object_row){
        .vault_uid = certificate->vault_uid,
        .collection = collection,
        .name = certificate->name,
        .display_name = certificate->display_name,
        .managed = 1,
        .created = work->now_ms,
    };
    return kv_new_uid(work, &out->uid, err);
}

static kv_status add_companion(kv_vault *vault, kv_work *work, const request *new,
                               kv_collection collection, kv_object_row *row, kv_change *change,
                               kv_error *err)
{
    KV_TRY(kv_companion_new(vault, work, &new->object, collection, row, err));
    return kv_change_insert(change, &kv_table_objects, row, err);
}

static kv_status add_rows(request *new, kv_change *change, kv_error *err)
{
    if (new->policy_exists)
        KV_TRY(kv_change_update(change, &kv_table_policies, &new->policy_row, err));
    else
        KV_TRY(kv_change_insert(change, &kv_table_policies, &new->policy_row, err));
    if (new->operation_exists)
        return kv_change_update(change, &kv_table_operations, &new->operation, err);
    return kv_change_insert(change, &kv_table_operations, &new->operation, err);
}

static kv_status store(kv_vault *vault, kv_work *work, request *new, kv_error *err)
{
    kv_object_row key_object;
    kv_object_row secret_object;
    kv_change change = { 0 };

    if (!new->exists) {
        KV_TRY(kv_change_insert(&change, &kv_table_objects, &new->object, err));
        KV_TRY(add_companion(vault, work, new, KV_COLLECTION_KEYS, &key_object, &change, err));
        KV_TRY(
            add_companion(vault, work, new, KV_COLLECTION_SECRETS, &secret_object, &change, err));
    }
    KV_TRY(add_rows(new, &change, err));
    return kv_lost_race(kv_commit_first_step(vault, work, "CertificateCreateBegin", &change, err),
                        err);
}

static kv_status begin(kv_vault *vault, kv_work *work, const kv_certificate_create_in *in,
                       request *new, kv_error *err)
{
    *new = (request){ 0 };
    KV_TRY(kv_object_for_version(vault, work, &in->target, &new->vault_row, &new->object,
                                 &new->exists, err));
    if (new->exists)
        KV_TRY(kv_operation_refuse(vault, work, &new->object, &new->operation,
                                   &new->operation_exists, err));
    KV_TRY(take_policy(vault, work, in, new, err));
    KV_TRY(fill_operation(vault, work, in, new, err));
    return store(vault, work, new, err);
}

/* `begun`: the server's own work, which no caller waits for: whoever came first may have done it.
 * NULL for a call. */
static kv_status create(kv_vault *vault, kv_work *work, const kv_certificate_create_in *in,
                        bool *begun, kv_certificate_operation *out, kv_error *err)
{
    const bool own = begun != NULL;
    unsigned races = 0;
    kv_status status;
    request new;

    do
        status = begin(vault, work, in, &new, err);
    while (!own && kv_race_again(work, status, &races, err));
    KV_TRY(status);
    if (own)
        *begun = true;
    if (!new.exists)
        KV_TRY(kv_object_keep(vault, work, &new.vault_row, &new.object, err));
    KV_TRY(kv_operation_run(vault, work, &new.vault_row, &new.object, &new.operation, own, err));
    return kv_operation_out(work, &new.vault_row, &new.object, &new.operation, out, err);
}

kv_status kv_certificate_create(kv_vault *vault, kv_work *work, const kv_certificate_create_in *in,
                                kv_certificate_operation *out, kv_error *err)
{
    return create(vault, work, in, NULL, out, err);
}

static kv_renewing how_far(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                           const kv_object_row *object, bool begun)
{
    kv_operation_row operation;
    kv_error ignored = { 0 };
    bool exists = true;
    bool gone = false;

    if (kv_certificate_gone(vault, work, vault_row, object, &gone, &ignored) != KV_OK ||
        kv_operation_find(vault, work, object->uid, &operation, &exists, &ignored) != KV_OK)
        return begun ? KV_RENEWING_BEGUN : KV_RENEWING_NOT_BEGUN;
    if (gone || (begun && !exists))
        return KV_RENEWING_TAKEN_AWAY;
    return begun ? KV_RENEWING_BEGUN : KV_RENEWING_NOT_BEGUN;
}

kv_status kv_certificate_renew(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                               const kv_object_row *object, kv_renewing *how, kv_error *err)
{
    kv_certificate_create_in in = { .target = { .vault = vault_row->display_name,
                                                .collection = KV_COLLECTION_CERTIFICATES,
                                                .name = object->display_name } };
    kv_certificate_operation out;
    bool begun = false;
    kv_status status = create(vault, work, &in, &begun, &out, err);

    if (status == KV_OK && kv_slice_equal(out.status, KV_STATE_FAILED))
        status = kv_fail(err, KV_PRECONDITION, "%.*s", KV_SLICE_ARG(out.error_message));
    *how = KV_RENEWING_BEGUN;
    if (status != KV_OK)
        *how = how_far(vault, work, vault_row, object, begun);
    return status;
}
