/* test_peers.c - connections are counted in all and by address. */
#include "server/front/peers.h"

#include <arpa/inet.h>
#include <netinet/in.h>

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

static void it_is_crowded_before_it_is_full(void **state)
{
    kv_peers *peers;
    kv_error err;

    (void)state;
    assert_kv_ok(kv_peers_new(16, 16, &peers, &err));
    for (int i = 0; i < 13; i++)
        assert_true(kv_peers_enter(peers, "a"));
    assert_false(kv_peers_crowded(peers));
    assert_true(kv_peers_enter(peers, "a"));
    assert_true(kv_peers_crowded(peers));
    kv_peers_tune(peers, 64, 64);
    assert_false(kv_peers_crowded(peers));
    kv_peers_free(peers);
}

static const char *host_of(const char *text)
{
    static _Thread_local char host[KV_PEER_HOST_BYTES];
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        assert_true(kv_peers_host_of((struct sockaddr *)&v4, host));
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
        assert_true(kv_peers_host_of((struct sockaddr *)&v6, host));
    }
    return host;
}

static void a_network_of_ipv6_is_one_peer(void **state)
{
    struct sockaddr unix_socket = { .sa_family = AF_UNIX };
    char host[KV_PEER_HOST_BYTES];

    (void)state;
    assert_string_equal(host_of("192.0.2.1"), "192.0.2.1");
    assert_string_equal(host_of("::ffff:192.0.2.1"), "192.0.2.1");
    assert_string_equal(host_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    assert_string_equal(host_of("2001:db8:1:2::1"), "2001:db8:1:2::/64");
    assert_string_equal(host_of("2001:db8:1:3::1"), "2001:db8:1:3::/64");
    assert_string_equal(host_of("fe80::1"), "fe80::/64");
    assert_string_equal(host_of("::1"), "::1");
    assert_false(kv_peers_host_of(&unix_socket, host));
}

#define PEERS(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PEERS(an_address_has_its_share),      PEERS(all_together_have_a_limit),
        PEERS(leaving_twice_counts_once),     PEERS(it_is_crowded_before_it_is_full),
        PEERS(a_network_of_ipv6_is_one_peer),
    };

    return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
