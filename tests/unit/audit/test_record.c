/* test_record.c - what goes into a record comes out of it, and nothing makes one unreadable. */
#include "server/audit/record.h"

#include <stdlib.h>

#include "keyvault/v1/audit.pb-c.h"
#include "tests/support/kv_cmocka.h"

enum { ARENA_BYTES = 65536, ROUNDS = 2000 };

static kv_audit_record full_record(void)
{
    kv_audit_record record = {
        .sequence = 4711,
        .node = { 1, 2, 3 },
        .entry = { .time_ms = 1795216980123,
                   .duration_us = 41,
                   .request_id = { 9, 8, 7 },
                   .has_principal = true,
                   .principal_id = { 5, 5 },
                   .principal_name = KV_SLICE("Jos\xc3\xa9"),
                   .certificate = { 0, 0, 1 },
                   .roles = KV_SLICE("crypto-user"),
                   .peer = KV_SLICE("[::1]:5555"),
                   .operation = "KeySign",
                   .vault = KV_SLICE("payments"),
                   .collection = KV_SLICE("keys"),
                   .name = KV_SLICE("web"),
                   .version = KV_SLICE("0123456789abcdef0123456789abcdef"),
                   .status = KV_PRECONDITION,
                   .reason = KV_REASON_NOT_EXPORTABLE,
                   .field = KV_SLICE("digest"),
                   .note = KV_SLICE("alg=ES256"),
                   .has_key = true,
                   .key_id = { 0xaa },
                   .count = 3,
                   .changes = { { "objects", "web", 77 }, { "policies", "web", 0 } },
                   .change_count = 2,
                   .store_version = 12,
                   .store_digest = { 0xdd } },
    };

    return record;
}

static void assert_same_texts(const kv_audit_entry *a, const kv_audit_entry *b)
{
    assert_slice_equal(a->principal_name, b->principal_name);
    assert_slice_equal(a->roles, b->roles);
    assert_slice_equal(a->peer, b->peer);
    assert_string_equal(a->operation, b->operation);
    assert_slice_equal(a->vault, b->vault);
    assert_slice_equal(a->collection, b->collection);
    assert_slice_equal(a->name, b->name);
    assert_slice_equal(a->version, b->version);
    assert_slice_equal(a->field, b->field);
    assert_slice_equal(a->note, b->note);
}

static void assert_same(const kv_audit_record *a, const kv_audit_record *b)
{
    assert_int_equal(a->sequence, b->sequence);
    assert_memory_equal(a->node, b->node, 16);
    assert_same_texts(&a->entry, &b->entry);
    assert_int_equal(a->entry.time_ms, b->entry.time_ms);
    assert_int_equal(a->entry.duration_us, b->entry.duration_us);
    assert_memory_equal(a->entry.request_id, b->entry.request_id, 16);
    assert_int_equal(a->entry.has_principal, b->entry.has_principal);
    assert_memory_equal(a->entry.principal_id, b->entry.principal_id, 16);
    assert_memory_equal(a->entry.certificate, b->entry.certificate, 32);
    assert_int_equal(a->entry.status, b->entry.status);
    assert_int_equal(a->entry.reason, b->entry.reason);
    assert_int_equal(a->entry.has_key, b->entry.has_key);
    assert_memory_equal(a->entry.key_id, b->entry.key_id, 16);
    assert_int_equal(a->entry.count, b->entry.count);
    assert_int_equal(a->entry.change_count, b->entry.change_count);
    for (unsigned i = 0; i < a->entry.change_count; i++) {
        assert_string_equal(a->entry.changes[i].table, b->entry.changes[i].table);
        assert_string_equal(a->entry.changes[i].key, b->entry.changes[i].key);
        assert_int_equal(a->entry.changes[i].generation, b->entry.changes[i].generation);
    }
    assert_int_equal(a->entry.store_version, b->entry.store_version);
    assert_memory_equal(a->entry.store_digest, b->entry.store_digest, 32);
}

