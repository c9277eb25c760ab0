/* test_address.c - every kind of address, and the networks that an operator lists. */
#include "server/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "tests/support/kv_cmocka.h"

typedef struct row {
    const char *text;
    kv_address_kind kind;
} row;

/* shape: table */
static const row rows[] = {
    { "0.0.0.0", KV_ADDRESS_NEVER },
    { "0.1.2.3", KV_ADDRESS_NEVER },
    { "1.1.1.1", KV_ADDRESS_PUBLIC },
    { "9.255.255.255", KV_ADDRESS_PUBLIC },
    { "10.0.0.0", KV_ADDRESS_PRIVATE },
    { "10.255.255.255", KV_ADDRESS_PRIVATE },
    { "11.0.0.0", KV_ADDRESS_PUBLIC },
    { "100.63.255.255", KV_ADDRESS_PUBLIC },
    { "100.64.0.0", KV_ADDRESS_PRIVATE },
    { "100.127.255.255", KV_ADDRESS_PRIVATE },
    { "100.128.0.0", KV_ADDRESS_PUBLIC },
    { "127.0.0.1", KV_ADDRESS_LOOPBACK },
    { "127.255.255.255", KV_ADDRESS_LOOPBACK },
    { "128.0.0.0", KV_ADDRESS_PUBLIC },
    { "169.253.255.255", KV_ADDRESS_PUBLIC },
    { "169.254.169.254", KV_ADDRESS_NEVER },
    { "169.255.0.0", KV_ADDRESS_PUBLIC },
    { "172.15.255.255", KV_ADDRESS_PUBLIC },
    { "172.16.0.0", KV_ADDRESS_PRIVATE },
    { "172.31.255.255", KV_ADDRESS_PRIVATE },
    { "172.32.0.0", KV_ADDRESS_PUBLIC },
    { "192.0.0.8", KV_ADDRESS_RESERVED },
    { "192.0.2.1", KV_ADDRESS_RESERVED },
    { "192.88.99.1", KV_ADDRESS_RESERVED },
    { "192.168.0.1", KV_ADDRESS_PRIVATE },
    { "192.169.0.0", KV_ADDRESS_PUBLIC },
    { "198.18.0.1", KV_ADDRESS_RESERVED },
    { "198.19.255.255", KV_ADDRESS_RESERVED },
    { "198.20.0.0", KV_ADDRESS_PUBLIC },
    { "198.51.100.7", KV_ADDRESS_RESERVED },
    { "203.0.113.9", KV_ADDRESS_RESERVED },
    { "223.255.255.255", KV_ADDRESS_PUBLIC },
    { "224.0.0.1", KV_ADDRESS_NEVER },
    { "239.255.255.255", KV_ADDRESS_NEVER },
    { "240.0.0.1", KV_ADDRESS_RESERVED },
    { "255.255.255.254", KV_ADDRESS_RESERVED },
    { "255.255.255.255", KV_ADDRESS_NEVER },
    { "::", KV_ADDRESS_NEVER },
    { "::1", KV_ADDRESS_LOOPBACK },
    { "::2", KV_ADDRESS_RESERVED },
    { "::127.0.0.1", KV_ADDRESS_RESERVED }, /* IPv4-compatible, long gone */
    { "::ffff:127.0.0.1", KV_ADDRESS_LOOPBACK },
    { "::ffff:10.1.2.3", KV_ADDRESS_PRIVATE },
    { "::ffff:169.254.169.254", KV_ADDRESS_NEVER },
    { "::ffff:8.8.8.8", KV_ADDRESS_PUBLIC },
    { "::ffff:0:8.8.8.8", KV_ADDRESS_RESERVED }, /* SIIT */
    { "64:ff9b::8.8.8.8", KV_ADDRESS_PUBLIC },
    { "64:ff9b::127.0.0.1", KV_ADDRESS_LOOPBACK },
    { "64:ff9b::192.168.1.1", KV_ADDRESS_PRIVATE },
    { "64:ff9b::169.254.169.254", KV_ADDRESS_NEVER },
    { "64:ff9b:1::8.8.8.8", KV_ADDRESS_RESERVED }, /* NAT64 of somebody's own */
    { "100::1", KV_ADDRESS_RESERVED },
    { "1fff::1", KV_ADDRESS_RESERVED },
    { "2001::1", KV_ADDRESS_RESERVED }, /* Teredo */
    { "2001:10::1", KV_ADDRESS_RESERVED },
    { "2001:1ff:ffff::1", KV_ADDRESS_RESERVED },
    { "2001:200::1", KV_ADDRESS_PUBLIC },
    { "2001:db7::1", KV_ADDRESS_PUBLIC },
    { "2001:db8::1", KV_ADDRESS_RESERVED },
    { "2001:db9::1", KV_ADDRESS_PUBLIC },
    { "2002:7f00:1::1", KV_ADDRESS_RESERVED }, /* 6to4 of 127.0.0.1 */
    { "2606:4700::1111", KV_ADDRESS_PUBLIC },
    { "3fff::1", KV_ADDRESS_RESERVED },
    { "3fff:1000::1", KV_ADDRESS_PUBLIC },
    { "4000::1", KV_ADDRESS_RESERVED },
    { "fc00::1", KV_ADDRESS_PRIVATE },
    { "fd12:3456::1", KV_ADDRESS_PRIVATE },
    { "fe80::1", KV_ADDRESS_NEVER },
    { "febf::1", KV_ADDRESS_NEVER },
    { "fec0::1", KV_ADDRESS_PRIVATE },
    { "ff02::1", KV_ADDRESS_NEVER },
};

