/* test_vault_backup.c - what a backup brings back, what it never does, and what is refused. */
#include <stdlib.h>

#include "server/vault/backups/backup.h"
#include "tests/contract/vault/acts.h"

/* A backup that outlives the acts after it. */
static kv_slice take(house *h, kv_collection collection, const char *name)
{
    kv_backup backup;
    kv_error err = { 0 };

    assert_kv_ok(act_backup(h, collection, name, &backup, &err));
    assert_kv_ok(kv_arena_copy(&h->kept_arena, backup.value, &h->kept, &err));
    return h->kept;
}

static void lose(house *h, kv_collection collection, const char *name)
{
    kv_error err = { 0 };

    assert_kv_ok(act_delete(h, collection, name, &err));
    assert_kv_ok(act_purge(h, collection, name, &err));
}

static void assert_value(house *h, const char *name, kv_slice version, kv_slice value)
{
    kv_secret_bundle got;
    kv_error err = { 0 };

    assert_kv_ok(act_get_secret(h, name, version, &got, &err));
    assert_slice_equal(value, got.value);
}

static void a_secret_comes_back_with_all_its_versions(void **state)
{
    static const char *const values[] = { "first", "", "third, a canary" };
    char versions[KV_COUNT(values)][33] = { 0 };
    house *h = *state;
    kv_error err = { 0 };
    kv_slice backup;

    for (size_t i = 0; i < KV_COUNT(values); i++) {
        kv_secret_bundle out;

        assert_kv_ok(act_set_secret(h, "Word", kv_slice_text(values[i]), &out, &err));
        memcpy(versions[i], out.id.version.data, 32);
    }
    backup = take(h, KV_COLLECTION_SECRETS, "word");
    assert_null(memmem(backup.data, backup.len, "canary", 6));
    assert_null(memmem(backup.data, backup.len, "Word", 4));
    assert_kv_fails(KV_EXISTS, act_restore(h, KV_COLLECTION_SECRETS, backup, &err));
    assert_kv_ok(act_delete(h, KV_COLLECTION_SECRETS, "word", &err));
    assert_kv_fails(KV_EXISTS, act_restore(h, KV_COLLECTION_SECRETS, backup, &err));
    assert_int_equal(err.reason, KV_REASON_SOFT_DELETED);
    assert_kv_ok(act_purge(h, KV_COLLECTION_SECRETS, "word", &err));

    assert_kv_ok(house_restart(h, &err));
    assert_kv_ok(act_restore(h, KV_COLLECTION_SECRETS, backup, &err));
    for (size_t i = 0; i < KV_COUNT(values); i++)
        assert_value(h, "word", kv_slice_text(versions[i]), kv_slice_text(values[i]));
    assert_value(h, "word", KV_SLICE_NONE, kv_slice_text(values[2]));
    house_assert_tidy(h);
}

/* The vault's key went with the vault: the backup is under a key of its own. */
static void a_backup_outlives_its_vault(void **state)
{
    house *h = *state;
    kv_error err = { 0 };
    kv_slice backup;

    assert_kv_ok(act_set_secret(h, "s", KV_SLICE("value"), NULL, &err));
    backup = take(h, KV_COLLECTION_SECRETS, "s");
    assert_kv_ok(act_delete_vault(h, &err));
    assert_kv_ok(act_purge_vault(h, &err));
    assert_kv_fails(KV_NOT_FOUND, act_restore(h, KV_COLLECTION_SECRETS, backup, &err));
    assert_kv_ok(act_make_vault(h, &err));
    assert_kv_ok(act_restore(h, KV_COLLECTION_SECRETS, backup, &err));
    assert_value(h, "s", KV_SLICE_NONE, KV_SLICE("value"));
}

static void a_key_that_is_gone_from_the_token_does_not_come_back(void **state)
{
    house *h = *state;
    kv_error err = { 0 };
    kv_slice backup;

    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    backup = take(h, KV_COLLECTION_KEYS, "k");
    lose(h, KV_COLLECTION_KEYS, "k");
    assert_kv_fails(KV_PRECONDITION, act_restore(h, KV_COLLECTION_KEYS, backup, &err));
    assert_non_null(strstr(err.message, "no longer has the key"));
    house_assert_tidy(h);
    assert_int_equal(house_count(h, "SELECT count(*) FROM objects"), 0);
}

