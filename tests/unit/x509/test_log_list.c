/* test_log_list.c - lists as they are published, and every way in which a file is none. */
#include "server/x509/log_list.h"

#include <stdlib.h>

#include "server/x509/known_logs.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/logs.h"

enum { NINES = 1 << 20 };

typedef struct world {
    kv_arena arena;
    test_log logs[3];
} world;

static int set_up(void **state)
{
    world *w = test_calloc(1, sizeof(*w));

    w->arena = KV_ARENA(16 << 20);
    w->logs[0] = (test_log){ .name = "Ant 2026", .operator_name = "Ant", .state = "usable" };
    w->logs[1] = (test_log){ .name = "Ant 2027", .operator_name = "Ant", .state = "retired" };
    w->logs[2] = (test_log){ .name = "Bee", .operator_name = "Bee \xc3\xa4" };
    test_log_make(&w->logs[0], KV_KEY_P256, &w->arena);
    test_log_make(&w->logs[1], KV_KEY_P256, &w->arena);
    test_log_make(&w->logs[2], KV_KEY_P256, &w->arena);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;

    for (size_t i = 0; i < 3; i++)
        soft_key_cleanup(&w->logs[i].key);
    kv_arena_cleanup(&w->arena);
    test_free(w);
    return 0;
}

static void a_list_is_read(void **state)
{
    world *w = *state;
    kv_error err = { 0 };
    kv_log_list *list;
    const kv_known_log *log;

    assert_kv_ok(kv_log_list_parse(test_log_list(w->logs, 3, &w->arena), &list, &err));
    assert_int_equal(list->count, 3);
    assert_int_equal(list->operators, 2);
    assert_int_equal(list->made_ms, SOFT_NOW_MS);
    log = kv_log_list_find(list, w->logs[1].id);
    assert_non_null(log);
    assert_slice_equal(KV_SLICE("Ant 2027"), log->description);
    assert_slice_equal(KV_SLICE("Ant"), log->operator_name);
    assert_string_equal(kv_log_state_name(log->state), "retired");
    log = kv_log_list_find(list, w->logs[2].id);
    assert_int_equal(log->state, KV_LOG_UNKNOWN);
    assert_slice_equal(KV_SLICE("Bee \xc3\xa4"), log->operator_name);
    assert_int_equal(log->before_count, 0);
    assert_null(kv_log_list_find(list, (const uint8_t *)"99999999999999999999999999999999"));
    kv_log_list_free(list);
}

/* Replaces the first `old` of the list. */
static kv_slice with(world *w, const char *old, const char *new)
{
    kv_slice text = test_log_list(w->logs, 3, &w->arena), out;
    const uint8_t *at = memmem(text.data, text.len, old, strlen(old));
    kv_error err = { 0 };

    if (!at)
        fail_msg("no '%s' in the list", old);
    assert_kv_ok(kv_arena_print(&w->arena, &out, &err, "%.*s%s%s", (int)(at - text.data),
                                (const char *)text.data, new, (const char *)at + strlen(old)));
    return out;
}

static void refused(kv_slice json, const char *words)
{
    kv_error err = { 0 };
    kv_log_list *list = NULL;

    assert_kv_fails(KV_BAD_REQUEST, kv_log_list_parse(json, &list, &err));
    assert_null(list);
    if (!strstr(err.message, words))
        fail_msg("'%s' instead of '%s'", err.message, words);
}

static void every_mistake_is_named(void **state)
{
    world *w = *state;

    refused(KV_SLICE(""), "is not JSON");
    refused(KV_SLICE("[]"), "has no log_list_timestamp");
    refused(with(w, "\"operators\"", "\"operator\""), "has no operators: is it version 3?");
    refused(with(w, "log_list_timestamp", "timestamp"), "has no log_list_timestamp");
    refused(with(w, "000Z\",\"operators", "000\",\"operators"), "has no log_list_timestamp");
    refused(with(w, "\"name\":\"Ant\"", "\"name\":7"), "'(no name)' has no name");
    refused(with(w, "\"logs\":[", "\"logs\":7,\"others\":["),
            "operator 'Ant' has logs that are not an array");
    refused(with(w, "\"description\":", "\"description\":7,\"was\":"),
            "log '(no name)' has no name");
    refused(with(w, "\"mmd\"", "\"previous_operators\":{},\"mmd\""),
            "log 'Ant 2026' has previous_op");
    refused(with(w, "\"mmd\"", "\"previous_operators\":[{\"end_time\":\"\"}],\"mmd\""),
            "has no name");
    refused(with(w, "\"mmd\"", "\"previous_operators\":[{\"name\":\"Cow\"}],\"mmd\""),
            "has a previous operator without the time that it ended");
    refused(
        with(w, "\"mmd\"", "\"previous_operators\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],\"mmd\""),
        "an array of at most 16");
    refused(with(w, "Ant 2026", "Ant\\u0007"), "has no name");
    refused(with(w, "\"key\":\"", "\"key\":\"!"), "log 'Ant 2026' has no key in base64");
    refused(with(w, "\"log_id\":\"", "\"log_id\":\"AAAA"), "has no log_id of 32 bytes");
    refused(with(w, "\"log_id\":\"", "\"log_id\":7,\"id\":\""), "has no log_id of 32 bytes");
    refused(with(w, "\"key\":\"", "\"key\":\"AAAA"), "has a log_id that is not the SHA-256");
    refused(with(w, "\"usable\":", "\"usable\":{},\"was\":"), "has a state without the time");
    refused(with(w, "\"usable\":{",
                 "\"retired\":{\"timestamp\":\"2026-01-01T00:00:00Z\"},"
                 "\"usable\":{"),
            "has more than one state");
    soft_key_cleanup(&w->logs[2].key);
    w->logs[2] = w->logs[0];
    refused(test_log_list(w->logs, 3, &w->arena), "log 'Ant 2026' is there twice");
    soft_key_make(&w->logs[2].key, KV_KEY_P256, &w->arena);
}

