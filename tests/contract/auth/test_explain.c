/* test_explain.c - what explain and who-can say is what the server does. */
#include <stdlib.h>

#include "server/auth/access_explain.h"
#include "server/auth/auth_impl.h"
#include "server/auth/policy.h"
#include "tests/contract/auth/auth_fixture.h"

enum { PEOPLE = 14, GRANTS = 4, SEED = 20261121 };

static const char *const scopes[] = {
    "/",
    "/vaults/v",
    "/vaults/w",
    "/vaults/v/keys",
    "/vaults/v/keys/k",
    "/vaults/v/secrets/web",
    "/vaults/v/certificates/web",
};

typedef struct person {
    made_certificate *certificate;
    kv_principal principal;
    unsigned tried; /* bit mask of scopes */
    /* A role token for each grant in each scope, if one is issued. */
    kv_caller callers[GRANTS][KV_COUNT(scopes)];
    bool tokened[GRANTS][KV_COUNT(scopes)];
} person;

static unsigned dice(unsigned *state, unsigned sides)
{
    *state = *state * 1103515245u + 12345u;
    return (*state >> 16) % sides;
}

/* Some of what is assigned excludes each other: made while nobody minded. */
static void populate(auth_fixture *fixture, person *people, kv_role roles[PEOPLE][GRANTS])
{
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    unsigned random = SEED;
    kv_error err = { 0 };

    for (unsigned i = 0; i < PEOPLE; i++) {
        char name[16];
        kv_principal changed;

        (void)snprintf(name, sizeof(name), "P%u", i);
        people[i].certificate = fixture_self_signed(name);
        people[i].principal = fixture_principal(fixture, name, people[i].certificate);
        for (unsigned g = 0; g < GRANTS; g++) {
            kv_assignment_new in = {
                .principal_id = people[i].principal.id,
                .role = (kv_role)(1 + dice(&random, KV_ROLE_COUNT - 1)),
                .scope = kv_slice_text(scopes[dice(&random, KV_COUNT(scopes))]),
                .ends_ms = dice(&random, 5) ? 0 : fixture->now_ms + 1000,
            };
            kv_assignment ignored;
            kv_status status;

            roles[i][g] = in.role;
            status = kv_access_assign_role(&work, &in, &ignored, &err);
            assert_true(status == KV_OK || status == KV_EXISTS);
        }
        if (i == 3) {
            kv_principal_update off = { .id = people[i].principal.id, .has_enabled = true };

            assert_kv_ok(kv_access_update_principal(&work, &off, &changed, &err));
        }
    }
}

static void sign_in(auth_fixture *fixture, person *one, const kv_role roles[GRANTS])
{
    for (unsigned g = 0; g < GRANTS; g++)
        for (size_t s = 0; s < KV_COUNT(scopes); s++) {
            kv_error err = { 0 };

            one->tokened[g][s] = fixture_sign_in(fixture, one->certificate, roles[g], scopes[s],
                                                 NULL, &one->callers[g][s], &err) == KV_OK;
        }
}

/* With any of the tokens. */
static bool really_may(auth_fixture *fixture, const person *one, kv_permission permission, size_t s)
{
    kv_resource resource;
    kv_scope scope;

    assert_true(kv_scope_read(kv_slice_text(scopes[s]), &scope));
    resource = kv_scope_resource(&scope, false);
    for (unsigned g = 0; g < GRANTS; g++) {
        kv_error err = { 0 };

        if (one->tokened[g][s] && kv_auth_permit(fixture->auth, &one->callers[g][s], permission,
                                                 &resource, fixture->now_ms, &err) == KV_OK)
            return true;
    }
    return false;
}

static bool listed(const kv_access_answers *answers, const person *one)
{
    for (unsigned i = 0; i < answers->count; i++)
        if (kv_slice_equal(answers->items[i].principal.id, one->principal.id))
            return answers->items[i].allowed && answers->items[i].reason_count > 0;
    return false;
}

static void compare(auth_fixture *fixture, person *people, const char *mode)
{
    kv_caller admin = fixture_admin(fixture);
    unsigned allowed = 0;

    for (unsigned p = KV_MAY_BE_KNOWN + 1; p < KV_PERMISSION_COUNT; p++)
        for (size_t s = 0; s < KV_COUNT(scopes) && !kv_permission_of_row_only((kv_permission)p);
             s++) {
            KV_AUTO(kv_arena) arena = KV_ARENA(8 << 20);
            kv_access_work work = fixture_work(fixture, &admin);
            kv_access_question question = { .permission =
                                                kv_slice_text(kv_permission_name((kv_permission)p)),
                                            .scope = kv_slice_text(scopes[s]) };
            kv_access_page page = { 0 };
            kv_access_answers answers;
            kv_error err = { 0 };

            work.arena = &arena;
            assert_kv_ok(kv_access_who_can(&work, &question, &page, &answers, &err));
            for (unsigned i = 0; i < PEOPLE; i++) {
                bool may = really_may(fixture, &people[i], (kv_permission)p, s);
                kv_access_answer answer;

                assert_kv_ok(
                    kv_access_explain(&work, people[i].principal.id, &question, &answer, &err));
                if (answer.allowed != may || listed(&answers, &people[i]) != may)
                    fail_msg("%s: P%u, %s on %s: may %d, explained %d, listed %d", mode, i,
                             kv_permission_name((kv_permission)p), scopes[s], may, answer.allowed,
                             listed(&answers, &people[i]));
                assert_true(may || !answer.allowed);
                allowed += may;
            }
        }
    assert_true(allowed > 100);
}

