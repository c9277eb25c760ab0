/* test_checkpoint.c - a signed head has one encoding, and one signer. */
#include "server/audit/checkpoint.h"

#include <stdlib.h>

#include "tests/unit/audit/world.h"

static kv_checkpoint a_checkpoint(audit_world *world)
{
    kv_checkpoint checkpoint = { .sequence = 17,
                                 .head = { 1, 2 },
                                 .time_ms = 1795216980123,
                                 .store_version = 4,
                                 .store_digest = { 3 },
                                 .node = { 9 } };
    uint8_t digest[32];
    kv_error err = { 0 };

    memcpy(checkpoint.kid, world->kid, sizeof(checkpoint.kid));
    kv_checkpoint_digest(&checkpoint, digest);
    assert_kv_ok(world->config.signer.sign(world, digest, checkpoint.signature, &err));
    return checkpoint;
}

static int make(void **state)
{
    audit_world *world = calloc(1, sizeof(*world));

    world_make(world);
    *state = world;
    return 0;
}

static int drop(void **state)
{
    world_destroy(*state);
    free(*state);
    return 0;
}

static void a_checkpoint_comes_back(void **state)
{
    kv_checkpoint checkpoint = a_checkpoint(*state), again;
    uint8_t bytes[KV_CHECKPOINT_BYTES];
    size_t len = kv_checkpoint_pack(&checkpoint, bytes);
    kv_error err = { 0 };

    assert_kv_ok(kv_checkpoint_unpack(kv_slice_of(bytes, len), &again, &err));
    assert_int_equal(again.sequence, 17);
    assert_int_equal(again.time_ms, checkpoint.time_ms);
    assert_int_equal(again.store_version, 4);
    assert_memory_equal(again.head, checkpoint.head, 32);
    assert_memory_equal(again.store_digest, checkpoint.store_digest, 32);
    assert_memory_equal(again.node, checkpoint.node, 16);
    assert_string_equal(again.kid, checkpoint.kid);
    assert_memory_equal(again.signature, checkpoint.signature, 64);
}

static void its_signature_covers_every_byte(void **state)
{
    audit_world *world = *state;
    kv_checkpoint checkpoint = a_checkpoint(world), again;
    kv_slice spki = kv_slice_of(world->spki, world->spki_len);
    uint8_t bytes[KV_CHECKPOINT_BYTES];
    size_t len = kv_checkpoint_pack(&checkpoint, bytes);
    kv_error err = { 0 };

    assert_true(kv_checkpoint_signed_by(&checkpoint, spki));
    for (size_t i = 0; i < len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            if (kv_checkpoint_unpack(kv_slice_of(bytes, len), &again, &err) == KV_OK)
                assert_false(kv_checkpoint_signed_by(&again, spki));
            bytes[i] ^= (uint8_t)(1 << bit);
        }
}

static void another_key_did_not_sign_it(void **state)
{
    audit_world *world = *state, other;
    kv_checkpoint checkpoint = a_checkpoint(world);

    world_make(&other);
    assert_false(kv_checkpoint_signed_by(&checkpoint, kv_slice_of(other.spki, other.spki_len)));
    assert_false(kv_checkpoint_signed_by(&checkpoint, KV_SLICE("no key")));
    assert_false(kv_checkpoint_signed_by(&checkpoint, KV_SLICE_NONE));
    world_destroy(&other);
}

static void other_encodings_are_refused(void **state)
{
    kv_checkpoint checkpoint = a_checkpoint(*state), again;
    uint8_t bytes[KV_CHECKPOINT_BYTES];
    size_t len = kv_checkpoint_pack(&checkpoint, bytes);
    kv_error err = { 0 };

    for (size_t cut = 0; cut < len; cut++)
        assert_kv_fails(KV_BAD_REQUEST,
                        kv_checkpoint_unpack(kv_slice_of(bytes, cut), &again, &err));
    /* A field that the message does not have. */
    bytes[len] = 0x50;
    bytes[len + 1] = 1;
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_checkpoint_unpack(kv_slice_of(bytes, len + 2), &again, &err));
}

#define CHECKPOINT_TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHECKPOINT_TEST(a_checkpoint_comes_back),
        CHECKPOINT_TEST(its_signature_covers_every_byte),
        CHECKPOINT_TEST(another_key_did_not_sign_it),
        CHECKPOINT_TEST(other_encodings_are_refused),
    };

    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
