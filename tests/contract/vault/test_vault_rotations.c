/* test_vault_rotations.c - keys are followed by the next version when it is time, once, by whoever
 * is alive then.
 */
#include <pthread.h>
#include <time.h>

#include "tests/contract/vault/turning.h"

enum { CHANGES_MAX = 40, ROUNDS = 12, RACE_STEPS = 6 };

/* --- the next version --- */

static void every_ninety_days(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };
    kv_slice first;

    (void)state;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_int_equal(turning_due_rows(h), 0);
    assert_kv_ok(turning_set_policy(h, EACH_90_DAYS, &err));
    first = turning_keep(h, turning_look(h, KV_SLICE_NONE).id.version);
    turning_live(h, 89);
    assert_int_equal(turning_versions(h), 1);
    turning_live(h, 91);
    assert_int_equal(turning_versions(h), 2);
    assert_int_equal(turning_due_rows(h), 1);
    assert_true(turning_look(h, first).retirement.replaced == HOUSE_NOW_MS + 90 * DAY);
    assert_int_equal(turning_look(h, KV_SLICE_NONE).retirement.replaced, 0);
    /* Both sign: there is an overlap without end. */
    assert_kv_ok(act_sign(h, "k", first, &err));
    assert_kv_ok(act_sign(h, "k", KV_SLICE_NONE, &err));
    assert_kv_ok(house_restart(h, &err));
    turning_live(h, 179);
    assert_int_equal(turning_versions(h), 2);
    turning_live(h, 5 * 360 + 1);
    assert_int_equal(turning_versions(h), 21);
    assert_kv_ok(act_sign(h, "k", first, &err));
    house_assert_tidy(h);
    house_free(h);
}

/* A service that was off for long makes one new version, not one for each time it missed. */
static void late_is_once(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(turning_set_policy(h, EACH_90_DAYS, &err));
    atomic_store(&h->now_ms, HOUSE_NOW_MS + 1000 * DAY);
    turning_live(h, 1001);
    assert_int_equal(turning_versions(h), 2);
    house_free(h);
}

static const struct {
    kv_key_create_in in;
    const char *name;
} kinds[] = {
    { { .kty = KV_KEY_TYPE_EC, .crv = KV_CURVE_P384 }, "P-384" },
    { { .kty = KV_KEY_TYPE_OKP }, "Ed25519" },
    { { .kty = KV_KEY_TYPE_RSA, .key_size = 3072 }, "RSA" },
    { { .kty = KV_KEY_TYPE_RSA, .key_ops = KV_KEY_OP_WRAP_KEY | KV_KEY_OP_UNWRAP_KEY },
      "RSA wrap" },
    { { .kty = KV_KEY_TYPE_RSA, .key_ops = KV_KEY_OP_IMPORT }, "exchange" },
    { { .kty = KV_KEY_TYPE_OCT, .key_size = 128 }, "AES" },
    { { .kty = KV_KEY_TYPE_OCT, .key_ops = KV_KEY_OP_WRAP_KEY }, "AES wrap" },
    { { .kty = KV_KEY_TYPE_OCT, .key_size = 384, .key_ops = KV_KEY_OP_SIGN | KV_KEY_OP_VERIFY },
      "HMAC" },
};

