/* test_pb_read.c - what a request says arrives in the struct of its operation, and what it must
 * say. */
#include "keyvault/v1/access.pb-c.h"
#include "keyvault/v1/audit.pb-c.h"
#include "keyvault/v1/certificates.pb-c.h"
#include "keyvault/v1/keys.pb-c.h"
#include "keyvault/v1/secrets.pb-c.h"
#include "keyvault/v1/vaults.pb-c.h"
#include "server/vault/messages/messages.h"
#include "server/wire/pb.h"
#include "tests/support/kv_cmocka.h"

#define ID "00112233445566778899aabbccddeeff"

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

static kv_slice pack(fixture *f, const ProtobufCMessage *message)
{
    uint8_t *bytes = kv_arena_alloc(&f->arena, protobuf_c_message_get_packed_size(message));

    assert_non_null(bytes);
    return kv_slice_of(bytes, protobuf_c_message_pack(message, bytes));
}

static kv_status read_into(fixture *f, kv_decode *decode, const ProtobufCMessage *message, void *in)
{
    f->err = (kv_error){ 0 };
    return decode(pack(f, message), &f->arena, in, &f->err);
}

#define assert_read(decode, request, in) \
    assert_kv_ok_with(read_into(f, decode, &(request).base, in), &f->err)
#define assert_refused(where, decode, request, in)                                   \
    do {                                                                             \
        assert_int_equal(read_into(f, decode, &(request).base, in), KV_BAD_REQUEST); \
        assert_string_equal(f->err.field, where);                                    \
        assert_true(f->err.message[0] != '\0');                                      \
    } while (0)

static ProtobufCBinaryData bytes(size_t len)
{
    static uint8_t zeros[2048];

    return (ProtobufCBinaryData){ .len = len, .data = zeros };
}

static void vault_settings_tell_absent_from_false(void **state)
{
    fixture *f = *state;
    Keyvault__V1__CreateVaultRequest m = KEYVAULT__V1__CREATE_VAULT_REQUEST__INIT;
    Keyvault__V1__UpdateVaultRequest update = KEYVAULT__V1__UPDATE_VAULT_REQUEST__INIT;
    Keyvault__V1__TagList no_tags = KEYVAULT__V1__TAG_LIST__INIT;
    Keyvault__V1__BlackoutList blackouts = KEYVAULT__V1__BLACKOUT_LIST__INIT;
    kv_vault_put_in in = { 0 };
    kv_vault_patch_in patch = { 0 };

    m.vault = "Prod";
    m.has_retention_days_case =
        KEYVAULT__V1__CREATE_VAULT_REQUEST__HAS_RETENTION_DAYS_RETENTION_DAYS;
    m.retention_days = 30;
    m.has_purge_protection_case =
        KEYVAULT__V1__CREATE_VAULT_REQUEST__HAS_PURGE_PROTECTION_PURGE_PROTECTION;
    assert_read(kv_pb_read_vault_put, m, &in);
    assert_slice_equal(KV_SLICE("Prod"), in.target.vault);
    assert_int_equal(in.target.collection, KV_COLLECTION_NONE);
    assert_true(in.has_retention_days);
    assert_int_equal(in.retention_days, 30);
    assert_true(in.has_purge_protection);
    assert_false(in.purge_protection);
    assert_false(in.has_default_exportable);

    update.vault = "Prod";
    assert_read(kv_pb_read_vault_patch, update, &patch);
    assert_false(patch.tags.given);
    update.tags = &no_tags;
    assert_read(kv_pb_read_vault_patch, update, &patch);
    assert_true(patch.tags.given);
    assert_int_equal(patch.tags.count, 0);
    assert_false(patch.has_blackouts);
    update.blackouts = &blackouts;
    assert_read(kv_pb_read_vault_patch, update, &patch);
    assert_true(patch.has_blackouts);
    assert_int_equal(patch.blackouts.count, 0);
}

