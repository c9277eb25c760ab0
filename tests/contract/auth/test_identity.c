/* test_identity.c - who a client certificate makes known, and the ways to pretend. */
#include <stdio.h>

#include "server/auth/identity.h"
#include "tests/contract/auth/auth_fixture.h"

static kv_status map(auth_fixture *fixture, kv_slice principal_id, kv_name_type type,
                     const char *value, kv_error *err)
{
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_mapping_new in = { .principal_id = principal_id,
                          .name_type = type,
                          .value = kv_slice_text(value) };
    kv_credential credential;

    return kv_access_add_mapping(&work, &in, &credential, err);
}

/* Makes a service with one mapping; returns its id. */
static kv_slice mapped_service(auth_fixture *fixture, const char *name, kv_name_type type,
                               const char *value)
{
    kv_principal principal = fixture_principal(fixture, name, NULL);
    kv_error err = { 0 };

    assert_kv_ok(map(fixture, principal.id, type, value, &err));
    return principal.id;
}

static kv_status identify_shape(auth_fixture *fixture, const certificate_shape *shape,
                                kv_caller *out, kv_error *err)
{
    made_certificate *certificate = make_certificate(shape);
    kv_status status = fixture_identify(fixture, certificate, KV_SLICE_NONE, out, err);

    free_certificate(certificate);
    return status;
}

/* A sound client certificate, for a test to spoil. */
static certificate_shape sound(auth_fixture *fixture)
{
    return (certificate_shape){ .name = "app",
                                .alternative = "URI:spiffe://corp/app,DNS:app.corp.example",
                                .usage = "clientAuth",
                                .from_s = FIXTURE_NOW_S - 100,
                                .until_s = FIXTURE_NOW_S + 100,
                                .issuer = fixture->ca };
}

static void maps_by_each_kind_of_name(void **state)
{
    static const struct {
        kv_name_type type;
        const char *value;
    } rows[] = {
        { KV_NAME_URI, "spiffe://corp/app" },
        { KV_NAME_DNS, "App.Corp.example" },
        { KV_NAME_SUBJECT, "CN=app" },
    };
    auth_fixture *fixture = *state;
    certificate_shape shape = sound(fixture);

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        kv_error err = { 0 };
        kv_caller admin = fixture_admin(fixture);
        kv_access_work work = fixture_work(fixture, &admin);
        kv_caller caller;
        kv_slice id = mapped_service(fixture, "App", rows[i].type, rows[i].value);

        assert_kv_ok(identify_shape(fixture, &shape, &caller, &err));
        assert_true(caller.known);
        assert_false(caller.tokened);
        assert_slice_equal(id, kv_slice_of(caller.principal_id, sizeof(caller.principal_id)));
        assert_slice_equal(KV_SLICE("App"), caller.principal_name);
        assert_kv_ok(kv_access_delete_principal(&work, id, &err));
        assert_kv_fails(KV_UNAUTHENTICATED, identify_shape(fixture, &shape, &caller, &err));
        assert_int_equal(err.reason, KV_REASON_CERTIFICATE_UNKNOWN);
    }
}

static void refuses_spoiled_certificates(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *namesake =
        make_certificate(&(certificate_shape){ .name = "Clients",
                                               .ca = true,
                                               .from_s = FIXTURE_NOW_S - 864000,
                                               .until_s = FIXTURE_NOW_S + 864000 });
    made_certificate *leaf = fixture_client(fixture, "leaf", NULL);
    certificate_shape shapes[7];
    kv_error err = { 0 };
    kv_caller caller;

    (void)mapped_service(fixture, "App", KV_NAME_URI, "spiffe://corp/app");
    for (size_t i = 0; i < KV_COUNT(shapes); i++)
        shapes[i] = sound(fixture);
    assert_kv_ok(identify_shape(fixture, &shapes[0], &caller, &err));

    shapes[0].issuer = namesake;                      /* another CA of the same name */
    shapes[1].issuer = NULL;                          /* self-signed */
    shapes[2].issuer = leaf;                          /* issued by a client, not a CA */
    shapes[3].usage = "serverAuth";                   /* not for clients */
    shapes[4].alternative = "DNS:spiffe.corp";        /* the name stands elsewhere */
    shapes[4].name = "spiffe://corp/app";             /* in the subject */
    shapes[5].alternative = "URI:spiffe://corp/app2"; /* longer */
    shapes[6].alternative = "URI:spiffe://CORP/app";  /* URIs are compared exactly */
    for (size_t i = 0; i < KV_COUNT(shapes); i++) {
        if (identify_shape(fixture, &shapes[i], &caller, &err) != KV_UNAUTHENTICATED)
            fail_msg("shape %zu is accepted", i);
        assert_int_equal(err.reason, KV_REASON_CERTIFICATE_UNKNOWN);
        assert_false(caller.known);
    }
    free_certificate(namesake);
    free_certificate(leaf);
}

