/* test_pb_write.c - what an operation answers arrives in its message. */
#include "keyvault/v1/certificates.pb-c.h"
#include "keyvault/v1/keys.pb-c.h"
#include "keyvault/v1/secrets.pb-c.h"
#include "keyvault/v1/vaults.pb-c.h"
#include "server/vault/messages/messages.h"
#include "server/wire/pb.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/wire/written.h"

#define S(text) KV_SLICE(text)

static const uint8_t id16[16] = { 0xab, [15] = 0x01 };
#define ID16     kv_slice_of(id16, 16)
#define ID16_HEX "ab000000000000000000000000000001"

/* A constant, as a compound literal is not. */
#define TEXT(text)                                \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
static const kv_tag tag_items[] = { { TEXT("a"), TEXT("1") }, { TEXT("b"), TEXT("") } };

static kv_attributes attributes(void)
{
    return (kv_attributes){ .enabled = true,
                            .expires = 1800000000999,
                            .created = 1700000000001,
                            .updated = 1700000001000,
                            .recovery_level = S("Recoverable+Purgeable"),
                            .recoverable_days = 90 };
}

static void assert_attributes(const Keyvault__V1__Attributes *got)
{
    assert_non_null(got);
    assert_true(got->enabled);
    assert_int_equal(got->has_not_before_case, 0);
    assert_true(got->has_expires_case != 0);
    assert_true(got->expires == 1800000000);
    assert_true(got->created == 1700000000);
    assert_true(got->updated == 1700000001);
    assert_string_equal(got->recovery_level, "Recoverable+Purgeable");
    assert_int_equal(got->recoverable_days, 90);
}

static void a_vault_and_a_list_of_them(void **state)
{
    kv_vault_bundle vaults[2] = {
        { .name = S("Prod"), .retention_days = 90, .purge_protection = true, .created = 5000 },
        { .name = S("Old"),
          .default_exportable = true,
          .tags = { .items = tag_items, .count = 2 },
          .deletion = { 7000, 8000 } },
    };
    kv_vault_list list = { .items = vaults, .count = 2, .next_page_token = S("more") };
    Keyvault__V1__ListVaultsResponse *got;

    (void)state;
    got = written(kv_pb_write_vault_list, &list, &keyvault__v1__list_vaults_response__descriptor);
    assert_int_equal(got->n_vaults, 2);
    assert_string_equal(got->vaults[0]->name, "Prod");
    assert_int_equal(got->vaults[0]->retention_days, 90);
    assert_true(got->vaults[0]->purge_protection);
    assert_false(got->vaults[0]->default_exportable);
    assert_true(got->vaults[0]->created == 5);
    assert_null(got->vaults[0]->deletion);
    assert_true(got->vaults[1]->default_exportable);
    assert_int_equal(got->vaults[1]->n_tags, 2);
    assert_string_equal(got->vaults[1]->tags[0]->name, "a");
    assert_string_equal(got->vaults[1]->tags[0]->value, "1");
    assert_true(got->vaults[1]->deletion->deleted_date == 7);
    assert_true(got->vaults[1]->deletion->scheduled_purge_date == 8);
    assert_bytes(S("more"), got->next_page_token);
    done(got);
}

