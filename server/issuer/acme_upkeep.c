/* acme_upkeep.c - what an authority is asked apart from orders: revocations, when to renew, whether
 * the account is good, another key for it, its end. */
#include "server/challenge/dns.h"
#include "server/issuer/acme_visit.h"

enum {
    HINT_LEAST_MS = 60 * 1000,
    HINT_MOST_MS = 24 * 60 * 60 * 1000,
    HINT_DEFAULT_MS = 6 * 60 * 60 * 1000
};

/* A refusal as a status, with the authority's words. */
static kv_status tell(const kv_acme_visit *visit, kv_status status, kv_error *err)
{
    switch (visit->client.refused) {
    case KV_ACME_NOTHING:
        return status;
    case KV_ACME_ACCOUNT:
        err->status = KV_DENIED;
        return KV_DENIED;
    case KV_ACME_WAIT:
        err->status = KV_BUSY;
        err->retry_ms = (unsigned)visit->client.retry_ms;
        return KV_BUSY;
    case KV_ACME_AGAIN:
    case KV_ACME_LATER:
        err->status = KV_UNAVAILABLE;
        return KV_UNAVAILABLE;
    case KV_ACME_NEW_ORDER:
    case KV_ACME_FINAL:
    case KV_ACME_NO_REPLACES:
    case KV_ACME_LOOK:
    case KV_ACME_IS_SO_ALREADY:
        break;
    }
    return status;
}

kv_status kv_acme_step_revoke(const kv_issuer_order *order, kv_issuer_revocation why, kv_error *err)
{
    kv_acme_visit visit;
    kv_status status = kv_acme_visit_begin(order->account, order->arena, order->deadline,
                                           order->now_ms, order->now_us, &visit, err);

    if (status == KV_OK)
        status = kv_acme_visit_enrol(&visit, err);
    if (status == KV_OK)
        status = kv_acme_certificate_revoke(&visit.client, order->chain.items[0], why, err);
    return status == KV_OK ? KV_OK : tell(&visit, status, err);
}

static int64_t hint_wait(int64_t wished_ms)
{
    if (wished_ms < 0)
        return HINT_DEFAULT_MS;
    if (wished_ms < HINT_LEAST_MS)
        return HINT_LEAST_MS;
    return wished_ms > HINT_MOST_MS ? HINT_MOST_MS : wished_ms;
}

kv_status kv_acme_step_hint(const kv_issuer_order *order, kv_issuer_window *out, kv_error *err)
{
    kv_acme_window window = { 0 };
    kv_acme_visit visit;
    kv_slice id;
    kv_status status = kv_acme_certificate_id(order->arena, order->chain.items[0], &id, err);

    *out = (kv_issuer_window){ .retry_ms = HINT_MOST_MS };
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    status = kv_acme_visit_begin(order->account, order->arena, order->deadline, order->now_ms,
                                 order->now_us, &visit, err);
    if (status == KV_OK)
        status = kv_acme_window_get(&visit.client, id, &window, err);
    out->retry_ms = hint_wait(visit.client.retry_ms);
    if (status == KV_OK) {
        out->from_ms = window.start_ms;
        out->until_ms = window.end_ms;
        if (kv_acme_url_good(window.explanation))
            out->explanation = window.explanation;
        return KV_OK;
    }
    /* It has no opinion, about this one or at all. */
    if (status == KV_NOT_FOUND || (visit.client.refused && visit.client.problem.status < 500 &&
                                   visit.client.refused != KV_ACME_WAIT)) {
        *err = (kv_error){ 0 };
        out->retry_ms = HINT_DEFAULT_MS;
        return KV_OK;
    }
    return tell(&visit, status, err);
}

static bool has_profile(const kv_acme_visit *visit)
{
    const kv_acme_directory *directory = &visit->client.directory;

    for (size_t i = 0; i < directory->profile_count; i++)
        if (kv_slice_equal(directory->profiles[i], visit->settings.profile))
            return true;
    return !visit->settings.profile.len;
}