static void the_next_version_is_like_the_last(void **state)
{
    static const kv_tag tag = { { (const uint8_t *)"team", 4 }, { (const uint8_t *)"red", 3 } };
    house *h = turning_start();
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(kinds); i++) {
        kv_key_create_in in = kinds[i].in;
        kv_key_bundle before;
        kv_key_bundle after;

        in.target = act_target(KV_COLLECTION_KEYS, "k");
        in.tags = (kv_tags){ .given = true, .items = &tag, .count = 1 };
        assert_kv_ok(HOUSE_DO(h, kv_key_create, &in, &before));
        assert_kv_ok(
            turning_set_policy(h,
                               (kv_rotation_policy_texts){ .rotate_before = KV_SLICE("P7D"),
                                                           .expiry_time = KV_SLICE("P1Y") },
                               &err));
        assert_kv_ok(turning_rotate(h, &after, &err));
        assert_false(kv_slice_equal(before.id.version, after.id.version));
        if (before.key.kty != after.key.kty || before.key.crv != after.key.crv ||
            before.key_size != after.key_size || before.key_ops != after.key_ops)
            fail_msg("%s: another key", kinds[i].name);
        assert_int_equal(after.tags.count, 1);
        assert_slice_equal(after.tags.items[0].value, tag.value);
        assert_true(after.attributes.enabled);
        assert_true(after.attributes.expires == HOUSE_NOW_MS + 365 * DAY);
        assert_int_equal(after.attributes.not_before, 0);
        assert_slice_equal(after.attestation.origin, KV_SLICE("generated"));
        assert_true(after.attestation.never_extractable);
        if (before.spki.len)
            assert_false(kv_slice_equal(before.spki, after.spki));
        assert_kv_ok(act_delete(h, KV_COLLECTION_KEYS, "k", &err));
        assert_kv_ok(act_purge(h, KV_COLLECTION_KEYS, "k", &err));
        assert_int_equal(turning_due_rows(h), 0);
        assert_int_equal(house_count(h, "SELECT count(*) FROM rotation_policies"), 0);
    }
    house_assert_tidy(h);
    house_free(h);
}

static void before_it_expires(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(turning_set_policy(h,
                                    (kv_rotation_policy_texts){ .rotate_before = KV_SLICE("P1M"),
                                                                .expiry_time = KV_SLICE("P1Y") },
                                    &err));
    /* It does not expire: there is nothing to be measured from, and no reason to look again. */
    turning_live(h, 800);
    assert_int_equal(turning_versions(h), 1);
    assert_int_equal(turning_due_rows(h), 0);
    assert_kv_ok(turning_rotate(h, NULL, &err));
    turning_live(h, 800 + 320);
    assert_int_equal(turning_versions(h), 2);
    turning_live(h, 800 + 340);
    assert_int_equal(turning_versions(h), 3);
    house_free(h);
}

static void a_certificates_key_is_left_to_the_certificate(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_certificate(h, "k", "Self", false, NULL, &err));
    assert_kv_fails(KV_PRECONDITION, turning_rotate(h, NULL, &err));
    assert_int_equal(err.reason, KV_REASON_MANAGED);
    assert_kv_fails(KV_PRECONDITION, turning_set_policy(h, EACH_90_DAYS, &err));
    assert_int_equal(err.reason, KV_REASON_MANAGED);
    assert_kv_fails(KV_PRECONDITION, turning_permit(h, KV_SLICE_NONE, KV_SLICE_NONE, &err));
    assert_int_equal(err.reason, KV_REASON_MANAGED);
    house_free(h);
}

static void a_disabled_key_is_not_brought_back(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(turning_set_policy(h, EACH_90_DAYS, &err));
    assert_kv_ok(turning_enable(h, KV_SLICE_NONE, false, &err));
    turning_live(h, 200);
    assert_int_equal(turning_versions(h), 1);
    assert_kv_ok(turning_enable(h, KV_SLICE_NONE, true, &err));
    turning_live(h, 201);
    assert_int_equal(turning_versions(h), 2);
    /* By hand it is: that is how one leaves a key behind that others may know. */
    assert_kv_ok(turning_enable(h, KV_SLICE_NONE, false, &err));
    assert_kv_ok(turning_rotate(h, NULL, &err));
    assert_kv_ok(act_sign(h, "k", KV_SLICE_NONE, &err));
    house_free(h);
}

static void a_deleted_key_rests(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(turning_set_policy(h, EACH_90_DAYS, &err));
    assert_kv_ok(act_delete(h, KV_COLLECTION_KEYS, "k", &err));
    assert_kv_fails(KV_NOT_FOUND, turning_rotate(h, NULL, &err));
    assert_kv_fails(KV_NOT_FOUND, turning_set_policy(h, EACH_90_DAYS, &err));
    turning_live(h, 100);
    assert_int_equal(turning_versions(h), 1);
    assert_kv_ok(act_recover(h, KV_COLLECTION_KEYS, "k", &err));
    turning_live(h, 101);
    assert_int_equal(turning_versions(h), 2);
    house_free(h);
}

