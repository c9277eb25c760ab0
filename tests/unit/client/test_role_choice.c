/* test_role_choice.c - which roles are asked for, where. */
#include "client/role_choice.h"

#include "tests/support/kv_cmocka.h"

static const kv_held_role held[] = {
    { 2, "/" },
    { 4, "/vaults/shop" },
    { 9, "/vaults/shop/keys" },
    { 12, "/vaults/other" },
    { 7, "/vaults/shop/certificates/web" },
};

static kv_role_choice choose(const char *target)
{
    kv_role_choice choice;

    assert_true(kv_role_choose(held, KV_COUNT(held), NULL, 0, target, &choice));
    return choice;
}

static void takes_all_roles_that_cover_the_target(void **state)
{
    kv_role_choice choice = choose("/vaults/shop/keys/k");

    (void)state;
    assert_int_equal(choice.count, 3);
    assert_string_equal(choice.scope, "/vaults/shop/keys");
}

static void leaves_narrower_roles_out(void **state)
{
    kv_role_choice choice = choose("/vaults/shop");

    (void)state;
    assert_int_equal(choice.count, 2);
    assert_int_equal(choice.roles[1], 4);
    assert_string_equal(choice.scope, "/vaults/shop");
    assert_string_equal(choose("/").scope, "/");
}

static void does_not_take_a_name_that_only_begins_alike(void **state)
{
    kv_role_choice choice = choose("/vaults/shopping/keys/k");

    (void)state;
    assert_int_equal(choice.count, 1);
    assert_int_equal(choice.roles[0], 2);
}

static void reaches_the_secret_of_a_certificate_by_the_certificate(void **state)
{
    kv_role_choice choice = choose("/vaults/shop/secrets/web");

    (void)state;
    assert_int_equal(choice.count, 3);
    assert_string_equal(choice.scope, "/vaults/shop/certificates/web");
}

static void keeps_to_the_roles_that_are_wanted(void **state)
{
    const int wanted[] = { 9 };
    kv_role_choice choice;

    (void)state;
    assert_true(kv_role_choose(held, KV_COUNT(held), wanted, 1, "/vaults/shop/keys/k", &choice));
    assert_int_equal(choice.count, 1);
    assert_string_equal(choice.scope, "/vaults/shop/keys");
    assert_false(kv_role_choose(held, KV_COUNT(held), wanted, 1, "/vaults/other", &choice));
}

static void names_a_role_once_and_at_most_eight(void **state)
{
    kv_held_role many[12];
    kv_role_choice choice;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(many); i++)
        many[i] = (kv_held_role){ .role = (int)i / 2 + 1, .scope = "/" };
    assert_true(kv_role_choose(many, KV_COUNT(many), NULL, 0, "/", &choice));
    assert_int_equal(choice.count, 6);
    for (size_t i = 0; i < KV_COUNT(many); i++)
        many[i].role = (int)i + 1;
    assert_true(kv_role_choose(many, KV_COUNT(many), NULL, 0, "/", &choice));
    assert_int_equal(choice.count, KV_ROLES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_all_roles_that_cover_the_target),
        cmocka_unit_test(leaves_narrower_roles_out),
        cmocka_unit_test(does_not_take_a_name_that_only_begins_alike),
        cmocka_unit_test(reaches_the_secret_of_a_certificate_by_the_certificate),
        cmocka_unit_test(keeps_to_the_roles_that_are_wanted),
        cmocka_unit_test(names_a_role_once_and_at_most_eight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
