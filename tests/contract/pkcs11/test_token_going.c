/* test_token_going.c - keys that are destroyed, and handles that are forgotten, while somebody else
 * uses, destroys, makes or lists keys.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "pkcs11/token.h"
#include "pkcs11/token_cipher.h"
#include "tests/contract/pkcs11/bench.h"

enum { FORGOTTEN = 100, USERS = 4 };
enum { KEYS = 60, DESTROYERS = 2, BEARERS = 2, QUIET_PROBE_MS = 600000 };

static int open_quiet_fake(void **state)
{
    bench *b = bench_new(false);

    b->configs[0].probe_ms = b->configs[1].probe_ms = QUIET_PROBE_MS;
    bench_open(b);
    *state = b;
    return 0;
}

/* What one answer of SoftHSM says while another thread destroys the same key. */
static void what_counts_is_that_the_key_is_gone(void **state)
{
    bench *b = *state;
    unsigned before = kv_fake_seen().token_objects;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    kv_key_gone gone;
    kv_error err = { 0 };

    kv_fake_fail("C_DestroyObject", CKR_FUNCTION_FAILED, 1);
    assert_kv_ok(kv_token_key_destroy_told(b->token, key.spec.id, &gone, &err));
    assert_true(kv_fake_failed());
    assert_int_equal(gone.private_keys, 1);
    assert_int_equal(kv_fake_seen().token_objects, before);
    assert_int_equal(kv_token_state_of(b->token), KV_TOKEN_UP);
}

static void a_key_that_does_not_go_is_told(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    kv_error err = { 0 };

    kv_fake_fail("C_DestroyObject", CKR_FUNCTION_FAILED, 100);
    assert_kv_fails(KV_UNAVAILABLE, kv_token_key_destroy(b->token, key.spec.id, &err));
    assert_string_equal(err.detail, "C_DestroyObject: CKR_FUNCTION_FAILED (0x6)");
    kv_fake_fail("C_DestroyObject", CKR_ACTION_PROHIBITED, 100);
    assert_kv_fails(KV_PRECONDITION, kv_token_key_destroy(b->token, key.spec.id, &err));
    kv_fake_fail("C_DestroyObject", CKR_OK, 0);
    bench_wait(b->token, KV_TOKEN_UP);
    bench_use(b, &key);
    assert_kv_ok(kv_token_key_destroy(b->token, key.spec.id, &err));
}

/* SoftHSM's search may fail while another thread makes a session object. */
static void a_search_that_fails_once_is_made_again(void **state)
{
    static const char *const searches[] = { "C_FindObjectsInit", "C_FindObjects",
                                            "C_FindObjectsFinal" };
    bench *b = *state;
    unsigned before = kv_fake_seen().token_objects;
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(searches); i++) {
        bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
        kv_key_gone gone;

        kv_fake_fail(searches[i], CKR_GENERAL_ERROR, 1);
        assert_kv_ok(kv_token_key_destroy_told(b->token, key.spec.id, &gone, &err));
        assert_true(kv_fake_failed());
        assert_int_equal(gone.private_keys, 1);
        bench_wait(b->token, KV_TOKEN_UP);
    }
    assert_int_equal(kv_fake_seen().token_objects, before);
}

static kv_status count_keys(void *context, const kv_key_seen *key, kv_error *err)
{
    unsigned *count = context;

    (void)key;
    (void)err;
    (*count)++;
    return KV_OK;
}

/* Found, and gone before it was asked. */
static void a_list_leaves_out_what_has_gone_meanwhile(void **state)
{
    bench *b = *state;
    bench_key key = bench_bear(b, KV_CLASS_SIGN, KV_KEY_P256, false);
    unsigned all = 0, count = 0;
    kv_error err = { 0 };

    assert_kv_ok(kv_token_key_list(b->token, count_keys, &all, &err));
    kv_fake_fail("C_GetAttributeValue", CKR_OBJECT_HANDLE_INVALID, 1);
    assert_kv_ok(kv_token_key_list(b->token, count_keys, &count, &err));
    assert_true(kv_fake_failed());
    assert_int_equal(count, all - 1);
    assert_int_equal(kv_token_state_of(b->token), KV_TOKEN_UP);
    assert_kv_ok(kv_token_key_destroy(b->token, key.spec.id, &err));
}

typedef struct crowd {
    bench *b;
    pthread_barrier_t turn;
    uint8_t id[KV_KEY_ID_BYTES];
    atomic_bool stop;
    atomic_uint failed;
    atomic_uint bearers;
} crowd;

static void *destroy_it_too(void *context)
{
    crowd *c = context;

    for (;;) {
        kv_error err = { 0 };

        pthread_barrier_wait(&c->turn);
        if (atomic_load(&c->stop))
            return NULL;
        if (kv_token_key_destroy(c->b->token, c->id, &err) != KV_OK)
            atomic_fetch_add(&c->failed, 1);
        pthread_barrier_wait(&c->turn);
    }
}