/* The schema asks for key, log_id and mmd alone. */
static void a_log_without_a_description_is_called_by_its_id(void **state)
{
    world *w = *state;
    kv_error err = { 0 };
    kv_log_list *list;
    const kv_known_log *log;

    assert_kv_ok(kv_log_list_parse(with(w, "\"description\"", "\"describes\""), &list, &err));
    log = kv_log_list_find(list, w->logs[0].id);
    assert_slice_equal(pki_base64(kv_slice_of(log->id, KV_LOG_ID_BYTES), &w->arena),
                       log->description);
    kv_log_list_free(list);
}

static void operators_follow_each_other(void **state)
{
    static const char before[] = "\"previous_operators\":["
                                 "{\"name\":\"Cow\",\"end_time\":\"2026-02-01T00:00:00Z\"},"
                                 "{\"name\":\"Dog\",\"end_time\":\"2026-01-01T00:00:00Z\"}],"
                                 "\"mmd\"";
    const int64_t february = INT64_C(1769904000000), month = INT64_C(31) * 86400000;
    world *w = *state;
    kv_error err = { 0 };
    kv_log_list *list;
    const kv_known_log *log;

    assert_kv_ok(kv_log_list_parse(with(w, "\"mmd\"", before), &list, &err));
    log = kv_log_list_find(list, w->logs[0].id);
    assert_slice_equal(KV_SLICE("Ant"), kv_known_log_operator(log, february));
    assert_slice_equal(KV_SLICE("Cow"), kv_known_log_operator(log, february - 1));
    assert_slice_equal(KV_SLICE("Cow"), kv_known_log_operator(log, february - month));
    assert_slice_equal(KV_SLICE("Dog"), kv_known_log_operator(log, february - month - 1));
    kv_log_list_free(list);
}

static void a_list_without_logs_is_none(void **state)
{
    world *w = *state;

    (void)w;
    refused(KV_SLICE("{\"log_list_timestamp\":\"2026-01-01T00:00:00Z\",\"operators\":"
                     "[{\"name\":\"Ant\",\"logs\":[],\"tiled_logs\":[]}]}"),
            "has no logs");
}

static void tiled_logs_count_and_other_kinds_of_keys_are_left_out(void **state)
{
    world *w = *state;
    kv_error err = { 0 };
    kv_log_list *list;

    assert_kv_ok(kv_log_list_parse(with(w, "\"logs\"", "\"tiled_logs\""), &list, &err));
    assert_int_equal(list->count, 3);
    kv_log_list_free(list);
    soft_key_cleanup(&w->logs[1].key);
    test_log_make(&w->logs[1], KV_KEY_P384, &w->arena);
    assert_kv_ok(kv_log_list_parse(test_log_list(w->logs, 3, &w->arena), &list, &err));
    assert_int_equal(list->count, 2);
    assert_int_equal(list->left_out, 1);
    assert_null(kv_log_list_find(list, w->logs[1].id));
    kv_log_list_free(list);
}

static void megabytes_are_refused(void **state)
{
    uint8_t *nines = test_malloc(KV_LOG_LIST_MAX + 1);

    (void)state;
    memset(nines, '9', KV_LOG_LIST_MAX + 1);
    refused(kv_slice_of(nines, NINES), "is not JSON");
    refused(kv_slice_of(nines, KV_LOG_LIST_MAX + 1), "is larger than");
    memset(nines, '[', NINES);
    refused(kv_slice_of(nines, NINES), "is not JSON");
    test_free(nines);
}

static void a_file_is_read_or_not(void **state)
{
    world *w = *state;
    kv_error err = { 0 };
    kv_log_list *list = NULL;
    char path[256];

    soft_file("log_list.json", test_log_list(w->logs, 1, &w->arena), path);
    assert_kv_ok(kv_log_list_read(path, &list, &err));
    assert_int_equal(list->count, 1);
    kv_log_list_free(list);
    soft_file_remove(path);
    list = NULL;
    assert_kv_fails(KV_UNAVAILABLE, kv_log_list_read(path, &list, &err));
    assert_kv_fails(KV_UNAVAILABLE, kv_log_list_read("/", &list, &err));
    assert_null(list);
}

static void the_list_in_use_is_replaced(void **state)
{
    world *w = *state;
    kv_error err = { 0 };
    kv_known_logs *known;
    kv_log_list *list;

    assert_null(kv_known_logs_borrow(NULL));
    kv_known_logs_return(NULL);
    assert_kv_ok(kv_known_logs_new(&known, &err));
    assert_null(kv_known_logs_borrow(known));
    kv_known_logs_return(known);
    for (size_t count = 1; count <= 2; count++) {
        assert_kv_ok(kv_log_list_parse(test_log_list(w->logs, count, &w->arena), &list, &err));
        kv_known_logs_set(known, list);
        assert_int_equal(kv_known_logs_borrow(known)->count, count);
        kv_known_logs_return(known);
    }
    kv_known_logs_free(known);
    kv_known_logs_free(NULL);
}

#define LIST_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIST_TEST(a_list_is_read),
        LIST_TEST(every_mistake_is_named),
        LIST_TEST(a_log_without_a_description_is_called_by_its_id),
        LIST_TEST(operators_follow_each_other),
        LIST_TEST(a_list_without_logs_is_none),
        LIST_TEST(tiled_logs_count_and_other_kinds_of_keys_are_left_out),
        LIST_TEST(megabytes_are_refused),
        LIST_TEST(a_file_is_read_or_not),
        LIST_TEST(the_list_in_use_is_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
