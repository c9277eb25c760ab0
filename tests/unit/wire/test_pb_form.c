/* test_pb_form.c - bytes that are no message, or one that asks for too much. */
#include "server/vault/messages/messages_keys.h"
#include "server/wire/pb.h"
#include "tests/support/kv_cmocka.h"

enum { ROOM = 16 * 1024 * 1024 };

typedef struct fixture {
    kv_arena arena;
    kv_error err;
} fixture;

static int start(void **state)
{
    static fixture f;

    f = (fixture){ .arena = KV_ARENA(ROOM) };
    *state = &f;
    return 0;
}

static int stop(void **state)
{
    fixture *f = *state;

    kv_arena_cleanup(&f->arena);
    return 0;
}

static void digest_and_message_exclude_each_other(void **state)
{
    /* algorithm 7, digest "ab", message "cd" */
    static const uint8_t both[] = { 0x20, 7, 0x2a, 2, 'a', 'b', 0x32, 2, 'c', 'd' };
    fixture *f = *state;
    kv_key_sign_in in = { 0 };

    assert_int_equal(kv_pb_read_key_sign(kv_slice_of(both, sizeof(both)), &f->arena, &in, &f->err),
                     KV_BAD_REQUEST);
    assert_string_equal(f->err.field, "message");
}

static void a_mebibyte_is_read_and_no_more(void **state)
{
    static const uint8_t head[] = { 0x20, 7, 0x32, 0xf0, 0xff, 0x3f }; /* message: 1048560 bytes */
    fixture *f = *state;
    uint8_t *body = kv_arena_alloc(&f->arena, KV_PB_MESSAGE_MAX + 1);
    kv_key_sign_in in = { 0 };
    size_t len = sizeof(head) + 1048560, before;

    assert_non_null(body);
    memcpy(body, head, sizeof(head));
    before = f->arena.used;
    assert_kv_ok_with(kv_pb_read_key_sign(kv_slice_of(body, len), &f->arena, &in, &f->err),
                      &f->err);
    assert_int_equal(in.data.len, 1048560);
    assert_true(f->arena.used - before < 2 * len);
    assert_int_equal(
        kv_pb_read_key_sign(kv_slice_of(body, KV_PB_MESSAGE_MAX + 1), &f->arena, &in, &f->err),
        KV_BAD_REQUEST);
}

/* A megabyte of empty messages would decode to forty. */
static void amplification_is_refused_before_decoding(void **state)
{
    fixture *f = *state;
    enum { LEN = 1000000 };
    uint8_t *tags = kv_arena_alloc(&f->arena, LEN);
    uint8_t *unknown = kv_arena_alloc(&f->arena, LEN);
    kv_key_create_in in = { 0 };
    size_t before;

    assert_non_null(tags);
    assert_non_null(unknown);
    for (size_t i = 0; i < LEN; i += 2) {
        tags[i] = 0x42;    /* tags, no bytes */
        unknown[i] = 0x78; /* field 15 = 0 */
    }
    before = f->arena.used;
    assert_int_equal(kv_pb_read_key_create(kv_slice_of(tags, LEN), &f->arena, &in, &f->err),
                     KV_BAD_REQUEST);
    assert_string_equal(f->err.field, "tags");
    assert_int_equal(kv_pb_read_key_create(kv_slice_of(unknown, LEN), &f->arena, &in, &f->err),
                     KV_BAD_REQUEST);
    assert_int_equal(f->arena.used, before);
}

static void a_newer_clients_field_is_ignored(void **state)
{
    static const uint8_t body[] = { 0x0a, 1, 'v', 0x12, 1, 'k', 0x98, 0x06, 1 };
    fixture *f = *state;
    kv_key_get_in in = { 0 };

    assert_kv_ok_with(kv_pb_read_key_get(kv_slice_of(body, sizeof(body)), &f->arena, &in, &f->err),
                      &f->err);
    assert_slice_equal(KV_SLICE("k"), in.target.name);
}

/* Repeated enums come packed from most clients, one by one from some. */
static void packed_and_unpacked_lists_are_the_same(void **state)
{
    static const uint8_t packed[] = { 0x18, 2, 0x32, 2, 1, 2 };
    static const uint8_t single[] = { 0x18, 2, 0x30, 1, 0x30, 2 };
    static const uint8_t unknown[] = { 0x18, 2, 0x32, 2, 1, 99 };
    static const uint8_t cut[] = { 0x18, 2, 0x32, 2, 1, 0x80 };
    fixture *f = *state;
    kv_key_create_in one = { 0 }, two = { 0 };

    assert_kv_ok_with(
        kv_pb_read_key_create(kv_slice_of(packed, sizeof(packed)), &f->arena, &one, &f->err),
        &f->err);
    assert_kv_ok_with(
        kv_pb_read_key_create(kv_slice_of(single, sizeof(single)), &f->arena, &two, &f->err),
        &f->err);
    assert_int_equal(one.key_ops, KV_KEY_OP_SIGN | KV_KEY_OP_VERIFY);
    assert_int_equal(one.key_ops, two.key_ops);
    assert_int_equal(
        kv_pb_read_key_create(kv_slice_of(unknown, sizeof(unknown)), &f->arena, &one, &f->err),
        KV_BAD_REQUEST);
    assert_string_equal(f->err.field, "key_ops[1]");
    assert_int_equal(kv_pb_read_key_create(kv_slice_of(cut, sizeof(cut)), &f->arena, &one, &f->err),
                     KV_BAD_REQUEST);
}

static void what_is_not_protobuf_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        { "\x00", 1 },                                          /* field 0 */
        { "\x0b", 1 },                                          /* a group */
        { "\x0f", 1 },                                          /* wire type 7 */
        { "\x80", 1 },                                          /* half a key */
        { "\x0a", 1 },                                          /* no length */
        { "\x0a\x05zz", 4 },                                    /* too short */
        { "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 }, /* 2^64 - 1 bytes */
        { "\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11 }, /* more than 64 bits */
        { "\x28\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 12 },
        { "\xf8\xff\xff\xff\xff\x01\x00", 7 }, /* a field number past 2^29 */
    };
    fixture *f = *state;

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_key_get_in in = { 0 };

        f->err = (kv_error){ 0 };
        if (kv_pb_read_key_get(kv_slice_of(rows[i].bytes, rows[i].len), &f->arena, &in, &f->err) !=
            KV_BAD_REQUEST)
            fail_msg("row %zu", i);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(digest_and_message_exclude_each_other),    TEST(a_mebibyte_is_read_and_no_more),
        TEST(amplification_is_refused_before_decoding), TEST(a_newer_clients_field_is_ignored),
        TEST(packed_and_unpacked_lists_are_the_same),   TEST(what_is_not_protobuf_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
