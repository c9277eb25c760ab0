/* test_vault_retirement.c - versions that were followed are disabled and destroyed only as was
 * agreed, by two people, and the token says that they are gone.
 */
#include <stdio.h>
#include <time.h>

#include "pkcs11/token_key.h"
#include "server/audit/search.h"
#include "tests/contract/vault/turning.h"

enum { CHANGES_MAX = 40, CALLS_MAX = 400, NOTE_BYTES = 512 };

#define RETIRING                                                    \
    ((kv_rotation_policy_texts){ .disable_after = KV_SLICE("P30D"), \
                                 .destroy_after = KV_SLICE("P120D") })

static bool found_note(void *context, const kv_audit_record *record)
{
    char *note = context;

    (void)snprintf(note, NOTE_BYTES, "%.*s", KV_SLICE_ARG(record->entry.note));
    assert_true(record->entry.has_key);
    assert_int_equal(record->entry.version.len, 32);
    return true;
}

/* The record of the last destruction says what the token said. */
static void assert_proved(house *h, const char *what)
{
    kv_audit_filter filter = { .from_ms = 1,
                               .to_ms = INT64_MAX,
                               .operation = KV_SLICE("KeyVersionDestroy"),
                               .name = KV_SLICE("k") };
    char note[NOTE_BYTES] = "";
    kv_error err = { 0 };

    /* Records of steps follow their changes by a moment. */
    for (unsigned i = 0; i < 6000 && !*note; i++) {
        struct timespec moment = { 0, 10 * 1000 * 1000 };

        assert_kv_ok(kv_audit_search(h->audit, &filter, found_note, note, &err));
        if (!*note)
            (void)nanosleep(&moment, NULL);
    }
    if (!strstr(note, what) || !strstr(note, "found after: 0") || !strstr(note, "token="))
        fail_msg("the record says: %s", note);
}

/* The key has a version that was followed on day 0; gives its name. */
static kv_slice followed(house *h)
{
    kv_error err = { 0 };
    kv_slice first;

    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    first = turning_keep(h, turning_look(h, KV_SLICE_NONE).id.version);
    assert_kv_ok(turning_set_policy(h, RETIRING, &err));
    assert_kv_ok(turning_rotate(h, NULL, &err));
    return first;
}

static void permit_it(house *h)
{
    kv_error err = { 0 };

    assert_kv_ok(turning_permit(h, KV_SLICE("P30D"), KV_SLICE("P120D"), &err));
}

static void disabled_then_destroyed(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };
    kv_slice first = followed(h);

    (void)state;
    permit_it(h);
    turning_live(h, 29);
    assert_kv_ok(act_sign(h, "k", first, &err));
    turning_live(h, 31);
    assert_kv_fails(KV_PRECONDITION, act_sign(h, "k", first, &err));
    assert_int_equal(err.reason, KV_REASON_DISABLED);
    turning_live(h, 119);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 2);
    assert_kv_ok(house_restart(h, &err));
    turning_live(h, 121);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 1);
    assert_int_equal(turning_versions(h), 2);
    assert_true(turning_look(h, first).retirement.destroyed >= HOUSE_NOW_MS + 120 * DAY);
    assert_false(turning_look(h, first).attributes.enabled);
    assert_proved(h, "CKO_PRIVATE_KEY=1");
    assert_int_equal(house_count(h, "SELECT count(*) FROM events WHERE type LIKE '%KeyDisabled'"),
                     1);
    assert_int_equal(house_count(h, "SELECT count(*) FROM events WHERE type LIKE '%KeyDestroyed'"),
                     1);
    /* Of no use for ever, and nobody can say otherwise. */
    assert_kv_fails(KV_PRECONDITION, act_sign(h, "k", first, &err));
    assert_int_equal(err.reason, KV_REASON_DESTROYED);
    assert_kv_fails(KV_PRECONDITION, turning_enable(h, first, true, &err));
    assert_int_equal(err.reason, KV_REASON_DESTROYED);
    assert_kv_ok(act_sign(h, "k", KV_SLICE_NONE, &err));
    turning_live(h, 2000);
    assert_int_equal(turning_versions(h), 2);
    house_assert_tidy(h);
    assert_kv_ok(act_delete(h, KV_COLLECTION_KEYS, "k", &err));
    assert_kv_ok(act_purge(h, KV_COLLECTION_KEYS, "k", &err));
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 0);
    house_assert_tidy(h);
    house_free(h);
}