static void set_cas(auth_fixture *fixture, const made_certificate *ca)
{
    kv_slice der = der_of(ca);
    kv_client_cas *cas;
    kv_error err = { 0 };

    assert_kv_ok(kv_client_cas_new(&der, 1, &cas, &err));
    kv_auth_set_client_cas(fixture->auth, cas);
}

static void a_ca_that_is_taken_away_makes_nobody_known(void **state)
{
    auth_fixture *fixture = *state;
    kv_resource anything = { .vault = KV_SLICE("shop") };
    certificate_shape shape = sound(fixture);
    made_certificate *client = make_certificate(&shape);
    made_certificate *other =
        make_certificate(&(certificate_shape){ .name = "other",
                                               .ca = true,
                                               .from_s = FIXTURE_NOW_S - 100,
                                               .until_s = FIXTURE_NOW_S + 100 });
    kv_error err = { 0 };
    kv_caller caller, again;

    (void)mapped_service(fixture, "App", KV_NAME_URI, "spiffe://corp/app");
    assert_kv_ok(fixture_identify(fixture, client, KV_SLICE_NONE, &caller, &err));
    set_cas(fixture, fixture->ca); /* read again, and the same */
    assert_kv_ok(kv_auth_permit(fixture->auth, &caller, KV_MAY_BE_KNOWN, &anything,
                                FIXTURE_NOW_S * 1000, &err));

    set_cas(fixture, other);
    assert_kv_fails(KV_UNAUTHENTICATED,
                    fixture_identify(fixture, client, KV_SLICE_NONE, &again, &err));
    assert_false(again.known);
    /* What was begun before ends, too: the next message of a stream, the commit of a change. */
    assert_kv_fails(KV_UNAUTHENTICATED, kv_auth_permit(fixture->auth, &caller, KV_MAY_BE_KNOWN,
                                                       &anything, FIXTURE_NOW_S * 1000, &err));
    assert_int_equal(err.reason, KV_REASON_CERTIFICATE_UNKNOWN);

    set_cas(fixture, fixture->ca);
    assert_kv_ok(fixture_identify(fixture, client, KV_SLICE_NONE, &again, &err));
    free_certificate(client);
    free_certificate(other);
}

static void a_dns_mapping_is_not_a_common_name(void **state)
{
    auth_fixture *fixture = *state;
    certificate_shape shape = sound(fixture);
    kv_error err = { 0 };
    kv_caller caller;

    (void)mapped_service(fixture, "App", KV_NAME_DNS, "db.corp.example");
    shape.name = "db.corp.example";
    shape.alternative = NULL;
    assert_kv_fails(KV_UNAUTHENTICATED, identify_shape(fixture, &shape, &caller, &err));
    shape.alternative = "DNS:DB.corp.example";
    assert_kv_ok(identify_shape(fixture, &shape, &caller, &err));
}

static void a_subject_cannot_be_forged_with_a_comma(void **state)
{
    auth_fixture *fixture = *state;
    certificate_shape shape = sound(fixture);
    kv_error err = { 0 };
    kv_caller caller;

    (void)mapped_service(fixture, "App", KV_NAME_SUBJECT, "CN=app,O=Corp");
    shape.name = "app,O=Corp";
    assert_kv_fails(KV_UNAUTHENTICATED, identify_shape(fixture, &shape, &caller, &err));
}

static void two_mappings_are_refused(void **state)
{
    auth_fixture *fixture = *state;
    certificate_shape shape = sound(fixture);
    kv_error err = { 0 };
    kv_caller caller;
    kv_slice id = mapped_service(fixture, "One", KV_NAME_URI, "spiffe://corp/app");

    (void)mapped_service(fixture, "Two", KV_NAME_DNS, "app.corp.example");
    assert_kv_fails(KV_UNAUTHENTICATED, identify_shape(fixture, &shape, &caller, &err));
    assert_int_equal(err.reason, KV_REASON_CERTIFICATE_UNKNOWN);
    /* One mapping belongs to one principal. */
    assert_kv_fails(KV_EXISTS, map(fixture, id, KV_NAME_DNS, "APP.corp.example", &err));
    /* The same name twice in a certificate is one mapping. */
    shape.alternative = "URI:spiffe://corp/app,URI:spiffe://corp/app";
    assert_kv_ok(identify_shape(fixture, &shape, &caller, &err));
}

