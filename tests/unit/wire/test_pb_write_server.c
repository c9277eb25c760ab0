/* test_pb_write_server.c - the answers about access, the audit log and the server itself. */
#include "keyvault/v1/access.pb-c.h"
#include "keyvault/v1/audit.pb-c.h"
#include "keyvault/v1/common.pb-c.h"
#include "server/vault/messages/messages.h"
#include "server/wire/pb.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/wire/written.h"

#define S(text) KV_SLICE(text)

static const uint8_t id16[16] = { 0xab, [15] = 0x01 };
#define ID16     kv_slice_of(id16, 16)
#define ID16_HEX "ab000000000000000000000000000001"

static void who_and_what(void **state)
{
    kv_role roles[] = { KV_ROLE_CRYPTO_USER };
    kv_assignment assignments[] = { { .id = ID16,
                                      .principal_id = ID16,
                                      .role = KV_ROLE_READER,
                                      .scope = S("/vaults/v"),
                                      .ends_ms = 9000 } };
    kv_caller_bundle caller = { .principal = { .id = ID16,
                                               .name = S("web"),
                                               .kind = KV_PRINCIPAL_SERVICE,
                                               .enabled = true,
                                               .epoch = 7 },
                                .certificate_sha256 = S("thumb"),
                                .assignments = { .items = assignments, .count = 1 },
                                .token_roles = roles,
                                .token_role_count = 1,
                                .token_scope = S("/"),
                                .token_expires_ms = 3000 };
    kv_role_token_bundle token = {
        .issued = { .token = S("a.b.c"), .jti = ID16, .expires_ms = 4000, .scope = S("/") },
        .roles = roles,
        .role_count = 1
    };
    Keyvault__V1__WhoAmIResponse *who;
    Keyvault__V1__RoleToken *got;

    (void)state;
    who = written(kv_pb_write_caller_bundle, &caller, &keyvault__v1__who_am_iresponse__descriptor);
    assert_string_equal(who->principal->id, ID16_HEX);
    assert_string_equal(who->principal->display_name, "web");
    assert_int_equal(who->principal->kind, KEYVAULT__V1__PRINCIPAL_KIND__PRINCIPAL_KIND_SERVICE);
    assert_true(who->principal->enabled);
    assert_true(who->principal->epoch == 7);
    assert_bytes(S("thumb"), who->certificate_sha256);
    assert_string_equal(who->assignments[0]->id, ID16_HEX);
    assert_int_equal(who->assignments[0]->role, KEYVAULT__V1__ROLE__ROLE_READER);
    assert_string_equal(who->assignments[0]->scope, "/vaults/v");
    assert_true(who->assignments[0]->expires == 9);
    assert_int_equal(who->token_roles[0], KEYVAULT__V1__ROLE__ROLE_CRYPTO_USER);
    assert_true(who->token_expires == 3);
    done(who);
    got = written(kv_pb_write_role_token_bundle, &token, &keyvault__v1__role_token__descriptor);
    assert_string_equal(got->token, "a.b.c");
    assert_string_equal(got->jti, ID16_HEX);
    assert_true(got->expires == 4);
    assert_int_equal(got->roles[0], KEYVAULT__V1__ROLE__ROLE_CRYPTO_USER);
    done(got);
}

static void credentials_and_roles(void **state)
{
    kv_credential items[] = { { .id = ID16,
                                .principal_id = ID16,
                                .kind = KV_CREDENTIAL_MANAGEMENT,
                                .certificate_sha256 = S("thumb"),
                                .certificate = S("der"),
                                .vault = S("v"),
                                .not_after_ms = 5000 } };
    kv_credential_list list = { .items = items, .count = 1, .next = S("n") };
    const kv_slice permissions[] = { S("keys/sign") };
    const kv_role excludes[] = { KV_ROLE_CRYPTO_OFFICER };
    kv_role_line line = { .role = KV_ROLE_CRYPTO_USER,
                          .name = S("crypto-user"),
                          .permissions = permissions,
                          .permission_count = 1,
                          .excludes = excludes,
                          .exclude_count = 1 };
    kv_role_lines lines = { .items = &line, .count = 1 };
    Keyvault__V1__ListCredentialsResponse *got;
    Keyvault__V1__ListRolesResponse *roles;

    (void)state;
    got = written(kv_pb_write_credential_list, &list,
                  &keyvault__v1__list_credentials_response__descriptor);
    assert_int_equal(got->credentials[0]->kind,
                     KEYVAULT__V1__CREDENTIAL_KIND__CREDENTIAL_KIND_MANAGEMENT);
    assert_string_equal(got->credentials[0]->principal_id, ID16_HEX);
    assert_string_equal(got->credentials[0]->registered_by, "");
    assert_bytes(S("der"), got->credentials[0]->certificate);
    assert_true(got->credentials[0]->not_after == 5);
    assert_bytes(S("n"), got->next_page_token);
    done(got);
    roles = written(kv_pb_write_role_lines, &lines, &keyvault__v1__list_roles_response__descriptor);
    assert_string_equal(roles->roles[0]->name, "crypto-user");
    assert_string_equal(roles->roles[0]->permissions[0], "keys/sign");
    assert_int_equal(roles->roles[0]->excludes[0], KEYVAULT__V1__ROLE__ROLE_CRYPTO_OFFICER);
    done(roles);
}

