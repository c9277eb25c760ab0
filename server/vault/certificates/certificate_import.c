/* certificate_import.c - a certificate that was made elsewhere comes with its private key.
 *
 * The key goes onto the token like any imported key: not extractable there, and known outside for
 * ever. Where the policy makes the certificate exportable its secret has the key, else the chain.
 */
#include "pkcs11/token_import.h"
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/certificates/certificate_show.h"
#include "server/vault/keys/key_rules.h"
#include "server/vault/objects.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"
#include "server/x509/derive.h"
#include "server/x509/import.h"

enum { SAME_KEYS_MOST = 100 };

/* What all attempts have in common: the key. */
typedef struct effort {
    unsigned races;
    bool born;
    kv_birth birth;
    kv_token_object_row token_object;
    int64_t attested;
} effort;

typedef struct import {
    kv_vault_row vault_row;
    kv_object_row object;
    bool exists;
    kv_operation_row operation;
    bool operation_exists;
    kv_policy_row policy_row;
    kv_x509_imported found;
    kv_slice spki;
    kv_issuance at;
} import;

static kv_status read_file(kv_vault *vault, kv_work *work, const kv_certificate_import_in *in,
                           import *new, kv_error *err)
{
    kv_x509_import_in read = {
        .value = in->value,
        .password = in->password,
        .now_ms = work->now_ms,
        .allow_ca = in->policy.x509_props.ca_given && in->policy.x509_props.ca,
        .need_complete = in->require_complete_chain,
    };

    if (new->exists)
        KV_TRY(kv_known_issuers(vault, work, &new->object, &read.anchors, err));
    KV_TRY(kv_x509_import(work->arena, &read, &new->found, err));
    if (new->found.key.len > KV_IMPORT_MAX)
        return kv_fail_field(err, "value", "the private key has more than %d bytes", KV_IMPORT_MAX);
    return kv_private_key_inspect(&new->found.key, work->arena, &new->at.kind, &new->spki, err);
}

/* What a policy says beside the certificate itself is judged with a certificate of no account: the
 * real one may have what this server would not write. */
static kv_status judge(kv_vault *vault, kv_work *work, const kv_certificate_import_in *in,
                       const import *new, kv_error *err)
{
    kv_x509_policy asked = in->policy;

    asked.x509_props = (kv_x509_props){ .subject = KV_SLICE("CN=import") };
    asked.key_props.exportable_given = true;
    KV_TRY(kv_policy_complete(vault, work, &new->vault_row, &asked, err));
    if (in->policy.key_props.kty.len && kv_x509_policy_key_kind(&asked) != new->at.kind)
        return kv_fail_field(err, "policy.key_props", "the key of the file is of kind %s",
                             kv_key_kind_of(new->at.kind)->name);
    return KV_OK;
}

/* Names, usages, validity and key are what the certificate says; the rest may be asked for. */
static kv_status take_policy(kv_vault *vault, kv_work *work, const kv_certificate_import_in *in,
                             import *new, kv_error *err)
{
    kv_x509_derive how = { .exportable = new->vault_row.default_exportable != 0,
                           .content_type = new->found.content_type };
    kv_x509_policy asked = in->policy;
    kv_x509_policy before;
    kv_status status = KV_NOT_FOUND;

    kv_x509_policy_derive(&new->found.leaf, &how, &new->at.policy);
    if (in->has_policy) {
        KV_TRY(judge(vault, work, in, new, err));
        asked.x509_props = (kv_x509_props){ 0 };
        asked.key_props.kty = KV_SLICE_NONE;
        asked.key_props.key_size = 0;
        asked.key_props.crv = KV_SLICE_NONE;
        kv_policy_merge(&new->at.policy, &asked);
    }
    if (new->exists)
        status = kv_policy_find(vault, work, new->object.uid, &new->policy_row, &before, err);
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    new->at.fresh_policy = status == KV_NOT_FOUND;
    if (new->at.fresh_policy)
        new->policy_row = (kv_policy_row){ .object_uid = new->object.uid, .created = work->now_ms };
    new->policy_row.updated = work->now_ms;
    new->at.policy_row = &new->policy_row;
    return kv_policy_store(work, &new->at.policy, &new->policy_row.policy, err);
}

/* Without key usages every use is allowed (RFC 5280, section 4.2.1.3). */
static uint32_t usage_of(const kv_x509_facts *leaf)
{
    return leaf->has_key_usage ? leaf->key_usage : (uint32_t)KV_X509_DIGITAL_SIGNATURE;
}

static kv_status add_warning(kv_work *work, const char *text, kv_x509_list *warnings, kv_error *err)
{
    kv_slice *items = kv_arena_array(work->arena, warnings->count + 1, sizeof(*items));

    if (!items)
        return kv_arena_full(err);
    for (size_t i = 0; i < warnings->count; i++)
        items[i] = warnings->items[i];
    items[warnings->count] = kv_slice_text(text);
    *warnings = (kv_x509_list){ .items = items, .count = warnings->count + 1 };
    return KV_OK;
}

/* Whoever gets hold of one of them has the other. Whose that is, is told to nobody: it may be in a
 * vault that they do not see. */