/* A version by hand, or brought from elsewhere, begins the time anew. */
static void another_version_moves_the_time(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(turning_set_policy(h, EACH_90_DAYS, &err));
    turning_live(h, 60);
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    turning_live(h, 149);
    assert_int_equal(turning_versions(h), 2);
    turning_live(h, 151);
    assert_int_equal(turning_versions(h), 3);
    /* And another policy too. */
    assert_kv_ok(
        turning_set_policy(h, (kv_rotation_policy_texts){ .rotate_after = KV_SLICE("P7D") }, &err));
    turning_live(h, 156);
    assert_int_equal(turning_versions(h), 3);
    turning_live(h, 158);
    assert_int_equal(turning_versions(h), 4);
    assert_kv_ok(turning_set_policy(h, (kv_rotation_policy_texts){ 0 }, &err));
    turning_live(h, 1000);
    assert_int_equal(turning_versions(h), 4);
    house_free(h);
}

/* What a key belongs to was edited in the database: the others are rotated all the same. */
static void a_row_that_cannot_be_trusted_stops_nobody(void **state)
{
    static const char *const edits[] = {
        "UPDATE rotations SET attempts = 1 WHERE rowid = 1",
        "UPDATE rotations SET due_at = 1 WHERE rowid = 1",
        "UPDATE rotation_policies SET rotate_after = 'P7D' WHERE rowid = 1",
        "UPDATE rotation_policies SET permitted = 1 WHERE rowid = 1",
        "UPDATE key_versions SET created = 1 WHERE rowid = 1",
        "UPDATE objects SET created = created + 1 WHERE rowid = 1",
    };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(edits); i++) {
        kv_rotation_action each = { .type = KV_ROTATION_ACTION_ROTATE,
                                    .time_after_create = KV_SLICE("P90D") };
        kv_rotation_policy_update_in in = { .target = act_target(KV_COLLECTION_KEYS, "first"),
                                            .actions = &each,
                                            .action_count = 1 };
        house *h = turning_start();
        kv_rotation_policy_bundle out;
        kv_error err = { 0 };

        assert_kv_ok(act_make_key(h, "first", NULL, &err));
        assert_kv_ok(HOUSE_DO(h, kv_rotation_policy_update, &in, &out));
        assert_kv_ok(act_make_key(h, "k", NULL, &err));
        assert_kv_ok(turning_set_policy(h, EACH_90_DAYS, &err));
        assert_int_equal(house_attack(h, edits[i]), 1);
        turning_live(h, 91);
        assert_int_equal(turning_versions(h), 3);
        house_free(h);
    }
}

static unsigned creating(house *h)
{
    return house_count(h, "SELECT count(*) FROM token_objects WHERE state = 'creating'");
}

static void wait_until_down(house *h)
{
    const struct timespec moment = { 0, 10 * 1000 * 1000 };

    for (unsigned i = 0;
         i < 6000 && kv_token_state_of(kv_tokens_get(h->tokens, KV_DUTY_KEYS)) != KV_TOKEN_DOWN;
         i++)
        (void)nanosleep(&moment, NULL);
}

/* Out of reach when it is time: once that is known nothing is begun, and it is done when the token
 * is back. */
static void a_token_that_was_away(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };
    unsigned begun;

    (void)state;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(turning_set_policy(h, EACH_90_DAYS, &err));
    turning_live(h, 89);
    kv_fake_gone(true);
    (void)turning_live_until(h, HOUSE_NOW_MS + 90 * DAY, &err);
    wait_until_down(h);
    begun = creating(h);
    (void)turning_live_until(h, HOUSE_NOW_MS + 95 * DAY, &err);
    assert_int_equal(turning_versions(h), 1);
    assert_int_equal(creating(h), begun);
    kv_fake_gone(false);
    house_wait_for_tokens(h);
    turning_live(h, 96);
    assert_int_equal(turning_versions(h), 2);
    assert_kv_ok(act_sign(h, "k", KV_SLICE_NONE, &err));
    assert_kv_ok(house_restart(h, &err));
    house_assert_tidy(h);
    house_free(h);
}

/* Three tries that fail, without anybody else's help: the fourth does it. */
static void a_failure_is_not_the_end(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(turning_set_policy(h, EACH_90_DAYS, &err));
    turning_live(h, 89);
    kv_fake_fail("C_GenerateKeyPair", CKR_FUNCTION_FAILED, 3);
    for (unsigned i = 0; i < 8; i++) {
        house_wait_for_tokens(h);
        (void)turning_live_until(h, HOUSE_NOW_MS + 90 * DAY + i * 3 * 3600000, &err);
    }
    assert_int_equal(turning_versions(h), 2);
    house_assert_tidy(h);
    house_free(h);
}

