/* test_vault_secrets.c - values at rest: bound to their place, under keys that roll. */
#include <stdio.h>
#include <stdlib.h>

#include "server/store/schema.h"
#include "tests/contract/vault/acts.h"

static void assert_value(house *h, const char *name, kv_slice version, kv_slice value)
{
    kv_secret_bundle got;
    kv_error err = { 0 };

    assert_kv_ok(act_get_secret(h, name, version, &got, &err));
    assert_slice_equal(value, got.value);
}

static void versions_of_every_size_come_back(void **state)
{
    static const size_t sizes[] = { 0, 1, 15, 16, 17, 1000, 25 * 1024 };
    house *h = *state;
    uint8_t *bytes = malloc(25 * 1024 + 1);
    char versions[KV_COUNT(sizes)][33];
    kv_error err = { 0 };

    assert_non_null(bytes);
    for (size_t i = 0; i <= (size_t)25 * 1024; i++)
        bytes[i] = (uint8_t)(i * 31);
    for (size_t i = 0; i < KV_COUNT(sizes); i++) {
        kv_secret_bundle out;

        assert_kv_ok(act_set_secret(h, "s", kv_slice_of(bytes, sizes[i]), &out, &err));
        (void)snprintf(versions[i], sizeof(versions[i]), "%.*s", KV_SLICE_ARG(out.id.version));
        assert_int_equal(out.value.len, 0);
    }
    assert_kv_fails(KV_BAD_REQUEST,
                    act_set_secret(h, "s", kv_slice_of(bytes, 25 * 1024 + 1), NULL, &err));
    assert_string_equal(err.field, "value");
    assert_kv_ok(house_restart(h, &err));
    for (size_t i = 0; i < KV_COUNT(sizes); i++)
        assert_value(h, "S", kv_slice_text(versions[i]), kv_slice_of(bytes, sizes[i]));
    free(bytes);
    house_assert_tidy(h);
}

/* The database's owner gets no value out of it, wherever it is looked for. */
static void no_value_stands_in_the_database(void **state)
{
    house *h = *state;
    static const char canary[] = "canary-4f1e-value";
    char path[200], *bytes;
    FILE *file;
    size_t len;
    kv_error err = { 0 };

    assert_kv_ok(act_set_secret(h, "s", KV_SLICE("canary-4f1e-value"), NULL, &err));
    house_shut(h);
    (void)snprintf(path, sizeof(path), "%s", h->database);
    file = fopen(path, "rb");
    assert_non_null(file);
    bytes = malloc(4 << 20);
    assert_non_null(bytes);
    len = fread(bytes, 1, 4 << 20, file);
    assert_true(len > 4096);
    assert_null(memmem(bytes, len, canary, sizeof(canary) - 1));
    free(bytes);
    (void)fclose(file);
    assert_kv_ok(house_open(h, &err));
    assert_value(h, "s", KV_SLICE_NONE, KV_SLICE("canary-4f1e-value"));
}

/* Reads a version's row, with its seal checked. */
static kv_secret_version_row row_of(house *h, kv_arena *arena, const char *name)
{
    kv_vault_row vault = { .name = KV_SLICE(ACT_VAULT) };
    kv_object_row object = { .collection = KV_COLLECTION_SECRETS, .name = kv_slice_text(name) };
    kv_secret_version_row version = { 0 };
    kv_error err = { 0 };

    assert_kv_ok(kv_records_get(h->records, &kv_table_vaults, &vault, arena, &err));
    object.vault_uid = vault.uid;
    assert_kv_ok(kv_records_get(h->records, &kv_table_objects, &object, arena, &err));
    version.object_uid = object.uid;
    version.version = object.current;
    assert_kv_ok(kv_records_get(h->records, &kv_table_secret_versions, &version, arena, &err));
    return version;
}

/* Writes a row as one who holds the seal key could, with a record so that the chain goes on. */
static void write_row(house *h, kv_arena *arena, kv_secret_version_row *row)
{
    kv_change change = { 0 };
    kv_slice record;
    kv_audit_entry entry = { .time_ms = h->now_ms, .operation = "Attack" };
    kv_error err = { 0 };

    entry.request_id[0] = (uint8_t)rand();
    entry.request_id[1] = (uint8_t)rand();
    assert_kv_ok(kv_change_update(&change, &kv_table_secret_versions, row, &err));
    assert_kv_ok(kv_records_seal(h->records, &change, arena, &err));
    assert_kv_ok(kv_audit_encode(&entry, arena, &record, &err));
    change.pending = (kv_pending){ .node = kv_slice_of(h->identity.node, 16),
                                   .request_id = kv_slice_of(entry.request_id, 16),
                                   .record = record };
    assert_kv_ok(kv_records_apply(h->records, &change, NULL, &err));
}