static void *bear_others(void *context)
{
    crowd *c = context;
    kv_key_spec spec = { .class = KV_CLASS_SIGN, .kind = KV_KEY_P256, .id = { 0xbe } };

    spec.id[1] = (uint8_t)atomic_fetch_add(&c->bearers, 1);
    while (!atomic_load(&c->stop)) {
        kv_arena arena = KV_ARENA(4096);
        kv_error err = { 0 };
        kv_key_born born;

        if (kv_token_key_generate(c->b->token, &spec, &arena, &born, &err) != KV_OK ||
            kv_token_key_destroy(c->b->token, spec.id, &err) != KV_OK)
            atomic_fetch_add(&c->failed, 1);
        kv_arena_cleanup(&arena);
    }
    return NULL;
}

/* The schedule finishes a purge that a caller has asked for just now. */
static void two_can_destroy_a_key_at_once(void **state)
{
    crowd c = { .b = *state };
    pthread_t threads[DESTROYERS + BEARERS];
    unsigned left = 0, before = 0;
    kv_error err = { 0 };

    assert_kv_ok(kv_token_key_list(c.b->token, count_keys, &before, &err));
    assert_int_equal(pthread_barrier_init(&c.turn, NULL, DESTROYERS + 1), 0);
    for (unsigned i = 0; i < KV_COUNT(threads); i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < DESTROYERS ? destroy_it_too : bear_others, &c),
            0);
    for (unsigned i = 0; i < KEYS; i++) {
        bench_key key = bench_bear(c.b, KV_CLASS_SIGN, KV_KEY_P256, false);

        memcpy(c.id, key.spec.id, sizeof(c.id));
        pthread_barrier_wait(&c.turn);
        pthread_barrier_wait(&c.turn);
    }
    atomic_store(&c.stop, true);
    pthread_barrier_wait(&c.turn);
    for (unsigned i = 0; i < KV_COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)pthread_barrier_destroy(&c.turn);
    assert_int_equal(atomic_load(&c.failed), 0);
    assert_kv_ok(kv_token_key_list(c.b->token, count_keys, &left, &err));
    assert_int_equal(left, before);
}

typedef struct users {
    bench *b;
    kv_key_ref ref;
    atomic_bool stop;
    atomic_uint uses;
    atomic_uint failed;
} users;

static void *use_it(void *context)
{
    users *u = context;

    while (!atomic_load(&u->stop)) {
        KV_AUTO(kv_secret_buf) back = KV_SECRET_NONE;
        kv_arena arena = KV_ARENA(4096);
        kv_error err = { 0 };
        kv_slice sealed;
        kv_status status = kv_token_encrypt(u->b->token, &u->ref, KV_SLICE("x"), KV_SLICE_NONE,
                                            &arena, &sealed, &err);

        if (status == KV_OK)
            status = kv_token_decrypt(u->b->token, &u->ref, sealed, KV_SLICE_NONE, &back, &err);
        if (status != KV_OK) {
            print_error("%s (%s)\n", err.message, err.detail);
            atomic_fetch_add(&u->failed, 1);
        }
        atomic_fetch_add(&u->uses, 1);
        kv_arena_cleanup(&arena);
    }
    return NULL;
}

static kv_status forget(kv_token_visit *visit, void *context, kv_error *err)
{
    (void)err;
    kv_token_index_drop(visit, context);
    return KV_OK;
}

/* A copy that is not needed any more goes when nobody uses it, and one that is being made is
 * nobody's second key. */
static void forgetting_a_key_disturbs_nobody_who_uses_it(void **state)
{
    users u = { .b = *state };
    bench_key key = bench_bear(u.b, KV_CLASS_SECRET, KV_KEY_AES_256, false);
    pthread_t threads[USERS];
    kv_error err = { 0 };

    u.ref = key.ref;
    for (unsigned i = 0; i < USERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_it, &u), 0);
    for (unsigned i = 0; i < FORGOTTEN; i++) {
        unsigned uses = atomic_load(&u.uses);

        assert_kv_ok(kv_token_run(u.b->token, forget, key.spec.id, &err));
        while (atomic_load(&u.uses) < uses + USERS)
            (void)sched_yield();
    }
    atomic_store(&u.stop, true);
    for (unsigned i = 0; i < USERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&u.failed), 0);
    assert_kv_ok(kv_token_key_destroy(u.b->token, key.spec.id, &err));
}

#define QUIET(name)   cmocka_unit_test_setup_teardown(name, open_quiet_fake, bench_close)
#define SOFTHSM(name) cmocka_unit_test_setup_teardown(name, bench_softhsm, bench_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUIET(what_counts_is_that_the_key_is_gone),
        QUIET(a_key_that_does_not_go_is_told),
        QUIET(a_search_that_fails_once_is_made_again),
        QUIET(a_list_leaves_out_what_has_gone_meanwhile),
        SOFTHSM(two_can_destroy_a_key_at_once),
        SOFTHSM(forgetting_a_key_disturbs_nobody_who_uses_it),
    };

    return cmocka_run_group_tests_name("token_going", tests, NULL, NULL);
}