static void a_key(void **state)
{
    kv_key_bundle key = {
        .id = { S("v"), S("k"), S("0123") },
        .key = { .kty = KV_KEY_TYPE_EC, .crv = KV_CURVE_P256, .x = S("xx"), .y = S("yy") },
        .spki = S("\x30\x00"),
        .key_size = 256,
        .key_ops = KV_KEY_OP_SIGN | KV_KEY_OP_UNWRAP_KEY,
        .attributes = attributes(),
        .tags = { .items = tag_items, .count = 1 },
        .managed = true,
        .attestation = { .local = true,
                         .never_extractable = true,
                         .origin = S("generated"),
                         .key_id = ID16 },
    };
    Keyvault__V1__KeyBundle *got;

    (void)state;
    got = written(kv_pb_write_key_bundle, &key, &keyvault__v1__key_bundle__descriptor);
    assert_string_equal(got->id->vault, "v");
    assert_string_equal(got->id->name, "k");
    assert_string_equal(got->id->version, "0123");
    assert_int_equal(got->key->kty, KEYVAULT__V1__KEY_TYPE__KEY_TYPE_EC);
    assert_int_equal(got->key->crv, KEYVAULT__V1__CURVE__CURVE_P256);
    assert_bytes(S("xx"), got->key->x);
    assert_bytes(S("yy"), got->key->y);
    assert_int_equal(got->key->n.len, 0);
    assert_bytes(S("\x30\x00"), got->spki);
    assert_int_equal(got->key_size, 256);
    assert_int_equal(got->n_key_ops, 2);
    assert_int_equal(got->key_ops[0], KEYVAULT__V1__KEY_OPERATION__KEY_OPERATION_SIGN);
    assert_int_equal(got->key_ops[1], KEYVAULT__V1__KEY_OPERATION__KEY_OPERATION_UNWRAP_KEY);
    assert_attributes(got->attributes);
    assert_int_equal(got->n_tags, 1);
    assert_true(got->managed);
    assert_false(got->exportable);
    assert_true(got->attestation->local);
    assert_true(got->attestation->never_extractable);
    assert_false(got->attestation->always_sensitive);
    assert_string_equal(got->attestation->origin, "generated");
    assert_bytes(ID16, got->attestation->key_id);
    assert_null(got->deletion);
    done(got);
}

static void a_signature_and_its_verification(void **state)
{
    static const char *const names[] = { "RS256", "RS384", "RS512", "PS256", "PS384",
                                         "PS512", "ES256", "ES384", "ES512", "ES256K",
                                         "EdDSA", "HS256", "HS384", "HS512" };
    kv_verification verification = { .id = { S("v"), S("k"), S("1") }, .valid = true };
    Keyvault__V1__VerifyResponse *valid;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(names); i++) {
        kv_signature signature = { .id = { S("v"), S("k"), S("1") },
                                   .algorithm = names[i],
                                   .signature = S("sig") };
        Keyvault__V1__SignResponse *got =
            written(kv_pb_write_signature, &signature, &keyvault__v1__sign_response__descriptor);

        assert_int_equal(got->algorithm, i + 1);
        assert_bytes(S("sig"), got->signature);
        assert_string_equal(got->id->version, "1");
        done(got);
    }
    valid = written(kv_pb_write_verification, &verification,
                    &keyvault__v1__verify_response__descriptor);
    assert_true(valid->valid);
    assert_string_equal(valid->id->name, "k");
    done(valid);
}

static void what_was_encrypted(void **state)
{
    static const char *const names[] = {
        "RSA-OAEP",
        "RSA-OAEP-256",
        "RSA1_5",
        "A128GCM",
        "A192GCM",
        "A256GCM",
        "A128CBC",
        "A192CBC",
        "A256CBC",
        "A128CBCPAD",
        "A192CBCPAD",
        "A256CBCPAD",
        "A128KW",
        "A192KW",
        "A256KW",
        "CKM_AES_KEY_WRAP",
        "CKM_AES_KEY_WRAP_PAD",
    };
    kv_key_ciphered from = { .id = { S("v"), S("k"), S("1") },
                             .data = S("data"),
                             .iv = S("iv"),
                             .tag = S("tag"),
                             .aad = S("aad") };
    Keyvault__V1__DecryptResponse *opened;

    (void)state;
    for (size_t i = 0; i < KV_COUNT(names); i++) {
        Keyvault__V1__EncryptResponse *got;

        from.algorithm = names[i];
        got = written(kv_pb_write_encrypted, &from, &keyvault__v1__encrypt_response__descriptor);
        assert_int_equal(got->algorithm, i + 1);
        assert_bytes(S("data"), got->ciphertext);
        assert_bytes(S("iv"), got->iv);
        assert_bytes(S("tag"), got->tag);
        assert_bytes(S("aad"), got->aad);
        assert_string_equal(got->id->version, "1");
        done(got);
    }
    opened = written(kv_pb_write_decrypted, &from, &keyvault__v1__decrypt_response__descriptor);
    assert_bytes(S("data"), opened->plaintext);
    done(opened);
}

