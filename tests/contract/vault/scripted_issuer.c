/* scripted_issuer.c - an issuer outside that does what the test says. */
#include "tests/contract/vault/scripted_issuer.h"

#include <pthread.h>
#include <stdio.h>

#include <openssl/crypto.h>

#include "server/x509/inspect.h"

enum { ORDERS_MAX = 4096, STEPS_MAX = 400, HANG_SECONDS = 10 };

typedef struct placed {
    char name[64];
    unsigned polled;
} placed;

script scripted;

static placed orders[ORDERS_MAX];
static unsigned order_count;
static pthread_mutex_t hang_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hang_changed = PTHREAD_COND_INITIALIZER;

static kv_slice order_name(const kv_issuer_order *order, char name[64])
{
    (void)snprintf(name, 64, "%.*s/%u", KV_SLICE_ARG(order->operation), order->attempt);
    return kv_slice_text(name);
}

static placed *find(kv_slice name)
{
    for (unsigned i = 0; i < order_count; i++)
        if (kv_slice_equal(kv_slice_text(orders[i].name), name))
            return &orders[i];
    return NULL;
}

static void place(const char *name)
{
    if (find(kv_slice_text(name)))
        return;
    assert_true(order_count < ORDERS_MAX);
    orders[order_count] = (placed){ .polled = 0 };
    (void)snprintf(orders[order_count++].name, sizeof(orders[0].name), "%s", name);
    scripted.orders++;
}

static uint8_t *certify(const kv_issuer_order *order, int *len)
{
    int64_t now_s = order->now_ms / 1000;

    if (!scripted.life_ms)
        return act_certify(order->csr, scripted.names, len);
    return act_certify_for(order->csr, scripted.names, now_s, now_s + scripted.life_ms / 1000, len);
}

static kv_status issue(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    kv_slice *chain = kv_arena_array(order->arena, 1, sizeof(*chain));
    kv_slice made = KV_SLICE("\x30\x03no!");
    uint8_t *der = NULL;
    kv_status status;
    int len;

    assert_non_null(chain);
    if (scripted.deed == SCRIPT_WRONG_KEY) {
        made_certificate *other = house_certificate("c");

        status = kv_arena_copy(order->arena, der_of(other), chain, err);
        free_certificate(other);
    } else {
        if (scripted.deed != SCRIPT_GARBAGE) {
            der = certify(order, &len);
            made = kv_slice_of(der, (size_t)len);
        }
        status = kv_arena_copy(order->arena, made, chain, err);
        OPENSSL_free(der);
    }
    *out = (kv_issuer_answer){ .state = KV_ISSUER_ISSUED, .chain = { chain, 1 } };
    return status;
}

static bool silent(void)
{
    bool hung;
    bool answers;

    pthread_mutex_lock(&hang_mutex);
    hung = scripted.deed == SCRIPT_HANG;
    if (hung && ++scripted.hanging > scripted.hanging_most)
        scripted.hanging_most = scripted.hanging;
    pthread_cond_broadcast(&hang_changed);
    while (scripted.deed == SCRIPT_HANG)
        pthread_cond_wait(&hang_changed, &hang_mutex);
    scripted.hanging -= hung;
    answers = scripted.deed != SCRIPT_SILENT;
    pthread_mutex_unlock(&hang_mutex);
    return !answers;
}

void scripted_let_go(void)
{
    pthread_mutex_lock(&hang_mutex);
    scripted.deed = SCRIPT_SILENT;
    pthread_cond_broadcast(&hang_changed);
    pthread_mutex_unlock(&hang_mutex);
}

void scripted_wait_for_hanging(unsigned count)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HANG_SECONDS;
    pthread_mutex_lock(&hang_mutex);
    while (scripted.hanging < count)
        if (pthread_cond_timedwait(&hang_changed, &hang_mutex, &until) != 0)
            break;
    pthread_mutex_unlock(&hang_mutex);
    assert_int_equal(scripted.hanging, count);
}

static kv_status count_silence(kv_error *err)
{
    pthread_mutex_lock(&hang_mutex);
    scripted.unanswered++;
    pthread_mutex_unlock(&hang_mutex);
    return kv_fail(err, KV_TIMEOUT, "no answer in time");
}

static kv_status send_away(kv_issuer_answer *out)
{
    bool busy = scripted.deed == SCRIPT_BUSY;

    scripted.unanswered++;
    *out = (kv_issuer_answer){ .state = busy ? KV_ISSUER_RETRYABLE : KV_ISSUER_REFUSED,
                               .pause_ms = busy ? scripted.retry_ms : 0,
                               .issuer_fault = !busy,
                               .code = KV_SLICE("urn:away"),
                               .details = busy ? KV_SLICE("too many") : KV_SLICE("locked") };
    return KV_OK;
}

