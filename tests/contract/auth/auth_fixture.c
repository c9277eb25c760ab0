/* auth_fixture.c - a store in a temporary folder, a kv_auth on it, and people who call. */
#include "tests/contract/auth/auth_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/sha.h>
#include <sqlite3.h>

#include "server/base/text.h"

static const uint8_t instance[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static const char kid[] = "00112233445566778899aabbccddeeff";

made_certificate *fixture_client(auth_fixture *fixture, const char *name, const char *alternative)
{
    return make_certificate(&(certificate_shape){ .name = name,
                                                  .alternative = alternative,
                                                  .usage = "clientAuth",
                                                  .from_s = FIXTURE_NOW_S - 86400,
                                                  .until_s = FIXTURE_NOW_S + 86400,
                                                  .issuer = fixture->ca });
}

made_certificate *fixture_self_signed(const char *name)
{
    return make_certificate(&(certificate_shape){
        .name = name, .from_s = FIXTURE_NOW_S - 86400, .until_s = FIXTURE_NOW_S + 86400 });
}

static void open_store(auth_fixture *fixture)
{
    char url[160];
    kv_error err = { 0 };
    kv_records_config config;

    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/kv_auth_XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->database, sizeof(fixture->database), "%s/store.db", fixture->folder);
    snprintf(url, sizeof(url), "sqlite:%s", fixture->database);
    assert_kv_ok(kv_store_open(url, true, &fixture->store, &err));
    fixture->sealer = kv_software_sealer_new();
    config = (kv_records_config){ .store = fixture->store,
                                  .sealer = kv_software_sealer_lend(fixture->sealer),
                                  .instance = kv_slice_of(instance, sizeof(instance)) };
    assert_kv_ok(kv_records_open(&config, &fixture->records, &err));
}

static kv_status open_auth(auth_fixture *fixture, kv_error *err)
{
    kv_role_token_key key = test_signer_key(fixture->signer);
    kv_slice ca = der_of(fixture->ca);
    kv_auth_config config = { .records = fixture->records,
                              .signer = test_signer_lend(fixture->signer),
                              .keys = &key,
                              .key_count = 1,
                              .client_cas = &ca,
                              .client_ca_count = 1,
                              .issuer = KV_SLICE("keyvault:test"),
                              .separation = fixture->separation };

    return kv_auth_open(&config, &fixture->auth, err);
}

int auth_fixture_setup(void **state)
{
    auth_fixture *fixture = calloc(1, sizeof(*fixture));
    kv_error err = { 0 };

    fixture->arena = KV_ARENA(64 << 20);
    fixture->now_ms = FIXTURE_NOW_S * 1000;
    open_store(fixture);
    fixture->signer = test_signer_new(kid);
    fixture->ca = make_certificate(&(certificate_shape){ .name = "Clients",
                                                         .ca = true,
                                                         .from_s = FIXTURE_NOW_S - 864000,
                                                         .until_s = FIXTURE_NOW_S + 864000 });
    fixture->admin = fixture_self_signed("Root");
    assert_kv_ok(kv_auth_bootstrap(fixture->records, (kv_commit){ fixture_commit, fixture },
                                   der_of(fixture->admin), KV_SLICE("Root"), fixture->now_ms,
                                   &fixture->arena, &fixture->admin_principal, &err));
    assert_kv_ok(open_auth(fixture, &err));
    *state = fixture;
    return 0;
}

kv_status auth_fixture_reopen(auth_fixture *fixture, kv_error *err)
{
    kv_records_config config = { .store = fixture->store,
                                 .sealer = kv_software_sealer_lend(fixture->sealer),
                                 .instance = kv_slice_of(instance, sizeof(instance)) };

    /* The records watch for the old one and would tell it of changes. */
    kv_auth_close(fixture->auth);
    fixture->auth = NULL;
    kv_records_close(fixture->records);
    fixture->records = NULL;
    KV_TRY(kv_records_open(&config, &fixture->records, err));
    return open_auth(fixture, err);
}

int auth_fixture_teardown(void **state)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    auth_fixture *fixture = *state;
    char path[160];

    kv_auth_close(fixture->auth);
    kv_records_close(fixture->records);
    kv_store_close(fixture->store);
    kv_software_sealer_free(fixture->sealer);
    test_signer_free(fixture->signer);
    free_certificate(fixture->ca);
    free_certificate(fixture->admin);
    kv_arena_cleanup(&fixture->arena);
    for (size_t i = 0; i < KV_COUNT(ends); i++) {
        snprintf(path, sizeof(path), "%s%s", fixture->database, ends[i]);
        (void)unlink(path);
    }
    (void)rmdir(fixture->folder);
    free(fixture);
    return 0;
}

kv_status fixture_commit(void *context, kv_change *change, kv_error *err)
{
    auth_fixture *fixture = context;
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);

    __atomic_add_fetch(&fixture->commits, 1, __ATOMIC_RELAXED);
    if (fixture->conflicts > 0) {
        fixture->conflicts--;
        return kv_fail(err, KV_CONFLICT, "somebody was faster");
    }
    KV_TRY(kv_records_seal(fixture->records, change, &arena, err));
    if (fixture->sabotage) {
        fixture_sql(fixture, fixture->sabotage);
        fixture->sabotage = NULL;
    }
    return kv_records_apply(fixture->records, change, NULL, err);
}

