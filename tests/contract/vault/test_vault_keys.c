/* test_vault_keys.c - keys: births, versions, what a change of a row does to signing. */
#include <stdio.h>

#include "tests/contract/vault/house.h"

static void smoke(void **state)
{
    house *h = house_new(false);
    kv_error err = { 0 };
    kv_vault_put_in put = { .target = { .vault = KV_SLICE("shop") } };
    kv_vault_bundle bundle;
    kv_key_create_in create = { .target = { .vault = KV_SLICE("shop"),
                                            .collection = KV_COLLECTION_KEYS,
                                            .name = KV_SLICE("k") },
                                .kty = KV_KEY_TYPE_EC };
    kv_key_bundle key;

    (void)state;
    assert_kv_ok(HOUSE_DO(h, kv_vault_put, &put, &bundle));
    assert_kv_ok(HOUSE_DO(h, kv_key_create, &create, &key));
    house_assert_tidy(h);
    assert_kv_ok(house_restart(h, &err));
    house_assert_tidy(h);
    house_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(smoke) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
