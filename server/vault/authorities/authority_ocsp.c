/* authority_ocsp.c - the delegated responder of an authority, and what everybody may ask of it. */
#include <openssl/evp.h>

#include "server/base/text.h"
#include "server/vault/authorities/authority_keys.h"
#include "server/vault/authorities/ocsp_cache.h"
#include "server/vault/authorities/pki.h"
#include "server/vault/keys/key_rules.h"
#include "server/vault/objects.h"
#include "server/vault/own_step.h"
#include "server/x509/ocsp.h"

#define OCSP_SIGNING "1.3.6.1.5.5.7.3.9"

enum { MONTHS = 1 };

static const int64_t hour_ms = INT64_C(3600000);
static const int64_t answer_hours = 12;                  /* an answer is valid */
static const int64_t renew_ms = INT64_C(10) * KV_DAY_MS; /* before the responder's end */

/* --- the responder --- */

static kv_status get_responder(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                               kv_responder_row *out, bool *exists, kv_error *err)
{
    kv_status status;

    *out = (kv_responder_row){ .authority_uid = authority->uid };
    status = kv_records_get(vault->config.records, &kv_table_responders, out, work->arena, err);
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *exists = status == KV_OK;
    if (!*exists)
        *err = (kv_error){ 0 };
    return KV_OK;
}

typedef struct making {
    kv_birth birth;
    kv_token_object_row token_object;
    kv_issued_row issued;
    kv_responder_row row;
} making;

static kv_status certify(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                         making *new, kv_error *err)
{
    static const kv_slice usage[] = { { (const uint8_t *)OCSP_SIGNING, sizeof(OCSP_SIGNING) - 1 } };
    kv_x509_policy policy = {
        .key_props = { .kty = KV_SLICE("EC"), .crv = KV_SLICE("P-256") },
        .x509_props = { .subject = KV_SLICE("CN=OCSP Responder"),
                        .ekus = { .items = usage, .count = 1 },
                        .key_usage = KV_X509_DIGITAL_SIGNATURE,
                        .validity_months = MONTHS,
                        .validity_months_given = true },
        .issuer = { .name = KV_SLICE(KV_X509_ISSUER_LOCAL_CA) },
    };
    kv_x509_authority extras = { .ocsp_no_check = true };
    kv_x509_build build = { .policy = &policy,
                            .spki = new->row.spki,
                            .issuer = authority->certificate,
                            .authority = &extras,
                            .now_ms = work->now_ms,
                            .scope = KV_X509_LINT_PRIVATE };
    kv_authority_key key;
    kv_x509_built built;

    kv_x509_policy_defaults(&policy);
    KV_TRY(kv_authority_signer(vault, authority, &key, &build.signer, err));
    KV_TRY(kv_serial_reserve(vault, work, authority, KV_SLICE_NONE, &new->issued, err));
    build.serial = new->issued.serial;
    KV_TRY(kv_x509_certificate_build(work->arena, &build, &built, err));
    new->row.certificate = built.der;
    new->row.not_after = built.facts.not_after_ms;
    return kv_serial_used(work, built.der, authority->uid, KV_SLICE_NONE, &new->issued, err);
}

static kv_status store(kv_vault *vault, kv_work *work, making *new, bool exists, kv_error *err)
{
    kv_change change = { 0 };

    KV_TRY(kv_change_update(&change, &kv_table_token_objects, &new->token_object, err));
    KV_TRY(kv_change_update(&change, &kv_table_issued, &new->issued, err));
    if (exists)
        KV_TRY(kv_change_update(&change, &kv_table_responders, &new->row, err));
    else
        KV_TRY(kv_change_insert(&change, &kv_table_responders, &new->row, err));
    return kv_commit_step(vault, work, "CertificateAuthorityResponder", &change, err);
}