static void a_key_is_asked_for(void **state)
{
    fixture *f = *state;
    Keyvault__V1__CreateKeyRequest m = KEYVAULT__V1__CREATE_KEY_REQUEST__INIT;
    Keyvault__V1__AttributesInput attributes = KEYVAULT__V1__ATTRIBUTES_INPUT__INIT;
    Keyvault__V1__Tag tag = KEYVAULT__V1__TAG__INIT;
    Keyvault__V1__Tag *tags[] = { &tag };
    Keyvault__V1__KeyOperation ops[] = { KEYVAULT__V1__KEY_OPERATION__KEY_OPERATION_SIGN,
                                         KEYVAULT__V1__KEY_OPERATION__KEY_OPERATION_VERIFY };
    kv_key_create_in in = { 0 };

    m.vault = "v";
    m.name = "Signer-1";
    assert_refused("kty", kv_pb_read_key_create, m, &in);
    m.kty = KEYVAULT__V1__KEY_TYPE__KEY_TYPE_EC;
    m.crv = KEYVAULT__V1__CURVE__CURVE_P384;
    m.key_ops = ops;
    m.n_key_ops = 2;
    attributes.has_enabled_case = KEYVAULT__V1__ATTRIBUTES_INPUT__HAS_ENABLED_ENABLED;
    attributes.has_expires_case = KEYVAULT__V1__ATTRIBUTES_INPUT__HAS_EXPIRES_EXPIRES;
    attributes.expires = 1700000000;
    m.attributes = &attributes;
    tag.name = "stage";
    tag.value = "pr\xc3\xbc"
                "fung";
    m.tags = tags;
    m.n_tags = 1;
    assert_read(kv_pb_read_key_create, m, &in);
    assert_slice_equal(KV_SLICE("Signer-1"), in.target.name);
    assert_int_equal(in.target.collection, KV_COLLECTION_KEYS);
    assert_int_equal(in.kty, KV_KEY_TYPE_EC);
    assert_int_equal(in.crv, KV_CURVE_P384);
    assert_int_equal(in.key_ops, KV_KEY_OP_SIGN | KV_KEY_OP_VERIFY);
    assert_true(in.attributes.has_enabled);
    assert_false(in.attributes.enabled);
    assert_false(in.attributes.has_not_before);
    assert_true(in.attributes.expires == INT64_C(1700000000000));
    assert_int_equal(in.tags.count, 1);
    assert_slice_equal(KV_SLICE("stage"), in.tags.items[0].name);
    assert_slice_equal(KV_SLICE("pr\xc3\xbc"
                                "fung"),
                       in.tags.items[0].value);

    attributes.expires = -1;
    assert_refused("attributes.expires", kv_pb_read_key_create, m, &in);
    attributes.expires = INT64_MAX;
    assert_refused("attributes.expires", kv_pb_read_key_create, m, &in);
    attributes.expires = 0;
    attributes.has_not_before_case = KEYVAULT__V1__ATTRIBUTES_INPUT__HAS_NOT_BEFORE_NOT_BEFORE;
    attributes.not_before = INT64_MIN;
    assert_refused("attributes.not_before", kv_pb_read_key_create, m, &in);
}

static void an_import_is_asked_for(void **state)
{
    fixture *f = *state;
    Keyvault__V1__ImportKeyRequest m = KEYVAULT__V1__IMPORT_KEY_REQUEST__INIT;
    Keyvault__V1__PrivateJsonWebKey key = KEYVAULT__V1__PRIVATE_JSON_WEB_KEY__INIT;
    kv_key_import_in in = { 0 };

    m.vault = "v";
    m.name = "k";
    assert_refused("key", kv_pb_read_key_import, m, &in);
    m.material_case = KEYVAULT__V1__IMPORT_KEY_REQUEST__MATERIAL_KEY;
    m.key = &key;
    assert_refused("key.kty", kv_pb_read_key_import, m, &in);
    key.kty = KEYVAULT__V1__KEY_TYPE__KEY_TYPE_OCT;
    key.k = bytes(32);
    assert_read(kv_pb_read_key_import, m, &in);
    assert_false(in.is_pkcs8);
    assert_int_equal(in.jwk.kty, KV_KEY_TYPE_OCT);
    assert_int_equal(in.jwk.k.len, 32);
    m.material_case = KEYVAULT__V1__IMPORT_KEY_REQUEST__MATERIAL_PKCS8;
    m.pkcs8 = bytes(100);
    assert_read(kv_pb_read_key_import, m, &in);
    assert_true(in.is_pkcs8);
    assert_int_equal(in.pkcs8.len, 100);
}

static void a_decryption_is_asked_for(void **state)
{
    fixture *f = *state;
    Keyvault__V1__DecryptRequest m = KEYVAULT__V1__DECRYPT_REQUEST__INIT;
    kv_key_decrypt_in in = { 0 };

    m.vault = "v";
    m.name = "k";
    assert_refused("algorithm", kv_pb_read_key_decrypt, m, &in);
    m.algorithm = KEYVAULT__V1__ENCRYPTION_ALGORITHM__ENCRYPTION_ALGORITHM_A256GCM;
    m.ciphertext = bytes(5);
    m.iv = bytes(12);
    m.tag = bytes(16);
    m.aad = bytes(3);
    assert_read(kv_pb_read_key_decrypt, m, &in);
    assert_string_equal(in.algorithm, "A256GCM");
    assert_int_equal(in.data.len, 5);
    assert_int_equal(in.iv.len, 12);
    assert_int_equal(in.tag.len, 16);
    assert_int_equal(in.aad.len, 3);
}

