/* scripted_issuer.c - an issuer outside that does what the test says. */
#include "tests/contract/vault/scripted_issuer.h"

#include <stdio.h>

#include <openssl/crypto.h>

enum { ORDERS_MAX = 4096, STEPS_MAX = 400 };

typedef struct placed {
    char name[64];
    unsigned polled;
} placed;

script scripted;

static placed orders[ORDERS_MAX];
static unsigned order_count;

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
            der = act_certify(order->csr, scripted.names, &len);
            made = kv_slice_of(der, (size_t)len);
        }
        status = kv_arena_copy(order->arena, made, chain, err);
        OPENSSL_free(der);
    }
    *out = (kv_issuer_answer){ .state = KV_ISSUER_ISSUED, .chain = { chain, 1 } };
    return status;
}

static kv_status submit(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    void (*meanwhile)(void *) = scripted.meanwhile;
    char name[64];

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
    } else if (scripted.deed == SCRIPT_REFUSE)
        *out = (kv_issuer_answer){ .state = KV_ISSUER_REFUSED,
                                   .code = KV_SLICE("urn:caa"),
                                   .details = KV_SLICE("CAA forbids c.example") };
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

static const kv_issuer issuer = { .provider = "Scripted",
                                  .auto_renew = true,
                                  .outside = true,
                                  .submit = submit,
                                  .poll = poll,
                                  .fetch = fetch,
                                  .cancel = cancel };

void scripted_begin(void)
{
    scripted = (script){ .pending = 1, .retry_ms = 30000 };
}

void scripted_join(house *h)
{
    static const kv_issuer *const issuers[] = { &issuer, &house_provider };
    kv_error err = { 0 };

    scripted_begin();
    h->issuers = issuers;
    h->issuer_count = 2;
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