static bool has_solver(const kv_acme_visit *visit)
{
    const kv_issuer_world *world = visit->account->world;

    for (size_t i = 0; i < visit->settings.proof_count; i++)
        if (kv_challenge_find(world->solvers, world->solver_count, visit->settings.proofs[i].type))
            return true;
    return false;
}

/* Before anything is ordered the authority says who it is as its directory does; a challenge says
 * it for good. That it does not is no fault; that the records have ended is. */
static kv_status standing_record(const kv_acme_visit *visit, const kv_acme_proof *proof,
                                 kv_slice *out, kv_error *err)
{
    const kv_acme_client *client = &visit->client;
    kv_challenge_task task = { .account_uri = kv_slice_text(client->account),
                               .directory = kv_slice_text(client->directory_url),
                               .authority_domain =
                                   kv_acme_authority_domain(&client->directory, NULL),
                               .account_hash_prefix = client->directory.account_hash_prefix,
                               .settings = proof->settings,
                               .now_ms = client->now_ms,
                               .arena = client->arena };

    KV_TRY(kv_acme_thumbprint(client->arena, client->key.spki, &task.thumbprint, err));
    return task.authority_domain.len ? kv_dns_persist_value(&task, out, err) : KV_OK;
}

static kv_status standing_records(const kv_acme_visit *visit, kv_slice *out, kv_error *err)
{
    for (size_t i = 0; i < visit->settings.proof_count; i++)
        if (kv_slice_equal(visit->settings.proofs[i].type,
                           kv_slice_text(kv_challenge_dns_persist.type)))
            return standing_record(visit, &visit->settings.proofs[i], out, err);
    return KV_OK;
}

/* The account is made if there is none: only so does a binding prove to be good. */
kv_status kv_acme_step_check(const kv_issuer_account *account, kv_arena *arena,
                             kv_deadline deadline, kv_slice *record, kv_error *err)
{
    kv_acme_visit visit;
    kv_status status = kv_acme_visit_begin(account, arena, deadline, kv_clock_now_ms(NULL),
                                           kv_monotonic_us(), &visit, err);

    if (status == KV_OK)
        status = kv_acme_visit_enrol(&visit, err);
    if (status == KV_OK)
        status = kv_acme_account_check(&visit.client, err);
    if (status != KV_OK)
        return tell(&visit, status, err);
    if (!has_profile(&visit))
        return kv_fail(err, KV_PRECONDITION, "the authority has no profile '%.*s'",
                       KV_SLICE_ARG(visit.settings.profile));
    if (!has_solver(&visit))
        return kv_fail(err, KV_PRECONDITION,
                       "this server is set up for none of the challenges of the settings");
    return standing_records(&visit, record, err);
}

kv_status kv_acme_step_new_key(const kv_issuer_account *account, kv_arena *arena,
                               kv_deadline deadline, kv_error *err)
{
    kv_acme_visit visit;
    kv_status status = kv_acme_visit_begin(account, arena, deadline, kv_clock_now_ms(NULL),
                                           kv_monotonic_us(), &visit, err);

    if (status == KV_OK)
        status = kv_acme_visit_new_key(&visit, err);
    return status == KV_OK ? KV_OK : tell(&visit, status, err);
}

kv_status kv_acme_step_deactivate(const kv_issuer_account *account, kv_arena *arena,
                                  kv_deadline deadline, kv_error *err)
{
    kv_acme_visit visit;
    kv_status status = kv_acme_visit_begin(account, arena, deadline, kv_clock_now_ms(NULL),
                                           kv_monotonic_us(), &visit, err);

    if (status == KV_OK)
        status = kv_acme_visit_deactivate(&visit, err);
    return status == KV_OK ? KV_OK : tell(&visit, status, err);
}

kv_status kv_acme_step_realm(const kv_issuer_account *account, kv_arena *arena, kv_slice *out,
                             kv_error *err)
{
    kv_acme_settings settings;

    KV_TRY(kv_acme_settings_read(arena, account->settings, &settings, err));
    *out = kv_slice_text(settings.directory);
    return KV_OK;
}
