/* bench.c - tokens on a test bench. */
#include "tests/contract/pkcs11/bench.h"

#include <stdlib.h>
#include <unistd.h>

#include "pkcs11/public_key.h"
#include "pkcs11/token_import.h"
#include "pkcs11/token_sign.h"
#include "server/base/text.h"

enum { MEMORY = 1 << 20, PROBE_MS = 50, WAIT_STEP_US = 5000, WAIT_STEPS = 12000 };

bench *bench_new(bool softhsm)
{
    static const char *const labels[] = { "keys", "system", NULL };
    bench *b = calloc(1, sizeof(*b));
    kv_error err = { 0 };

    assert_non_null(b);
    b->arena = KV_ARENA(MEMORY);
    if (softhsm) {
        b->hsm = kv_softhsm_new(labels);
        b->configs[0] = kv_softhsm_config(b->hsm, KV_DUTY_KEYS, "keys");
        b->configs[1] = kv_softhsm_config(b->hsm, KV_DUTY_SYSTEM, "system");
    } else {
        assert_kv_ok(kv_secret_buf_copy(KV_SLICE(KV_FAKE_PIN), &b->pin, &err));
        b->configs[0] = (kv_token_config){ .duty = KV_DUTY_KEYS,
                                           .functions = kv_fake_new(labels),
                                           .uri = "pkcs11:token=keys",
                                           .pin = &b->pin,
                                           .exclusive = true };
        b->configs[1] = b->configs[0];
        b->configs[1].duty = KV_DUTY_SYSTEM;
        b->configs[1].uri = "pkcs11:token=system";
    }
    b->configs[0].probe_ms = b->configs[1].probe_ms = PROBE_MS;
    return b;
}

void bench_open(bench *b)
{
    kv_error err = { 0 };

    assert_kv_ok(kv_tokens_open(b->configs, 2, NULL, &b->tokens, &err));
    b->token = kv_tokens_get(b->tokens, KV_DUTY_KEYS);
    assert_non_null(b->token);
}

void bench_shut(bench *b)
{
    kv_tokens_close(b->tokens);
    b->tokens = NULL;
    b->token = NULL;
}

void bench_free(bench *b)
{
    bench_shut(b);
    if (b->hsm)
        kv_softhsm_free(b->hsm);
    else
        kv_fake_free();
    kv_secret_buf_cleanup(&b->pin);
    kv_arena_cleanup(&b->arena);
    free(b);
}

int bench_softhsm(void **state)
{
    *state = bench_new(true);
    bench_open(*state);
    return 0;
}

int bench_fake(void **state)
{
    *state = bench_new(false);
    bench_open(*state);
    return 0;
}

int bench_close(void **state)
{
    bench *b = *state;
    bool fake = !b->hsm;

    bench_shut(b);
    if (fake) {
        kv_fake_counts seen = kv_fake_seen();

        assert_int_equal(seen.sessions_now, 0);
        assert_int_equal(seen.session_objects, 0);
        assert_int_equal(seen.initialised, seen.finalised);
    }
    bench_free(b);
    return 0;
}

bench_key bench_bear(bench *b, kv_key_class class, kv_key_kind kind, bool exportable)
{
    kv_error err = { 0 };
    bench_key key = { .spec = { .class = class,
                                .kind = kind,
                                .label = KV_SLICE("a key of the bench"),
                                .exportable = exportable } };

    assert_true(kv_random_id(key.spec.id, sizeof(key.spec.id)));
    assert_kv_ok(kv_token_key_generate(b->token, &key.spec, &b->arena, &key.born, &err));
    key.ref = (kv_key_ref){ .class = class, .spki = key.born.spki };
    memcpy(key.ref.id, key.spec.id, sizeof(key.ref.id));
    return key;
}

bench_key bench_bring(bench *b, kv_key_class class, kv_key_kind kind, kv_slice value)
{
    KV_AUTO(kv_secret_buf) bytes = KV_SECRET_NONE;
    kv_error err = { 0 };
    bench_key key = { .spec = { .class = class, .kind = kind } };

    assert_true(kv_random_id(key.spec.id, sizeof(key.spec.id)));
    assert_kv_ok(kv_secret_buf_copy(value, &bytes, &err));
    assert_kv_ok(kv_token_key_import(b->token, &key.spec, &bytes, KV_SLICE_NONE, &b->arena,
                                     &key.born, &err));
    key.ref = (kv_key_ref){ .class = class };
    memcpy(key.ref.id, key.spec.id, sizeof(key.ref.id));
    return key;
}

kv_slice bench_signed(const kv_mechanism *alg, uint8_t digest[KV_DIGEST_MAX])
{
    kv_error err = { 0 };

    if (!alg->digest_len)
        return KV_SLICE("abc");
    assert_kv_ok(kv_public_key_digest(alg, KV_SLICE("abc"), digest, &err));
    return kv_slice_of(digest, alg->digest_len);
}

void bench_use(bench *b, const bench_key *key)
{
    const kv_mechanism *alg;
    uint8_t digest[KV_DIGEST_MAX], signature[KV_SIGNATURE_MAX];
    kv_error err = { 0 };
    bool valid = false;
    kv_slice input;

    for (size_t i = 0; (alg = kv_mechanism_at(i)); i++) {
        size_t len = sizeof(signature);

        if (!kv_mechanism_fits(alg, key->spec.kind))
            continue;
        input = bench_signed(alg, digest);
        assert_kv_ok(kv_token_sign(b->token, &key->ref, alg, input, signature, &len, &err));
        assert_int_equal(len, kv_mechanism_signature_len(alg, key->spec.kind));
        assert_kv_ok(kv_public_key_verify(key->born.spki, alg, input, kv_slice_of(signature, len),
                                          &valid, &err));
        assert_true(valid);
    }
}

void bench_wait(const kv_token *token, kv_token_state state)
{
    for (int i = 0; i < WAIT_STEPS && kv_token_state_of(token) != state; i++)
        (void)usleep(WAIT_STEP_US);
    assert_int_equal(kv_token_state_of(token), state);
}