static void a_secret(void **state)
{
    kv_secret_bundle secret = { .id = { S("v"), S("s"), S("1") },
                                .value = KV_SLICE("\0\xff\n"),
                                .content_type = S("application/x-pkcs12"),
                                .attributes = attributes(),
                                .managed = true,
                                .kid = { S("v"), S("k"), S("1") } };
    Keyvault__V1__SecretBundle *got;

    (void)state;
    got = written(kv_pb_write_secret_bundle, &secret, &keyvault__v1__secret_bundle__descriptor);
    assert_bytes(KV_SLICE("\0\xff\n"), got->value);
    assert_string_equal(got->content_type, "application/x-pkcs12");
    assert_attributes(got->attributes);
    assert_true(got->managed);
    assert_string_equal(got->kid->name, "k");
    assert_null(got->deletion);
    done(got);
}

static void the_three_lists(void **state)
{
    kv_object_item items[1] = { { .id = { S("v"), S("o"), S("1") },
                                  .attributes = attributes(),
                                  .tags = { .items = tag_items, .count = 2 },
                                  .deletion = { 1000, 2000 },
                                  .managed = true,
                                  .content_type = S("text/plain"),
                                  .x5t = S("sha1"),
                                  .x5t_s256 = S("sha256"),
                                  .subject = S("CN=o") } };
    kv_object_list list = { .items = items, .count = 1, .next_page_token = S("n") };
    Keyvault__V1__ListKeysResponse *keys;
    Keyvault__V1__ListSecretsResponse *secrets;
    Keyvault__V1__ListCertificatesResponse *certificates;

    (void)state;
    keys = written(kv_pb_write_key_list, &list, &keyvault__v1__list_keys_response__descriptor);
    assert_true(keys->items[0]->managed);
    assert_attributes(keys->items[0]->attributes);
    assert_int_equal(keys->items[0]->n_tags, 2);
    assert_true(keys->items[0]->deletion->deleted_date == 1);
    assert_bytes(S("n"), keys->next_page_token);
    done(keys);
    secrets =
        written(kv_pb_write_secret_list, &list, &keyvault__v1__list_secrets_response__descriptor);
    assert_string_equal(secrets->items[0]->content_type, "text/plain");
    assert_string_equal(secrets->items[0]->id->name, "o");
    assert_true(secrets->items[0]->managed);
    done(secrets);
    certificates = written(kv_pb_write_certificate_list, &list,
                           &keyvault__v1__list_certificates_response__descriptor);
    assert_bytes(S("sha1"), certificates->items[0]->x5t);
    assert_bytes(S("sha256"), certificates->items[0]->x5t_s256);
    assert_string_equal(certificates->items[0]->subject, "CN=o");
    assert_true(certificates->items[0]->deletion->scheduled_purge_date == 2);
    done(certificates);
}

