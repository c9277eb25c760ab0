/* webhook_send.c - what goes to an endpoint: the question whether it wants events, and events. */
#include "server/vault/notices/webhook_rules.h"

#include "pkcs11/mechanism.h"
#include "pkcs11/token_sign.h"

enum { ASK_MS = 10000, ERROR_MAX = 200 };

kv_box kv_webhook_place(const kv_webhook_row *row)
{
    return (kv_box){ .vault_uid = row->vault_uid,
                     .object_uid = row->authorization_uid,
                     .name = row->name,
                     .kind = KV_SLICE("keyvault webhook 1") };
}

kv_status kv_webhook_end_of(kv_vault *vault, kv_work *work, const kv_webhook_row *row,
                            kv_webhook_end *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) opened = KV_SECRET_NONE;
    kv_secret_version_row sealed = { .key_id = row->authorization_key_id,
                                     .ciphertext = row->authorization };
    kv_box place = kv_webhook_place(row);

    *out = (kv_webhook_end){ .origin = vault->config.notify.origin };
    KV_TRY(kv_arena_text(work->arena, row->url, &out->url, err));
    if (!row->authorization.len)
        return KV_OK;
    KV_TRY(kv_box_open(vault, work, &place, &sealed, &opened, err));
    /* The arena is wiped with the call. */
    return kv_arena_copy(work->arena, kv_secret_buf_slice(&opened), &out->authorization, err);
}

static kv_slice cut(kv_slice text)
{
    return kv_slice_of(text.data, text.len < ERROR_MAX ? text.len : ERROR_MAX);
}

kv_status kv_webhook_shake_hands(kv_vault *vault, kv_work *work, kv_webhook_row *row, kv_error *err)
{
    int64_t left_ms = kv_deadline_left_ms(work->deadline);
    kv_webhook_consent consent = { 0 };
    kv_webhook_end end;
    kv_status status;

    if (!vault->config.notify.http)
        return kv_fail(err, KV_PRECONDITION, "this server connects to nobody");
    KV_TRY(kv_webhook_end_of(vault, work, row, &end, err));
    status = kv_webhook_ask(vault->config.notify.http, &end,
                            kv_deadline_in_ms(left_ms < ASK_MS ? left_ms : ASK_MS), work->arena,
                            &consent, err);
    if (status == KV_CANCELLED || status == KV_BUSY)
        return status;
    row->agreed = consent.given ? work->now_ms : 0;
    row->rate = consent.rate;
    row->last_error = kv_slice_text(consent.why);
    if (status != KV_OK) {
        KV_TRY(kv_arena_copy(work->arena, cut(kv_slice_text(err->message)), &row->last_error, err));
        *err = (kv_error){ 0 };
    }
    return KV_OK;
}

static kv_status sign(kv_vault *vault, kv_work *work, const kv_webhook_row *row,
                      kv_webhook_post *post, kv_error *err)
{
    kv_token *token = kv_tokens_get(vault->config.tokens, KV_DUTY_SYSTEM);
    kv_key_ref ref = { .class = KV_CLASS_SIGN, .spki = row->spki };
    uint8_t signature[KV_SIGNATURE_MAX];
    size_t len = sizeof(signature);
    kv_slice signed_bytes;

    if (row->key_id.len != sizeof(ref.id))
        return kv_fail(err, KV_INTERNAL, "a webhook's key id has %zu bytes", row->key_id.len);
    memcpy(ref.id, row->key_id.data, sizeof(ref.id));
    KV_TRY(
        kv_webhook_to_sign(work->arena, post->id, post->seconds, post->body, &signed_bytes, err));
    KV_TRY(kv_token_sign(token, &ref, kv_mechanism_find(KV_SLICE("EdDSA")), signed_bytes, signature,
                         &len, err));
    if (len != KV_WEBHOOK_SIGNATURE)
        return kv_fail(err, KV_INTERNAL, "an Ed25519 signature has %zu bytes", len);
    return kv_webhook_signature_text(work->arena, signature, &post->signature, err);
}

kv_status kv_webhook_deliver(kv_vault *vault, kv_work *work, const kv_webhook_row *row, kv_slice id,
                             kv_slice body, kv_webhook_result *out, kv_error *err)
{
    int64_t now_ms = kv_clock_now_ms(vault->config.clock);
    kv_webhook_post post = { .id = id, .seconds = now_ms / 1000, .body = body };
    kv_webhook_end end;

    if (!vault->config.notify.http)
        return kv_fail(err, KV_PRECONDITION, "this server connects to nobody");
    KV_TRY(kv_webhook_end_of(vault, work, row, &end, err));
    KV_TRY(sign(vault, work, row, &post, err));
    return kv_webhook_send(vault->config.notify.http, &end, &post, now_ms, work->arena, out, err);
}