static void a_signature_is_asked_for(void **state)
{
    fixture *f = *state;
    Keyvault__V1__SignRequest m = KEYVAULT__V1__SIGN_REQUEST__INIT;
    kv_key_sign_in in = { 0 };

    m.vault = "v";
    m.name = "k";
    m.version = "0123456789abcdef0123456789abcdef";
    assert_refused("algorithm", kv_pb_read_key_sign, m, &in);
    m.algorithm = KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_ES512;
    assert_refused("digest", kv_pb_read_key_sign, m, &in);
    m.input_case = KEYVAULT__V1__SIGN_REQUEST__INPUT_DIGEST;
    m.digest = bytes(64);
    assert_read(kv_pb_read_key_sign, m, &in);
    assert_string_equal(in.algorithm, "ES512");
    assert_true(in.is_digest);
    assert_int_equal(in.data.len, 64);
    assert_slice_equal(KV_SLICE("0123456789abcdef0123456789abcdef"), in.target.version);

    m.input_case = KEYVAULT__V1__SIGN_REQUEST__INPUT_MESSAGE;
    m.message = bytes(0);
    m.algorithm = KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_RS256;
    assert_read(kv_pb_read_key_sign, m, &in);
    assert_string_equal(in.algorithm, "RS256");
    assert_false(in.is_digest);
    assert_int_equal(in.data.len, 0);
}

static void a_verification_is_asked_for(void **state)
{
    fixture *f = *state;
    Keyvault__V1__VerifyRequest m = KEYVAULT__V1__VERIFY_REQUEST__INIT;
    kv_key_verify_in in = { 0 };

    m.algorithm = KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_PS384;
    m.input_case = KEYVAULT__V1__VERIFY_REQUEST__INPUT_DIGEST;
    m.digest = bytes(48);
    assert_refused("signature", kv_pb_read_key_verify, m, &in);
    m.signature = bytes(1025);
    assert_refused("signature", kv_pb_read_key_verify, m, &in);
    m.signature = bytes(384);
    assert_read(kv_pb_read_key_verify, m, &in);
    assert_string_equal(in.algorithm, "PS384");
    assert_int_equal(in.signature.len, 384);
}

static void a_secret_keeps_its_bytes(void **state)
{
    fixture *f = *state;
    Keyvault__V1__SetSecretRequest m = KEYVAULT__V1__SET_SECRET_REQUEST__INIT;
    uint8_t value[] = { 0, 0xff, '\n', 0x80 };
    kv_secret_set_in in = { 0 };

    m.vault = "v";
    m.name = "s";
    m.value = (ProtobufCBinaryData){ .len = sizeof(value), .data = value };
    m.content_type = "text/plain";
    assert_read(kv_pb_read_secret_set, m, &in);
    assert_slice_equal(kv_slice_of(value, sizeof(value)), in.value);
    assert_slice_equal(KV_SLICE("text/plain"), in.content_type);
    assert_int_equal(in.target.collection, KV_COLLECTION_SECRETS);
}

static void a_password_is_text_of_200_bytes(void **state)
{
    fixture *f = *state;
    Keyvault__V1__GetSecretRequest m = KEYVAULT__V1__GET_SECRET_REQUEST__INIT;
    uint8_t password[201];
    kv_secret_get_in in = { 0 };

    memset(password, 'x', sizeof(password));
    m.vault = "v";
    m.name = "s";
    assert_read(kv_pb_read_secret_get, m, &in);
    assert_false(in.has_pfx_password);
    m.format = KEYVAULT__V1__SECRET_FORMAT__SECRET_FORMAT_PFX;
    m.has_pfx_password_case = KEYVAULT__V1__GET_SECRET_REQUEST__HAS_PFX_PASSWORD_PFX_PASSWORD;
    m.pfx_password = (ProtobufCBinaryData){ .len = 200, .data = password };
    assert_read(kv_pb_read_secret_get, m, &in);
    assert_true(in.has_pfx_password);
    assert_int_equal(in.format, KV_SECRET_FORMAT_PFX);
    assert_int_equal(in.pfx_password.len, 200);
    m.pfx_password.len = 201;
    assert_refused("pfx_password", kv_pb_read_secret_get, m, &in);
    m.pfx_password.len = 0;
    assert_read(kv_pb_read_secret_get, m, &in);
    assert_true(in.has_pfx_password);
    password[0] = 0;
    m.pfx_password.len = 1;
    assert_refused("pfx_password", kv_pb_read_secret_get, m, &in);
}