static kv_status make(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                      const kv_responder_row *before, bool exists, kv_error *err)
{
    making new = { .birth = { .duty = KV_DUTY_CA,
                              .class = KV_CLASS_SIGN,
                              .kind = KV_KEY_P256,
                              .label = KV_SLICE("OCSP responder"),
                              .owner_uid = authority->uid },
                   .row = *before };
    kv_key_born born;
    kv_status status;

    KV_TRY(kv_birth_key(vault, work, &new.birth, &new.token_object, &born, err));
    new.row.key_id = new.token_object.key_id;
    new.row.spki = born.spki;
    new.row.created = work->now_ms;
    status = kv_key_check_born(&born, false, err);
    if (status == KV_OK)
        status = certify(vault, work, authority, &new, err);
    if (status == KV_OK)
        status = store(vault, work, &new, exists, err);
    if (status != KV_OK) {
        kv_birth_undo(vault, work, &new.birth);
        return status;
    }
    return exists ? kv_destroy_key(vault, work, before->key_id, err) : KV_OK;
}

kv_status kv_responder_ensure(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                              kv_error *err)
{
    kv_responder_row before;
    bool exists = false;

    if (!authority->ocsp_url.len || !authority->certificate.len)
        return KV_OK;
    KV_TRY(get_responder(vault, work, authority, &before, &exists, err));
    if (exists && before.not_after - renew_ms > work->now_ms)
        return KV_OK;
    KV_TRY(kv_authority_can_sign(vault, authority, err));
    return make(vault, work, authority, &before, exists, err);
}

kv_status kv_responder_doom(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                            kv_responder_row *row, kv_token_object_row *key, kv_change *change,
                            kv_error *err)
{
    bool exists = false;

    KV_TRY(get_responder(vault, work, authority, row, &exists, err));
    if (!exists) {
        row->key_id = KV_SLICE_NONE;
        return KV_OK;
    }
    KV_TRY(kv_change_doom(vault, work, row->key_id, key, change, err));
    return kv_change_delete(change, &kv_table_responders, row, err);
}

/* --- what everybody may ask --- */

/* One question of nobody in particular. */
static kv_status find(kv_vault *vault, kv_own_step *at, const kv_pki_name *name,
                      kv_authority_row *out, kv_error *err)
{
    kv_target target = { .vault = name->vault };
    kv_authority_row current;
    uint32_t number = 1;
    bool exists = false;

    if (!kv_authority_split(name->authority, &target.name, &number))
        return kv_fail(err, KV_NOT_FOUND, "there is no such key");
    KV_TRY(kv_authority_find(vault, &at->work, &target, NULL, &current, err));
    KV_TRY(kv_authority_of_key(vault, &at->work, &current, number, out, &exists, err));
    if (!exists || !out->certificate.len)
        return kv_fail(err, KV_NOT_FOUND, "the authority has no certificate yet");
    return KV_OK;
}

static kv_status crl(kv_vault *vault, kv_own_step *at, const kv_pki_name *name, kv_arena *arena,
                     kv_crl_bundle *out, kv_error *err)
{
    kv_authority_row authority;
    kv_crl_row list;

    KV_TRY(find(vault, at, name, &authority, err));
    list = (kv_crl_row){ .authority_uid = authority.uid };
    KV_TRY(kv_records_get(vault->config.records, &kv_table_crls, &list, &at->arena, err));
    if (!list.der.len)
        return kv_fail(err, KV_NOT_FOUND, "there is no revocation list yet");
    *out = (kv_crl_bundle){ .number = (uint64_t)list.number,
                            .this_update = list.this_update,
                            .next_update = list.next_update };
    return kv_arena_copy(arena, list.der, &out->crl, err);
}

kv_status kv_pki_crl(kv_vault *vault, const kv_pki_name *name, kv_arena *arena, kv_crl_bundle *out,
                     kv_error *err)
{
    kv_own_step at;
    kv_status status;

    KV_TRY(kv_own_step_begin(vault, &at, err));
    status = crl(vault, &at, name, arena, out, err);
    kv_own_step_end(&at);
    return status;
}

kv_status kv_pki_certificate(kv_vault *vault, const kv_pki_name *name, kv_arena *arena,
                             kv_slice *out, kv_error *err)
{
    kv_authority_row authority;
    kv_own_step at;
    kv_status status;

    KV_TRY(kv_own_step_begin(vault, &at, err));
    status = find(vault, &at, name, &authority, err);
    if (status == KV_OK)
        status = kv_arena_copy(arena, authority.certificate, out, err);
    kv_own_step_end(&at);
    return status;
}