static const kv_address_policy public_only;

static void every_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_address address;

        assert_true(kv_address_parse(kv_slice_text(rows[i].text), &address));
        if (kv_address_kind_of(&address) != rows[i].kind)
            fail_msg("%s is of kind %d", rows[i].text, (int)kv_address_kind_of(&address));
        assert_int_equal(kv_address_allowed(&public_only, &address),
                         rows[i].kind == KV_ADDRESS_PUBLIC);
    }
}

static void the_whole_world_opens_no_link_local(void **state)
{
    kv_address_policy policy;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_networks_parse(KV_SLICE("0.0.0.0/0, ::/0"), "f", &policy, &err));
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_address address;

        assert_true(kv_address_parse(kv_slice_text(rows[i].text), &address));
        assert_int_equal(kv_address_allowed(&policy, &address), rows[i].kind != KV_ADDRESS_NEVER);
    }
}

static void a_listed_network_opens_itself_alone(void **state)
{
    static const char *const inside[] = { "10.1.2.0",  "10.1.2.255",        "::ffff:10.1.2.9",
                                          "127.0.0.1", "64:ff9b::10.1.2.9", "fd00:1::7",
                                          "8.8.8.8" };
    static const char *const outside[] = { "10.1.1.255", "10.1.3.0", "127.0.0.2",
                                           "fd00:2::7",  "::1",      "192.168.0.1" };
    kv_address_policy policy;
    kv_address address;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(
        kv_networks_parse(KV_SLICE(" 10.1.2.0/24,127.0.0.1 \t fd00:1::/32,"), "f", &policy, &err));
    assert_int_equal(policy.count, 3);
    for (size_t i = 0; i < KV_COUNT(inside); i++) {
        assert_true(kv_address_parse(kv_slice_text(inside[i]), &address));
        assert_true(kv_address_allowed(&policy, &address));
    }
    for (size_t i = 0; i < KV_COUNT(outside); i++) {
        assert_true(kv_address_parse(kv_slice_text(outside[i]), &address));
        assert_false(kv_address_allowed(&policy, &address));
    }
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const bad[] = {
        "10.0.0.0/33", "10.1.0.0/8", "10.0.0/8",     "10.0.0.0/",   "/8",    "fd00::/129",
        "fd00::1/8",   "localhost",  "10.0.0.0/-1",  "10.0.0.0/8/", "[::1]", "::1%eth0",
        "10.0.0.0/8;", "0x0a000000", "1.2.3.4/032x", "999.1.1.1",
    };
    kv_address_policy policy;
    char many[1024] = "";
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        err = (kv_error){ 0 };
        if (kv_networks_parse(kv_slice_text(bad[i]), "net", &policy, &err) != KV_BAD_REQUEST)
            fail_msg("%s is taken", bad[i]);
        assert_string_equal(err.field, "net");
    }
    for (size_t i = 0; i <= KV_NETWORKS_MOST; i++)
        (void)snprintf(many + strlen(many), sizeof(many) - strlen(many), "10.0.0.%zu ", i);
    assert_kv_fails(KV_BAD_REQUEST, kv_networks_parse(kv_slice_text(many), "net", &policy, &err));
    assert_kv_ok(kv_networks_parse(KV_SLICE_NONE, "net", &policy, &err));
    assert_int_equal(policy.count, 0);
}

static void sockets_of_other_families_have_no_address(void **state)
{
    struct sockaddr_storage other = { .ss_family = AF_UNIX };
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    kv_address address;

    (void)state;
    assert_false(kv_address_of((const struct sockaddr *)&other, &address));
    assert_true(kv_address_of((const struct sockaddr *)&v4, &address));
    assert_int_equal(kv_address_kind_of(&address), KV_ADDRESS_LOOPBACK);
    assert_true(kv_address_of((const struct sockaddr *)&v6, &address));
    assert_int_equal(kv_address_kind_of(&address), KV_ADDRESS_LOOPBACK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),
        cmocka_unit_test(the_whole_world_opens_no_link_local),
        cmocka_unit_test(a_listed_network_opens_itself_alone),
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(sockets_of_other_families_have_no_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