static void explanations_are_what_happens(void **state)
{
    static const struct {
        kv_separation mode;
        const char *name;
    } modes[] = { { KV_SEPARATION_OFF, "off" },
                  { KV_SEPARATION_WARN, "warn" },
                  { KV_SEPARATION_STRICT, "strict" } };
    auth_fixture *fixture = *state;
    person *people = calloc(PEOPLE, sizeof(*people));
    kv_role roles[PEOPLE][GRANTS];
    kv_error err = { 0 };

    assert_non_null(people);
    fixture->separation = KV_SEPARATION_OFF;
    assert_kv_ok(auth_fixture_reopen(fixture, &err));
    populate(fixture, people, roles);
    fixture->now_ms += 2000; /* what ends has ended */
    for (size_t m = 0; m < KV_COUNT(modes); m++) {
        fixture->separation = modes[m].mode;
        assert_kv_ok(auth_fixture_reopen(fixture, &err));
        for (unsigned i = 0; i < PEOPLE; i++)
            sign_in(fixture, &people[i], roles[i]);
        compare(fixture, people, modes[m].name);
    }
    for (unsigned i = 0; i < PEOPLE; i++)
        free_certificate(people[i].certificate);
    free(people);
}

static unsigned says(const kv_access_work *work, kv_slice id, const char *scope)
{
    kv_access_question question = { .permission = KV_SLICE("keys/sign"),
                                    .scope = kv_slice_text(scope) };
    kv_access_answer answer;
    kv_error err = { 0 };

    assert_kv_ok(kv_access_explain(work, id, &question, &answer, &err));
    assert_int_equal(answer.role_count, 1); /* crypto-user; administrator needs another mode */
    return answer.reason_count ? answer.reasons[0].says : 0;
}

static void every_reason_has_its_word(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_self_signed("App");
    kv_principal principal = fixture_principal(fixture, "App", certificate);
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_access_question question = { .permission = KV_SLICE("keys/sign"), .scope = KV_SLICE("/") };
    kv_assignment assignment;
    kv_access_answer answer;
    kv_error err = { 0 };
    kv_principal_update off = { .id = principal.id, .has_enabled = true };

    assert_int_equal(says(&work, principal.id, "/vaults/v"), 0);
    assignment = fixture_assign(fixture, principal.id, KV_ROLE_CRYPTO_USER, "/vaults/v");
    assert_int_equal(says(&work, principal.id, "/VAULTS/V/keys/k"), KV_GRANT_ALLOWS);
    assert_int_equal(says(&work, principal.id, "/vaults/w"), KV_GRANT_ELSEWHERE);
    assert_kv_ok(kv_access_update_principal(&work, &off, &principal, &err));
    question.scope = KV_SLICE("/vaults/v");
    assert_kv_ok(kv_access_explain(&work, principal.id, &question, &answer, &err));
    assert_false(answer.allowed);
    assert_int_equal(answer.bar, KV_BAR_DISABLED);
    assert_slice_equal(answer.reasons[0].assignment.id, assignment.id);
    free_certificate(certificate);
}

static void one_may_ask_about_oneself_alone(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_self_signed("App");
    kv_principal principal = fixture_principal(fixture, "App", certificate);
    kv_access_question question = { .permission = KV_SLICE("keys/sign"), .scope = KV_SLICE("/") };
    kv_access_page page = { 0 };
    kv_access_answers answers;
    kv_access_answer answer;
    kv_access_work work;
    kv_error err = { 0 };
    kv_caller caller;

    assert_kv_ok(fixture_identify(fixture, certificate, KV_SLICE_NONE, &caller, &err));
    work = fixture_work(fixture, &caller);
    assert_kv_ok(kv_access_explain(&work, KV_SLICE_NONE, &question, &answer, &err));
    assert_kv_ok(kv_access_explain(&work, principal.id, &question, &answer, &err));
    assert_false(answer.allowed);
    assert_kv_fails(KV_UNAUTHENTICATED, kv_access_explain(&work, fixture->admin_principal.id,
                                                          &question, &answer, &err));
    assert_kv_fails(KV_UNAUTHENTICATED, kv_access_who_can(&work, &question, &page, &answers, &err));
    free_certificate(certificate);
}