static void an_exportable_certificate_comes_back_with_its_keys(void **state)
{
    house *h = *state;
    kv_error err = { 0 };
    kv_slice backup;
    kv_key_get_in in = { .target = act_target(KV_COLLECTION_KEYS, "c") };
    kv_key_bundle key;

    assert_kv_ok(act_make_certificate(h, "c", "Self", true, NULL, &err));
    assert_kv_ok(act_renew(h, "c", NULL, &err));
    assert_kv_ok(HOUSE_DO(h, kv_key_get, &in, &key));
    assert_slice_equal(key.attestation.origin, KV_SLICE("generated"));
    backup = take(h, KV_COLLECTION_CERTIFICATES, "c");
    lose(h, KV_COLLECTION_CERTIFICATES, "c");
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 0);

    assert_kv_ok(act_restore(h, KV_COLLECTION_CERTIFICATES, backup, &err));
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), 2);
    assert_kv_ok(act_sign(h, "c", KV_SLICE_NONE, &err));
    assert_kv_ok(HOUSE_DO(h, kv_key_get, &in, &key));
    assert_slice_equal(key.attestation.origin, KV_SLICE("imported"));
    assert_kv_ok(house_restart(h, &err));
    assert_kv_ok(act_sign(h, "c", KV_SLICE_NONE, &err));
    assert_kv_ok(act_renew(h, "c", NULL, &err));
    house_assert_tidy(h);
}

static void a_certificate_whose_key_is_gone_does_not_come_back(void **state)
{
    house *h = *state;
    kv_error err = { 0 };
    kv_slice backup;

    assert_kv_ok(act_make_certificate(h, "c", "Self", false, NULL, &err));
    backup = take(h, KV_COLLECTION_CERTIFICATES, "c");
    lose(h, KV_COLLECTION_CERTIFICATES, "c");
    assert_kv_fails(KV_PRECONDITION, act_restore(h, KV_COLLECTION_CERTIFICATES, backup, &err));
    assert_kv_ok(act_make_certificate(h, "c", "Self", false, NULL, &err));
    house_assert_tidy(h);
}

/* One wording for all of it, so that nothing is learnt from it. */
static void assert_bad(house *h, kv_slice backup, size_t at)
{
    kv_error err = { 0 };
    kv_error wording = { 0 };

    assert_kv_fails(KV_BAD_REQUEST, act_restore(h, KV_COLLECTION_SECRETS, backup, &err));
    assert_string_equal(err.field, "value");
    (void)kv_backup_bad(&wording);
    if (at != 8 && at != 9) /* version and collection have words of their own */
        assert_string_equal(err.message, wording.message);
}

static void whatever_is_changed_is_refused(void **state)
{
    house *h = *state;
    kv_error err = { 0 };
    kv_slice backup;
    uint8_t *changed;

    assert_kv_ok(act_set_secret(h, "s", KV_SLICE("value"), NULL, &err));
    backup = take(h, KV_COLLECTION_SECRETS, "s");
    lose(h, KV_COLLECTION_SECRETS, "s");
    changed = malloc(backup.len + 1);
    assert_non_null(changed);
    for (size_t i = 0; i < backup.len; i++) {
        memcpy(changed, backup.data, backup.len);
        changed[i] ^= (uint8_t)(1u << (i % 8));
        assert_bad(h, kv_slice_of(changed, backup.len), i);
    }
    for (size_t len = 0; len < backup.len; len++)
        assert_bad(h, kv_slice_of(backup.data, len), 0);
    memcpy(changed, backup.data, backup.len);
    changed[backup.len] = 0;
    assert_bad(h, kv_slice_of(changed, backup.len + 1), 0);
    free(changed);
    assert_kv_fails(KV_BAD_REQUEST, act_restore(h, KV_COLLECTION_KEYS, backup, &err));
    assert_non_null(strstr(err.message, "the backup of a secret"));
    assert_int_equal(house_count(h, "SELECT count(*) FROM objects"), 0);
    assert_kv_ok(act_restore(h, KV_COLLECTION_SECRETS, backup, &err));
    house_assert_tidy(h);
}

