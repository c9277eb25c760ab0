/* test_vault_by_uid.c - a vault is found by its uid, under whatever name it was found before. */
#include "server/vault/vault_by_uid.h"
#include "tests/contract/vault/acts.h"

static kv_status find(house *h, kv_slice uid, kv_vault_row *out)
{
    static char name[KV_VAULT_NAME_MAX];
    house_job job;
    kv_error err = { 0 };
    kv_status status;

    house_begin(h, &job);
    status = kv_vault_by_uid(h->vault, &job.work, uid, out, &err);
    if (status == KV_OK) {
        memcpy(name, out->name.data, out->name.len);
        out->name = kv_slice_of(name, out->name.len);
    }
    house_end(h, &job, KV_OK);
    return status;
}

static void make_row(house *h, const char *name, const char *uid, bool instead)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);
    kv_vault_row row = { .name = kv_slice_text(name) };
    kv_change change = { 0 };
    kv_error err = { 0 };

    if (instead) {
        assert_kv_ok(kv_records_get(h->records, &kv_table_vaults, &row, &arena, &err));
        row.uid = kv_slice_of(uid, KV_UID_BYTES);
        assert_kv_ok(kv_change_update(&change, &kv_table_vaults, &row, &err));
    } else {
        row.uid = kv_slice_of(uid, KV_UID_BYTES);
        row.display_name = row.name;
        assert_kv_ok(kv_change_insert(&change, &kv_table_vaults, &row, &err));
    }
    assert_kv_ok(kv_records_seal(h->records, &change, &arena, &err));
    assert_kv_ok(kv_records_apply(h->records, &change, NULL, &err));
}

#define FIRST  "first vault uid."
#define SECOND "second vault uid"
/* In the same place of any table that goes by the first bytes. */
#define ALIKE "first vault next"

static void assert_found(house *h, const char *uid, const char *name)
{
    kv_vault_row row;

    for (int i = 0; i < 2; i++) {
        assert_int_equal(find(h, kv_slice_of(uid, KV_UID_BYTES), &row), KV_OK);
        assert_slice_equal(kv_slice_text(name), row.name);
    }
}

static void assert_gone(house *h, kv_slice uid)
{
    kv_vault_row row;

    for (int i = 0; i < 2; i++)
        assert_int_equal(find(h, uid, &row), KV_NOT_FOUND);
}

static void it_is_found_again_and_never_another(void **state)
{
    house *h = *state;

    assert_gone(h, kv_slice_of(FIRST, KV_UID_BYTES));
    make_row(h, "one", FIRST, false);
    make_row(h, "two", ALIKE, false);
    for (int i = 0; i < 3; i++) {
        assert_found(h, FIRST, "one");
        assert_found(h, ALIKE, "two");
    }
    /* Purged, and its name given to the next one. */
    make_row(h, "one", SECOND, true);
    assert_gone(h, kv_slice_of(FIRST, KV_UID_BYTES));
    assert_found(h, SECOND, "one");
    /* The same vault under another name, as a restoration may leave it. */
    make_row(h, "three", FIRST, false);
    assert_found(h, FIRST, "three");
}

static void what_is_no_uid_finds_nothing(void **state)
{
    house *h = *state;

    assert_gone(h, KV_SLICE_NONE);
    assert_gone(h, KV_SLICE("short"));
    assert_gone(h, KV_SLICE("longer than a uid can be"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_found_again_and_never_another, act_start, act_stop),
        cmocka_unit_test_setup_teardown(what_is_no_uid_finds_nothing, act_start, act_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