static void bad_questions_name_the_field(void **state)
{
    auth_fixture *fixture = *state;
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    uint8_t unknown[16] = { 7 };
    kv_access_question question = { .permission = KV_SLICE("keys/sing"), .scope = KV_SLICE("/") };
    kv_access_answer answer;
    kv_error err = { 0 };

    assert_kv_fails(KV_BAD_REQUEST,
                    kv_access_explain(&work, KV_SLICE_NONE, &question, &answer, &err));
    assert_string_equal(err.field, "permission");
    question = (kv_access_question){ KV_SLICE("keys/sign"), KV_SLICE("vaults/v") };
    assert_kv_fails(KV_BAD_REQUEST,
                    kv_access_explain(&work, KV_SLICE_NONE, &question, &answer, &err));
    assert_string_equal(err.field, "scope");
    question.scope = KV_SLICE("/");
    assert_kv_fails(KV_NOT_FOUND,
                    kv_access_explain(&work, kv_slice_of(unknown, 16), &question, &answer, &err));
}

/* A page at a time, everybody once. */
static void pages_hold_everybody_once(void **state)
{
    auth_fixture *fixture = *state;
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_access_question question = { KV_SLICE("keys/sign"), KV_SLICE("/vaults/v") };
    kv_access_page page = { .size = 2 };
    made_certificate *certificates[5];
    kv_slice before = KV_SLICE_NONE;
    unsigned seen = 0;
    kv_error err = { 0 };

    for (unsigned i = 0; i < KV_COUNT(certificates); i++) {
        char name[8];

        (void)snprintf(name, sizeof(name), "A%u", i);
        certificates[i] = fixture_self_signed(name);
        (void)fixture_assign(fixture, fixture_principal(fixture, name, certificates[i]).id,
                             KV_ROLE_CRYPTO_USER, "/vaults/v");
    }
    do {
        kv_access_answers answers;

        assert_kv_ok(kv_access_who_can(&work, &question, &page, &answers, &err));
        for (unsigned i = 0; i < answers.count; i++, seen++) {
            assert_true(!before.len || kv_slice_compare(before, answers.items[i].principal.id) < 0);
            before = answers.items[i].principal.id;
        }
        page.token = answers.next;
    } while (page.token.len);
    assert_int_equal(seen, KV_COUNT(certificates));
    for (unsigned i = 0; i < KV_COUNT(certificates); i++)
        free_certificate(certificates[i]);
}

/* Let pass, but told: to the caller of both calls. */
static void a_server_that_warns(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_self_signed("App");
    kv_warnings warnings = { 0 };
    kv_error err = { 0 };
    kv_access_work work;
    kv_principal principal;
    kv_caller caller, admin;
    kv_assignment out;
    kv_assignment_new in = { .role = KV_ROLE_CRYPTO_OFFICER, .scope = KV_SLICE("/vaults/v") };
    kv_role role = KV_ROLE_CRYPTO_USER;
    kv_token_request ask = { .roles = &role, .role_count = 1, .scope = KV_SLICE("/vaults/v") };
    kv_token_issued issued;

    fixture->separation = KV_SEPARATION_WARN;
    assert_kv_ok(auth_fixture_reopen(fixture, &err));
    principal = fixture_principal(fixture, "App", certificate);
    (void)fixture_assign(fixture, principal.id, KV_ROLE_CRYPTO_USER, "/vaults/v/keys/k");
    (void)fixture_assign(fixture, principal.id, KV_ROLE_CRYPTO_USER, "/vaults/v");
    admin = fixture_admin(fixture);
    work = fixture_work(fixture, &admin);
    work.warnings = &warnings;
    in.principal_id = principal.id;
    assert_kv_ok(kv_access_assign_role(&work, &in, &out, &err));
    assert_int_equal(warnings.count, 1);
    assert_non_null(memmem(warnings.items[0].data, warnings.items[0].len,
                           "crypto-officer excludes crypto-user", 35));
    in.role = KV_ROLE_ADMINISTRATOR; /* that one only without any separation */
    assert_kv_fails(KV_DENIED, kv_access_assign_role(&work, &in, &out, &err));

    assert_kv_ok(fixture_identify(fixture, certificate, KV_SLICE_NONE, &caller, &err));
    work = fixture_work(fixture, &caller);
    work.warnings = &warnings;
    warnings.count = 0;
    assert_kv_ok(kv_access_issue_token(&work, &ask, &issued, &err));
    assert_int_equal(warnings.count, 1);
    free_certificate(certificate);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, auth_fixture_setup, auth_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(explanations_are_what_happens),   TEST(every_reason_has_its_word),
        TEST(one_may_ask_about_oneself_alone), TEST(bad_questions_name_the_field),
        TEST(pages_hold_everybody_once),       TEST(a_server_that_warns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