static void a_full_record_comes_back(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA_BYTES);
    kv_audit_record record = full_record(), again;
    uint8_t bytes[KV_AUDIT_RECORD_BYTES];
    size_t len = kv_audit_record_pack(&record, bytes);
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_audit_record_unpack(kv_slice_of(bytes, len), &arena, &again, &err));
    assert_same(&record, &again);
}

static void an_empty_record_comes_back(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA_BYTES);
    kv_audit_record record = { .entry.operation = "" }, again;
    uint8_t bytes[KV_AUDIT_RECORD_BYTES];
    size_t len = kv_audit_record_pack(&record, bytes);
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_audit_record_unpack(kv_slice_of(bytes, len), &arena, &again, &err));
    assert_same(&record, &again);
}

static void every_status_and_reason_comes_back(void **state)
{
    uint8_t bytes[KV_AUDIT_RECORD_BYTES];
    kv_error err = { 0 };

    (void)state;
    for (int i = 0; i < KV_STATUS_COUNT * KV_REASON_COUNT; i++) {
        KV_AUTO(kv_arena) arena = KV_ARENA(ARENA_BYTES);
        kv_audit_record record = full_record(), again;

        record.entry.status = (kv_status)(i % KV_STATUS_COUNT);
        record.entry.reason = (kv_reason)(i / KV_STATUS_COUNT);
        assert_kv_ok(kv_audit_record_unpack(
            kv_slice_of(bytes, kv_audit_record_pack(&record, bytes)), &arena, &again, &err));
        assert_int_equal(again.entry.status, record.entry.status);
        assert_int_equal(again.entry.reason, record.entry.reason);
    }
}

static void numbers_are_read_without_unpacking(void **state)
{
    kv_audit_record record = full_record();
    uint8_t bytes[KV_AUDIT_RECORD_BYTES];
    kv_slice slice = kv_slice_of(bytes, kv_audit_record_pack(&record, bytes));

    (void)state;
    assert_int_equal(kv_audit_record_number(slice, KV_AUDIT_SEQUENCE), 4711);
    assert_int_equal(kv_audit_record_number(slice, KV_AUDIT_TIME_MS), 1795216980123);
    assert_int_equal(kv_audit_record_number(slice, KV_AUDIT_STATUS), 9);
    assert_int_equal(kv_audit_record_number(slice, KV_AUDIT_STORE_VERSION), 12);
    for (size_t len = 0; len < slice.len; len++)
        (void)kv_audit_record_number(kv_slice_of(bytes, len), KV_AUDIT_STORE_VERSION);
}

static void texts_that_nobody_checked_stay_readable(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA_BYTES);
    kv_audit_record record = full_record(), again;
    uint8_t bytes[KV_AUDIT_RECORD_BYTES];
    kv_error err = { 0 };

    (void)state;
    record.entry.name = KV_SLICE("a\0b\xff\n");
    assert_kv_ok(kv_audit_record_unpack(kv_slice_of(bytes, kv_audit_record_pack(&record, bytes)),
                                        &arena, &again, &err));
    assert_slice_equal(KV_SLICE("a?b??"), again.entry.name);
}