static kv_status warn_of_reuse(kv_vault *vault, kv_work *work, import *new, kv_error *err)
{
    kv_token_object_row from = { .spki = new->spki };
    kv_scan scan = { .table = &kv_table_token_objects,
                     .index = 3,
                     .prefix = 1,
                     .from = &from,
                     .limit = SAME_KEYS_MOST };
    kv_rows rows;

    KV_TRY(kv_records_scan_sound(vault->config.records, &scan, work->arena, &rows, err));
    for (size_t i = 0; i < rows.count; i++) {
        const kv_token_object_row *row = (const kv_token_object_row *)rows.rows + i;

        if (!kv_slice_equal(row->owner_uid, new->object.uid) &&
            !kv_slice_equal(row->state, KV_SLICE("destroying")))
            return add_warning(work,
                               "key_reused: a certificate or key of another name on this server "
                               "has the same private key",
                               &new->found.warnings, err);
    }
    return KV_OK;
}

static kv_status bear_key(kv_vault *vault, kv_work *work, const import *new, effort *all,
                          kv_error *err)
{
    kv_key_born facts;
    kv_status status;

    all->birth = (kv_birth){
        .duty = KV_DUTY_KEYS,
        .class = KV_CLASS_SIGN,
        .kind = new->at.kind,
        .label = new->object.display_name,
        .owner_uid = new->object.uid,
        .material = &new->found.key,
        .spki = new->spki,
    };
    KV_TRY(kv_birth_key(vault, work, &all->birth, &all->token_object, &facts, err));
    all->birth.material = NULL; /* of this attempt */
    status = kv_key_check_imported(&facts, err);
    if (status != KV_OK) {
        kv_birth_undo(vault, work, &all->birth);
        return status;
    }
    all->attested = kv_key_attested(&facts);
    all->born = true;
    return KV_OK;
}

static kv_status take_key(kv_vault *vault, kv_work *work, import *new, effort *all, kv_error *err)
{
    kv_issuance *at = &new->at;

    if (!all->born)
        KV_TRY(bear_key(vault, work, new, all, err));
    at->birth = all->birth;
    at->token_object = all->token_object;
    at->token_object.owner_uid = new->object.uid;
    at->born = true;
    at->own = true;
    at->imported = 1;
    at->attested = all->attested;
    at->token = at->token_object.token;
    at->key = (kv_key_ref){ .class = KV_CLASS_SIGN, .spki = at->token_object.spki };
    memcpy(at->key.id, at->birth.key_id, sizeof(at->key.id));
    work->entry->has_key = true;
    memcpy(work->entry->key_id, at->key.id, sizeof(work->entry->key_id));
    return KV_OK;
}

static kv_status prepare(kv_vault *vault, kv_work *work, const kv_certificate_import_in *in,
                         import *new, kv_error *err)
{
    kv_issuance *at = &new->at;
    kv_tags none = { 0 };

    KV_TRY(kv_object_for_version(vault, work, &in->target, &new->vault_row, &new->object,
                                 &new->exists, err));
    if (new->exists)
        KV_TRY(kv_operation_refuse(vault, work, &new->object, &new->operation,
                                   &new->operation_exists, err));
    at->vault_row = &new->vault_row;
    at->object = &new->object;
    at->fresh_object = !new->exists;
    at->stale = new->operation_exists ? &new->operation : NULL;
    at->enabled = true;
    KV_TRY(kv_tags_store(work, &none, &at->tags, err));
    KV_TRY(kv_start_change(work, &in->attributes, &in->tags, &at->enabled, &at->tags, err));
    KV_TRY(kv_new_version(work, &at->version, err));
    KV_TRY(read_file(vault, work, in, new, err));
    KV_TRY(take_policy(vault, work, in, new, err));
    at->usage = usage_of(&new->found.leaf);
    at->private_key = &new->found.key;
    if (in->preserve_cert_order)
        at->given = &new->found.given;
    return KV_OK;
}

static kv_status attempt(kv_vault *vault, kv_work *work, const kv_certificate_import_in *in,
                         effort *all, import *new, kv_certificate_bundle *out, kv_error *err)
{
    KV_TRY(prepare(vault, work, in, new, err));
    KV_TRY(warn_of_reuse(vault, work, new, err));
    KV_TRY(take_key(vault, work, new, all, err));
    KV_TRY(kv_issuance_finish(vault, work, &new->at, &new->found.chain, err));
    all->born = false; /* the version's */
    if (!new->exists)
        KV_TRY(kv_object_keep(vault, work, &new->vault_row, &new->object, err));
    KV_TRY(
        kv_certificate_show(vault, work, &new->vault_row, &new->object, new->at.version, out, err));
    out->warnings = new->found.warnings;
    return KV_OK;
}

kv_status kv_certificate_import(kv_vault *vault, kv_work *work, const kv_certificate_import_in *in,
                                kv_certificate_bundle *out, kv_error *err)
{
    effort all = { 0 };
    kv_status status;

    do {
        import new = { .found = KV_X509_NOT_IMPORTED };

        status = attempt(vault, work, in, &all, &new, out, err);
        kv_x509_imported_cleanup(&new.found);
    } while (kv_race_again(work, status, &all.races, err));
    if (all.born)
        kv_birth_undo(vault, work, &all.birth);
    return status;
}