/* Records of two backups do not mix, nor change places. */
static void records_do_not_move(void **state)
{
    house *h = *state;
    kv_error err = { 0 };
    kv_slice one;
    kv_slice two;
    uint8_t mixed[4096];

    assert_kv_ok(act_set_secret(h, "s", KV_SLICE("value"), NULL, &err));
    one = take(h, KV_COLLECTION_SECRETS, "s");
    two = take(h, KV_COLLECTION_SECRETS, "s");
    lose(h, KV_COLLECTION_SECRETS, "s");
    assert_int_equal(one.len, two.len);
    assert_true(one.len < sizeof(mixed));
    memcpy(mixed, one.data, KV_BACKUP_HEADER);
    memcpy(mixed + KV_BACKUP_HEADER, two.data + KV_BACKUP_HEADER, two.len - KV_BACKUP_HEADER);
    assert_bad(h, kv_slice_of(mixed, one.len), 0);
    memcpy(mixed, two.data, KV_BACKUP_HEADER);
    assert_kv_ok(act_restore(h, KV_COLLECTION_SECRETS, kv_slice_of(mixed, one.len), &err));
}

static void a_backup_of_another_server_is_refused(void **state)
{
    house *h = house_new(false);
    kv_error err = { 0 };
    uint8_t *kept;
    size_t len;

    (void)state;
    assert_kv_ok(act_make_vault(h, &err));
    assert_kv_ok(act_set_secret(h, "s", KV_SLICE("value"), NULL, &err));
    len = take(h, KV_COLLECTION_SECRETS, "s").len;
    kept = malloc(len);
    assert_non_null(kept);
    memcpy(kept, h->kept.data, len);
    house_free(h);

    h = house_new(false);
    assert_kv_ok(act_make_vault(h, &err));
    assert_kv_ok(act_set_secret(h, "other", KV_SLICE("value"), NULL, &err));
    (void)take(h, KV_COLLECTION_SECRETS, "other"); /* so there is a backup key */
    assert_bad(h, kv_slice_of(kept, len), 0);
    free(kept);
    house_free(h);
}

static void what_could_not_be_restored_is_not_backed_up(void **state)
{
    house *h = *state;
    uint8_t *value = calloc(1, 25 * 1024);
    kv_error err = { 0 };
    kv_backup backup;

    assert_non_null(value);
    for (int i = 0; i < 40; i++)
        assert_kv_ok(act_set_secret(h, "s", kv_slice_of(value, 25 * 1024), NULL, &err));
    assert_kv_fails(KV_PRECONDITION, act_backup(h, KV_COLLECTION_SECRETS, "s", &backup, &err));
    assert_non_null(strstr(err.message, "1000000 bytes"));
    assert_kv_ok(act_make_certificate(h, "c", "Self", false, NULL, &err));
    assert_kv_fails(KV_PRECONDITION, act_backup(h, KV_COLLECTION_KEYS, "c", &backup, &err));
    assert_int_equal(err.reason, KV_REASON_MANAGED);
    assert_kv_fails(KV_NOT_FOUND, act_backup(h, KV_COLLECTION_KEYS, "none", &backup, &err));
    assert_kv_ok(act_make_certificate(h, "waits", "Unknown", false, NULL, &err));
    assert_kv_fails(KV_NOT_FOUND,
                    act_backup(h, KV_COLLECTION_CERTIFICATES, "waits", &backup, &err));
    free(value);
}

/* More rows than a change has by itself, and as many as fit in a backup. */
static void a_hundred_versions_come_back(void **state)
{
    enum { VERSIONS = 100 };
    house *h = *state;
    kv_error err = { 0 };
    kv_slice backup;

    for (int i = 0; i < VERSIONS; i++)
        assert_kv_ok(act_set_secret(h, "s", KV_SLICE("value"), NULL, &err));
    backup = take(h, KV_COLLECTION_SECRETS, "s");
    lose(h, KV_COLLECTION_SECRETS, "s");
    assert_kv_ok(act_restore(h, KV_COLLECTION_SECRETS, backup, &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM secret_versions"), VERSIONS);
    assert_kv_ok(house_restart(h, &err));
    house_assert_tidy(h);
}

#define ON_FAKE(test) cmocka_unit_test_setup_teardown(test, act_start, act_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_FAKE(a_secret_comes_back_with_all_its_versions),
        ON_FAKE(a_backup_outlives_its_vault),
        ON_FAKE(a_key_that_is_gone_from_the_token_does_not_come_back),
        ON_FAKE(an_exportable_certificate_comes_back_with_its_keys),
        ON_FAKE(a_certificate_whose_key_is_gone_does_not_come_back),
        ON_FAKE(whatever_is_changed_is_refused),
        ON_FAKE(records_do_not_move),
        ON_FAKE(what_could_not_be_restored_is_not_backed_up),
        ON_FAKE(a_hundred_versions_come_back),
        cmocka_unit_test(a_backup_of_another_server_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
