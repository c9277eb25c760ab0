/* test_vault_keys.c - keys: what the token holds, what the store says, and who may still sign. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/contract/vault/acts.h"

static kv_status set_enabled(house *h, const char *name, bool enabled, kv_error *out)
{
    kv_key_update_in in = { .target = act_target(KV_COLLECTION_KEYS, name),
                            .attributes = { .has_enabled = true, .enabled = enabled } };
    kv_key_bundle key;
    kv_error err = { 0 };
    kv_status status = HOUSE_DO(h, kv_key_update, &in, &key);

    *out = err;
    return status;
}

static void a_key_is_born_non_extractable_and_signs(void **state)
{
    house *h = *state;
    kv_key_bundle key;
    kv_error err = { 0 };

    assert_kv_ok(act_make_key(h, "k", &key, &err));
    assert_true(key.attestation.local);
    assert_true(key.attestation.sensitive);
    assert_true(key.attestation.always_sensitive);
    assert_true(key.attestation.never_extractable);
    assert_false(key.attestation.extractable);
    assert_int_equal(key.key_ops, KV_KEY_OP_SIGN | KV_KEY_OP_VERIFY);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 1);
    assert_kv_ok(act_sign(h, "K", KV_SLICE_NONE, &err));
    assert_kv_ok(house_restart(h, &err));
    assert_kv_ok(act_sign(h, "k", KV_SLICE_NONE, &err));
    house_assert_tidy(h);
}

/* Each change is in force for the call that begins after it, however warm the cache is. */
static void what_changes_is_not_remembered(void **state)
{
    house *h = *state;
    kv_key_bundle first, second;
    char version[33];
    kv_error err = { 0 };

    assert_kv_ok(act_make_key(h, "k", &first, &err));
    (void)snprintf(version, sizeof(version), "%.*s", KV_SLICE_ARG(first.id.version));
    for (int round = 0; round < 3; round++) {
        assert_kv_ok(act_sign(h, "k", KV_SLICE_NONE, &err));
        assert_kv_ok(act_sign(h, "k", kv_slice_text(version), &err));
        assert_kv_ok(set_enabled(h, "k", false, &err));
        assert_kv_fails(KV_PRECONDITION, act_sign(h, "k", KV_SLICE_NONE, &err));
        assert_int_equal(err.reason, KV_REASON_DISABLED);
        assert_kv_fails(KV_PRECONDITION, act_sign(h, "k", kv_slice_text(version), &err));
        assert_kv_ok(set_enabled(h, "k", true, &err));
        assert_kv_ok(act_sign(h, "k", KV_SLICE_NONE, &err));
        assert_kv_ok(act_delete(h, KV_COLLECTION_KEYS, "k", &err));
        assert_kv_fails(KV_NOT_FOUND, act_sign(h, "k", KV_SLICE_NONE, &err));
        assert_kv_fails(KV_NOT_FOUND, act_sign(h, "k", kv_slice_text(version), &err));
        assert_kv_ok(act_recover(h, KV_COLLECTION_KEYS, "k", &err));
    }
    /* A new version is the current one at once; the old one goes on. */
    assert_kv_ok(act_sign(h, "k", KV_SLICE_NONE, &err));
    assert_kv_ok(act_make_key(h, "k", &second, &err));
    assert_false(kv_slice_equal(second.id.version, kv_slice_text(version)));
    assert_kv_ok(set_enabled(h, "k", false, &err));
    assert_kv_fails(KV_PRECONDITION, act_sign(h, "k", KV_SLICE_NONE, &err));
    assert_kv_ok(act_sign(h, "k", kv_slice_text(version), &err));
    /* A vault takes all its keys along. */
    assert_kv_ok(act_delete_vault(h, &err));
    assert_kv_fails(KV_NOT_FOUND, act_sign(h, "k", kv_slice_text(version), &err));
    /* A purged name that is taken again is another key. */
    assert_kv_ok(act_purge_vault(h, &err));
    assert_kv_ok(act_make_vault(h, &err));
    assert_kv_fails(KV_NOT_FOUND, act_sign(h, "k", kv_slice_text(version), &err));
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 0);
}

/* --- many threads --- */

enum { SIGNERS = 4, TOGGLES = 40 };

typedef struct race {
    house *h;
    atomic_uint epoch; /* odd: the key is disabled */
    atomic_bool stop;
    atomic_uint signatures, refusals, wrong;
} race;

static void sign_once(race *at)
{
    kv_arena arena = KV_ARENA(1 << 20);
    kv_audit_entry entry = { .time_ms = at->h->now_ms, .operation = "Race" };
    kv_caller caller = { .known = true };
    kv_work work = { .arena = &arena,
                     .deadline = kv_deadline_in_ms(10000),
                     .now_ms = at->h->now_ms,
                     .caller = &caller,
                     .entry = &entry };
    kv_key_sign_in in = { .target = act_target(KV_COLLECTION_KEYS, "k"),
                          .algorithm = "ES256",
                          .data = KV_SLICE("m") };
    kv_signature out;
    kv_error err = { 0 };
    unsigned epoch = atomic_load(&at->epoch);
    kv_status status = kv_key_sign(at->h->vault, &work, &in, &out, &err);

    /* Disabled from before it began until after it ended: no signature may have come. */
    if (status == KV_OK && epoch % 2 && atomic_load(&at->epoch) == epoch)
        atomic_fetch_add(&at->wrong, 1);
    else if (status == KV_OK)
        atomic_fetch_add(&at->signatures, 1);
    else if (status == KV_PRECONDITION)
        atomic_fetch_add(&at->refusals, 1);
    else
        atomic_fetch_add(&at->wrong, 1);
    kv_arena_cleanup(&arena);
}

