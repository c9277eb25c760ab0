/* issuer_enrolment.c - accounts at authorities that know them by a key of ours.
 *
 * The key is made and stored before the authority hears of it, and the account's URL as soon as the
 * authority has said it. A key that is to take over is stored before the authority is asked to
 * change: after a crash the authority says which of the two it is.
 */
#include "pkcs11/token_sign.h"
#include "server/base/text.h"
#include "server/vault/issuers/issuer_rules.h"
#include "server/vault/keys/key_rules.h"
#include "server/vault/objects.h"

enum { REALMS_MOST = 8, ROWS_PER_STEP = 30 };

/* --- what the provider sees --- */

static void show(kv_enrolment *at)
{
    at->face.realm = at->row.realm;
    at->face.spki = at->row.spki;
    at->face.next_spki = at->row.next_spki;
    at->face.url = at->row.url;
}

static kv_status sign(void *context, bool next, const uint8_t digest[KV_ISSUER_DIGEST_BYTES],
                      uint8_t signature[KV_ISSUER_SIGNATURE_BYTES], kv_error *err)
{
    const kv_enrolment *at = context;
    kv_slice id = next ? at->row.next_key_id : at->row.key_id;
    kv_key_ref key = { .class = KV_CLASS_SIGN, .spki = next ? at->row.next_spki : at->row.spki };
    uint8_t bytes[KV_SIGNATURE_MAX];
    size_t len = sizeof(bytes);

    if (id.len != sizeof(key.id))
        return kv_fail(err, KV_INTERNAL, "an account has no key");
    memcpy(key.id, id.data, sizeof(key.id));
    KV_TRY(kv_token_sign(kv_tokens_get(at->vault->config.tokens, KV_DUTY_SYSTEM), &key,
                         kv_mechanism_find(KV_SLICE("ES256")),
                         kv_slice_of(digest, KV_ISSUER_DIGEST_BYTES), bytes, &len, err));
    if (len != KV_ISSUER_SIGNATURE_BYTES)
        return kv_fail(err, KV_INTERNAL, "a signature of an account key has another size");
    memcpy(signature, bytes, KV_ISSUER_SIGNATURE_BYTES);
    return KV_OK;
}

static kv_status store(kv_enrolment *at, const char *step, kv_change *change, kv_error *err)
{
    at->row.updated = at->work->now_ms;
    KV_TRY(kv_change_update(change, &kv_table_enrolments, &at->row, err));
    KV_TRY(kv_commit_step(at->vault, at->work, step, change, err));
    show(at);
    return KV_OK;
}

void kv_issuer_forget_credential(kv_issuer_row *row)
{
    row->credential = KV_SLICE_NONE;
    row->credential_key_id = KV_SLICE_NONE;
    row->credential_expires = 0;
    row->credential_since = 0;
    row->credential_told = 0;
}

/* What bound the account to another one is used up: it goes with the change that stores the
 * account. One that was given meanwhile is for something else, and stays. */
static kv_status drop_credential(kv_enrolment *at, kv_issuer_row *row, kv_change *change,
                                 kv_error *err)
{
    bool exists = false;

    KV_TRY(kv_issuer_look_up(at->vault, at->work, at->row.vault_uid, at->row.issuer, row, &exists,
                             err));
    if (!exists || !row->credential.len || !kv_slice_equal(row->uid, at->credential_uid))
        return KV_OK;
    kv_issuer_forget_credential(row);
    return kv_change_update(change, &kv_table_issuers, row, err);
}

static kv_status enrolled(void *context, kv_slice url, kv_error *err)
{
    kv_enrolment *at = context;
    kv_change change = { 0 };
    kv_issuer_row row;

    KV_TRY(kv_arena_copy(at->work->arena, url, &at->row.url, err));
    KV_TRY(drop_credential(at, &row, &change, err));
    return store(at, "IssuerAccountEnrolled", &change, err);
}

static void destroy(kv_vault *vault, kv_work *work, kv_slice key_id)
{
    kv_error later = { 0 };

    /* What cannot be destroyed now is by the next start. */
    if (kv_destroy_key(vault, work, key_id, &later) != KV_OK)
        kv_log_write(vault->config.log, KV_LOG_WARNING, "token.key.undo_later",
                     (kv_log_field[]){ { "why", later.message, 0 }, { 0 } });
}

static kv_status taken_over(void *context, kv_error *err)
{
    kv_enrolment *at = context;
    kv_slice old = at->row.key_id;
    kv_token_object_row doomed;
    kv_change change = { 0 };

    KV_TRY(kv_change_doom(at->vault, at->work, old, &doomed, &change, err));
    at->row.key_id = at->row.next_key_id;
    at->row.spki = at->row.next_spki;
    at->row.next_key_id = KV_SLICE_NONE;
    at->row.next_spki = KV_SLICE_NONE;
    at->row.updated = at->work->now_ms;
    KV_TRY(kv_change_update(&change, &kv_table_enrolments, &at->row, err));
    KV_TRY(kv_commit_first_step(at->vault, at->work, "IssuerAccountKeyChanged", &change, err));
    show(at);
    destroy(at->vault, at->work, old);
    return KV_OK;
}