static void the_largest_record_fits(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA_BYTES);
    kv_audit_record record = full_record(), again;
    uint8_t bytes[KV_AUDIT_RECORD_BYTES];
    char *text = malloc(100000);
    kv_error err = { 0 };
    size_t len;

    (void)state;
    /* Two bytes a letter, and the limit falls between them. */
    for (size_t i = 0; i < 99999; i++)
        text[i] = i % 2 ? '\xc3' : '\xa9';
    record.entry.principal_name = record.entry.roles = record.entry.peer = record.entry.vault =
        record.entry.collection = record.entry.name = record.entry.version = record.entry.field =
            record.entry.note = kv_slice_of(text + 1, 99998);
    record.entry.change_count = KV_AUDIT_CHANGES;
    for (unsigned i = 0; i < KV_AUDIT_CHANGES; i++) {
        memset(record.entry.changes[i].table, 't', sizeof(record.entry.changes[i].table) - 1);
        memset(record.entry.changes[i].key, 'k', sizeof(record.entry.changes[i].key) - 1);
    }
    len = kv_audit_record_pack(&record, bytes);
    assert_true(len < KV_AUDIT_RECORD_BYTES);
    assert_kv_ok(kv_audit_record_unpack(kv_slice_of(bytes, len), &arena, &again, &err));
    assert_int_equal(again.entry.note.len, KV_AUDIT_TEXT_BYTES);
    assert_true(again.entry.note.data[KV_AUDIT_TEXT_BYTES - 1] == 0xa9);
    free(text);
}

static void bytes_that_are_no_record_are_refused(void **state)
{
    kv_audit_record record = full_record();
    uint8_t bytes[KV_AUDIT_RECORD_BYTES], broken[KV_AUDIT_RECORD_BYTES];
    size_t len = kv_audit_record_pack(&record, bytes);
    kv_error err = { 0 };

    (void)state;
    srand(1);
    for (int i = 0; i < ROUNDS; i++) {
        KV_AUTO(kv_arena) arena = KV_ARENA(ARENA_BYTES);
        kv_audit_record again;

        memcpy(broken, bytes, len);
        broken[(size_t)rand() % len] ^= (uint8_t)(1 << rand() % 8);
        /* Either answer is right; the sanitizers look on. */
        if (kv_audit_record_unpack(kv_slice_of(broken, (size_t)rand() % len), &arena, &again,
                                   &err) == KV_OK)
            (void)kv_audit_record_pack(&again, broken);
    }
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA_BYTES);
    kv_audit_record again;

    assert_kv_fails(KV_BAD_REQUEST,
                    kv_audit_record_unpack(KV_SLICE("\xff\xff"), &arena, &again, &err));
    /* A node that is not 16 bytes of hex. */
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_audit_record_unpack(KV_SLICE("\x1a\x02zz"), &arena, &again, &err));
}

static void a_full_arena_is_said(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(64);
    kv_audit_record record = full_record(), again;
    uint8_t bytes[KV_AUDIT_RECORD_BYTES];
    size_t len = kv_audit_record_pack(&record, bytes);
    kv_error err = { 0 };

    (void)state;
    assert_kv_fails(KV_BUSY, kv_audit_record_unpack(kv_slice_of(bytes, len), &arena, &again, &err));
}

static void field_numbers_are_those_of_the_message(void **state)
{
    const ProtobufCMessageDescriptor *message = &keyvault__v1__audit_record__descriptor;

    (void)state;
    assert_int_equal(protobuf_c_message_descriptor_get_field_by_name(message, "sequence")->id,
                     KV_AUDIT_SEQUENCE);
    assert_int_equal(protobuf_c_message_descriptor_get_field_by_name(message, "time_ms")->id,
                     KV_AUDIT_TIME_MS);
    assert_int_equal(protobuf_c_message_descriptor_get_field_by_name(message, "status")->id,
                     KV_AUDIT_STATUS);
    assert_int_equal(protobuf_c_message_descriptor_get_field_by_name(message, "store_version")->id,
                     KV_AUDIT_STORE_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_record_comes_back),
        cmocka_unit_test(an_empty_record_comes_back),
        cmocka_unit_test(every_status_and_reason_comes_back),
        cmocka_unit_test(numbers_are_read_without_unpacking),
        cmocka_unit_test(texts_that_nobody_checked_stay_readable),
        cmocka_unit_test(the_largest_record_fits),
        cmocka_unit_test(bytes_that_are_no_record_are_refused),
        cmocka_unit_test(a_full_arena_is_said),
        cmocka_unit_test(field_numbers_are_those_of_the_message),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