static void a_certificate_operation(void **state)
{
    const kv_slice warnings[] = { S("valid for more than 90 days") };
    kv_certificate_operation operation = { .id = { S("v"), S("c"), S("1") },
                                           .issuer_name = S("Self"),
                                           .csr = S("csr"),
                                           .cancellation_requested = true,
                                           .status = S("failed"),
                                           .status_details = S("details"),
                                           .error_code = S("Request rejected"),
                                           .error_message = S("no"),
                                           .request_id = S(ID16_HEX),
                                           .created = 1000,
                                           .updated = 2000,
                                           .warnings = { .items = warnings, .count = 1 } };
    Keyvault__V1__CertificateOperation *got;

    (void)state;
    got = written(kv_pb_write_certificate_operation, &operation,
                  &keyvault__v1__certificate_operation__descriptor);
    assert_string_equal(got->status, "failed");
    assert_string_equal(got->status_details, "details");
    assert_string_equal(got->issuer->name, "Self");
    assert_bytes(S("csr"), got->csr);
    assert_true(got->cancellation_requested);
    assert_string_equal(got->error->code, "Request rejected");
    assert_string_equal(got->error->message, "no");
    assert_null(got->target);
    assert_string_equal(got->request_id, ID16_HEX);
    assert_true(got->updated == 2);
    assert_int_equal(got->n_warnings, 1);
    assert_string_equal(got->warnings[0], "valid for more than 90 days");
    done(got);
    operation.error_code = KV_SLICE_NONE;
    operation.target = operation.id;
    got = written(kv_pb_write_certificate_operation, &operation,
                  &keyvault__v1__certificate_operation__descriptor);
    assert_null(got->error);
    assert_string_equal(got->target->name, "c");
    done(got);
}

static void a_certificate_and_its_chain(void **state)
{
    const kv_slice ders[] = { S("leaf"), S("ca") };
    kv_certificate_bundle bundle = { .id = { S("v"), S("c"), S("1") },
                                     .kid = { S("v"), S("c"), S("1") },
                                     .x5t = S("sha1"),
                                     .x5t_s256 = S("sha256"),
                                     .cer = S("der"),
                                     .has_policy = true,
                                     .content_type = S("application/x-pkcs12"),
                                     .attributes = attributes(),
                                     .pending = true,
                                     .subject = S("CN=a"),
                                     .issuer = S("CN=b"),
                                     .serial_number = S("\x01\x00"),
                                     .key_known_outside = true };
    kv_certificate_chain chain = { .format = KV_CHAIN_PKCS7,
                                   .certificates = { .items = ders, .count = 2 },
                                   .encoded = S("p7") };
    Keyvault__V1__CertificateBundle *got;
    Keyvault__V1__CertificateChain *certificates;

    (void)state;
    got = written(kv_pb_write_certificate_bundle, &bundle,
                  &keyvault__v1__certificate_bundle__descriptor);
    assert_bytes(S("der"), got->cer);
    assert_bytes(S("sha1"), got->x5t);
    assert_bytes(S("sha256"), got->x5t_s256);
    assert_non_null(got->kid);
    assert_null(got->sid);
    assert_non_null(got->policy);
    assert_attributes(got->attributes);
    assert_true(got->pending);
    assert_string_equal(got->subject, "CN=a");
    assert_string_equal(got->issuer, "CN=b");
    assert_bytes(S("\x01\x00"), got->serial_number);
    assert_true(got->key_known_outside);
    done(got);
    bundle.has_policy = false;
    got = written(kv_pb_write_certificate_bundle, &bundle,
                  &keyvault__v1__certificate_bundle__descriptor);
    assert_null(got->policy);
    done(got);
    certificates = written(kv_pb_write_certificate_chain, &chain,
                           &keyvault__v1__certificate_chain__descriptor);
    assert_int_equal(certificates->format, KEYVAULT__V1__CHAIN_FORMAT__CHAIN_FORMAT_PKCS7);
    assert_int_equal(certificates->n_certificates, 2);
    assert_bytes(S("ca"), certificates->certificates[1]);
    assert_bytes(S("p7"), certificates->encoded);
    done(certificates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vault_and_a_list_of_them),
        cmocka_unit_test(a_key),
        cmocka_unit_test(a_signature_and_its_verification),
        cmocka_unit_test(what_was_encrypted),
        cmocka_unit_test(a_secret),
        cmocka_unit_test(the_three_lists),
        cmocka_unit_test(a_certificate_operation),
        cmocka_unit_test(a_certificate_and_its_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
