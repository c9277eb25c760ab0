/* test_frame.c - checksums, names, headers and frames. */
#include "server/audit/frame.h"

#include <stdlib.h>

#include "tests/support/kv_cmocka.h"

static void the_checksum_is_castagnoli(void **state)
{
    uint8_t zeros[32] = { 0 }, bytes[32];

    (void)state;
    /* RFC 3720, appendix B.4, and the usual check value. */
    assert_int_equal(kv_crc32c(0, KV_SLICE("123456789")), 0xe3069283);
    assert_int_equal(kv_crc32c(0, kv_slice_of(zeros, sizeof(zeros))), 0x8a9136aa);
    assert_int_equal(kv_crc32c(kv_crc32c(0, KV_SLICE("1234")), KV_SLICE("56789")), 0xe3069283);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(kv_crc32c(0, kv_slice_of(bytes, sizeof(bytes))), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(kv_crc32c(0, kv_slice_of(bytes, sizeof(bytes))), 0x46dd794e);
}

static void names_are_numbers_of_twenty_digits(void **state)
{
    char name[KV_SEGMENT_NAME_BYTES];
    uint64_t first = 0;

    (void)state;
    kv_segment_name(42, name);
    assert_string_equal(name, "00000000000000000042.kva");
    assert_true(kv_segment_name_parse(name, &first));
    assert_int_equal(first, 42);
    kv_segment_name(UINT64_MAX, name);
    assert_true(kv_segment_name_parse(name, &first));
    assert_true(first == UINT64_MAX);
    assert_false(kv_segment_name_parse("42.kva", &first));
    assert_false(kv_segment_name_parse("00000000000000000042.torn", &first));
    assert_false(kv_segment_name_parse("0000000000000000004x.kva", &first));
    assert_false(kv_segment_name_parse("spare", &first));
}

static kv_segment_header a_header(void)
{
    return (kv_segment_header){ .node = { 1, 2 },
                                .first = 77,
                                .before = { 3 },
                                .created_ms = 1795216980123,
                                .store_version = 5,
                                .store_digest = { 4 },
                                .kid = "0123456789abcdef0123456789abcdef" };
}

static void a_header_comes_back(void **state)
{
    kv_segment_header header = a_header(), again;
    uint8_t bytes[KV_SEGMENT_HEADER_BYTES];

    (void)state;
    kv_segment_header_pack(&header, bytes);
    assert_memory_equal(bytes, "KVAUDIT1", 8);
    assert_true(kv_segment_header_parse(kv_slice_of(bytes, sizeof(bytes)), &again));
    assert_memory_equal(again.node, header.node, 16);
    assert_int_equal(again.first, 77);
    assert_memory_equal(again.before, header.before, 32);
    assert_int_equal(again.created_ms, header.created_ms);
    assert_int_equal(again.store_version, 5);
    assert_memory_equal(again.store_digest, header.store_digest, 32);
    assert_string_equal(again.kid, header.kid);
}

static void an_edited_or_short_header_is_none(void **state)
{
    kv_segment_header header = a_header();
    uint8_t bytes[KV_SEGMENT_HEADER_BYTES];

    (void)state;
    kv_segment_header_pack(&header, bytes);
    assert_false(kv_segment_header_parse(kv_slice_of(bytes, sizeof(bytes) - 1), &header));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] ^= 0x10;
        assert_false(kv_segment_header_parse(kv_slice_of(bytes, sizeof(bytes)), &header));
        bytes[i] ^= 0x10;
    }
}

static void a_frame_comes_back(void **state)
{
    uint8_t before[32] = { 7 }, hash[32], expected[32];
    kv_slice message = KV_SLICE("a message");
    uint8_t bytes[64];
    size_t len = kv_frame_bytes(message.len);
    kv_frame frame;

    (void)state;
    assert_true(len <= sizeof(bytes));
    kv_frame_pack(KV_FRAME_CHECKPOINT, message, before, bytes, hash);
    kv_chain_hash(before, message, expected);
    assert_memory_equal(hash, expected, 32);
    assert_int_equal(kv_frame_parse(kv_slice_of(bytes, len), &frame), KV_FRAME_GOOD);
    assert_int_equal(frame.kind, KV_FRAME_CHECKPOINT);
    assert_slice_equal(message, frame.message);
    assert_memory_equal(frame.hash, hash, 32);
    assert_int_equal(frame.bytes, len);
}

static void every_edited_byte_of_a_frame_is_seen(void **state)
{
    uint8_t before[32] = { 7 }, hash[32];
    kv_slice message = KV_SLICE("a message");
    uint8_t bytes[64] = { 0 };
    kv_frame frame;

    (void)state;
    kv_frame_pack(KV_FRAME_RECORD, message, before, bytes, hash);
    for (size_t i = 0; i < kv_frame_bytes(message.len); i++) {
        bytes[i] ^= 1;
        assert_int_not_equal(kv_frame_parse(kv_slice_of(bytes, sizeof(bytes)), &frame),
                             KV_FRAME_GOOD);
        bytes[i] ^= 1;
    }
}

static void the_end_is_zero_or_nothing(void **state)
{
    uint8_t bytes[64] = { 0 }, before[32] = { 0 }, hash[32];
    kv_slice message = KV_SLICE("a message");
    size_t len = kv_frame_bytes(message.len);
    kv_frame frame;

    (void)state;
    assert_int_equal(kv_frame_parse(KV_SLICE_NONE, &frame), KV_FRAME_END);
    assert_int_equal(kv_frame_parse(kv_slice_of(bytes, sizeof(bytes)), &frame), KV_FRAME_END);
    kv_frame_pack(KV_FRAME_RECORD, message, before, bytes, hash);
    for (size_t kept = 1; kept < len; kept++)
        assert_int_equal(kv_frame_parse(kv_slice_of(bytes, kept), &frame), KV_FRAME_CUT);
    /* Longer than any frame: not cut, but wrong. */
    memset(bytes, 0xff, 4);
    assert_int_equal(kv_frame_parse(kv_slice_of(bytes, sizeof(bytes)), &frame), KV_FRAME_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_castagnoli),
        cmocka_unit_test(names_are_numbers_of_twenty_digits),
        cmocka_unit_test(a_header_comes_back),
        cmocka_unit_test(an_edited_or_short_header_is_none),
        cmocka_unit_test(a_frame_comes_back),
        cmocka_unit_test(every_edited_byte_of_a_frame_is_seen),
        cmocka_unit_test(the_end_is_zero_or_nothing),
    };

    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