/* --- keys --- */

/* The key and the account's row, in one change. */
static kv_status store_born(kv_enrolment *at, bool next, const kv_birth *birth,
                            kv_token_object_row *key, kv_error *err)
{
    kv_slice *id = next ? &at->row.next_key_id : &at->row.key_id;
    kv_change change = { 0 };

    KV_TRY(
        kv_arena_copy(at->work->arena, kv_slice_of(birth->key_id, sizeof(birth->key_id)), id, err));
    *(next ? &at->row.next_spki : &at->row.spki) = key->spki;
    KV_TRY(kv_change_update(&change, &kv_table_token_objects, key, err));
    if (next)
        return store(at, "IssuerAccountKeyNext", &change, err);
    at->row.created = at->work->now_ms;
    at->row.updated = at->work->now_ms;
    KV_TRY(kv_change_insert(&change, &kv_table_enrolments, &at->row, err));
    return kv_commit_step(at->vault, at->work, "IssuerAccountKeyMade", &change, err);
}

static kv_status read_again(kv_enrolment *at, kv_error *err)
{
    kv_enrolment_row row = { .vault_uid = at->row.vault_uid,
                             .issuer = at->row.issuer,
                             .realm = at->row.realm };
    kv_status status =
        kv_records_get(at->vault->config.records, &kv_table_enrolments, &row, at->work->arena, err);

    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    at->row = row;
    return KV_OK;
}

/* Another call or server may come first. `*theirs`: its key counts, and ours is of no use. */
static kv_status store_in_time(kv_enrolment *at, bool next, const kv_birth *birth,
                               kv_token_object_row *key, bool *theirs, kv_error *err)
{
    kv_status status = store_born(at, next, birth, key, err);
    unsigned races = 0;

    *theirs = false;
    while (status == KV_EXISTS || status == KV_CONFLICT) {
        status = kv_lost_race(status, err);
        if (!kv_race_again(at->work, status, &races, err))
            return status;
        KV_TRY(read_again(at, err));
        /* It has gone with its issuer. */
        if (next && !at->row.key_id.len)
            return kv_lost_race(KV_CONFLICT, err);
        *theirs = (next ? at->row.next_key_id : at->row.key_id).len > 0;
        if (*theirs)
            return KV_OK;
        status = store_born(at, next, birth, key, err);
    }
    return status;
}

/* The account's first key, or the one that is to take over. */
static kv_status make(kv_enrolment *at, bool next, kv_slice label, kv_error *err)
{
    kv_birth birth = { .duty = KV_DUTY_SYSTEM,
                       .class = KV_CLASS_SIGN,
                       .kind = KV_KEY_P256,
                       .label = label,
                       .owner_uid = at->row.vault_uid };
    kv_token_object_row key;
    kv_key_born born;
    kv_status status;
    bool theirs = false;

    KV_TRY(kv_birth_key(at->vault, at->work, &birth, &key, &born, err));
    status = kv_key_check_born(&born, false, err);
    if (status == KV_OK)
        status = store_in_time(at, next, &birth, &key, &theirs, err);
    if (status != KV_OK || theirs)
        kv_birth_undo(at->vault, at->work, &birth);
    if (status == KV_OK)
        show(at);
    return status;
}

/* --- rows --- */

static void begin(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_chosen_issuer *chosen)
{
    kv_enrolment *at = &chosen->enrolment;

    *at = (kv_enrolment){ .vault = vault,
                          .work = work,
                          .credential_uid = chosen->credential_uid,
                          .row = { .vault_uid = vault_uid } };
    at->face = (kv_issuer_enrolment){
        .sign = sign, .enrolled = enrolled, .taken_over = taken_over, .context = at
    };
    chosen->account.enrolment = &at->face;
}

static kv_status scan(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_slice issuer,
                      kv_rows *out, kv_error *err)
{
    kv_enrolment_row from = { .vault_uid = vault_uid, .issuer = issuer };
    kv_scan scan = {
        .table = &kv_table_enrolments, .prefix = 2, .from = &from, .limit = ROWS_PER_STEP
    };

    return kv_records_scan(vault->config.records, &scan, work->arena, out, err);
}

static kv_status refuse_too_many(kv_enrolment *at, kv_error *err)
{
    kv_rows rows;

    KV_TRY(scan(at->vault, at->work, at->row.vault_uid, at->row.issuer, &rows, err));
    if (rows.count < REALMS_MOST)
        return KV_OK;
    kv_fail(err, KV_BUSY,
            "an issuer has had accounts at %d authorities: delete it, or make another",
            REALMS_MOST);
    return kv_because(err, KV_REASON_LIMIT_REACHED);
}

