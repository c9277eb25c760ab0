/* test_refusals.c - a flood of strangers becomes a bounded number of counts. */
#include "server/audit/refusals.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/kv_cmocka.h"

static int make(void **state)
{
    *state = calloc(1, sizeof(kv_refusals));
    return *state ? 0 : -1;
}

static int drop(void **state)
{
    free(*state);
    return 0;
}

static void refuse(kv_refusals *refusals, const char *peer, kv_reason reason)
{
    kv_audit_entry entry = { .peer = kv_slice_text(peer),
                             .operation = "Handshake",
                             .status = KV_UNAUTHENTICATED,
                             .reason = reason };

    kv_refusals_add(refusals, &entry);
}

static void ports_of_one_peer_are_one(void **state)
{
    kv_refusals *refusals = *state;

    refuse(refusals, "192.0.2.1:1", KV_REASON_NONE);
    refuse(refusals, "192.0.2.1:2", KV_REASON_NONE);
    refuse(refusals, "[2001:db8::1]:2", KV_REASON_NONE);
    refuse(refusals, "[2001:db8::1]:3", KV_REASON_NONE);
    refuse(refusals, "[2001:db8::2]:3", KV_REASON_NONE);
    assert_int_equal(refusals->count, 3);
    assert_string_equal(refusals->list[0].peer, "192.0.2.1");
    assert_int_equal(refusals->list[0].count, 2);
    assert_string_equal(refusals->list[1].peer, "[2001:db8::1]");
    assert_int_equal(refusals->list[1].count, 2);
}

static void reasons_are_counted_apart(void **state)
{
    kv_refusals *refusals = *state;

    refuse(refusals, "192.0.2.1:1", KV_REASON_CERTIFICATE_UNKNOWN);
    refuse(refusals, "192.0.2.1:1", KV_REASON_CERTIFICATE_EXPIRED);
    assert_int_equal(refusals->count, 2);
}

static void principals_are_counted_apart(void **state)
{
    kv_refusals *refusals = *state;
    kv_audit_entry entry = { .peer = KV_SLICE("192.0.2.1:1"), .status = KV_BUSY };

    for (uint8_t i = 0; i < 6; i++) {
        entry.has_principal = i % 3 > 0;
        entry.principal_id[0] = i % 3;
        kv_refusals_add(refusals, &entry);
    }
    assert_int_equal(refusals->count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(refusals->list[i].count, 2);
        assert_int_equal(refusals->list[i].has_principal, i > 0);
        assert_int_equal(refusals->list[i].principal_id[0], i);
    }
}

static void too_many_peers_share_one_record(void **state)
{
    kv_refusals *refusals = *state;
    unsigned total = 0;

    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 3000; i++) {
            char peer[64];

            (void)snprintf(peer, sizeof(peer), "10.0.%u.%u:443", i / 256, i % 256);
            refuse(refusals, peer, KV_REASON_NONE);
        }
    assert_int_equal(refusals->count, KV_REFUSALS);
    assert_true(refusals->overflowed);
    assert_string_equal(refusals->list[KV_REFUSALS].peer, "*");
    for (unsigned i = 0; i <= KV_REFUSALS; i++)
        total += refusals->list[i].count;
    assert_int_equal(total, 6000);
    assert_int_equal(refusals->list[0].count, 2);
}

static void a_count_that_came_back_is_added(void **state)
{
    kv_refusals *refusals = *state;
    kv_audit_entry entry = { .peer = KV_SLICE("192.0.2.1"), .operation = "x", .count = 41 };

    kv_refusals_add(refusals, &entry);
    entry.count = 0;
    kv_refusals_add(refusals, &entry);
    assert_int_equal(refusals->list[0].count, 42);
}

#define REFUSALS_TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REFUSALS_TEST(ports_of_one_peer_are_one),
        REFUSALS_TEST(reasons_are_counted_apart),
        REFUSALS_TEST(principals_are_counted_apart),
        REFUSALS_TEST(too_many_peers_share_one_record),
        REFUSALS_TEST(a_count_that_came_back_is_added),
    };

    return cmocka_run_group_tests_name("refusals", tests, NULL, NULL);
}
