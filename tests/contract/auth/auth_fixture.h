/* auth_fixture.h - a store in a temporary folder, a kv_auth on it, and people who call.
 *
 * "Now" is a fixed time in 2026. The administrator exists; everybody else is made by the test.
 */
#pragma once

#include "server/auth/access.h"
#include "tests/contract/auth/test_certificates.h"
#include "tests/contract/auth/test_signer.h"
#include "tests/contract/store/software_sealer.h"
#include "tests/support/kv_cmocka.h"

#define FIXTURE_NOW_S INT64_C(1795000000)

typedef struct auth_fixture {
    char folder[64];
    char database[128]; /* file */
    kv_store *store;
    kv_software_sealer *sealer;
    kv_records *records;
    test_signer *signer;
    made_certificate *ca;
    made_certificate *admin;
    kv_principal admin_principal;
    kv_auth *auth;
    kv_separation separation;
    kv_arena arena; /* of the whole test */
    int64_t now_ms;
    const char *sabotage; /* SQL run between the seal and the application of the next change */
    unsigned commits;     /* how often a change was tried */
    unsigned conflicts;   /* how many of the next commits fail with KV_CONFLICT */
} auth_fixture;

/* A group's setup and teardown functions of cmocka. */
int auth_fixture_setup(void **state);
int auth_fixture_teardown(void **state);
/* Closes and opens kv_auth again; the status of opening. */
kv_status auth_fixture_reopen(auth_fixture *fixture, kv_error *err);

/* Certificates of the client CA, or self-signed, valid around "now"; freed by the caller. */
made_certificate *fixture_client(auth_fixture *fixture, const char *name, const char *alternative);
made_certificate *fixture_self_signed(const char *name);

/* Who holds this certificate? With a role token, or without. */
kv_status fixture_identify(auth_fixture *fixture, const made_certificate *certificate,
                           kv_slice token, kv_caller *out, kv_error *err);
/* A role token for the holder of the certificate, and the caller that carries it. */
kv_status fixture_sign_in(auth_fixture *fixture, const made_certificate *certificate, kv_role role,
                          const char *scope, kv_slice *token, kv_caller *out, kv_error *err);
/* The administrator with a role token on "/". */
kv_caller fixture_admin(auth_fixture *fixture);
kv_access_work fixture_work(auth_fixture *fixture, const kv_caller *caller);
/* Seals and applies with an arena of its own, as the layer above would. `context`: the fixture. */
kv_status fixture_commit(void *context, kv_change *change, kv_error *err);

/* A service with a pinned certificate. */
kv_principal fixture_principal(auth_fixture *fixture, const char *name,
                               const made_certificate *certificate);
kv_assignment fixture_assign(auth_fixture *fixture, kv_slice principal_id, kv_role role,
                             const char *scope);
kv_status fixture_permit(auth_fixture *fixture, const kv_caller *caller, kv_permission permission,
                         const char *vault, kv_collection collection, const char *name,
                         kv_error *err);

/* A crypto-user on /vaults/v that has signed in there, and its role token. */
typedef struct fixture_app {
    made_certificate *certificate; /* freed by the test */
    kv_principal principal;
    kv_assignment assignment;
    kv_slice token;
    kv_slice digest; /* the short form of the token */
    kv_caller caller;
} fixture_app;

kv_slice fixture_short_form(auth_fixture *fixture, kv_slice token);
fixture_app fixture_make_app(auth_fixture *fixture, const char *name);
/* May it sign with key "k" of "v", when it shows that credential? */
kv_status fixture_sign(auth_fixture *fixture, const fixture_app *app, kv_slice credential,
                       kv_error *err);

/* Runs SQL on the database, behind the server's back; it must change rows. */
void fixture_sql(auth_fixture *fixture, const char *sql);