kv_status kv_enrolment_open(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                            kv_chosen_issuer *chosen, kv_error *err)
{
    kv_enrolment *at = &chosen->enrolment;
    kv_status status;

    if (!chosen->issuer->realm)
        return KV_OK;
    begin(vault, work, vault_row->uid, chosen);
    KV_TRY(kv_text_lower(work->arena, chosen->account.name, &at->row.issuer, err));
    KV_TRY(chosen->issuer->realm(&chosen->account, work->arena, &at->row.realm, err));
    status =
        kv_records_get(vault->config.records, &kv_table_enrolments, &at->row, work->arena, err);
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        KV_TRY(refuse_too_many(at, err));
        status = make(at, false, chosen->account.name, err);
    }
    KV_TRY(status);
    show(at);
    return KV_OK;
}

kv_status kv_enrolment_next_key(kv_chosen_issuer *chosen, kv_error *err)
{
    kv_enrolment *at = &chosen->enrolment;

    if (!chosen->account.enrolment)
        return kv_fail(err, KV_UNSUPPORTED, "issuer %s has no account key",
                       chosen->issuer->provider);
    /* One that was to take over before and did not, or nobody knows whether it did. */
    return at->row.next_key_id.len ? KV_OK : make(at, true, chosen->account.name, err);
}

kv_status kv_enrolments_deactivate(kv_vault *vault, kv_work *work, const kv_vault_row *vault_row,
                                   const kv_issuer_row *issuer, kv_error *err)
{
    KV_AUTO(kv_chosen_issuer) chosen = { 0 };
    const kv_enrolment_row *found;
    kv_rows rows;

    KV_TRY(kv_issuer_open(vault, work, vault_row, issuer->name, &chosen, err));
    if (!chosen.issuer->deactivate)
        return kv_fail(err, KV_UNSUPPORTED, "issuer %s has no account that can be closed from here",
                       chosen.issuer->provider);
    KV_TRY(scan(vault, work, issuer->vault_uid, issuer->name, &rows, err));
    found = rows.rows;
    for (unsigned i = 0; i < rows.count; i++) {
        begin(vault, work, issuer->vault_uid, &chosen);
        chosen.enrolment.row = found[i];
        show(&chosen.enrolment);
        KV_TRY(
            kv_issuer_deactivate(chosen.issuer, &chosen.account, work->arena, work->deadline, err));
    }
    return KV_OK;
}

kv_status kv_enrolment_exists(kv_vault *vault, kv_work *work, const kv_issuer_row *issuer,
                              bool *out, kv_error *err)
{
    const kv_issuer *provider = kv_provider_find(vault, issuer->provider);
    kv_issuer_account account = { .name = issuer->display_name, .settings = issuer->settings };
    kv_enrolment_row row = { .vault_uid = issuer->vault_uid, .issuer = issuer->name };
    kv_status status;

    *out = false;
    if (!provider || !provider->realm)
        return KV_OK;
    KV_TRY(provider->realm(&account, work->arena, &row.realm, err));
    status = kv_records_get(vault->config.records, &kv_table_enrolments, &row, work->arena, err);
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    *out = row.url.len > 0;
    return KV_OK;
}

kv_status kv_enrolments_end(kv_vault *vault, kv_work *work, const kv_issuer_row *issuer,
                            kv_change *change, kv_enrolments_ended *ended, kv_error *err)
{
    kv_enrolment_row *found;
    kv_rows rows;

    *ended = (kv_enrolments_ended){ 0 };
    KV_TRY(scan(vault, work, issuer->vault_uid, issuer->name, &rows, err));
    found = rows.rows;
    KV_TRY(kv_change_room(change, work->arena, 1 + 3 * rows.count, err));
    ended->keys = kv_arena_array(work->arena, 2 * rows.count, sizeof(*ended->keys));
    if (!ended->keys)
        return kv_arena_full(err);
    for (unsigned i = 0; i < rows.count; i++) {
        const kv_slice keys[] = { found[i].key_id, found[i].next_key_id };

        KV_TRY(kv_change_delete(change, &kv_table_enrolments, &found[i], err));
        for (unsigned k = 0; k < 2; k++)
            if (keys[k].len) {
                kv_token_object_row *doomed = &ended->keys[ended->count++];

                KV_TRY(kv_change_doom(vault, work, keys[k], doomed, change, err));
            }
    }
    return KV_OK;
}

void kv_enrolments_destroy(kv_vault *vault, kv_work *work, const kv_enrolments_ended *ended)
{
    for (size_t i = 0; i < ended->count; i++)
        destroy(vault, work, ended->keys[i].key_id);
}