static kv_status status_of(kv_vault *vault, kv_work *work, const kv_authority_row *authority,
                           kv_slice serial, kv_x509_ocsp_status *out, kv_error *err)
{
    kv_issued_row row = { .authority_uid = authority->uid, .serial = serial };
    kv_status status = KV_NOT_FOUND;

    *out = (kv_x509_ocsp_status){ .state = KV_X509_OCSP_UNKNOWN };
    if (serial.len == KV_X509_SERIAL_BYTES)
        status = kv_records_get(vault->config.records, &kv_table_issued, &row, work->arena, err);
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    if (kv_slice_equal(row.state, KV_ISSUED_ISSUED))
        out->state = KV_X509_OCSP_GOOD;
    if (kv_slice_equal(row.state, KV_ISSUED_REVOKED))
        *out = (kv_x509_ocsp_status){ .state = KV_X509_OCSP_REVOKED,
                                      .revoked_ms = row.revoked,
                                      .reason = (int)row.reason };
    return KV_OK;
}

/* Whichever key of the authority the question is about. */
static kv_status read(kv_vault *vault, kv_own_step *at, const kv_pki_name *name, kv_slice request,
                      kv_authority_row *by, kv_x509_ocsp_question *out, kv_error *err)
{
    kv_target target = { .vault = name->vault };
    kv_authority_row current;
    kv_authority_row *keys;
    uint32_t ignored;
    size_t count = 0;

    if (!kv_authority_split(name->authority, &target.name, &ignored))
        return kv_fail(err, KV_NOT_FOUND, "there is no such key");
    KV_TRY(kv_authority_find(vault, &at->work, &target, NULL, &current, err));
    KV_TRY(kv_authority_all_keys(vault, &at->work, &current, &keys, &count, err));
    for (size_t i = 0; i < count; i++) {
        *by = keys[i];
        if (!by->certificate.len || !by->key_id.len)
            continue;
        KV_TRY(kv_x509_ocsp_read(&at->arena, request, by->certificate, out, err));
        if (!out->foreign)
            return KV_OK;
    }
    return kv_fail(err, KV_DENIED, "another authority issued that");
}

/* Everything that an answer says, and who says it. */
static kv_status key_of(const kv_authority_row *authority, const kv_responder_row *responder,
                        const kv_x509_ocsp_answer *in, uint8_t key[KV_OCSP_CACHE_KEY],
                        kv_error *err)
{
    const kv_slice parts[] = { authority->uid, responder->certificate, in->request };
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool good = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; good && i < KV_COUNT(parts); i++)
        good = EVP_DigestUpdate(hash, &parts[i].len, sizeof(parts[i].len)) == 1 &&
               EVP_DigestUpdate(hash, parts[i].data, parts[i].len) == 1;
    for (size_t i = 0; good && i < in->count; i++) {
        const int64_t says[] = { in->statuses[i].state, in->statuses[i].revoked_ms,
                                 in->statuses[i].reason };

        good = EVP_DigestUpdate(hash, says, sizeof(says)) == 1;
    }
    good = good && EVP_DigestFinal_ex(hash, key, NULL) == 1;
    EVP_MD_CTX_free(hash);
    return good ? KV_OK : kv_fail(err, KV_INTERNAL, "an OCSP question could not be hashed");
}

/* Half of the time that an answer holds it is given again; the other half only when the token is
 * away. */
static int64_t half_of(const kv_ocsp_kept *kept)
{
    return kept->this_ms + (kept->next_ms - kept->this_ms) / 2;
}

static void hand_out(const kv_ocsp_kept *kept, int64_t now_ms, kv_pki_ocsp *out)
{
    int64_t until = now_ms < half_of(kept) ? half_of(kept) : kept->next_ms;

    *out = (kv_pki_ocsp){ .der = kept->der,
                          .max_age_s = (until - now_ms) / 1000,
                          .this_ms = kept->this_ms,
                          .next_ms = kept->next_ms };
}

static kv_status sign(kv_vault *vault, const kv_responder_row *responder, kv_x509_ocsp_answer *in,
                      kv_arena *arena, kv_ocsp_kept *out, kv_error *err)
{
    kv_authority_row as_key = { .key_id = responder->key_id, .spki = responder->spki };
    kv_authority_key key;

    KV_TRY(kv_authority_signer(vault, &as_key, &key, &in->signer, err));
    *out = (kv_ocsp_kept){ .this_ms = in->now_ms, .next_ms = in->next_ms };
    return kv_x509_ocsp_answer_der(arena, in, &out->der, err);
}

