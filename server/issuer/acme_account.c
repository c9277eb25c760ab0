/* acme_account.c - the account at an ACME authority: found or made, and its key changed. */
#include "server/base/text.h"
#include "server/issuer/acme_visit.h"

static kv_status sign_now(void *context, const uint8_t digest[KV_ACME_DIGEST_BYTES],
                          uint8_t signature[KV_ACME_SIGNATURE_BYTES], kv_error *err)
{
    const kv_issuer_enrolment *with = context;

    return with->sign(with->context, false, digest, signature, err);
}

static kv_status sign_next(void *context, const uint8_t digest[KV_ACME_DIGEST_BYTES],
                           uint8_t signature[KV_ACME_SIGNATURE_BYTES], kv_error *err)
{
    const kv_issuer_enrolment *with = context;

    return with->sign(with->context, true, digest, signature, err);
}

kv_status kv_acme_visit_begin(const kv_issuer_account *account, kv_arena *arena,
                              kv_deadline deadline, int64_t now_ms, int64_t now_us,
                              kv_acme_visit *out, kv_error *err)
{
    const kv_issuer_world *world = account->world;

    *out = (kv_acme_visit){ .account = account };
    KV_TRY(kv_acme_settings_read(arena, account->settings, &out->settings, err));
    if (!world || !world->http)
        return kv_fail(err, KV_INTERNAL, "issuer ACME needs outgoing connections");
    out->client = (kv_acme_client){ .http = world->http,
                                    .memory = world->memory,
                                    .directory_url = out->settings.directory,
                                    .deadline = deadline,
                                    .now_ms = now_ms,
                                    .began_us = now_us,
                                    .arena = arena,
                                    .retry_ms = -1 };
    if (account->enrolment) {
        KV_TRY(kv_arena_text(arena, account->enrolment->realm, &out->client.directory_url, err));
        out->client.key = (kv_acme_key){ .spki = account->enrolment->spki,
                                         .sign = sign_now,
                                         .context = account->enrolment };
        out->next = (kv_acme_key){ .spki = account->enrolment->next_spki,
                                   .sign = sign_next,
                                   .context = account->enrolment };
    }
    return kv_acme_open(&out->client, err);
}

/* --- making it --- */

static kv_status binding_of(const kv_issuer_account *account, kv_secret_buf *mac_key,
                            kv_acme_binding *out, kv_error *err)
{
    *out = (kv_acme_binding){ 0 };
    if (!account->credential || !account->account_id.len)
        return KV_OK;
    KV_TRY(kv_acme_mac_key(kv_secret_buf_slice(account->credential), mac_key, err));
    *out = (kv_acme_binding){ .kid = account->account_id, .mac_key = mac_key };
    return KV_OK;
}

/* Whether an answer was lost before is asked first: then nothing is made, and no binding used. */
static kv_status find_or_make(kv_acme_visit *visit, const char **url, kv_error *err)
{
    KV_AUTO(kv_secret_buf) mac_key = KV_SECRET_NONE;
    kv_acme_client *client = &visit->client;
    kv_acme_binding binding;

    KV_TRY(kv_acme_account_find(client, url, err));
    if (*url)
        return KV_OK;
    KV_TRY(binding_of(visit->account, &mac_key, &binding, err));
    return kv_acme_account_new(client, visit->settings.contacts, visit->settings.contact_count,
                               &binding, url, err);
}

/* After a crash nobody knows which of two keys the account has: the authority does. */
static kv_status settle_key(kv_acme_visit *visit, kv_error *err)
{
    kv_issuer_enrolment *enrolment = visit->account->enrolment;
    kv_acme_client as_next = visit->client;
    const char *url = NULL;
    kv_status status;

    as_next.key = visit->next;
    status = kv_acme_account_find(&as_next, &url, err);
    if (status != KV_OK) {
        visit->client.refused = as_next.refused;
        visit->client.problem = as_next.problem;
        visit->client.retry_ms = as_next.retry_ms;
        return status;
    }
    if (!url || strcmp(url, visit->client.account) != 0)
        return KV_OK;
    KV_TRY(enrolment->taken_over(enrolment->context, err));
    visit->client.key.spki = enrolment->spki;
    visit->next.spki = enrolment->next_spki;
    return KV_OK;
}

kv_status kv_acme_visit_enrol(kv_acme_visit *visit, kv_error *err)
{
    kv_issuer_enrolment *enrolment = visit->account->enrolment;
    const char *url = NULL;

    if (!enrolment)
        return kv_fail(err, KV_INTERNAL, "issuer ACME needs an account key");
    if (!enrolment->url.len) {
        KV_TRY(find_or_make(visit, &url, err));
        KV_TRY(enrolment->enrolled(enrolment->context, kv_slice_text(url), err));
    }
    KV_TRY(kv_arena_text(visit->client.arena, enrolment->url, &visit->client.account, err));
    return enrolment->next_spki.len ? settle_key(visit, err) : KV_OK;
}

kv_status kv_acme_visit_new_key(kv_acme_visit *visit, kv_error *err)
{
    kv_issuer_enrolment *enrolment = visit->account->enrolment;

    KV_TRY(kv_acme_visit_enrol(visit, err));
    /* Enrolling may have found that it has taken over already. */
    if (!enrolment->next_spki.len)
        return KV_OK;
    KV_TRY(kv_acme_account_new_key(&visit->client, &visit->next, err));
    return enrolment->taken_over(enrolment->context, err);
}

/* An account that is closed, or unknown, may nothing; the authority says no more than that. */
static kv_status is_closed(kv_acme_client *client, kv_status status, kv_error *err)
{
    if (status == KV_OK || !client->refused || client->problem.status < 400 ||
        (!kv_slice_equal(client->problem.type, KV_SLICE("unauthorized")) &&
         !kv_slice_equal(client->problem.type, KV_SLICE("accountDoesNotExist"))))
        return status;
    client->refused = KV_ACME_NOTHING;
    *err = (kv_error){ 0 };
    return KV_OK;
}

kv_status kv_acme_visit_deactivate(kv_acme_visit *visit, kv_error *err)
{
    kv_acme_client *client = &visit->client;
    const char *url = NULL;
    kv_status status;

    /* The answer that named it may have been lost. */
    if (!visit->account->enrolment->url.len) {
        KV_TRY(is_closed(client, kv_acme_account_find(client, &url, err), err));
        if (!url)
            return KV_OK;
    }
    status = kv_acme_visit_enrol(visit, err);
    if (status == KV_OK)
        status = kv_acme_account_deactivate(client, err);
    return is_closed(client, status, err);
}