static void a_pinned_certificate_wins_over_a_mapping(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_client(fixture, "app", "URI:spiffe://corp/app");
    kv_error err = { 0 };
    kv_principal pinned;
    kv_caller caller;

    (void)mapped_service(fixture, "Mapped", KV_NAME_URI, "spiffe://corp/app");
    pinned = fixture_principal(fixture, "Pinned", certificate);
    assert_kv_ok(fixture_identify(fixture, certificate, KV_SLICE_NONE, &caller, &err));
    assert_slice_equal(pinned.id, kv_slice_of(caller.principal_id, 16));
    free_certificate(certificate);
}

static void too_many_names_map_to_nobody(void **state)
{
    auth_fixture *fixture = *state;
    certificate_shape shape = sound(fixture);
    char names[2048] = "URI:spiffe://corp/app";
    kv_error err = { 0 };
    kv_caller caller;

    (void)mapped_service(fixture, "App", KV_NAME_URI, "spiffe://corp/app");
    for (unsigned i = 0; i < KV_CERTIFICATE_NAMES_MAX; i++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), ",URI:urn:%u", i);
    shape.alternative = names;
    assert_kv_fails(KV_UNAUTHENTICATED, identify_shape(fixture, &shape, &caller, &err));
}

/* Dates are checked at each call, also when the certificate was seen before. */
static void dates_are_checked_at_every_call(void **state)
{
    auth_fixture *fixture = *state;
    certificate_shape shape = sound(fixture);
    made_certificate *certificate = make_certificate(&shape);
    kv_error err = { 0 };
    kv_caller caller;

    (void)mapped_service(fixture, "App", KV_NAME_URI, "spiffe://corp/app");
    assert_kv_ok(fixture_identify(fixture, certificate, KV_SLICE_NONE, &caller, &err));
    assert_int_equal(caller.certificate_not_after_ms, (FIXTURE_NOW_S + 101) * 1000);
    fixture->now_ms = (FIXTURE_NOW_S + 101) * 1000 - 1;
    assert_kv_ok(fixture_identify(fixture, certificate, KV_SLICE_NONE, &caller, &err));
    fixture->now_ms++;
    assert_kv_fails(KV_UNAUTHENTICATED,
                    fixture_identify(fixture, certificate, KV_SLICE_NONE, &caller, &err));
    assert_int_equal(err.reason, KV_REASON_CERTIFICATE_EXPIRED);
    fixture->now_ms = (FIXTURE_NOW_S - 100) * 1000 - 1;
    assert_kv_fails(KV_UNAUTHENTICATED,
                    fixture_identify(fixture, certificate, KV_SLICE_NONE, &caller, &err));
    assert_int_equal(err.reason, KV_REASON_CERTIFICATE_EXPIRED);
    fixture->now_ms++;
    assert_kv_ok(fixture_identify(fixture, certificate, KV_SLICE_NONE, &caller, &err));
    free_certificate(certificate);
}

/* A certificate that outlives its CA counts only as long as the CA. */
static void an_expired_ca_makes_nobody_known(void **state)
{
    auth_fixture *fixture = *state;
    certificate_shape shape = sound(fixture);
    made_certificate *certificate;
    kv_error err = { 0 };
    kv_caller caller;

    shape.until_s = FIXTURE_NOW_S + 8640000;
    certificate = make_certificate(&shape);
    (void)mapped_service(fixture, "App", KV_NAME_URI, "spiffe://corp/app");
    assert_kv_ok(fixture_identify(fixture, certificate, KV_SLICE_NONE, &caller, &err));
    fixture->now_ms = (FIXTURE_NOW_S + 864001) * 1000;
    assert_kv_fails(KV_UNAUTHENTICATED,
                    fixture_identify(fixture, certificate, KV_SLICE_NONE, &caller, &err));
    assert_int_equal(err.reason, KV_REASON_CERTIFICATE_EXPIRED);
    free_certificate(certificate);
}

static void the_ca_itself_is_nobody(void **state)
{
    auth_fixture *fixture = *state;
    kv_error err = { 0 };
    kv_caller caller;

    (void)mapped_service(fixture, "App", KV_NAME_SUBJECT, "CN=Clients");
    assert_kv_fails(KV_UNAUTHENTICATED,
                    fixture_identify(fixture, fixture->ca, KV_SLICE_NONE, &caller, &err));
}

