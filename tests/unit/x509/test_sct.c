/* test_sct.c - logs of our own, what they sign, and every reason why it does not count. */
#include "server/x509/sct.h"

#include "server/base/text.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/logs.h"

enum { LOGS = 7, HOUR = 3600 * 1000, DAY = 24 * HOUR };

typedef struct world {
    pki p;
    pki_spec spec;
    test_log logs[LOGS];
    kv_log_list *list;
    kv_sct_in in;
    kv_sct_verdict out;
} world;

static void read_list(world *w)
{
    kv_error err = { 0 };

    kv_log_list_free(w->list);
    assert_kv_ok(kv_log_list_parse(test_log_list(w->logs, LOGS - 1, &w->p.arena), &w->list, &err));
    w->in.logs = w->list;
}

/* The last log is not in the list. */
static int set_up(void **state)
{
    static const test_log logs[LOGS] = {
        { .name = "Ant 2026", .operator_name = "Ant", .state = "usable" },
        { .name = "Ant 2027", .operator_name = "Ant", .state = "readonly" },
        { .name = "Bee 2026", .operator_name = "Bee", .state = "qualified" },
        { .name = "Cat 2026", .operator_name = "Cat", .state = "retired" },
        { .name = "Dog 2026", .operator_name = "Dog", .state = "pending" },
        { .name = "Elk 2026", .operator_name = "Elk", .state = "rejected" },
        { .name = "Fox 2026", .operator_name = "Fox", .state = "usable" },
    };
    world *w = test_calloc(1, sizeof(*w));

    pki_make(&w->p);
    memcpy(w->logs, logs, sizeof(logs));
    for (size_t i = 0; i < LOGS; i++)
        test_log_make(&w->logs[i], KV_KEY_P256, &w->p.arena);
    w->logs[3].since_ms = SOFT_NOW_MS - 10 * (int64_t)DAY;
    w->spec = pki_leaf_spec(&w->p);
    w->in = (kv_sct_in){ .issuer = w->p.ca, .now_ms = SOFT_NOW_MS };
    read_list(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;

    kv_log_list_free(w->list);
    for (size_t i = 0; i < LOGS; i++)
        soft_key_cleanup(&w->logs[i].key);
    pki_cleanup(&w->p);
    test_free(w);
    return 0;
}

static void judge(world *w)
{
    kv_error err = { 0 };

    w->out = (kv_sct_verdict){ 0 };
    assert_kv_ok(kv_sct_judge(&w->p.arena, &w->in, &w->out, &err));
    assert_int_equal(w->out.enough, w->out.missing.count == 0);
}

static void judge_with(world *w, const test_sct *scts, size_t count)
{
    w->in.leaf = test_with_scts(w->p.leaf, w->p.ca, w->p.ca_key.pair, scts, count, &w->p.arena);
    judge(w);
}

static bool says(const kv_x509_list *list, const char *words)
{
    for (size_t i = 0; i < list->count; i++)
        if (memmem(list->items[i].data, list->items[i].len, words, strlen(words)))
            return true;
    return false;
}

#define JUDGE(w, ...)                                  \
    judge_with((w), (const test_sct[]){ __VA_ARGS__ }, \
               sizeof((const test_sct[]){ __VA_ARGS__ }) / sizeof(test_sct))
#define LOG(number) .log = &w->logs[number]

static void two_operators_are_enough_for_ninety_days(void **state)
{
    world *w = *state;

    JUDGE(w, { LOG(0) }, { LOG(2) });
    assert_true(w->out.enough);
    assert_int_equal(w->out.found, 2);
    assert_int_equal(w->out.good, 2);
    assert_int_equal(w->out.needed, 2);
    assert_int_equal(w->out.operators, 2);
    assert_int_equal(w->out.notes.count, 0);
}

static void a_longer_life_needs_three(void **state)
{
    world *w = *state;

    w->spec.from_days = -1;
    w->spec.to_days = 179; /* 180 in all */
    w->p.leaf = pki_certificate(&w->spec, &w->p.arena);
    JUDGE(w, { LOG(0) }, { LOG(2) });
    assert_true(w->out.enough);
    w->spec.to_days = 180;
    w->p.leaf = pki_certificate(&w->spec, &w->p.arena);
    JUDGE(w, { LOG(0) }, { LOG(2) });
    assert_int_equal(w->out.needed, 3);
    assert_true(says(&w->out.missing, "2 of its 2 timestamps count, 3 are needed for 181 days"));
    JUDGE(w, { LOG(0) }, { LOG(1) }, { LOG(2) });
    assert_true(w->out.enough);
    assert_int_equal(w->out.operators, 2);
}

static void timestamps_with_extensions_count(void **state)
{
    world *w = *state;

    JUDGE(w, { LOG(0), .extensions = KV_SLICE("\0\0\5\0\0\0\1\2") }, { LOG(2) });
    assert_true(w->out.enough);
}

static void logs_may_have_rsa_keys(void **state)
{
    world *w = *state;

    soft_key_cleanup(&w->logs[2].key);
    test_log_make(&w->logs[2], KV_KEY_RSA_2048, &w->p.arena);
    read_list(w);
    JUDGE(w, { LOG(0) }, { LOG(2) });
    assert_true(w->out.enough);
    JUDGE(w, { LOG(0) }, { LOG(2), .broken = true });
    assert_int_equal(w->out.good, 1);
    /* RFC 5246, section 4.7: the algorithm is part of what is signed with. */
    JUDGE(w, { LOG(0) }, { LOG(2), .mislabeled = true });
    assert_int_equal(w->out.good, 1);
    JUDGE(w, { LOG(0), .mislabeled = true }, { LOG(2) });
    assert_int_equal(w->out.good, 1);
}

static void none_at_all(void **state)
{
    world *w = *state;

    w->in.leaf = w->p.leaf;
    judge(w);
    assert_true(says(&w->out.missing, "has no timestamps of logs, 2 are needed"));
    JUDGE(w, { LOG(0) });
    assert_true(says(&w->out.missing, "1 of its 1 timestamps count, 2 are needed for 91 days"));
}

static void a_log_that_is_not_listed_counts_for_nothing(void **state)
{
    world *w = *state;
    char id[2 * KV_LOG_ID_BYTES + 1];

    kv_hex(kv_slice_of(w->logs[6].id, KV_LOG_ID_BYTES), id);
    JUDGE(w, { LOG(0) }, { LOG(6) });
    assert_int_equal(w->out.good, 1);
    assert_true(says(&w->out.notes, "timestamp 2 is of a log that the log list does not have"));
    assert_true(says(&w->out.notes, id));
}

static void an_altered_certificate_is_not_what_the_log_saw(void **state)
{
    world *w = *state;
    const test_sct scts[] = { { LOG(0) }, { LOG(2) } };
    kv_slice other;

    JUDGE(w, { LOG(0) }, { LOG(2), .broken = true });
    assert_int_equal(w->out.good, 1);
    assert_true(says(&w->out.notes, "timestamp 2, of log 'Bee 2026' (qualified), does not count: "
                                    "the log did not sign it for this certificate"));
    /* Signed for another issuer's key. */
    w->in.leaf = test_with_scts(w->p.leaf, w->p.root, w->p.ca_key.pair, scts, 2, &w->p.arena);
    judge(w);
    assert_int_equal(w->out.good, 0);
    assert_int_equal(w->out.notes.count, 2);
    /* One bit of a name, where both timestamps are good otherwise. */
    w->in.leaf = test_with_scts(w->p.leaf, w->p.ca, w->p.ca_key.pair, scts, 2, &w->p.arena);
    other = w->in.leaf;
    ((uint8_t *)memmem(other.data, other.len, "www", 3))[0] ^= 1;
    judge(w);
    assert_int_equal(w->out.good, 0);
}

static void the_wrong_issuer_is_noticed_and_a_missing_one_said(void **state)
{
    world *w = *state;
    const test_sct scts[] = { { LOG(0) }, { LOG(2) } };

    w->in.leaf = test_with_scts(w->p.leaf, w->p.ca, w->p.ca_key.pair, scts, 2, &w->p.arena);
    w->in.issuer = w->p.root;
    judge(w);
    assert_int_equal(w->out.good, 0);
    w->in.issuer = KV_SLICE_NONE;
    judge(w);
    assert_int_equal(w->out.found, 2);
    assert_true(says(&w->out.missing, "the issuer's certificate is missing"));
}

static void logs_must_be_different_and_of_two_operators(void **state)
{
    world *w = *state;

    JUDGE(w, { LOG(0) }, { LOG(0), .time_ms = SOFT_NOW_MS - DAY });
    assert_int_equal(w->out.good, 1);
    assert_true(says(&w->out.notes, "this log has signed another one already"));
    JUDGE(w, { LOG(0) }, { LOG(1) });
    assert_int_equal(w->out.good, 2);
    assert_false(w->out.enough);
    assert_true(says(&w->out.missing, "of logs of 'Ant': two operators are needed"));
}

static void a_retired_log_counts_for_what_it_signed_before(void **state)
{
    world *w = *state;
    int64_t retired = w->logs[3].since_ms;

    JUDGE(w, { LOG(0), .time_ms = retired - 1 }, { LOG(3), .time_ms = retired - 1 });
    assert_true(w->out.enough);
    JUDGE(w, { LOG(0), .time_ms = retired - 1 }, { LOG(3), .time_ms = retired });
    assert_false(w->out.enough);
    assert_true(says(&w->out.notes, "it was signed after the log was retired"));
    /* But not alone. */
    w->logs[2].state = "retired";
    w->logs[2].since_ms = SOFT_NOW_MS;
    read_list(w);
    JUDGE(w, { LOG(2) }, { LOG(3), .time_ms = retired - 1 });
    assert_int_equal(w->out.good, 2);
    assert_false(w->out.enough);
    assert_true(says(&w->out.missing, "has been retired: one in use is needed"));
}

static void a_log_that_will_be_retired_is_in_use(void **state)
{
    world *w = *state;

    w->logs[3].since_ms = SOFT_NOW_MS + DAY;
    w->logs[2].state = "retired";
    w->logs[2].since_ms = SOFT_NOW_MS - DAY;
    read_list(w);
    JUDGE(w, { LOG(2), .time_ms = SOFT_NOW_MS - 2 * DAY },
          { LOG(3), .time_ms = SOFT_NOW_MS - 2 * DAY });
    assert_true(w->out.enough);
    assert_int_equal(w->out.current, 1);
    w->in.now_ms = w->logs[3].since_ms - 1;
    judge(w);
    assert_true(w->out.enough);
    w->in.now_ms++;
    judge(w);
    assert_false(w->out.enough);
    assert_int_equal(w->out.current, 0);
}

/* All logs in use have signed after a log was retired: it was retired when the certificate was
 * issued, whatever it says. */
static void a_log_that_was_retired_first_does_not_count(void **state)
{
    world *w = *state;
    int64_t retired = w->logs[3].since_ms;

    JUDGE(w, { LOG(3), .time_ms = retired - 1 }, { LOG(0), .time_ms = retired });
    assert_int_equal(w->out.good, 1);
    assert_false(w->out.enough);
    assert_true(says(&w->out.notes, "timestamp 1, of log 'Cat 2026' (retired), does not count: "
                                    "the log was retired before"));
    JUDGE(w, { LOG(3), .time_ms = retired - 1 }, { LOG(0), .time_ms = retired },
          { LOG(2), .time_ms = retired - 1 });
    assert_int_equal(w->out.good, 3);
    assert_true(w->out.enough);
}

static void an_operator_is_the_one_of_that_time(void **state)
{
    world *w = *state;

    w->logs[2].before = "Ant";
    read_list(w);
    JUDGE(w, { LOG(0) }, { LOG(2), .time_ms = SOFT_NOW_MS - DAY });
    assert_true(w->out.enough);
    JUDGE(w, { LOG(0) }, { LOG(2), .time_ms = SOFT_NOW_MS - DAY - 1 });
    assert_int_equal(w->out.good, 2);
    assert_int_equal(w->out.operators, 1);
    assert_true(says(&w->out.missing, "of logs of 'Ant': two operators are needed"));
    /* The other way round: two logs of one operator were not always. */
    w->logs[2].before = NULL;
    w->logs[1].before = "Bee";
    read_list(w);
    JUDGE(w, { LOG(0) }, { LOG(1), .time_ms = SOFT_NOW_MS - DAY - 1 });
    assert_true(w->out.enough);
    JUDGE(w, { LOG(0) }, { LOG(1) });
    assert_false(w->out.enough);
}

static void an_old_list_is_told_when_something_is_missing(void **state)
{
    static const char words[] = "the log list is 71 days old and may not have newer logs";
    world *w = *state;

    w->spec.to_days = 90;
    w->spec.from_days = -1;
    w->p.leaf = pki_certificate(&w->spec, &w->p.arena);
    JUDGE(w, { LOG(0) }, { LOG(6) });
    w->in.now_ms = SOFT_NOW_MS + 71 * (int64_t)DAY - 1;
    judge(w);
    assert_false(says(&w->out.missing, "days old"));
    w->in.now_ms++;
    judge(w);
    assert_true(says(&w->out.missing, words));
    JUDGE(w, { LOG(0) }, { LOG(2) });
    assert_true(w->out.enough);
    w->in.leaf = w->p.leaf;
    judge(w);
    assert_true(says(&w->out.missing, "has no timestamps"));
    assert_false(says(&w->out.missing, words));
}

static void logs_that_browsers_do_not_accept_count_for_nothing(void **state)
{
    world *w = *state;

    JUDGE(w, { LOG(0) }, { LOG(4) }, { LOG(5) });
    assert_int_equal(w->out.good, 1);
    assert_true(says(&w->out.notes, "'Dog 2026' (pending), does not count: browsers do not"));
    assert_true(says(&w->out.notes, "'Elk 2026' (rejected), does not count: browsers do not"));
    w->logs[2].state = NULL;
    read_list(w);
    JUDGE(w, { LOG(0) }, { LOG(2) });
    assert_true(says(&w->out.notes, "'Bee 2026' (unknown)"));
}

static void the_future_does_not_count(void **state)
{
    world *w = *state;

    JUDGE(w, { LOG(0) }, { LOG(2), .time_ms = SOFT_NOW_MS + KV_SCT_SKEW_MS });
    assert_true(w->out.enough);
    JUDGE(w, { LOG(0) }, { LOG(2), .time_ms = SOFT_NOW_MS + KV_SCT_SKEW_MS + 1 });
    assert_false(w->out.enough);
    assert_true(says(&w->out.notes, "its time is in the future"));
    JUDGE(w, { LOG(0) }, { LOG(2), .time_ms = -1 });
    assert_true(says(&w->out.notes, "its time is in the future"));
}

static void another_version_is_passed_over(void **state)
{
    world *w = *state;

    JUDGE(w, { LOG(0) }, { LOG(2) }, { LOG(1), .version = 1 });
    assert_true(w->out.enough);
    assert_true(says(&w->out.notes, "timestamp 3 is not of version 1"));
}

static void many_are_not_all_looked_at(void **state)
{
    world *w = *state;
    test_sct scts[KV_SCT_MAX + 2];

    for (size_t i = 0; i < KV_COUNT(scts); i++)
        scts[i] = (test_sct){ LOG(0), .broken = true };
    scts[KV_SCT_MAX + 1] = (test_sct){ LOG(2) };
    judge_with(w, scts, KV_COUNT(scts));
    assert_int_equal(w->out.found, KV_SCT_MAX + 2);
    assert_int_equal(w->out.good, 0);
    assert_true(says(&w->out.notes, "timestamps after the first 32 were not looked at"));
}

static void garbage_is_said_to_be(void **state)
{
    static const kv_slice lists[] = { KV_SLICE(""),
                                      KV_SLICE("\0"),
                                      KV_SLICE("\0\1\0"),
                                      KV_SLICE("\0\3\0\1\0x"),
                                      KV_SLICE("\377\377nines"),
                                      KV_SLICE("\0\4\0\0\0\0"),
                                      KV_SLICE("99999999999999999999") };
    static uint8_t nines[60000];
    world *w = *state;
    kv_error err = { 0 };

    memset(nines, '9', sizeof(nines));
    for (size_t i = 0; i <= KV_COUNT(lists); i++) {
        kv_slice list = i < KV_COUNT(lists) ? lists[i] : kv_slice_of(nines, sizeof(nines));

        w->in.leaf = test_with_sct_bytes(w->p.leaf, w->p.ca_key.pair, list, &w->p.arena);
        judge(w);
        assert_false(w->out.enough);
        assert_int_equal(w->out.good, 0);
        assert_true(says(&w->out.missing, "malformed") ||
                    says(&w->out.missing, "has no timestamps") ||
                    says(&w->out.missing, "0 of its"));
    }
    assert_true(says(&w->out.missing, "the certificate's list of timestamps is malformed"));
    w->in.leaf = kv_slice_of(nines, sizeof(nines));
    assert_kv_fails(KV_BAD_REQUEST, kv_sct_judge(&w->p.arena, &w->in, &w->out, &err));
    w->in.leaf = w->p.leaf;
    w->in.issuer = KV_SLICE("nines");
    assert_kv_fails(KV_BAD_REQUEST, kv_sct_judge(&w->p.arena, &w->in, &w->out, &err));
}

#define SCT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCT_TEST(two_operators_are_enough_for_ninety_days),
        SCT_TEST(a_longer_life_needs_three),
        SCT_TEST(timestamps_with_extensions_count),
        SCT_TEST(logs_may_have_rsa_keys),
        SCT_TEST(none_at_all),
        SCT_TEST(a_log_that_is_not_listed_counts_for_nothing),
        SCT_TEST(an_altered_certificate_is_not_what_the_log_saw),
        SCT_TEST(the_wrong_issuer_is_noticed_and_a_missing_one_said),
        SCT_TEST(logs_must_be_different_and_of_two_operators),
        SCT_TEST(a_retired_log_counts_for_what_it_signed_before),
        SCT_TEST(a_log_that_will_be_retired_is_in_use),
        SCT_TEST(a_log_that_was_retired_first_does_not_count),
        SCT_TEST(an_operator_is_the_one_of_that_time),
        SCT_TEST(an_old_list_is_told_when_something_is_missing),
        SCT_TEST(logs_that_browsers_do_not_accept_count_for_nothing),
        SCT_TEST(the_future_does_not_count),
        SCT_TEST(another_version_is_passed_over),
        SCT_TEST(many_are_not_all_looked_at),
        SCT_TEST(garbage_is_said_to_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
