/* test_pb_spellings.c - every method has a reader and a writer, and every reader stands every
 * flaw. */
#include <stdio.h>
#include <stdlib.h>

#include "keyvault/v1/access.pb-c.h"
#include "keyvault/v1/audit.pb-c.h"
#include "keyvault/v1/authorities.pb-c.h"
#include "keyvault/v1/certificates.pb-c.h"
#include "keyvault/v1/common.pb-c.h"
#include "keyvault/v1/contacts.pb-c.h"
#include "keyvault/v1/events.pb-c.h"
#include "keyvault/v1/issuers.pb-c.h"
#include "keyvault/v1/keys.pb-c.h"
#include "keyvault/v1/renewals.pb-c.h"
#include "keyvault/v1/secrets.pb-c.h"
#include "keyvault/v1/vaults.pb-c.h"
#include "keyvault/v1/webhooks.pb-c.h"
#include "server/vault/work.h"
#include "server/wire/pb.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/wire/samples.h"

static const ProtobufCServiceDescriptor *const services[] = {
    &keyvault__v1__server_service__descriptor,
    &keyvault__v1__vault_service__descriptor,
    &keyvault__v1__key_service__descriptor,
    &keyvault__v1__secret_service__descriptor,
    &keyvault__v1__certificate_service__descriptor,
    &keyvault__v1__issuer_service__descriptor,
    &keyvault__v1__contact_service__descriptor,
    &keyvault__v1__event_service__descriptor,
    &keyvault__v1__webhook_service__descriptor,
    &keyvault__v1__renewal_service__descriptor,
    &keyvault__v1__access_service__descriptor,
    &keyvault__v1__audit_service__descriptor,
    &keyvault__v1__certificate_authority_service__descriptor,
};

enum { ROOM = 64 * 1024 * 1024 };

static const ProtobufCMethodDescriptor *method_of(const kv_pb_spelling *row)
{
    char path[128];

    for (size_t s = 0; s < KV_COUNT(services); s++)
        for (unsigned m = 0; m < services[s]->n_methods; m++) {
            (void)snprintf(path, sizeof(path), "/%s/%s", services[s]->name,
                           services[s]->methods[m].name);
            if (!strcmp(path, row->path))
                return &services[s]->methods[m];
        }
    fail_msg("%s is not in the .proto files", row->path);
    return NULL;
}

static void every_method_has_one_row(void **state)
{
    size_t methods = 0;

    (void)state;
    for (size_t s = 0; s < KV_COUNT(services); s++)
        for (unsigned m = 0; m < services[s]->n_methods; m++, methods++) {
            char path[128];

            (void)snprintf(path, sizeof(path), "/%s/%s", services[s]->name,
                           services[s]->methods[m].name);
            if (!kv_pb_find(kv_slice_text(path)))
                fail_msg("%s has no row", path);
        }
    assert_int_equal(methods, kv_pb_spellings_count);
    assert_null(kv_pb_find(KV_SLICE("/keyvault.v1.KeyService/Nothing")));
    for (size_t i = 0; i < kv_pb_spellings_count; i++) {
        const kv_pb_spelling *row = &kv_pb_spellings[i];

        (void)method_of(row);
        assert_non_null(row->decode);
        assert_non_null(row->encode);
        assert_true(row->in_size >= sizeof(kv_target));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(row->operation, kv_pb_spellings[j].operation);
    }
}

/* Decodes from a block of exactly the right size, so that a sanitizer sees every byte too many. */
static kv_status decode(const kv_pb_spelling *row, kv_slice body, kv_arena *arena,
                        kv_target *target, kv_error *err)
{
    uint8_t *exact = malloc(body.len ? body.len : 1);
    void *in = kv_arena_alloc(arena, row->in_size);
    kv_status status;

    assert_non_null(exact);
    assert_non_null(in);
    if (body.len)
        memcpy(exact, body.data, body.len);
    *err = (kv_error){ 0 };
    status = row->decode(kv_slice_of(exact, body.len), arena, in, err);
    if (target)
        *target = *(kv_target *)in;
    free(exact);
    return status;
}

static void valid_messages_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < kv_pb_spellings_count; i++) {
        const kv_pb_spelling *row = &kv_pb_spellings[i];
        KV_AUTO(kv_arena) arena = KV_ARENA(ROOM);
        kv_sample sample = { .type = method_of(row)->input };
        kv_slice body = kv_sample_make(&sample, &arena);
        kv_error err;
        kv_target target;

        if (decode(row, body, &arena, &target, &err) != KV_OK)
            fail_msg("%s: %s: %s", row->path, err.field, err.message);
        if (protobuf_c_message_descriptor_get_field_by_name(sample.type, "vault") &&
            strstr(row->path, "AccessService") == NULL)
            assert_slice_equal(KV_SLICE("sample"), target.vault);
        /* Cut in the middle of the last field. */
        if (body.len) {
            body.len--;
            if (decode(row, body, &arena, NULL, &err) != KV_BAD_REQUEST)
                fail_msg("%s: reads a message that is cut", row->path);
        }
    }
}