/* One that was signed before, as long as it says what there is to say now. */
static kv_status signed_or_kept(kv_vault *vault, const uint8_t key[KV_OCSP_CACHE_KEY],
                                const kv_responder_row *responder, kv_x509_ocsp_answer *in,
                                kv_arena *arena, kv_pki_ocsp *out, kv_error *err)
{
    kv_ocsp_kept kept = { 0 };
    kv_ocsp_kept made = { 0 };
    bool found = kv_ocsp_cache_get(vault->ocsp, key, in->now_ms, arena, &kept);
    kv_status status;

    if (!found || in->now_ms >= half_of(&kept)) {
        status = sign(vault, responder, in, arena, &made, err);
        if (status != KV_OK && !found)
            return status;
        if (status == KV_OK) {
            kept = made;
            kv_ocsp_cache_put(vault->ocsp, key, &kept);
        }
        *err = (kv_error){ 0 };
    }
    hand_out(&kept, in->now_ms, out);
    return KV_OK;
}

static kv_status answer(kv_vault *vault, kv_own_step *at, const kv_pki_name *name, kv_slice request,
                        kv_arena *arena, kv_pki_ocsp *out, kv_error *err)
{
    kv_x509_ocsp_status statuses[KV_X509_OCSP_IDS_MAX];
    uint8_t key[KV_OCSP_CACHE_KEY];
    kv_x509_ocsp_question question;
    kv_authority_row authority;
    kv_responder_row responder;
    kv_ocsp_kept fresh;
    kv_x509_ocsp_answer in = { .request = request, .statuses = statuses };
    bool exists = false;

    KV_TRY(read(vault, at, name, request, &authority, &question, err));
    KV_TRY(get_responder(vault, &at->work, &authority, &responder, &exists, err));
    if (!exists || responder.not_after <= at->work.now_ms)
        return kv_fail(err, KV_UNAVAILABLE, "there is no responder yet");
    for (size_t i = 0; i < question.count; i++)
        KV_TRY(status_of(vault, &at->work, &authority, question.serials[i], &statuses[i], err));
    in.count = question.count;
    in.responder = responder.certificate;
    in.now_ms = at->work.now_ms;
    in.next_ms = in.now_ms + answer_hours * hour_ms;
    if (in.next_ms > responder.not_after)
        in.next_ms = responder.not_after;
    if (!question.nonce) {
        KV_TRY(key_of(&authority, &responder, &in, key, err));
        return signed_or_kept(vault, key, &responder, &in, arena, out, err);
    }
    KV_TRY(sign(vault, &responder, &in, arena, &fresh, err));
    out->der = fresh.der;
    return KV_OK;
}

static kv_x509_ocsp_error refusal_of(kv_status status)
{
    if (status == KV_BAD_REQUEST)
        return KV_X509_OCSP_MALFORMED;
    if (status == KV_DENIED || status == KV_NOT_FOUND)
        return KV_X509_OCSP_UNAUTHORIZED;
    return status == KV_UNAVAILABLE || status == KV_BUSY ? KV_X509_OCSP_TRY_LATER
                                                         : KV_X509_OCSP_INTERNAL;
}

kv_status kv_pki_ocsp_answer(kv_vault *vault, const kv_pki_name *name, kv_slice request,
                             kv_arena *arena, kv_pki_ocsp *out, kv_error *err)
{
    uint8_t refusal[5];
    kv_own_step at;
    kv_status status;

    *out = (kv_pki_ocsp){ 0 };
    KV_TRY(kv_own_step_begin(vault, &at, err));
    status = answer(vault, &at, name, request, arena, out, err);
    kv_own_step_end(&at);
    if (status == KV_OK)
        return KV_OK;
    *err = (kv_error){ 0 };
    out->max_age_s = 0;
    kv_x509_ocsp_refusal(refusal_of(status), refusal);
    return kv_arena_copy(arena, kv_slice_of(refusal, sizeof(refusal)), &out->der, err);
}
