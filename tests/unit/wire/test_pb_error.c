/* test_pb_error.c - an error becomes a google.rpc.Status that tells what may be told. */
#include "google/protobuf/any.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "server/wire/pb.h"
#include "tests/support/kv_cmocka.h"

enum { ROOM = 64 * 1024 };

static Google__Rpc__Status *write_and_read(const kv_error *error)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ROOM);
    Google__Rpc__Status *status;
    kv_error err = { 0 };
    kv_slice body;

    assert_kv_ok(kv_pb_write_error(error, &arena, &body, &err));
    status = google__rpc__status__unpack(NULL, body.len, body.data);
    assert_non_null(status);
    return status;
}

static void a_bad_field_is_named(void **state)
{
    kv_error error = { 0 };
    Google__Rpc__Status *status;
    Google__Rpc__BadRequest *request;

    (void)state;
    (void)kv_fail_field(&error, "policy.key_props.key_size", "must be 2048, 3072 or 4096");
    status = write_and_read(&error);
    assert_int_equal(status->code, 3);
    assert_string_equal(status->message, error.message);
    assert_int_equal(status->n_details, 1);
    assert_string_equal(status->details[0]->type_url, "type.googleapis.com/google.rpc.BadRequest");
    request = google__rpc__bad_request__unpack(NULL, status->details[0]->value.len,
                                               status->details[0]->value.data);
    assert_non_null(request);
    assert_int_equal(request->n_field_violations, 1);
    assert_string_equal(request->field_violations[0]->field, "policy.key_props.key_size");
    assert_string_equal(request->field_violations[0]->description, error.message);
    google__rpc__bad_request__free_unpacked(request, NULL);
    google__rpc__status__free_unpacked(status, NULL);
}

static void reason_and_retry_are_told(void **state)
{
    kv_error error = { 0 };
    Google__Rpc__Status *status;
    Google__Rpc__ErrorInfo *info;
    Google__Rpc__RetryInfo *retry;

    (void)state;
    (void)kv_fail(&error, KV_UNAVAILABLE, "the token is out of reach");
    (void)kv_because(&error, KV_REASON_TOKEN_UNAVAILABLE);
    (void)kv_note(&error, "CKR_DEVICE_REMOVED");
    error.retry_ms = 2500;
    status = write_and_read(&error);
    assert_int_equal(status->code, 14);
    assert_int_equal(status->n_details, 2);
    info = google__rpc__error_info__unpack(NULL, status->details[0]->value.len,
                                           status->details[0]->value.data);
    assert_non_null(info);
    assert_string_equal(info->reason, "TOKEN_UNAVAILABLE");
    assert_string_equal(info->domain, "keyvault");
    retry = google__rpc__retry_info__unpack(NULL, status->details[1]->value.len,
                                            status->details[1]->value.data);
    assert_non_null(retry);
    assert_true(retry->retry_delay->seconds == 2);
    assert_int_equal(retry->retry_delay->nanos, 500000000);
    google__rpc__retry_info__free_unpacked(retry, NULL);
    google__rpc__error_info__free_unpacked(info, NULL);
    google__rpc__status__free_unpacked(status, NULL);
}

static void internals_stay_inside(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ROOM);
    kv_error error = { 0 }, err = { 0 };
    kv_slice body;

    (void)state;
    (void)kv_fail_field(&error, "vault", "row 17 of principals");
    error.status = KV_INTERNAL;
    (void)kv_note(&error, "constraint failed");
    assert_kv_ok(kv_pb_write_error(&error, &arena, &body, &err));
    assert_null(memmem(body.data, body.len, "row 17", 6));
    assert_null(memmem(body.data, body.len, "constraint", 10));

    error.status = KV_CONFLICT;
    assert_kv_ok(kv_pb_write_error(&error, &arena, &body, &err));
    assert_non_null(memmem(body.data, body.len, "row 17", 6));
    assert_null(memmem(body.data, body.len, "constraint", 10));
}

static void too_little_room_is_said(void **state)
{
    kv_error error = { 0 };
    kv_status status = KV_BUSY;
    size_t limit = 0;

    (void)state;
    (void)kv_fail_field(&error, "name", "must not be empty");
    error.reason = KV_REASON_MANAGED;
    error.retry_ms = 1;
    for (; status == KV_BUSY && limit < ROOM; limit += 8) {
        KV_AUTO(kv_arena) arena = KV_ARENA(limit);
        kv_error err = { 0 };
        kv_slice body;

        status = kv_pb_write_error(&error, &arena, &body, &err);
    }
    assert_int_equal(status, KV_OK);
    assert_true(limit > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_field_is_named),
        cmocka_unit_test(reason_and_retry_are_told),
        cmocka_unit_test(internals_stay_inside),
        cmocka_unit_test(too_little_room_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