static void a_certificate_is_found_by_name_or_thumbprint(void **state)
{
    fixture *f = *state;
    Keyvault__V1__GetCertificateRequest m = KEYVAULT__V1__GET_CERTIFICATE_REQUEST__INIT;
    kv_certificate_get_in by_name = { 0 }, by_sha1 = { 0 }, by_sha256 = { 0 };

    m.vault = "v";
    assert_refused("name", kv_pb_read_certificate_get, m, &by_name);
    m.by_case = KEYVAULT__V1__GET_CERTIFICATE_REQUEST__BY_NAME;
    m.name = "web";
    m.version = "0123456789abcdef0123456789abcdef";
    assert_read(kv_pb_read_certificate_get, m, &by_name);
    assert_slice_equal(KV_SLICE("web"), by_name.target.name);
    assert_int_equal(by_name.target.version.len, 32);

    m.by_case = KEYVAULT__V1__GET_CERTIFICATE_REQUEST__BY_X5T;
    m.x5t = bytes(20);
    assert_refused("version", kv_pb_read_certificate_get, m, &by_sha1);
    m.version = "";
    assert_read(kv_pb_read_certificate_get, m, &by_sha1);
    assert_int_equal(by_sha1.x5t.len, 20);
    assert_int_equal(by_sha1.target.name.len, 0);
    m.x5t = bytes(21);
    assert_refused("x5t", kv_pb_read_certificate_get, m, &by_sha1);

    m.by_case = KEYVAULT__V1__GET_CERTIFICATE_REQUEST__BY_X5T_S256;
    m.x5t_s256 = bytes(32);
    assert_read(kv_pb_read_certificate_get, m, &by_sha256);
    assert_int_equal(by_sha256.x5t_s256.len, 32);
    m.x5t_s256 = bytes(0);
    assert_refused("x5t_s256", kv_pb_read_certificate_get, m, &by_sha256);
}

static void pages_are_asked_for(void **state)
{
    fixture *f = *state;
    Keyvault__V1__ListKeyVersionsRequest m = KEYVAULT__V1__LIST_KEY_VERSIONS_REQUEST__INIT;
    kv_key_list_versions_in in = { 0 };

    m.vault = "v";
    m.name = "k";
    m.page_size = 1000;
    m.page_token = bytes(9);
    assert_read(kv_pb_read_key_list_versions, m, &in);
    assert_slice_equal(KV_SLICE("v"), in.target.vault);
    assert_slice_equal(KV_SLICE("k"), in.target.name);
    assert_int_equal(in.page.size, 1000);
    assert_int_equal(in.page.token.len, 9);
}

static void roles_are_named_once(void **state)
{
    fixture *f = *state;
    Keyvault__V1__IssueRoleTokenRequest m = KEYVAULT__V1__ISSUE_ROLE_TOKEN_REQUEST__INIT;
    Keyvault__V1__Role roles[] = { KEYVAULT__V1__ROLE__ROLE_CRYPTO_USER,
                                   KEYVAULT__V1__ROLE__ROLE_READER };
    kv_role_token_issue_in in = { 0 };

    m.scope = "/vaults/v";
    assert_refused("roles", kv_pb_read_role_token_issue, m, &in);
    m.roles = roles;
    m.n_roles = 2;
    m.ttl_seconds = 900;
    assert_read(kv_pb_read_role_token_issue, m, &in);
    assert_int_equal(in.request.role_count, 2);
    assert_int_equal(in.request.roles[0], KV_ROLE_CRYPTO_USER);
    assert_int_equal(in.request.roles[1], KV_ROLE_READER);
    assert_true(in.request.ttl_ms == 900000);
    assert_slice_equal(KV_SLICE("/vaults/v"), in.request.scope);
    roles[1] = KEYVAULT__V1__ROLE__ROLE_CRYPTO_USER;
    assert_refused("roles", kv_pb_read_role_token_issue, m, &in);
}