static void symmetric_keys_too(void **state)
{
    kv_key_create_in in = { .target = act_target(KV_COLLECTION_KEYS, "k"), .kty = KV_KEY_TYPE_OCT };
    house *h = turning_start();
    kv_key_bundle out;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(HOUSE_DO(h, kv_key_create, &in, &out));
    assert_kv_ok(turning_set_policy(h, RETIRING, &err));
    assert_kv_ok(turning_rotate(h, NULL, &err));
    permit_it(h);
    turning_live(h, 121);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 1);
    assert_proved(h, "CKO_SECRET_KEY=1");
    house_assert_tidy(h);
    house_free(h);
}

static void nothing_goes_without_a_second_person(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };
    kv_slice first = followed(h);

    (void)state;
    turning_live(h, 500);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 2);
    assert_false(turning_look(h, first).attributes.enabled);
    /* What is permitted is one schedule, and it has to be the one that there is. */
    assert_kv_fails(KV_PRECONDITION, turning_permit(h, KV_SLICE("P30D"), KV_SLICE("P121D"), &err));
    assert_kv_fails(KV_PRECONDITION, turning_permit(h, KV_SLICE("P7D"), KV_SLICE("P120D"), &err));
    assert_kv_fails(KV_PRECONDITION, turning_permit(h, KV_SLICE("P30D"), KV_SLICE_NONE, &err));
    assert_kv_fails(KV_BAD_REQUEST, turning_permit(h, KV_SLICE("P30D"), KV_SLICE("soon"), &err));
    turning_live(h, 510);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 2);
    permit_it(h);
    assert_kv_ok(turning_permit(h, KV_SLICE_NONE, KV_SLICE_NONE, &err));
    turning_live(h, 520);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 2);
    permit_it(h);
    /* Another schedule needs another permission, and gives the whole time again. */
    assert_kv_ok(
        turning_set_policy(h,
                           (kv_rotation_policy_texts){ .disable_after = KV_SLICE("P30D"),
                                                       .destroy_after = KV_SLICE("P130D") },
                           &err));
    turning_live(h, 700);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 2);
    assert_kv_ok(turning_permit(h, KV_SLICE("P30D"), KV_SLICE("P130D"), &err));
    turning_live(h, 702);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 1);
    house_free(h);
}

static void whoever_enables_it_again_keeps_it(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };
    kv_slice first = followed(h);

    (void)state;
    permit_it(h);
    turning_live(h, 119);
    assert_kv_ok(turning_enable(h, first, true, &err));
    assert_true(turning_look(h, first).retirement.kept);
    turning_live(h, 1000);
    assert_kv_ok(act_sign(h, "k", first, &err));
    /* Taking the schedule away saves one too. */
    assert_kv_ok(turning_rotate(h, NULL, &err));
    turning_live(h, 1119);
    assert_kv_ok(turning_set_policy(h, EACH_90_DAYS, &err));
    turning_live(h, 1121);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), turning_versions(h));
    house_free(h);
}

static void only_a_token_that_knew_the_key_is_a_witness(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };
    kv_slice first = followed(h);
    kv_token *token = kv_tokens_get(h->tokens, KV_DUTY_KEYS);
    kv_slice id;

    (void)state;
    permit_it(h);
    turning_live(h, 119);
    id = turning_look(h, first).attestation.key_id;
    assert_kv_ok(kv_token_key_destroy(token, id.data, &err));
    turning_live(h, 130);
    assert_int_equal(turning_look(h, first).retirement.destroyed, 0);
    assert_int_equal(turning_look(h, first).retirement.destroying, 0);
    assert_true(turning_due_rows(h) == 1);
    house_free(h);
}

/* A version that was destroyed is in it, and nobody looks for its key; for the others they do. */
static void a_backup_remembers(void **state)
{
    house *h = turning_start();
    kv_error err = { 0 };
    kv_slice first = followed(h);
    kv_backup backup;

    (void)state;
    permit_it(h);
    turning_live(h, 121);
    assert_kv_ok(act_backup(h, KV_COLLECTION_KEYS, "k", &backup, &err));
    h->kept = turning_keep(h, backup.value);
    assert_kv_ok(act_delete(h, KV_COLLECTION_KEYS, "k", &err));
    assert_kv_ok(act_purge(h, KV_COLLECTION_KEYS, "k", &err));
    assert_kv_fails(KV_PRECONDITION, act_restore(h, KV_COLLECTION_KEYS, h->kept, &err));
    assert_non_null(strstr(err.message, "no longer has the key"));
    assert_null(memmem(err.message, strlen(err.message), first.data, first.len));
    house_free(h);
}

