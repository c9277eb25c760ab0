/* test_client_failure.c - google.rpc.Status, read leniently. */
#include "client/failure.h"

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>

#include "tests/support/kv_cmocka.h"

static char *text(const char *from)
{
    return (char *)(uintptr_t)from;
}

static size_t pack_status(uint8_t out[1024])
{
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    Google__Rpc__BadRequest bad = GOOGLE__RPC__BAD_REQUEST__INIT;
    Google__Rpc__BadRequest__FieldViolation violation =
        GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT;
    Google__Rpc__BadRequest__FieldViolation *violations[] = { &violation };
    Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;
    Google__Rpc__RetryInfo retry = GOOGLE__RPC__RETRY_INFO__INIT;
    Google__Protobuf__Any any[3];
    Google__Protobuf__Any *list[] = { &any[0], &any[1], &any[2] };
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    uint8_t parts[3][256];
    static const char *const types[] = { "type.googleapis.com/google.rpc.ErrorInfo",
                                         "type.googleapis.com/google.rpc.BadRequest",
                                         "type.googleapis.com/google.rpc.RetryInfo" };
    size_t lens[3];

    info.reason = text("TOKEN_EXPIRED");
    violation.field = text("policy.key_props.key_size");
    bad.field_violations = violations;
    bad.n_field_violations = 1;
    delay.seconds = 2;
    delay.nanos = 500000000;
    retry.retry_delay = &delay;
    lens[0] = google__rpc__error_info__pack(&info, parts[0]);
    lens[1] = google__rpc__bad_request__pack(&bad, parts[1]);
    lens[2] = google__rpc__retry_info__pack(&retry, parts[2]);
    for (size_t i = 0; i < 3; i++) {
        google__protobuf__any__init(&any[i]);
        any[i].type_url = text(types[i]);
        any[i].value.data = parts[i];
        any[i].value.len = lens[i];
    }
    status.code = 16;
    status.message = text("the whole sentence");
    status.details = list;
    status.n_details = 3;
    return google__rpc__status__pack(&status, out);
}

static void reads_reason_field_and_retry(void **state)
{
    uint8_t packed[1024];
    size_t len = pack_status(packed);
    keyvault_error err;

    (void)state;
    assert_int_equal(kv_failure_from_server(&err, 16, "short", kv_slice_of(packed, len)), 16);
    assert_string_equal(err.name, "UNAUTHENTICATED");
    assert_string_equal(err.reason, "TOKEN_EXPIRED");
    assert_string_equal(err.field, "policy.key_props.key_size");
    assert_string_equal(err.message, "the whole sentence");
    assert_int_equal(err.retry_ms, 2500);
}

static void lives_with_details_it_cannot_read(void **state)
{
    uint8_t packed[1024];
    size_t len = pack_status(packed);
    keyvault_error err;

    (void)state;
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(kv_failure_from_server(&err, 5, "gone", kv_slice_of(packed, cut)), 5);
        assert_string_equal(err.name, "NOT_FOUND");
    }
    assert_int_equal(kv_failure_from_server(NULL, 5, "gone", kv_slice_of(packed, len)), 5);
}

static void names_every_code(void **state)
{
    (void)state;
    assert_string_equal(keyvault_code_name(0), "OK");
    assert_string_equal(keyvault_code_name(16), "UNAUTHENTICATED");
    assert_string_equal(keyvault_code_name(17), "UNKNOWN");
    assert_string_equal(keyvault_code_name(-1), "UNKNOWN");
    for (kv_status status = KV_OK; status < KV_STATUS_COUNT; status++)
        assert_string_equal(keyvault_code_name(kv_status_spelling(status)->grpc),
                            kv_status_spelling(status)->name);
}

static void tells_our_own_errors_alike(void **state)
{
    kv_error own = { 0 };
    keyvault_error err;

    (void)state;
    kv_fail_field(&own, "name", "is too long");
    assert_int_equal(kv_failure_of(&err, &own), 3);
    assert_string_equal(err.field, "name");
    assert_string_equal(err.message, "is too long");
    kv_fail(&own, KV_UNAVAILABLE, "away");
    kv_because(&own, KV_REASON_TOKEN_UNAVAILABLE);
    assert_int_equal(kv_failure_of(&err, &own), 14);
    assert_string_equal(err.reason, "TOKEN_UNAVAILABLE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_reason_field_and_retry),
        cmocka_unit_test(lives_with_details_it_cannot_read),
        cmocka_unit_test(names_every_code),
        cmocka_unit_test(tells_our_own_errors_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
