/* test_separation.c - every pair of roles, against a list written from the rules and not from the
 * code. */
#include "server/auth/policy.h"
#include "server/auth/separation.h"
#include "tests/support/kv_cmocka.h"

/* Every pair that excludes, once, beside the two rules "access-administrator and anything" and
 * "auditor and anything but reader and certificate-reader". */
static const char *const pairs[][2] = {
    { "certificate-officer", "certificate-user" },
    { "certificate-officer", "secrets-user" },
    { "certificate-officer", "crypto-user" },
    { "certificate-officer", "crypto-wrap-user" },
    { "certificate-officer", "certificate-importer" },
    { "issuer-officer", "certificate-officer" },
    { "issuer-officer", "certificate-importer" },
    { "crypto-officer", "crypto-user" },
    { "crypto-officer", "crypto-wrap-user" },
    { "secrets-officer", "secrets-user" },
    { "secrets-officer", "certificate-user" },
    { "purge-officer", "issuer-officer" },
    { "purge-officer", "certificate-officer" },
    { "purge-officer", "crypto-officer" },
    { "purge-officer", "secrets-officer" },
    { "purge-officer", "vault-operator" },
    { "purge-officer", "backup-operator" },
    { "purge-officer", "recoverer" },
    { "vault-operator", "approver" },
};

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool excluded(const char *a, const char *b)
{
    if (same(a, b))
        return false;
    if (same(a, "access-administrator") || same(b, "access-administrator"))
        return true;
    if (same(a, "auditor"))
        return !same(b, "reader") && !same(b, "certificate-reader");
    if (same(b, "auditor"))
        return !same(a, "reader") && !same(a, "certificate-reader");
    for (size_t i = 0; i < KV_COUNT(pairs); i++) {
        if ((same(a, pairs[i][0]) && same(b, pairs[i][1])) ||
            (same(b, pairs[i][0]) && same(a, pairs[i][1])))
            return true;
    }
    return false;
}

static void every_pair_is_as_the_rules_say(void **state)
{
    (void)state;
    for (unsigned a = KV_ROLE_NONE + 1; a < KV_ROLE_COUNT; a++) {
        for (unsigned b = KV_ROLE_NONE + 1; b < KV_ROLE_COUNT; b++) {
            const char *one = kv_role_name((kv_role)a);
            const char *other = kv_role_name((kv_role)b);

            if (kv_roles_exclude((kv_role)a, (kv_role)b) != excluded(one, other))
                fail_msg("%s and %s", one, other);
        }
    }
}

/* Names in the list that are no roles would never be compared. */
static void the_list_names_only_roles(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(pairs); i++) {
        assert_int_not_equal(kv_role_find(kv_slice_text(pairs[i][0])), KV_ROLE_NONE);
        assert_int_not_equal(kv_role_find(kv_slice_text(pairs[i][1])), KV_ROLE_NONE);
    }
}

static void what_is_no_role_excludes_nothing(void **state)
{
    (void)state;
    assert_false(kv_roles_exclude(KV_ROLE_NONE, KV_ROLE_ACCESS_ADMINISTRATOR));
    assert_false(kv_roles_exclude(KV_ROLE_ACCESS_ADMINISTRATOR, KV_ROLE_COUNT));
    assert_false(kv_role_available(KV_ROLE_NONE, KV_SEPARATION_OFF));
    assert_false(kv_role_available(KV_ROLE_COUNT, KV_SEPARATION_OFF));
}

static void administrator_needs_separation_to_be_off(void **state)
{
    (void)state;
    assert_false(kv_role_available(KV_ROLE_ADMINISTRATOR, KV_SEPARATION_STRICT));
    assert_true(kv_role_available(KV_ROLE_ADMINISTRATOR, KV_SEPARATION_OFF));
    for (unsigned role = KV_ROLE_NONE + 1; role < KV_ROLE_ADMINISTRATOR; role++)
        assert_true(kv_role_available((kv_role)role, KV_SEPARATION_STRICT));
}

static void lists_what_a_role_excludes(void **state)
{
    kv_role roles[KV_ROLE_COUNT];
    unsigned count = kv_role_excludes(KV_ROLE_CRYPTO_USER, roles);

    (void)state;
    assert_int_equal(count, 4);
    assert_int_equal(roles[0], KV_ROLE_ACCESS_ADMINISTRATOR);
    assert_int_equal(roles[1], KV_ROLE_CERTIFICATE_OFFICER);
    assert_int_equal(roles[2], KV_ROLE_CRYPTO_OFFICER);
    assert_int_equal(roles[3], KV_ROLE_AUDITOR);
    assert_int_equal(kv_role_excludes(KV_ROLE_ACCESS_ADMINISTRATOR, roles), KV_ROLE_COUNT - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_is_as_the_rules_say),
        cmocka_unit_test(the_list_names_only_roles),
        cmocka_unit_test(what_is_no_role_excludes_nothing),
        cmocka_unit_test(administrator_needs_separation_to_be_off),
        cmocka_unit_test(lists_what_a_role_excludes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
