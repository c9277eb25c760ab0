/* test_vault_scan.c - the tokens' view of the keys against ours, while both change. */
#include <stdio.h>

#include "server/vault/own_step.h"
#include "server/vault/scan.h"
#include "tests/contract/vault/acts.h"
#include "tests/support/kv_cmocka.h"

typedef struct key {
    uint8_t id[KV_KEY_ID_BYTES];
    char name[16];
} key;

/* What is done when the first thing is found, and everything that was told. */
typedef struct watcher {
    house *h;
    void (*meanwhile)(struct watcher *at);
    const key *target;
    unsigned told[KV_FINDING_KINDS];
    unsigned calls;
} watcher;

static kv_token *token(house *h)
{
    return kv_tokens_get(h->tokens, KV_DUTY_KEYS);
}

typedef struct newest {
    const key *known;
    unsigned count;
    uint8_t id[KV_KEY_ID_BYTES];
} newest;

static kv_status look_for_newest(void *context, const kv_key_seen *seen, kv_error *err)
{
    newest *at = context;

    (void)err;
    for (unsigned i = 0; i < at->count; i++)
        if (!memcmp(at->known[i].id, seen->id, sizeof(seen->id)))
            return KV_OK;
    memcpy(at->id, seen->id, sizeof(at->id));
    return KV_OK;
}

/* Keys in the order of their ids, which is that of their rows. */
static void make_keys(house *h, key *keys, unsigned count)
{
    kv_error err = { 0 };

    for (unsigned i = 0; i < count; i++) {
        newest at = { .known = keys, .count = i };
        kv_key_bundle bundle;
        key made;
        unsigned place = i;

        (void)snprintf(made.name, sizeof(made.name), "k%u", i);
        assert_kv_ok(act_make_key(h, made.name, &bundle, &err));
        assert_kv_ok(kv_token_key_list(token(h), look_for_newest, &at, &err));
        memcpy(made.id, at.id, sizeof(made.id));
        for (; place && memcmp(keys[place - 1].id, made.id, sizeof(made.id)) > 0; place--)
            keys[place] = keys[place - 1];
        keys[place] = made;
    }
}

static void note(void *context, const kv_finding *found)
{
    watcher *at = context;

    at->told[found->kind]++;
    if (at->calls++ == 0 && at->meanwhile)
        at->meanwhile(at);
}

static void scan(house *h, watcher *at, bool prove)
{
    kv_scan_how how = { .prove = prove, .visit = note, .context = at };
    kv_own_step step;
    kv_error err = { 0 };

    at->h = h;
    assert_kv_ok(kv_own_step_begin(h->vault, &step, &err));
    assert_kv_ok(kv_vault_scan(h->vault, &step.work, &how, &err));
    kv_own_step_end(&step);
    for (int kind = 0; kind < KV_FINDING_KINDS; kind++)
        assert_int_equal(how.found[kind], at->told[kind]);
}

static void destroy(house *h, const key *gone)
{
    kv_error err = { 0 };

    assert_kv_ok(kv_token_key_destroy(token(h), gone->id, &err));
}

/* Somebody with the PIN puts another key in the place of one. */
static void exchange(house *h, const key *old, kv_key_class class, kv_key_kind kind,
                     bool exportable)
{
    kv_key_spec spec = { .class = class, .kind = kind, .exportable = exportable };
    kv_key_born born;
    kv_error err = { 0 };

    destroy(h, old);
    memcpy(spec.id, old->id, sizeof(spec.id));
    assert_kv_ok(kv_token_key_generate(token(h), &spec, &h->arena, &born, &err));
}

static void purge(watcher *at)
{
    kv_error err = { 0 };

    assert_kv_ok(act_delete(at->h, KV_COLLECTION_KEYS, at->target->name, &err));
    assert_kv_ok(act_purge(at->h, KV_COLLECTION_KEYS, at->target->name, &err));
}

static void seal(watcher *at)
{
    kv_error err = { 0 };

    assert_kv_ok(kv_token_key_seal_export(token(at->h), at->target->id, &err));
}

static void take_away(watcher *at)
{
    destroy(at->h, at->target);
}

static house *start(void)
{
    house *h = house_new(false);
    kv_error err = { 0 };

    assert_kv_ok(act_make_vault(h, &err));
    return h;
}