/* Rows gone, keys still there: as where a token has come back and the database has not. */
static void a_destroyed_version_comes_back_as_one(void **state)
{
    static const char *const tables[] = { "objects", "key_versions", "token_objects", "rotations",
                                          "rotation_policies" };
    house *h = turning_start();
    kv_error err = { 0 };
    kv_slice first = followed(h);
    kv_backup backup;

    (void)state;
    permit_it(h);
    turning_live(h, 121);
    assert_kv_ok(turning_rotate(h, NULL, &err));
    assert_kv_ok(act_backup(h, KV_COLLECTION_KEYS, "k", &backup, &err));
    h->kept = turning_keep(h, backup.value);
    for (size_t i = 0; i < KV_COUNT(tables); i++) {
        char sql[64];

        (void)snprintf(sql, sizeof(sql), "DELETE FROM %s", tables[i]);
        assert_true(house_attack(h, sql) > 0);
    }
    assert_kv_ok(act_restore(h, KV_COLLECTION_KEYS, h->kept, &err));
    assert_int_equal(turning_versions(h), 3);
    assert_true(turning_look(h, first).retirement.destroyed > 0);
    assert_kv_fails(KV_PRECONDITION, act_sign(h, "k", first, &err));
    assert_int_equal(err.reason, KV_REASON_DESTROYED);
    assert_kv_ok(act_sign(h, "k", KV_SLICE_NONE, &err));
    /* The policy is there again, what was permitted is not, and its time begins anew. */
    turning_live(h, 121 + 29);
    assert_int_equal(house_count(h, "SELECT count(*) FROM key_versions WHERE retired > 0"), 1);
    turning_live(h, 121 + 400);
    assert_int_equal(house_count(h, "SELECT count(*) FROM key_versions WHERE retired > 0"), 2);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 2);
    house_free(h);
}

/* Killed after each change of a destruction: the key goes once, and the proof is written. */
static bool die_and_destroy(house *h, unsigned n, house_death death)
{
    int64_t from = atomic_load(&h->now_ms);
    kv_error err = { 0 };
    kv_slice first = followed(h);
    bool died;

    permit_it(h);
    assert_kv_ok(turning_live_until(h, from + 119 * DAY, &err));
    house_die_after(h, n, death);
    (void)turning_live_until(h, from + 121 * DAY, &err);
    died = atomic_load(&h->dead);
    atomic_store(&h->dies_in, 0);
    assert_kv_ok(house_restart(h, &err));
    assert_kv_ok(turning_live_until(h, from + 122 * DAY, &err));
    assert_true(turning_look(h, first).retirement.destroyed);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 1);
    assert_proved(h, "");
    house_assert_tidy(h);
    assert_kv_ok(act_delete(h, KV_COLLECTION_KEYS, "k", &err));
    assert_kv_ok(act_purge(h, KV_COLLECTION_KEYS, "k", &err));
    return died;
}

static void death_during_a_destruction(void **state)
{
    house *h = turning_start();

    (void)state;
    for (int death = HOUSE_KEYS_STAY; death <= HOUSE_NO_NEW_KEYS; death++) {
        unsigned n = 0;

        while (die_and_destroy(h, ++n, (house_death)death))
            assert_true(n < CHANGES_MAX);
        assert_true(n > 3);
    }
    house_free(h);
}

/* Each call of the token fails once: the key goes all the same, and never without its proof. */
static void each_call_of_a_destruction_may_fail(void **state)
{
    house *h = turning_start();
    unsigned n = 0;
    bool failed = true;

    (void)state;
    while (failed) {
        int64_t from = atomic_load(&h->now_ms);
        kv_error err = { 0 };
        kv_slice first = followed(h);

        assert_true(++n < CALLS_MAX);
        permit_it(h);
        assert_kv_ok(turning_live_until(h, from + 119 * DAY, &err));
        kv_fake_fail_call(n, CKR_DEVICE_ERROR);
        (void)turning_live_until(h, from + 121 * DAY, &err);
        failed = kv_fake_failed();
        kv_fake_fail_call(0, CKR_OK);
        house_wait_for_tokens(h);
        if (turning_look(h, first).retirement.destroyed)
            assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 1);
        assert_kv_ok(turning_live_until(h, from + 124 * DAY, &err));
        assert_true(turning_look(h, first).retirement.destroyed);
        assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 1);
        house_assert_tidy(h);
        assert_kv_ok(act_delete(h, KV_COLLECTION_KEYS, "k", &err));
        assert_kv_ok(act_purge(h, KV_COLLECTION_KEYS, "k", &err));
    }
    assert_true(n > 10);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disabled_then_destroyed),
        cmocka_unit_test(symmetric_keys_too),
        cmocka_unit_test(nothing_goes_without_a_second_person),
        cmocka_unit_test(whoever_enables_it_again_keeps_it),
        cmocka_unit_test(only_a_token_that_knew_the_key_is_a_witness),
        cmocka_unit_test(a_backup_remembers),
        cmocka_unit_test(a_destroyed_version_comes_back_as_one),
        cmocka_unit_test(death_during_a_destruction),
        cmocka_unit_test(each_call_of_a_destruction_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