static void the_audit_log(void **state)
{
    kv_audit_record record = { .sequence = 42,
                               .node = { 0xab, [15] = 1 },
                               .entry = { .time_ms = 123456,
                                          .has_principal = true,
                                          .principal_id = { 9 },
                                          .operation = "KeySign",
                                          .vault = S("v"),
                                          .collection = S("keys"),
                                          .status = KV_DENIED,
                                          .reason = KV_REASON_PERMISSION_MISSING,
                                          .change_count = 1,
                                          .changes = { { "vaults", "prod", 3 } } } };
    kv_audit_chunk chunk = { .offset = 77, .bytes = S("raw"), .name = "1.kva" };
    Keyvault__V1__AuditRecord *got;
    Keyvault__V1__AuditChunk *part;

    (void)state;
    got = written(kv_pb_write_audit_record, &record, &keyvault__v1__audit_record__descriptor);
    assert_true(got->sequence == 42);
    assert_string_equal(got->node, ID16_HEX);
    assert_true(got->time_ms == 123456);
    assert_int_equal(got->principal_id.len, 16);
    assert_int_equal(got->certificate_sha256.len, 0);
    assert_string_equal(got->operation, "KeySign");
    assert_int_equal(got->status, 7);
    assert_string_equal(got->reason, "PERMISSION_MISSING");
    assert_int_equal(got->key_id.len, 0);
    assert_string_equal(got->changes[0]->table, "vaults");
    assert_string_equal(got->changes[0]->key, "prod");
    assert_true(got->changes[0]->generation == 3);
    done(got);
    part = written(kv_pb_write_audit_chunk, &chunk, &keyvault__v1__audit_chunk__descriptor);
    assert_string_equal(part->segment, "1.kva");
    assert_true(part->offset == 77);
    assert_bytes(S("raw"), part->data);
    done(part);
}

static void the_state_of_the_server(void **state)
{
    kv_token_line token = { .duty = S("keys"), .state = S("up"), .since = 4000 };
    kv_server_status status = { .version = S("0.1.0"),
                                .node = S("n"),
                                .started = 1000,
                                .uptime_seconds = 3,
                                .tokens = &token,
                                .token_count = 1,
                                .store_backend = S("sqlite"),
                                .schema_version = 2,
                                .audit_state = S("up"),
                                .audit_head_sequence = 9 };
    kv_audit_state audit = { .node = ID16,
                             .head_sequence = 9,
                             .checkpoint_sequence = 8,
                             .kid = S("kid"),
                             .public_key = S("spki"),
                             .anchored = true };
    Keyvault__V1__ServerStatus *got;
    Keyvault__V1__AuditStatus *log;

    (void)state;
    got = written(kv_pb_write_server_status, &status, &keyvault__v1__server_status__descriptor);
    assert_string_equal(got->version, "0.1.0");
    assert_string_equal(got->tokens[0]->duty, "keys");
    assert_true(got->tokens[0]->since == 4);
    assert_string_equal(got->store->backend, "sqlite");
    assert_int_equal(got->store->schema_version, 2);
    assert_true(got->audit->head_sequence == 9);
    done(got);
    log = written(kv_pb_write_audit_state, &audit, &keyvault__v1__audit_status__descriptor);
    assert_string_equal(log->node, ID16_HEX);
    assert_true(log->checkpoint_sequence == 8);
    assert_string_equal(log->kid, "kid");
    assert_bytes(S("spki"), log->public_key);
    assert_true(log->anchored);
    assert_false(log->failed);
    done(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_and_what),
        cmocka_unit_test(credentials_and_roles),
        cmocka_unit_test(the_audit_log),
        cmocka_unit_test(the_state_of_the_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