static void what_is_wrong_is_told(void **state)
{
    house *h = start();
    key keys[4];
    key stray = { .id = { 7 } };
    watcher at = { 0 };

    (void)state;
    make_keys(h, keys, KV_COUNT(keys));
    scan(h, &at, true);
    assert_int_equal(at.calls, 0);
    destroy(h, &keys[0]);
    exchange(h, &keys[1], KV_CLASS_SIGN, KV_KEY_P256, true);
    exchange(h, &keys[2], KV_CLASS_DECRYPT, KV_KEY_RSA_2048, false);
    exchange(h, &stray, KV_CLASS_SIGN, KV_KEY_P256, false);
    scan(h, &at, false);
    assert_int_equal(at.told[KV_FINDING_MISSING], 1);
    assert_int_equal(at.told[KV_FINDING_EXTRACTABLE], 1);
    assert_int_equal(at.told[KV_FINDING_OTHER_CLASS], 1);
    assert_int_equal(at.told[KV_FINDING_UNKNOWN], 1);
    assert_int_equal(at.calls, 4);
    at = (watcher){ 0 };
    scan(h, &at, true);
    assert_int_equal(at.told[KV_FINDING_OTHER_KEY], 2);
    assert_int_equal(at.calls, 6);
    house_free(h);
}

static void a_key_that_goes_meanwhile_is_not_missing(void **state)
{
    house *h = start();
    key keys[2];
    watcher at = { .meanwhile = purge, .target = &keys[1] };

    (void)state;
    make_keys(h, keys, KV_COUNT(keys));
    destroy(h, &keys[0]);
    scan(h, &at, true);
    assert_int_equal(at.told[KV_FINDING_MISSING], 1);
    assert_int_equal(at.calls, 1);
    house_free(h);
}

static void a_key_that_is_being_exported_is_not_extractable(void **state)
{
    house *h = start();
    key keys[2];
    watcher at = { .meanwhile = seal, .target = &keys[1] };

    (void)state;
    make_keys(h, keys, KV_COUNT(keys));
    destroy(h, &keys[0]);
    exchange(h, &keys[1], KV_CLASS_SIGN, KV_KEY_P256, true);
    scan(h, &at, false);
    assert_int_equal(at.told[KV_FINDING_MISSING], 1);
    assert_int_equal(at.calls, 1);
    house_free(h);
}

static void a_key_that_was_seen_and_went_is_not_unknown(void **state)
{
    house *h = start();
    key one;
    key stray = { .id = { 7 } };
    watcher at = { .meanwhile = take_away, .target = &stray };

    (void)state;
    make_keys(h, &one, 1);
    destroy(h, &one);
    exchange(h, &stray, KV_CLASS_SIGN, KV_KEY_P256, false);
    scan(h, &at, false);
    assert_int_equal(at.told[KV_FINDING_MISSING], 1);
    assert_int_equal(at.calls, 1);
    house_free(h);
}

/* What a caller is told does not depend on whether a scan has come by. */
static void a_missing_key_is_refused_alike_before_and_after_a_scan(void **state)
{
    house *h = start();
    key one;
    watcher at = { 0 };
    kv_error before = { 0 }, after = { 0 }, err = { 0 };

    (void)state;
    make_keys(h, &one, 1);
    house_shut(h);
    assert_kv_ok(house_open(h, &err));
    destroy(h, &one);
    assert_int_not_equal(act_sign(h, one.name, KV_SLICE_NONE, &before), KV_OK);
    scan(h, &at, false);
    assert_int_equal(at.told[KV_FINDING_MISSING], 1);
    assert_int_not_equal(act_sign(h, one.name, KV_SLICE_NONE, &after), KV_OK);
    assert_int_equal(before.status, after.status);
    assert_string_equal(before.message, after.message);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(a_key_that_goes_meanwhile_is_not_missing),
        cmocka_unit_test(a_key_that_is_being_exported_is_not_extractable),
        cmocka_unit_test(a_key_that_was_seen_and_went_is_not_unknown),
        cmocka_unit_test(a_missing_key_is_refused_alike_before_and_after_a_scan),
    };

    return cmocka_run_group_tests_name("vault_scan", tests, NULL, NULL);
}
