/* test_peers.c - connections are counted in all and by address. */
#include "server/front/peers.h"

#include "tests/support/kv_cmocka.h"

static int make(void **state)
{
    kv_error err;

    assert_kv_ok(kv_peers_new(4, 2, (kv_peers **)state, &err));
    return 0;
}

static int drop(void **state)
{
    kv_peers_free(*state);
    return 0;
}

static void an_address_has_its_share(void **state)
{
    assert_true(kv_peers_enter(*state, "192.0.2.1"));
    assert_true(kv_peers_enter(*state, "192.0.2.1"));
    assert_false(kv_peers_enter(*state, "192.0.2.1"));
    assert_true(kv_peers_enter(*state, "192.0.2.2"));
    kv_peers_leave(*state, "192.0.2.1");
    assert_true(kv_peers_enter(*state, "192.0.2.1"));
}

static void all_together_have_a_limit(void **state)
{
    static const char *const hosts[] = { "a", "b", "c", "d" };

    for (size_t i = 0; i < KV_COUNT(hosts); i++)
        assert_true(kv_peers_enter(*state, hosts[i]));
    assert_false(kv_peers_enter(*state, "e"));
    assert_int_equal(kv_peers_count(*state), 4);
    kv_peers_leave(*state, "a");
    assert_true(kv_peers_enter(*state, "e"));
}

static void leaving_twice_counts_once(void **state)
{
    assert_true(kv_peers_enter(*state, "a"));
    kv_peers_leave(*state, "a");
    kv_peers_leave(*state, "a");
    assert_int_equal(kv_peers_count(*state), 0);
}

#define PEERS(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PEERS(an_address_has_its_share),
        PEERS(all_together_have_a_limit),
        PEERS(leaving_twice_counts_once),
    };

    return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