static void every_cut_is_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < kv_pb_spellings_count; i++) {
        const kv_pb_spelling *row = &kv_pb_spellings[i];
        KV_AUTO(kv_arena) samples = KV_ARENA(ROOM);
        kv_sample sample = { .type = method_of(row)->input };
        kv_slice body = kv_sample_make(&sample, &samples);
        kv_error err;

        for (size_t len = 0; len < body.len; len++) {
            KV_AUTO(kv_arena) arena = KV_ARENA(ROOM);
            kv_status status = decode(row, kv_slice_of(body.data, len), &arena, NULL, &err);

            assert_true(status == KV_OK || status == KV_BAD_REQUEST);
            assert_int_equal(status, err.status);
        }
    }
}

static void every_flaw_in_every_field_is_named(void **state)
{
    unsigned tried[KV_FLAW_COUNT] = { 0 };

    (void)state;
    for (size_t i = 0; i < kv_pb_spellings_count; i++)
        for (int flaw = KV_FLAW_NOT_UTF8; flaw < KV_FLAW_COUNT; flaw++) {
            const kv_pb_spelling *row = &kv_pb_spellings[i];
            kv_sample sample = { .type = method_of(row)->input, .flaw = (kv_flaw)flaw };

            do {
                KV_AUTO(kv_arena) arena = KV_ARENA(ROOM);
                kv_slice body = kv_sample_make(&sample, &arena);
                kv_error err;
                kv_status status = decode(row, body, &arena, NULL, &err);

                if (sample.flawed && (status != KV_BAD_REQUEST || strcmp(err.field, sample.path)))
                    fail_msg("%s: flaw %d in %s: status %d, field '%s': %s", row->path, flaw,
                             sample.path, status, err.field, err.message);
                if (!sample.flawed)
                    assert_int_equal(status, KV_OK);
                tried[flaw] += sample.flawed;
            } while (++sample.at < sample.fields);
        }
    for (int flaw = KV_FLAW_NOT_UTF8; flaw < KV_FLAW_COUNT; flaw++)
        assert_true(tried[flaw] > 5);
}

static void decoding_never_takes_more_than_its_budget(void **state)
{
    (void)state;
    for (size_t i = 0; i < kv_pb_spellings_count; i++) {
        const kv_pb_spelling *row = &kv_pb_spellings[i];
        KV_AUTO(kv_arena) samples = KV_ARENA(ROOM);
        kv_sample sample = { .type = method_of(row)->input };
        kv_slice body = kv_sample_make(&sample, &samples);
        kv_arena arena = KV_ARENA(ROOM);
        kv_error err;

        assert_int_equal(decode(row, body, &arena, NULL, &err), KV_OK);
        assert_true(arena.used <= 64 * 1024 + 8 * body.len + 2 * row->in_size + 8192);
        kv_arena_cleanup(&arena);

        arena = (kv_arena)KV_ARENA(row->in_size + 64);
        if (body.len > 200)
            assert_int_equal(decode(row, body, &arena, NULL, &err), KV_BUSY);
        kv_arena_cleanup(&arena);
    }
}

static void every_writer_writes_its_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < kv_pb_spellings_count; i++) {
        const kv_pb_spelling *row = &kv_pb_spellings[i];
        void *out = calloc(1, row->out_size);
        kv_error err = { 0 };
        kv_status status = KV_BUSY;
        size_t limit = 0;

        assert_non_null(out);
        /* With too little room it says so; then it works. */
        for (; status == KV_BUSY && limit < 16384; limit += 16) {
            KV_AUTO(kv_arena) arena = KV_ARENA(limit);
            ProtobufCMessage *message;
            kv_slice body;

            err = (kv_error){ 0 };
            status = row->encode(out, &arena, &body, &err);
            if (status != KV_OK)
                continue;
            message = protobuf_c_message_unpack(method_of(row)->output, NULL, body.len, body.data);
            assert_non_null(message);
            protobuf_c_message_free_unpacked(message, NULL);
        }
        if (status != KV_OK)
            fail_msg("%s: %s", row->path, err.message);
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_has_one_row),
        cmocka_unit_test(valid_messages_are_read),
        cmocka_unit_test(every_cut_is_survived),
        cmocka_unit_test(every_flaw_in_every_field_is_named),
        cmocka_unit_test(decoding_never_takes_more_than_its_budget),
        cmocka_unit_test(every_writer_writes_its_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