static void *sign_on(void *context)
{
    race *at = context;

    while (!atomic_load(&at->stop))
        sign_once(at);
    kv_token_thread_end(kv_tokens_get(at->h->tokens, KV_DUTY_KEYS));
    return NULL;
}

static void a_disabled_key_signs_for_nobody(void **state)
{
    race at = { .h = *state };
    pthread_t threads[SIGNERS];
    kv_error err = { 0 };

    assert_kv_ok(act_make_key(at.h, "k", NULL, &err));
    for (int i = 0; i < SIGNERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_on, &at), 0);
    for (int i = 0; i < TOGGLES; i++) {
        unsigned seen;

        assert_kv_ok(set_enabled(at.h, "k", false, &err));
        atomic_fetch_add(&at.epoch, 1);
        for (seen = atomic_load(&at.refusals); atomic_load(&at.refusals) == seen;)
            sched_yield();
        atomic_fetch_add(&at.epoch, 1);
        assert_kv_ok(set_enabled(at.h, "k", true, &err));
        for (seen = atomic_load(&at.signatures); atomic_load(&at.signatures) == seen;)
            sched_yield();
    }
    atomic_store(&at.stop, true);
    for (int i = 0; i < SIGNERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&at.wrong), 0);
}

/* --- what is said about a key --- */

static void tags_and_attributes_have_bounds(void **state)
{
    house *h = *state;
    kv_tag tags[KV_TAGS_MAX + 1];
    char names[KV_TAGS_MAX + 1][8];
    static char large[KV_TAG_VALUE_MAX + 2];
    kv_key_create_in in = { .target = act_target(KV_COLLECTION_KEYS, "k"), .kty = KV_KEY_TYPE_EC };
    kv_key_bundle key;
    kv_error err = { 0 };

    memset(large, 'x', KV_TAG_VALUE_MAX + 1);
    for (int i = 0; i <= KV_TAGS_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "tag%d", i);
        tags[i] = (kv_tag){ kv_slice_text(names[i]), KV_SLICE("\xc3\xa4 \"quoted\"") };
    }
    in.tags = (kv_tags){ .items = tags, .count = KV_TAGS_MAX + 1 };
    assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_key_create, &in, &key));
    in.tags.count = KV_TAGS_MAX;
    tags[3].value = kv_slice_text(large);
    assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_key_create, &in, &key));
    tags[3].value = kv_slice_of(large, KV_TAG_VALUE_MAX);
    tags[4].name = tags[5].name;
    assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_key_create, &in, &key));
    tags[4].name = KV_SLICE_NONE;
    assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_key_create, &in, &key));
    tags[4].name = kv_slice_text(names[4]);
    in.attributes = (kv_attributes_in){ .has_not_before = true,
                                        .has_expires = true,
                                        .not_before = HOUSE_NOW_MS,
                                        .expires = HOUSE_NOW_MS };
    assert_kv_fails(KV_BAD_REQUEST, HOUSE_DO(h, kv_key_create, &in, &key));
    in.attributes.expires = HOUSE_NOW_MS + 1000;
    /* Nothing refused has touched the token. */
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 0);
    assert_kv_ok(HOUSE_DO(h, kv_key_create, &in, &key));

    {
        kv_key_get_in get = { .target = act_target(KV_COLLECTION_KEYS, "k") };

        assert_kv_ok(house_restart(h, &err));
        assert_kv_ok(HOUSE_DO(h, kv_key_get, &get, &key));
    }
    assert_int_equal(key.tags.count, KV_TAGS_MAX);
    for (size_t i = 0; i < key.tags.count; i++)
        for (int t = 0; t < KV_TAGS_MAX; t++)
            if (kv_slice_equal(key.tags.items[i].name, tags[t].name))
                assert_slice_equal(tags[t].value, key.tags.items[i].value);
    assert_int_equal(key.attributes.not_before, HOUSE_NOW_MS);
    assert_int_equal(key.attributes.expires, HOUSE_NOW_MS + 1000);
    assert_int_equal(key.attributes.recoverable_days, 90);
}

int main(void)
{
#define BOTH(test)                                              \
    cmocka_unit_test_setup_teardown(test, act_start, act_stop), \
        cmocka_unit_test_setup_teardown(test, act_start_softhsm, act_stop)
    const struct CMUnitTest tests[] = {
        BOTH(a_key_is_born_non_extractable_and_signs),
        BOTH(what_changes_is_not_remembered),
        cmocka_unit_test_setup_teardown(a_disabled_key_signs_for_nobody, act_start, act_stop),
        cmocka_unit_test_setup_teardown(tags_and_attributes_have_bounds, act_start, act_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