/* Even a freshly sealed row does not open at another place. */
static void a_ciphertext_opens_only_at_its_place(void **state)
{
    house *h = *state;
    kv_arena *arena = &h->arena;
    kv_secret_version_row cheap, dear, before;
    kv_error err = { 0 };

    assert_kv_ok(act_set_secret(h, "cheap", KV_SLICE("cheap"), NULL, &err));
    assert_kv_ok(act_set_secret(h, "dear", KV_SLICE("dear!"), NULL, &err));
    cheap = row_of(h, arena, "cheap");
    dear = row_of(h, arena, "dear");
    before = cheap;
    assert_false(kv_slice_equal(cheap.ciphertext, dear.ciphertext));

    cheap.ciphertext = dear.ciphertext;
    cheap.key_id = dear.key_id;
    write_row(h, arena, &cheap);
    assert_kv_fails(KV_INTERNAL, act_get_secret(h, "cheap", KV_SLICE_NONE, NULL, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);

    /* Each bit of it counts, the tag's and the IV's too. */
    for (size_t i = 0; i < before.ciphertext.len; i += 3) {
        uint8_t *bent;
        kv_slice copy;

        assert_kv_ok(kv_arena_copy(arena, before.ciphertext, &copy, &err));
        bent = (uint8_t *)(uintptr_t)copy.data;
        bent[i] ^= 1;
        cheap.ciphertext = copy;
        cheap.key_id = before.key_id;
        write_row(h, arena, &cheap);
        assert_kv_fails(KV_INTERNAL, act_get_secret(h, "cheap", KV_SLICE_NONE, NULL, &err));
        assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    }
    cheap.ciphertext = before.ciphertext;
    write_row(h, arena, &cheap);
    assert_value(h, "cheap", KV_SLICE_NONE, KV_SLICE("cheap"));
    assert_value(h, "dear", KV_SLICE_NONE, KV_SLICE("dear!"));
}

/* Without the seal key not even that: the row is refused before anything is decrypted. */
static void an_edited_row_is_refused(void **state)
{
    house *h = *state;
    kv_error err = { 0 };

    assert_kv_ok(act_set_secret(h, "a", KV_SLICE("a"), NULL, &err));
    assert_kv_ok(act_set_secret(h, "b", KV_SLICE("b"), NULL, &err));
    assert_int_equal(house_attack(h, "UPDATE secret_versions SET enabled = 1 - enabled"), 2);
    assert_kv_fails(KV_INTERNAL, act_get_secret(h, "a", KV_SLICE_NONE, NULL, &err));
    assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    assert_int_equal(house_attack(h, "UPDATE secret_versions SET enabled = 1 - enabled"), 2);
    assert_value(h, "a", KV_SLICE_NONE, KV_SLICE("a"));
}

static int start_with_short_lived_keys(void **state)
{
    house *h = house_new(false);
    kv_error err = { 0 };

    h->secret_key_uses = 3;
    assert_kv_ok(house_restart(h, &err));
    assert_kv_ok(act_make_vault(h, &err));
    *state = h;
    return 0;
}

static void a_key_rolls_before_its_limit(void **state)
{
    enum { SECRETS = 10, LIMIT = 3 };
    house *h = *state;
    char name[16], value[16];
    kv_error err = { 0 };

    for (int i = 0; i < SECRETS; i++) {
        (void)snprintf(name, sizeof(name), "s%d", i);
        (void)snprintf(value, sizeof(value), "value %d", i);
        assert_kv_ok(act_set_secret(h, name, kv_slice_text(value), NULL, &err));
    }
    assert_int_equal(house_count(h, "SELECT max(n) FROM (SELECT count(*) AS n FROM secret_versions"
                                    " GROUP BY key_id)"),
                     LIMIT);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_SYSTEM), (SECRETS + LIMIT - 1) / LIMIT);
    house_assert_tidy(h);

    /* What a restart does not remember it takes for used. */
    assert_kv_ok(house_restart(h, &err));
    assert_kv_ok(act_set_secret(h, "after", KV_SLICE("a"), NULL, &err));
    assert_true(house_count(h, "SELECT max(n) FROM (SELECT count(*) AS n FROM secret_versions"
                               " GROUP BY key_id)") <= LIMIT);
    for (int i = 0; i < SECRETS; i++) {
        (void)snprintf(name, sizeof(name), "s%d", i);
        (void)snprintf(value, sizeof(value), "value %d", i);
        assert_value(h, name, KV_SLICE_NONE, kv_slice_text(value));
    }

    /* With the vault all of them go. */
    assert_kv_ok(act_delete_vault(h, &err));
    assert_kv_ok(act_purge_vault(h, &err));
    assert_int_equal(house_keys_on_token(h, KV_DUTY_SYSTEM), 0);
    assert_int_equal(house_count(h, "SELECT count(*) FROM key_uses"), 0);
    house_assert_tidy(h);
}

int main(void)
{
#define BOTH(test)                                              \
    cmocka_unit_test_setup_teardown(test, act_start, act_stop), \
        cmocka_unit_test_setup_teardown(test, act_start_softhsm, act_stop)
    const struct CMUnitTest tests[] = {
        BOTH(versions_of_every_size_come_back),
        BOTH(no_value_stands_in_the_database),
        BOTH(a_ciphertext_opens_only_at_its_place),
        cmocka_unit_test_setup_teardown(an_edited_row_is_refused, act_start, act_stop),
        cmocka_unit_test_setup_teardown(a_key_rolls_before_its_limit, start_with_short_lived_keys,
                                        act_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
