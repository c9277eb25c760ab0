/* test_vault_access_races.c - what the record of a grant says when somebody else's came first. */
#include "server/vault/access/access_work.h"
#include "server/vault/idempotency.h"
#include "tests/contract/vault/acts.h"

#define WARNED " separation_of_duty=warned"

/* Any row will do: of one key there is one. */
static kv_status attempt(kv_access_work *access, const char *key, bool warned, kv_error *err)
{
    kv_idempotency_row row = { .principal_id = KV_SLICE("0123456789abcdef"),
                               .key = kv_slice_text(key),
                               .operation = KV_SLICE("RoleAssign") };
    kv_change change = { 0 };

    *err = (kv_error){ 0 };
    access->warnings->count = warned;
    KV_TRY(kv_change_insert(&change, &kv_table_idempotency, &row, err));
    return access->commit.commit(access->commit.context, &change, err);
}

static void a_warning_is_that_of_the_change_that_was_made(void **state)
{
    static const struct {
        bool before, then;
        const char *note;
    } cases[] = { { true, true, "role=x" WARNED },
                  { true, false, "role=x" },
                  { false, true, "role=x" WARNED },
                  { false, false, "role=x" } };
    house *h = house_new(false);
    kv_error err;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(cases); i++) {
        char key[] = { (char)('a' + i), '\0' };
        kv_access_work access;
        house_job first, job;

        house_begin(h, &first);
        assert_kv_ok(kv_access_work_of(h->vault, &first.work, &access, &err));
        assert_kv_ok(attempt(&access, key, false, &err));
        house_end(h, &first, KV_OK);

        house_begin(h, &job);
        job.entry.note = KV_SLICE("role=x");
        assert_kv_ok(kv_access_work_of(h->vault, &job.work, &access, &err));
        assert_kv_fails(KV_EXISTS, attempt(&access, key, cases[i].before, &err));
        key[0] = (char)('A' + i);
        assert_kv_ok(attempt(&access, key, cases[i].then, &err));
        assert_slice_equal(kv_slice_text(cases[i].note), job.entry.note);
        house_end(h, &job, KV_OK);
    }
    house_assert_tidy(h);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warning_is_that_of_the_change_that_was_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
