/* acme.c - authorities that speak ACME (RFC 8555).
 *
 * The order's URL is the operation's external id, and the order at the authority is the memory of
 * what has been done: every step reads it first. An order whose URL was lost in a crash is never
 * finalized, so it makes no certificate; the same attempt places another one.
 */
#include "server/acme/client.h"
#include "server/base/text.h"
#include "server/issuer/acme_visit.h"
#include "server/issuer/builtin.h"

enum {
    WAIT_LEAST_MS = 1000,
    WAIT_MOST_MS = 5 * 60 * 1000,
    AGE_PARTS = 8,  /* an order is asked for after an eighth of its age */
    MOVES_MOST = 6, /* of one step */
    DETAILS_NAMES = 5
};

/* --- what follows from a refusal --- */

/* `status` is how a visit ended; the answer says what an operation makes of it. */
static kv_status conclude(const kv_acme_visit *visit, const kv_issuer_order *order,
                          kv_status status, kv_issuer_answer *out, kv_error *err)
{
    const kv_acme_client *client = &visit->client;
    kv_issuer_answer answer = { .external_id = order->external_id, .code = client->problem.type };
    kv_slice words;

    if (status == KV_OK || !client->refused)
        return status;
    switch (client->refused) {
    case KV_ACME_NOTHING:
    case KV_ACME_LATER:
        err->status = KV_UNAVAILABLE;
        return KV_UNAVAILABLE;
    case KV_ACME_IS_SO_ALREADY:
        return status;
    case KV_ACME_ACCOUNT: /* told, and tried again: whoever runs the account can mend it */
        answer.state = KV_ISSUER_RETRYABLE;
        answer.issuer_fault = true;
        break;
    case KV_ACME_WAIT:
        answer.state = order->external_id.len ? KV_ISSUER_PENDING : KV_ISSUER_RETRYABLE;
        answer.pause_ms = (unsigned)client->retry_ms;
        answer.retry_ms =
            (unsigned)(client->retry_ms > WAIT_LEAST_MS ? client->retry_ms : WAIT_LEAST_MS);
        break;
    case KV_ACME_AGAIN: /* nothing has failed: so many nonces in a row were bad luck */
    case KV_ACME_LOOK:
        answer.state = KV_ISSUER_PENDING;
        answer.retry_ms = WAIT_LEAST_MS;
        break;
    case KV_ACME_NEW_ORDER:
    case KV_ACME_NO_REPLACES:
        answer.state = KV_ISSUER_RETRYABLE;
        break;
    case KV_ACME_FINAL:
        answer.state = KV_ISSUER_REFUSED;
        break;
    }
    *err = (kv_error){ 0 };
    KV_TRY(kv_acme_problem_say(order->arena, &client->problem, &words, err));
    answer.details = words;
    *out = answer;
    return KV_OK;
}

static kv_status begin(const kv_issuer_order *order, kv_acme_visit *visit, kv_error *err)
{
    KV_TRY(kv_acme_visit_begin(order->account, order->arena, order->deadline, order->now_ms,
                               order->now_us, visit, err));
    return kv_acme_visit_enrol(visit, err);
}

/* --- a new order --- */

static kv_slice profile_of(const kv_acme_visit *visit, const kv_x509_policy *policy)
{
    return policy->issuer.cty.len ? policy->issuer.cty : visit->settings.profile;
}

/* The certificate that this one follows, as the authority names it; empty when there is none. */
static kv_slice predecessor(const kv_acme_visit *visit, const kv_issuer_order *order)
{
    kv_slice id = KV_SLICE_NONE;
    kv_error ignored = { 0 };

    if (!order->chain.count || !visit->client.directory.renewal_info)
        return KV_SLICE_NONE;
    return kv_acme_certificate_id(order->arena, order->chain.items[0], &id, &ignored) == KV_OK
               ? id
               : KV_SLICE_NONE;
}

/* What names a predecessor may be refused because of that: it was another authority's, or has been
 * followed already. */
static bool blames_predecessor(const kv_acme_client *client)
{
    return client->refused == KV_ACME_NO_REPLACES || client->problem.status == 404 ||
           client->problem.status == 409 ||
           kv_slice_equal(client->problem.type, KV_SLICE("malformed")) ||
           (client->refused == KV_ACME_ACCOUNT &&
            kv_slice_equal(client->problem.type, KV_SLICE("unauthorized")));
}

static kv_status place(kv_acme_visit *visit, const kv_issuer_order *order, const char **url,
                       kv_acme_order *out, kv_error *err)
{
    kv_acme_order_in in = { .profile = profile_of(visit, order->policy),
                            .replaces = predecessor(visit, order) };
    kv_status status;

    KV_TRY(kv_acme_names_of(order->arena, order->policy, &in.names, &in.count, err));
    status = kv_acme_order_new(&visit->client, &in, url, out, err);
    if (status == KV_OK || !in.replaces.len || !visit->client.refused ||
        !blames_predecessor(&visit->client))
        return status;
    *err = (kv_error){ 0 };
    in.replaces = KV_SLICE_NONE;
    return kv_acme_order_new(&visit->client, &in, url, out, err);
}