/* Killed after each change: two versions, not one, not three. */
static bool die_and_rise(house *h, unsigned n, house_death death)
{
    int64_t from = atomic_load(&h->now_ms);
    kv_error err = { 0 };
    bool died;

    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(turning_set_policy(h, EACH_90_DAYS, &err));
    house_die_after(h, n, death);
    (void)turning_live_until(h, from + 91 * DAY, &err);
    died = atomic_load(&h->dead);
    atomic_store(&h->dies_in, 0);
    assert_kv_ok(house_restart(h, &err));
    assert_kv_ok(turning_live_until(h, from + 93 * DAY, &err));
    assert_int_equal(turning_versions(h), 2);
    assert_int_equal(turning_due_rows(h), 1);
    assert_kv_ok(act_sign(h, "k", KV_SLICE_NONE, &err));
    house_assert_tidy(h);
    assert_kv_ok(act_delete(h, KV_COLLECTION_KEYS, "k", &err));
    assert_kv_ok(act_purge(h, KV_COLLECTION_KEYS, "k", &err));
    return died;
}

static void death_at_any_moment(void **state)
{
    house *h = turning_start();

    (void)state;
    for (int death = HOUSE_KEYS_STAY; death <= HOUSE_NO_NEW_KEYS; death++) {
        unsigned n = 0;

        while (die_and_rise(h, ++n, (house_death)death))
            assert_true(n < CHANGES_MAX);
        assert_true(n > 3);
    }
    house_free(h);
}

/* --- two servers, one store --- */

static void *steps(void *argument)
{
    for (unsigned i = 0; i < RACE_STEPS; i++) {
        kv_error err = { 0 };
        int64_t next = 0;

        if (kv_vault_step_rotation(argument, &next, &err) != KV_OK)
            return argument;
    }
    return NULL;
}

static kv_vault *second_server(house *h)
{
    static const uint8_t node[16] = { 2 };
    kv_vault_config config = { .records = h->records,
                               .tokens = h->tokens,
                               .auth = h->auth,
                               .audit = h->audit,
                               .clock = &h->clock,
                               .node = kv_slice_of(node, sizeof(node)),
                               .instance =
                                   kv_slice_of(h->identity.instance, sizeof(h->identity.instance)),
                               .version = "second" };
    kv_vault *vault = NULL;
    kv_error err = { 0 };

    assert_kv_ok(kv_vault_open(&config, &vault, &err));
    return vault;
}

static void two_servers_make_one_version(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };
    kv_vault *other = second_server(h);

    (void)state;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(turning_set_policy(h, EACH_90_DAYS, &err));
    for (unsigned i = 1; i <= ROUNDS; i++) {
        pthread_t thread;
        void *trouble = NULL;

        turning_live(h, 90 * i - 1);
        atomic_store(&h->now_ms, HOUSE_NOW_MS + 90 * i * DAY + DAY / 2);
        assert_int_equal(pthread_create(&thread, NULL, steps, other), 0);
        assert_null(steps(h->vault));
        (void)pthread_join(thread, &trouble);
        assert_null(trouble);
        /* One of the two, or nobody for now: whoever lost the race tries again in a minute. */
        turning_live(h, 90 * i + 1);
        assert_int_equal(turning_versions(h), i + 1);
        house_assert_tidy(h);
    }
    kv_vault_close(other);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_ninety_days),
        cmocka_unit_test(late_is_once),
        cmocka_unit_test(the_next_version_is_like_the_last),
        cmocka_unit_test(before_it_expires),
        cmocka_unit_test(a_certificates_key_is_left_to_the_certificate),
        cmocka_unit_test(a_disabled_key_is_not_brought_back),
        cmocka_unit_test(a_deleted_key_rests),
        cmocka_unit_test(another_version_moves_the_time),
        cmocka_unit_test(a_row_that_cannot_be_trusted_stops_nobody),
        cmocka_unit_test(a_token_that_was_away),
        cmocka_unit_test(a_failure_is_not_the_end),
        cmocka_unit_test(death_at_any_moment),
        cmocka_unit_test(two_servers_make_one_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