kv_access_work fixture_work(auth_fixture *fixture, const kv_caller *caller)
{
    return (kv_access_work){ .auth = fixture->auth,
                             .caller = caller,
                             .now_ms = fixture->now_ms,
                             .arena = &fixture->arena,
                             .commit = { fixture_commit, fixture } };
}

kv_status fixture_identify(auth_fixture *fixture, const made_certificate *certificate,
                           kv_slice token, kv_caller *out, kv_error *err)
{
    return kv_auth_identify(fixture->auth, certificate->sha256, der_of(certificate), token,
                            fixture->now_ms, &fixture->arena, out, err);
}

kv_status fixture_sign_in(auth_fixture *fixture, const made_certificate *certificate, kv_role role,
                          const char *scope, kv_slice *token, kv_caller *out, kv_error *err)
{
    kv_token_request request = { .roles = &role, .role_count = 1, .scope = kv_slice_text(scope) };
    kv_token_issued issued;
    kv_access_work work;
    kv_caller bare;

    KV_TRY(fixture_identify(fixture, certificate, KV_SLICE_NONE, &bare, err));
    work = fixture_work(fixture, &bare);
    KV_TRY(kv_access_issue_token(&work, &request, &issued, err));
    if (token)
        *token = issued.token;
    return fixture_identify(fixture, certificate, issued.token, out, err);
}

kv_caller fixture_admin(auth_fixture *fixture)
{
    kv_caller caller;
    kv_error err = { 0 };

    assert_kv_ok(fixture_sign_in(fixture, fixture->admin, KV_ROLE_ACCESS_ADMINISTRATOR, "/", NULL,
                                 &caller, &err));
    return caller;
}

kv_principal fixture_principal(auth_fixture *fixture, const char *name,
                               const made_certificate *certificate)
{
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_principal_new new_principal = { .name = kv_slice_text(name), .kind = KV_PRINCIPAL_SERVICE };
    kv_principal principal;
    kv_credential credential;
    kv_error err = { 0 };

    assert_kv_ok(kv_access_create_principal(&work, &new_principal, &principal, &err));
    if (certificate) {
        kv_certificate_new pin = { .principal_id = principal.id,
                                   .certificate = der_of(certificate) };

        assert_kv_ok(kv_access_add_certificate(&work, &pin, &credential, &err));
    }
    return principal;
}

kv_assignment fixture_assign(auth_fixture *fixture, kv_slice principal_id, kv_role role,
                             const char *scope)
{
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_assignment_new in = { .principal_id = principal_id,
                             .role = role,
                             .scope = kv_slice_text(scope) };
    kv_assignment assignment;
    kv_error err = { 0 };

    assert_kv_ok(kv_access_assign_role(&work, &in, &assignment, &err));
    return assignment;
}

kv_status fixture_permit(auth_fixture *fixture, const kv_caller *caller, kv_permission permission,
                         const char *vault, kv_collection collection, const char *name,
                         kv_error *err)
{
    kv_resource resource = { .vault = kv_slice_text(vault),
                             .collection = collection,
                             .name = kv_slice_text(name) };

    return kv_auth_permit(fixture->auth, caller, permission, &resource, fixture->now_ms, err);
}

kv_slice fixture_short_form(auth_fixture *fixture, kv_slice token)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    kv_slice text, out;
    kv_error err = { 0 };

    (void)SHA256(token.data, token.len, digest);
    assert_kv_ok(kv_base64url(&fixture->arena, kv_slice_of(digest, sizeof(digest)), &text, &err));
    assert_kv_ok(kv_arena_print(&fixture->arena, &out, &err, "~%.*s", KV_SLICE_ARG(text)));
    return out;
}

fixture_app fixture_make_app(auth_fixture *fixture, const char *name)
{
    fixture_app made = { .certificate = fixture_self_signed(name) };
    kv_error err = { 0 };

    made.principal = fixture_principal(fixture, name, made.certificate);
    made.assignment = fixture_assign(fixture, made.principal.id, KV_ROLE_CRYPTO_USER, "/vaults/v");
    assert_kv_ok(fixture_sign_in(fixture, made.certificate, KV_ROLE_CRYPTO_USER, "/vaults/v",
                                 &made.token, &made.caller, &err));
    made.digest = fixture_short_form(fixture, made.token);
    return made;
}

kv_status fixture_sign(auth_fixture *fixture, const fixture_app *app, kv_slice credential,
                       kv_error *err)
{
    kv_caller caller;

    *err = (kv_error){ 0 };
    KV_TRY(fixture_identify(fixture, app->certificate, credential, &caller, err));
    return fixture_permit(fixture, &caller, KV_MAY_KEYS_SIGN, "v", KV_COLLECTION_KEYS, "k", err);
}

void fixture_sql(auth_fixture *fixture, const char *sql)
{
    sqlite3 *database;
    char *message = NULL;

    assert_int_equal(sqlite3_open(fixture->database, &database), SQLITE_OK);
    sqlite3_busy_timeout(database, 5000);
    if (sqlite3_exec(database, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    assert_true(sqlite3_changes(database) > 0);
    sqlite3_close(database);
}
