/* test_role_policy.c - every role against every permission. The table below was written from the
 * description of the roles, not from the code. */
#include <stdio.h>

#include "server/auth/policy.h"
#include "tests/support/kv_cmocka.h"

typedef struct expectation {
    const char *role;
    const char *may; /* separated by spaces, with one at both ends */
} expectation;

static const expectation expected[] = {
    { "access-administrator", " access/read access/write tokens/revoke " },
    { "vault-operator", " vaults/read vaults/write certificatecontacts/write server/read " },
    { "issuer-officer", " certificatecas/read certificatecas/write certificatecas/delete " },
    { "certificate-officer",
      " certificatecas/read certificates/create certificates/update certificates/delete"
      " certificates/recover certificates/read " },
    { "certificate-importer", " certificates/import certificates/read " },
    { "certificate-reader", " certificates/read keys/read " },
    { "certificate-user", " certificates/read keys/read secrets/getManaged " },
    { "crypto-officer", " keys/create keys/import keys/update keys/rotate keys/delete keys/recover"
                        " keyrotationpolicies/read keyrotationpolicies/write keys/read " },
    { "crypto-user", " keys/read keys/sign keys/verify keys/encrypt keys/decrypt keys/wrap"
                     " keys/unwrap " },
    { "crypto-wrap-user", " keys/read keys/wrap keys/unwrap " },
    { "secrets-officer", " secrets/setSecret secrets/update secrets/delete secrets/recover"
                         " secrets/readMetadata " },
    { "secrets-user", " secrets/getSecret secrets/readMetadata " },
    { "reader", " certificatecas/read certificates/read keyrotationpolicies/read keys/read"
                " secrets/readMetadata vaults/read server/read " },
    { "backup-operator", " certificates/backup certificates/restore keys/backup keys/restore"
                         " secrets/backup secrets/restore " },
    { "recoverer", " certificates/read certificates/recover keys/read keys/recover"
                   " secrets/readMetadata secrets/recover " },
    { "purge-officer", " certificates/purge keys/purge secrets/purge vaults/purge " },
    { "approver", " approvals/decide " },
    { "auditor", " audit/read evidence/read access/read " },
    { "administrator",
      " certificatecas/read certificatecas/write certificatecas/delete certificatecontacts/write"
      " certificates/read certificates/create certificates/import certificates/update"
      " certificates/delete certificates/recover certificates/purge certificates/backup"
      " certificates/restore keyrotationpolicies/read keyrotationpolicies/write keys/read"
      " keys/create keys/import keys/update keys/delete keys/recover keys/purge keys/backup"
      " keys/restore keys/rotate keys/sign keys/verify keys/encrypt keys/decrypt keys/wrap"
      " keys/unwrap secrets/setSecret secrets/getSecret secrets/getManaged secrets/readMetadata"
      " secrets/update secrets/delete secrets/recover secrets/purge secrets/backup"
      " secrets/restore " },
};

static bool listed(const char *list, const char *name)
{
    char word[64];

    if (name[0] == '\0')
        return false;
    snprintf(word, sizeof(word), " %s ", name);
    return strstr(list, word) != NULL;
}

static void every_role_has_exactly_its_permissions(void **state)
{
    (void)state;
    assert_int_equal(KV_COUNT(expected), KV_ROLE_COUNT - 1);
    for (unsigned role = KV_ROLE_NONE + 1; role < KV_ROLE_COUNT; role++) {
        const expectation *row = &expected[role - 1];

        assert_string_equal(kv_role_name((kv_role)role), row->role);
        for (unsigned i = 0; i < KV_PERMISSION_COUNT; i++) {
            const char *name = kv_permission_name((kv_permission)i);
            bool want = listed(row->may, name);

            if (i == KV_MAY_SECRETS_GET_ANY)
                want =
                    listed(row->may, "secrets/getSecret") || listed(row->may, "secrets/getManaged");
            if (i == KV_MAY_WEBHOOKS_ANY)
                want = listed(row->may, "vaults/write") || listed(row->may, "audit/read");
            if (kv_role_may((kv_role)role, (kv_permission)i) != want)
                fail_msg("%s %s %s", row->role, want ? "lacks" : "has", name);
        }
    }
}

static unsigned words_of(const char *list)
{
    unsigned count = 0;

    for (const char *at = list; *at; at++)
        count += *at == ' ';
    return count - 1;
}

/* A word of the table that is no permission would never be compared. */
static void the_table_names_only_permissions(void **state)
{
    (void)state;
    for (size_t row = 0; row < KV_COUNT(expected); row++) {
        unsigned found = 0;

        for (unsigned i = 0; i < KV_PERMISSION_COUNT; i++) {
            if (!kv_permission_of_row_only((kv_permission)i))
                found += listed(expected[row].may, kv_permission_name((kv_permission)i));
        }
        assert_int_equal(found, words_of(expected[row].may));
    }
}

static void nobody_holds_what_is_no_permission(void **state)
{
    static const kv_permission none[] = { KV_MAY_NOTHING,  KV_MAY_BE_ANYONE,    KV_MAY_BE_PROVED,
                                          KV_MAY_BE_KNOWN, KV_PERMISSION_COUNT, (kv_permission)-1 };

    (void)state;
    for (unsigned role = 0; role <= KV_ROLE_COUNT; role++) {
        for (size_t i = 0; i < KV_COUNT(none); i++)
            assert_false(kv_role_may((kv_role)role, none[i]));
    }
    for (unsigned i = 0; i < KV_PERMISSION_COUNT; i++) {
        assert_false(kv_role_may(KV_ROLE_NONE, (kv_permission)i));
        assert_false(kv_role_may(KV_ROLE_COUNT, (kv_permission)i));
    }
}

static void every_permission_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = KV_MAY_BE_KNOWN + 1; i < KV_PERMISSION_COUNT; i++) {
        assert_true(kv_permission_name((kv_permission)i)[0] != '\0');
        for (unsigned j = KV_MAY_BE_KNOWN + 1; j < i; j++) {
            if (!kv_permission_of_row_only((kv_permission)i) &&
                !kv_permission_of_row_only((kv_permission)j))
                assert_string_not_equal(kv_permission_name((kv_permission)i),
                                        kv_permission_name((kv_permission)j));
        }
    }
}

static void roles_are_found_by_exact_name(void **state)
{
    (void)state;
    for (unsigned role = KV_ROLE_NONE + 1; role < KV_ROLE_COUNT; role++)
        assert_int_equal(kv_role_find(kv_slice_text(kv_role_name((kv_role)role))), role);
    assert_int_equal(kv_role_find(KV_SLICE("Crypto-User")), KV_ROLE_NONE);
    assert_int_equal(kv_role_find(KV_SLICE("crypto-user ")), KV_ROLE_NONE);
    assert_int_equal(kv_role_find(KV_SLICE("")), KV_ROLE_NONE);
    assert_int_equal(kv_role_find(KV_SLICE("crypto-user\0")), KV_ROLE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_role_has_exactly_its_permissions),
        cmocka_unit_test(the_table_names_only_permissions),
        cmocka_unit_test(nobody_holds_what_is_no_permission),
        cmocka_unit_test(every_permission_has_a_name_of_its_own),
        cmocka_unit_test(roles_are_found_by_exact_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