static void ids_are_hexadecimal(void **state)
{
    static const uint8_t id[16] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                    0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
    fixture *f = *state;
    Keyvault__V1__AssignRoleRequest m = KEYVAULT__V1__ASSIGN_ROLE_REQUEST__INIT;
    kv_role_assign_in in = { 0 };

    m.principal_id = ID;
    m.scope = "/";
    assert_refused("role", kv_pb_read_role_assign, m, &in);
    m.role = KEYVAULT__V1__ROLE__ROLE_AUDITOR;
    m.expires = 1700000000;
    assert_read(kv_pb_read_role_assign, m, &in);
    assert_slice_equal(kv_slice_of(id, 16), in.assignment.principal_id);
    assert_int_equal(in.assignment.role, KV_ROLE_AUDITOR);
    assert_true(in.assignment.ends_ms == INT64_C(1700000000000));
    m.principal_id = "";
    assert_refused("principal_id", kv_pb_read_role_assign, m, &in);
    m.principal_id = "0011223344556677889 aabbccddeeff";
    assert_refused("principal_id", kv_pb_read_role_assign, m, &in);
    m.principal_id = ID "00";
    assert_refused("principal_id", kv_pb_read_role_assign, m, &in);
}

static void credentials_are_described(void **state)
{
    fixture *f = *state;
    Keyvault__V1__AddCredentialRequest m = KEYVAULT__V1__ADD_CREDENTIAL_REQUEST__INIT;
    Keyvault__V1__ListCredentialsRequest list = KEYVAULT__V1__LIST_CREDENTIALS_REQUEST__INIT;
    kv_credential_add_in in = { 0 };
    kv_credential_list_in of = { 0 };

    m.principal_id = ID;
    m.value = "spiffe://example.org/web";
    assert_refused("name_type", kv_pb_read_credential_add, m, &in);
    m.name_type = KEYVAULT__V1__CREDENTIAL_NAME_TYPE__CREDENTIAL_NAME_TYPE_URI;
    assert_read(kv_pb_read_credential_add, m, &in);
    assert_int_equal(in.mapping.ca_sha256.len, 0);
    assert_int_equal(in.mapping.name_type, KV_NAME_URI);
    assert_slice_equal(KV_SLICE("spiffe://example.org/web"), in.mapping.value);
    m.ca_sha256 = bytes(20);
    assert_refused("ca_sha256", kv_pb_read_credential_add, m, &in);
    m.ca_sha256 = bytes(32);
    assert_read(kv_pb_read_credential_add, m, &in);
    assert_int_equal(in.mapping.ca_sha256.len, 32);

    assert_refused("principal_id", kv_pb_read_credential_list, list, &of);
    list.vault = "v";
    assert_read(kv_pb_read_credential_list, list, &of);
    assert_slice_equal(KV_SLICE("v"), of.vault);
    list.principal_id = ID;
    assert_refused("principal_id", kv_pb_read_credential_list, list, &of);
}

static void a_search_needs_a_time_range(void **state)
{
    fixture *f = *state;
    Keyvault__V1__SearchAuditRequest m = KEYVAULT__V1__SEARCH_AUDIT_REQUEST__INIT;
    kv_audit_search_in in = { 0 };

    assert_refused("from_ms", kv_pb_read_audit_search, m, &in);
    m.from_ms = 5;
    assert_refused("to_ms", kv_pb_read_audit_search, m, &in);
    m.to_ms = 5;
    assert_refused("to_ms", kv_pb_read_audit_search, m, &in);
    m.to_ms = 6;
    m.collection = "keyz";
    assert_refused("collection", kv_pb_read_audit_search, m, &in);
    m.collection = "secrets";
    m.vault = "v";
    m.principal_id = ID;
    m.has_succeeded_case = KEYVAULT__V1__SEARCH_AUDIT_REQUEST__HAS_SUCCEEDED_SUCCEEDED;
    assert_read(kv_pb_read_audit_search, m, &in);
    assert_int_equal(in.target.collection, KV_COLLECTION_SECRETS);
    assert_slice_equal(KV_SLICE("v"), in.target.vault);
    assert_true(in.has_principal);
    assert_int_equal(in.principal_id[15], 0xff);
    assert_true(in.has_succeeded);
    assert_false(in.succeeded);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(vault_settings_tell_absent_from_false),
        TEST(a_key_is_asked_for),
        TEST(a_signature_is_asked_for),
        TEST(an_import_is_asked_for),
        TEST(a_decryption_is_asked_for),
        TEST(a_verification_is_asked_for),
        TEST(a_secret_keeps_its_bytes),
        TEST(a_password_is_text_of_200_bytes),
        TEST(a_certificate_is_found_by_name_or_thumbprint),
        TEST(pages_are_asked_for),
        TEST(roles_are_named_once),
        TEST(ids_are_hexadecimal),
        TEST(credentials_are_described),
        TEST(a_search_needs_a_time_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