static kv_status submit(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    kv_acme_visit visit;
    kv_acme_order placed;
    const kv_acme_name *names;
    const char *url = NULL;
    kv_status status;
    size_t count;

    if (kv_acme_names_of(order->arena, order->policy, &names, &count, err) == KV_PRECONDITION) {
        *out = (kv_issuer_answer){ .state = KV_ISSUER_REFUSED,
                                   .code = KV_SLICE("unsupportedIdentifier") };
        return kv_arena_copy(order->arena, kv_slice_text(err->message), &out->details, err);
    }
    status = begin(order, &visit, err);
    if (status == KV_OK)
        status = place(&visit, order, &url, &placed, err);
    if (status != KV_OK)
        return conclude(&visit, order, status, out, err);
    *out = (kv_issuer_answer){ .state = KV_ISSUER_PENDING,
                               .external_id = kv_slice_text(url),
                               .retry_ms = WAIT_LEAST_MS,
                               .details = KV_SLICE("The certificate has been ordered.") };
    return KV_OK;
}

/* --- an order on its way --- */

static unsigned wait_of(const kv_issuer_order *order, int64_t wished_ms)
{
    int64_t wait = (order->now_ms - order->begun_ms) / AGE_PARTS;

    if (wait > WAIT_MOST_MS)
        wait = WAIT_MOST_MS;
    if (wished_ms > 0)
        wait = wished_ms;
    return (unsigned)(wait < WAIT_LEAST_MS ? WAIT_LEAST_MS : wait);
}

static void pend(const kv_issuer_order *order, int64_t wished_ms, kv_slice details,
                 kv_issuer_answer *out)
{
    out->state = KV_ISSUER_PENDING;
    out->retry_ms = wait_of(order, wished_ms);
    out->details = details;
}

/* "a.test: no such host; b.test: ...", of those that are not valid. */
static kv_status words_of(const kv_issuer_order *order, const kv_acme_progress *progress,
                          kv_slice *out, kv_error *err)
{
    unsigned told = 0;

    *out = KV_SLICE_NONE;
    for (size_t i = 0; i < progress->count && told < DETAILS_NAMES; i++) {
        const kv_issuer_name *name = &progress->names[i];

        if (!name->details.len)
            continue;
        KV_TRY(kv_arena_print(order->arena, out, err, "%.*s%s%.*s: %.*s", KV_SLICE_ARG(*out),
                              told++ ? "; " : "", KV_SLICE_ARG(name->name),
                              KV_SLICE_ARG(name->details)));
    }
    return KV_OK;
}

static kv_status fail_order(kv_acme_visit *visit, const kv_issuer_order *order,
                            const kv_acme_order *of, kv_acme_progress *progress,
                            kv_issuer_answer *out, kv_error *err)
{
    bool final =
        progress->final || (of->failed && kv_acme_problem_action(&of->problem) == KV_ACME_FINAL);

    out->state = final ? KV_ISSUER_REFUSED : KV_ISSUER_RETRYABLE;
    out->code = progress->code.len ? progress->code : of->problem.type;
    KV_TRY(words_of(order, progress, &out->details, err));
    if (!out->details.len && of->failed)
        KV_TRY(kv_acme_problem_say(order->arena, &of->problem, &out->details, err));
    if (!out->details.len)
        out->details = KV_SLICE("the authority gave the order up");
    kv_acme_unprove(visit, order, of, true);
    return KV_OK;
}

/* Names of an order that is not proved yet, or has failed. */
static kv_status prove(kv_acme_visit *visit, const kv_issuer_order *order, const kv_acme_order *of,
                       kv_issuer_answer *out, bool *again, kv_error *err)
{
    kv_acme_progress progress;
    kv_slice words;

    KV_TRY(kv_acme_prove(visit, order, of, &progress, err));
    out->names = progress.names;
    out->name_count = progress.count;
    if (progress.failed || of->state == KV_ACME_INVALID)
        return fail_order(visit, order, of, &progress, out, err);
    *again = progress.all;
    KV_TRY(words_of(order, &progress, &words, err));
    pend(order, progress.wait_ms,
         words.len ? words : KV_SLICE("The authority is to see that the names are ours."), out);
    return KV_OK;
}

static kv_status finalize(kv_acme_visit *visit, const kv_issuer_order *order, kv_acme_order *of,
                          kv_error *err)
{
    kv_status status;

    kv_acme_unprove(visit, order, of, false);
    status = kv_acme_order_finalize(&visit->client, of->finalize, order->csr, of, err);
    if (status == KV_OK || visit->client.refused != KV_ACME_LOOK)
        return status;
    /* It has been finalized, and the answer was lost; or it is not ready after all. */
    *err = (kv_error){ 0 };
    return kv_acme_order_get(&visit->client, (const char *)order->external_id.data, of, err);
}