static kv_status submit(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    void (*meanwhile)(void *);
    char name[64];

    if (silent())
        return count_silence(err);
    if (scripted.deed == SCRIPT_BUSY || scripted.deed == SCRIPT_LOCKED)
        return send_away(out);
    meanwhile = scripted.meanwhile;
    scripted.submits++;
    assert_true(order->csr.len > 0);
    assert_null(order->signer);
    (void)order_name(order, name);
    place(name);
    scripted.meanwhile = NULL;
    if (meanwhile)
        meanwhile(scripted.context);
    if (scripted.silences) {
        scripted.silences--;
        return kv_fail(err, KV_TIMEOUT, "the answer was lost");
    }
    if (scripted.deed == SCRIPT_AT_ONCE)
        return issue(order, out, err);
    *out = (kv_issuer_answer){ .state = KV_ISSUER_PENDING,
                               .retry_ms = scripted.deed == SCRIPT_WAIT_FOREVER ? 0 : 1000,
                               .details = KV_SLICE("on the desk") };
    return kv_arena_copy(order->arena, kv_slice_text(name), &out->external_id, err);
}

static kv_status poll(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    placed *at = find(order->external_id);
    void (*refusing)(void *) = scripted.refusing;

    (void)err;
    scripted.polls++;
    assert_non_null(at);
    *out = (kv_issuer_answer){ .state = KV_ISSUER_READY };
    if (at->polled++ < scripted.pending)
        *out = (kv_issuer_answer){ .state = KV_ISSUER_PENDING, .retry_ms = scripted.retry_ms };
    else if (scripted.failures) {
        scripted.failures--;
        *out = (kv_issuer_answer){ .state = KV_ISSUER_RETRYABLE,
                                   .code = KV_SLICE("urn:dns"),
                                   .details = KV_SLICE("no TXT record for c.example") };
    } else if (scripted.deed == SCRIPT_REFUSE) {
        scripted.refusing = NULL;
        if (refusing)
            refusing(scripted.context);
        *out = (kv_issuer_answer){ .state = KV_ISSUER_REFUSED,
                                   .code = KV_SLICE("urn:caa"),
                                   .details = KV_SLICE("CAA forbids c.example") };
    }
    return KV_OK;
}

static kv_status fetch(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    scripted.fetches++;
    assert_non_null(find(order->external_id));
    return issue(order, out, err);
}

static kv_status cancel(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    (void)err;
    scripted.cancels++;
    (void)snprintf(scripted.cancelled, sizeof(scripted.cancelled), "%.*s",
                   KV_SLICE_ARG(order->external_id));
    *out = (kv_issuer_answer){ .state = KV_ISSUER_CANCELLED };
    return KV_OK;
}

/* Has no script, so that threads may be with it while others are with the one that has. */
static kv_status issue_at_once(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    kv_slice *chain = kv_arena_array(order->arena, 1, sizeof(*chain));
    uint8_t *der;
    kv_status status;
    int len;

    assert_non_null(chain);
    der = act_certify(order->csr, NULL, &len);
    status = kv_arena_copy(order->arena, kv_slice_of(der, (size_t)len), chain, err);
    OPENSSL_free(der);
    *out = (kv_issuer_answer){ .state = KV_ISSUER_ISSUED, .chain = { chain, 1 } };
    return status;
}

static const kv_issuer prompt = {
    .provider = "Prompt", .auto_renew = true, .outside = true, .submit = issue_at_once
};

static kv_status hint(const kv_issuer_order *order, kv_issuer_window *out, kv_error *err)
{
    kv_x509_facts facts;

    assert_true(order->chain.count > 0);
    KV_TRY(kv_x509_inspect(order->arena, order->chain.items[0], &facts, err));
    scripted.hints++;
    *out = (kv_issuer_window){ 0 };
    if (facts.not_before_ms < scripted.window_from)
        *out = (kv_issuer_window){ .from_ms = scripted.window_from,
                                   .until_ms = scripted.window_until };
    return KV_OK;
}

static const kv_issuer issuer = { .provider = "Scripted",
                                  .auto_renew = true,
                                  .outside = true,
                                  .submit = submit,
                                  .poll = poll,
                                  .fetch = fetch,
                                  .cancel = cancel };

static const kv_issuer hinting = { .provider = "Hinting",
                                   .auto_renew = true,
                                   .outside = true,
                                   .submit = submit,
                                   .poll = poll,
                                   .fetch = fetch,
                                   .cancel = cancel,
                                   .renewal_hint = hint };

void scripted_begin(void)
{
    scripted = (script){ .pending = 1, .retry_ms = 30000 };
}

void scripted_join(house *h)
{
    static const kv_issuer *const issuers[] = { &issuer, &house_provider, &prompt, &hinting };
    kv_error err = { 0 };

    scripted_begin();
    h->issuers = issuers;
    h->issuer_count = 4;
    assert_kv_ok(house_restart(h, &err));
}

kv_status scripted_drive(house *h, kv_error *err)
{
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        int64_t next_at = 0;

        KV_TRY(kv_vault_step_operation(h->vault, &next_at, err));
        if (!next_at)
            return KV_OK;
        if (next_at > atomic_load(&h->now_ms))
            atomic_store(&h->now_ms, next_at);
    }
    return kv_fail(err, KV_INTERNAL, "there is no end of steps");
}