static void refuses_what_is_no_certificate(void **state)
{
    auth_fixture *fixture = *state;
    uint8_t thumbprint[32] = { 0 };
    kv_error err = { 0 };
    kv_caller caller;

    assert_kv_fails(KV_UNAUTHENTICATED,
                    kv_auth_identify(fixture->auth, thumbprint, KV_SLICE_NONE, KV_SLICE_NONE,
                                     fixture->now_ms, &fixture->arena, &caller, &err));
    assert_kv_fails(KV_UNAUTHENTICATED,
                    kv_auth_identify(fixture->auth, thumbprint, KV_SLICE("nonsense"), KV_SLICE_NONE,
                                     fixture->now_ms, &fixture->arena, &caller, &err));
    /* A thumbprint of another certificate does not lend its name. */
    assert_kv_fails(KV_INTERNAL, kv_auth_identify(fixture->auth, thumbprint, der_of(fixture->admin),
                                                  KV_SLICE_NONE, fixture->now_ms, &fixture->arena,
                                                  &caller, &err));
}

/* A configuration that would let in whom nobody meant is none. */
static void refuses_client_cas_that_are_none(void **state)
{
    auth_fixture *fixture = *state;
    kv_slice ca = der_of(fixture->ca);
    kv_slice twice[] = { ca, ca }, person[] = { ca, der_of(fixture->admin) };
    kv_slice nonsense[] = { KV_SLICE("nonsense") }, many[17] = { 0 };
    kv_client_cas *cas = NULL;
    kv_error err = { 0 };

    assert_kv_fails(KV_PRECONDITION, kv_client_cas_new(twice, 2, &cas, &err));
    assert_non_null(strstr(err.message, "twice"));
    assert_kv_fails(KV_PRECONDITION, kv_client_cas_new(person, 2, &cas, &err));
    assert_non_null(strstr(err.message, "not the certificate of a CA"));
    assert_kv_fails(KV_PRECONDITION, kv_client_cas_new(nonsense, 1, &cas, &err));
    assert_kv_fails(KV_PRECONDITION, kv_client_cas_new(many, KV_COUNT(many), &cas, &err));
    assert_non_null(strstr(err.message, "at most 16"));
    assert_null(cas);
    /* And it stands for itself. */
    assert_true(kv_auth_is_client_ca(fixture->auth, ca));
    assert_false(kv_auth_is_client_ca(fixture->auth, der_of(fixture->admin)));
    assert_false(kv_auth_is_client_ca(fixture->auth, KV_SLICE("nonsense")));
}

static void checks_a_mapping(void **state)
{
    auth_fixture *fixture = *state;
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_principal principal = fixture_principal(fixture, "App", NULL);
    uint8_t other[32] = { 0 };
    kv_mapping_new in = { .principal_id = principal.id,
                          .name_type = KV_NAME_URI,
                          .value = KV_SLICE("urn:a"),
                          .ca_sha256 = kv_slice_of(other, sizeof(other)) };
    kv_error err = { 0 };
    kv_credential out;

    assert_kv_fails(KV_BAD_REQUEST, kv_access_add_mapping(&work, &in, &out, &err));
    assert_string_equal(err.field, "ca_sha256");
    in.ca_sha256 = kv_slice_of(fixture->ca->sha256, 32);
    in.value = KV_SLICE("");
    assert_kv_fails(KV_BAD_REQUEST, kv_access_add_mapping(&work, &in, &out, &err));
    assert_string_equal(err.field, "value");
    in.value = KV_SLICE("urn:a\nb");
    assert_kv_fails(KV_BAD_REQUEST, kv_access_add_mapping(&work, &in, &out, &err));
    in.value = KV_SLICE("urn:a");
    in.name_type = (kv_name_type)9;
    assert_kv_fails(KV_BAD_REQUEST, kv_access_add_mapping(&work, &in, &out, &err));
    assert_string_equal(err.field, "name_type");
    in.name_type = KV_NAME_URI;
    assert_kv_ok(kv_access_add_mapping(&work, &in, &out, &err));
    assert_slice_equal(KV_SLICE("urn:a"), out.value);
    assert_slice_equal(in.ca_sha256, out.ca_sha256);
    assert_int_equal(out.name_type, KV_NAME_URI);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, auth_fixture_setup, auth_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(maps_by_each_kind_of_name),
        TEST(refuses_spoiled_certificates),
        TEST(a_dns_mapping_is_not_a_common_name),
        TEST(a_subject_cannot_be_forged_with_a_comma),
        TEST(a_ca_that_is_taken_away_makes_nobody_known),
        TEST(two_mappings_are_refused),
        TEST(a_pinned_certificate_wins_over_a_mapping),
        TEST(too_many_names_map_to_nobody),
        TEST(dates_are_checked_at_every_call),
        TEST(an_expired_ca_makes_nobody_known),
        TEST(the_ca_itself_is_nobody),
        TEST(refuses_what_is_no_certificate),
        TEST(refuses_client_cas_that_are_none),
        TEST(checks_a_mapping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