/* Past the proofs: whatever the last answer said of them. */
static kv_status all_valid(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    kv_issuer_name *names = kv_arena_array(order->arena, order->name_count, sizeof(*names));

    if (!names)
        return kv_arena_full(err);
    for (size_t i = 0; i < order->name_count; i++) {
        bool was = kv_slice_equal(order->names[i].status, KV_SLICE("valid"));

        names[i] = (kv_issuer_name){ .name = order->names[i].name,
                                     .status = KV_SLICE("valid"),
                                     .since_ms = was ? order->names[i].since_ms : order->now_ms };
    }
    out->names = names;
    out->name_count = order->name_count;
    return KV_OK;
}

/* As far as it goes without waiting. */
static kv_status advance(kv_acme_visit *visit, const kv_issuer_order *order, const char *url,
                         kv_issuer_answer *out, kv_error *err)
{
    bool finalized = false;
    kv_acme_order of;

    KV_TRY(kv_acme_order_get(&visit->client, url, &of, err));
    if (of.state != KV_ACME_PENDING && of.state != KV_ACME_INVALID)
        KV_TRY(all_valid(order, out, err));
    for (unsigned moves = 0; moves < MOVES_MOST; moves++) {
        bool again = false;

        switch (of.state) {
        case KV_ACME_VALID:
            out->state = KV_ISSUER_READY;
            return KV_OK;
        case KV_ACME_READY:
            if (finalized)
                break;
            finalized = true;
            KV_TRY(finalize(visit, order, &of, err));
            continue;
        case KV_ACME_PENDING:
            KV_TRY(prove(visit, order, &of, out, &again, err));
            if (!again)
                return KV_OK;
            KV_TRY(kv_acme_order_get(&visit->client, url, &of, err));
            if (of.state == KV_ACME_PENDING)
                return KV_OK;
            continue;
        case KV_ACME_INVALID:
        case KV_ACME_DEACTIVATED:
        case KV_ACME_EXPIRED:
        case KV_ACME_REVOKED:
            of.state = KV_ACME_INVALID;
            return prove(visit, order, &of, out, &again, err);
        case KV_ACME_PROCESSING:
        case KV_ACME_UNKNOWN:
            break;
        }
        break;
    }
    pend(order, visit->client.retry_ms, KV_SLICE("The authority is making the certificate."), out);
    return KV_OK;
}

static kv_status poll(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    kv_issuer_answer answer = { .external_id = order->external_id };
    kv_acme_visit visit;
    kv_status status;
    const char *url;

    /* It could not be placed, because the authority wanted to be left alone. */
    if (!order->external_id.len)
        return submit(order, out, err);
    KV_TRY(kv_arena_text(order->arena, order->external_id, &url, err));
    status = begin(order, &visit, err);
    if (status == KV_OK)
        status = advance(&visit, order, url, &answer, err);
    if (status != KV_OK)
        return conclude(&visit, order, status, out, err);
    *out = answer;
    return KV_OK;
}

static kv_status fetch(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    kv_issuer_answer answer = { .state = KV_ISSUER_ISSUED, .external_id = order->external_id };
    kv_acme_visit visit;
    kv_acme_order of = { 0 };
    kv_status status;
    const char *url;

    KV_TRY(kv_arena_text(order->arena, order->external_id, &url, err));
    status = begin(order, &visit, err);
    if (status == KV_OK)
        status = kv_acme_order_get(&visit.client, url, &of, err);
    if (status == KV_OK && !of.certificate)
        status = kv_fail(err, KV_UNAVAILABLE, "the authority has taken the certificate back");
    if (status == KV_OK)
        status = kv_acme_chain_get(&visit, of.certificate, &answer.chain, &answer.warnings, err);
    if (status != KV_OK)
        return conclude(&visit, order, status, out, err);
    *out = answer;
    return KV_OK;
}

/* Best effort: nobody wants the certificate any more, whatever the authority says to that. */
static kv_status cancel(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    kv_error ignored = { 0 };
    kv_acme_visit visit;
    kv_acme_order of;
    const char *url;

    *out = (kv_issuer_answer){ .state = KV_ISSUER_CANCELLED };
    if (!order->external_id.len)
        return KV_OK;
    KV_TRY(kv_arena_text(order->arena, order->external_id, &url, err));
    if (begin(order, &visit, &ignored) == KV_OK &&
        kv_acme_order_get(&visit.client, url, &of, &ignored) == KV_OK)
        kv_acme_unprove(&visit, order, &of, true);
    return KV_OK;
}

const kv_issuer kv_issuer_acme = {
    .provider = "ACME",
    .auto_renew = true,
    .needs_account = true,
    .outside = true,
    .submit = submit,
    .poll = poll,
    .fetch = fetch,
    .cancel = cancel,
    .revoke = kv_acme_step_revoke,
    .renewal_hint = kv_acme_step_hint,
    .check_credentials = kv_acme_step_check,
    .check_account = kv_acme_account_judge,
    .realm = kv_acme_step_realm,
    .new_key = kv_acme_step_new_key,
    .deactivate = kv_acme_step_deactivate,
};
