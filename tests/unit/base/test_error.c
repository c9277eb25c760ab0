/* test_error.c - the tables have no holes, and an error says what it was told. */
#include "server/base/error.h"

#include <ctype.h>
#include <string.h>

#include "server/base/text.h"
#include "tests/support/kv_cmocka.h"

enum { GRPC_CODES = 17 };

static void every_status_is_spelled_for_every_door(void **state)
{
    bool seen[GRPC_CODES] = { false };

    (void)state;
    for (int i = 0; i < KV_STATUS_COUNT; i++) {
        const kv_spelling *row = kv_status_spelling((kv_status)i);

        assert_non_null(row->name);
        assert_non_null(row->azure);
        assert_in_range(row->grpc, 0, GRPC_CODES - 1);
        assert_in_range(row->http, 200, 599);
        assert_false(seen[row->grpc]);
        seen[row->grpc] = true;
        assert_int_equal(row->azure[0] == '\0', i == KV_OK);
    }
}

static void an_unknown_status_is_spelled_as_internal(void **state)
{
    (void)state;
    assert_string_equal(kv_status_spelling(KV_STATUS_COUNT)->name, "INTERNAL");
    assert_string_equal(kv_status_spelling((kv_status)-1)->name, "INTERNAL");
    assert_string_equal(kv_reason_name(KV_REASON_COUNT), "");
}

static void every_reason_has_a_name_of_its_own(void **state)
{
    (void)state;
    assert_string_equal(kv_reason_name(KV_REASON_NONE), "");
    for (int i = KV_REASON_NONE + 1; i < KV_REASON_COUNT; i++) {
        const char *name = kv_reason_name((kv_reason)i);

        assert_non_null(name);
        assert_true(strlen(name) > 0);
        for (const char *c = name; *c; c++)
            assert_true(isupper((unsigned char)*c) || *c == '_');
        for (int other = i + 1; other < KV_REASON_COUNT; other++)
            assert_string_not_equal(name, kv_reason_name((kv_reason)other));
    }
}

static void a_failure_keeps_nothing_of_the_one_before(void **state)
{
    kv_error err = { 0 };

    (void)state;
    assert_int_equal(kv_fail_field(&err, "key.size", "must be %d", 2048), KV_BAD_REQUEST);
    assert_int_equal(kv_because(&err, KV_REASON_DISABLED), KV_BAD_REQUEST);
    assert_int_equal(kv_note(&err, "CKR_%s", "OK"), KV_BAD_REQUEST);
    err.retry_ms = 7;
    assert_string_equal(err.field, "key.size");
    assert_string_equal(err.message, "must be 2048");
    assert_string_equal(err.detail, "CKR_OK");
    assert_int_equal(err.reason, KV_REASON_DISABLED);

    assert_int_equal(kv_fail(&err, KV_NOT_FOUND, "no key '%s'", "a"), KV_NOT_FOUND);
    assert_int_equal(err.status, KV_NOT_FOUND);
    assert_string_equal(err.field, "");
    assert_string_equal(err.message, "no key 'a'");
    assert_string_equal(err.detail, "");
    assert_int_equal(err.reason, KV_REASON_NONE);
    assert_int_equal(err.retry_ms, 0);
}

static void long_texts_are_cut_and_end(void **state)
{
    char text[1000];
    kv_error err = { 0 };

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    kv_fail_field(&err, text, "%s", text);
    kv_note(&err, "%s", text);
    assert_int_equal(strlen(err.field), sizeof(err.field) - 1);
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
    assert_int_equal(strlen(err.detail), sizeof(err.detail) - 1);
}

/* Whatever the length before them, and also where the caller has cut. */
static void no_half_characters_are_told(void **state)
{
    (void)state;
    for (int before = 0; before < 4; before++) {
        char text[400] = "";
        kv_error err = { 0 };

        memset(text, 'x', (size_t)before);
        for (int i = 0; i < 80; i++)
            (void)strncat(text, "\xe2\x82\xac", sizeof(text) - strlen(text) - 1);
        assert_kv_fails(KV_INTERNAL, kv_fail(&err, KV_INTERNAL, "%s", text));
        assert_true(kv_text_printable(kv_slice_text(err.message)));
        assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
        assert_kv_fails(KV_BAD_REQUEST, kv_fail_field(&err, "name", "'%.7s' is none", text));
        assert_true(kv_text_printable(kv_slice_text(err.message)));
        kv_note(&err, "%s", text);
        assert_true(kv_text_printable(kv_slice_text(err.detail)));
    }
}

static kv_status pass_up(kv_status inner, bool *went_on)
{
    *went_on = false;
    KV_TRY(inner);
    *went_on = true;
    return KV_OK;
}

static void try_returns_every_failure(void **state)
{
    bool went_on;

    (void)state;
    assert_int_equal(pass_up(KV_OK, &went_on), KV_OK);
    assert_true(went_on);
    for (int i = KV_OK + 1; i < KV_STATUS_COUNT; i++) {
        assert_int_equal(pass_up((kv_status)i, &went_on), i);
        assert_false(went_on);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_is_spelled_for_every_door),
        cmocka_unit_test(an_unknown_status_is_spelled_as_internal),
        cmocka_unit_test(every_reason_has_a_name_of_its_own),
        cmocka_unit_test(a_failure_keeps_nothing_of_the_one_before),
        cmocka_unit_test(long_texts_are_cut_and_end),
        cmocka_unit_test(no_half_characters_are_told),
        cmocka_unit_test(try_returns_every_failure),
    };

    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
