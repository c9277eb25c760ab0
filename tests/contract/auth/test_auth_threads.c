/* test_auth_threads.c - calls are decided while grants change. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/contract/auth/auth_fixture.h"

enum { READERS = 4, CHANGES = 60 };

typedef struct reader {
    auth_fixture *fixture;
    const made_certificate *steady;
    kv_slice steady_token;
    const made_certificate *changing;
    kv_slice changing_token;
    atomic_bool *stop;
    unsigned allowed;
    unsigned refused;
    unsigned wrong;
} reader;

static kv_status sign(const reader *self, const made_certificate *certificate, kv_slice token,
                      kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 16);
    kv_resource key = { .vault = KV_SLICE("v"),
                        .collection = KV_COLLECTION_KEYS,
                        .name = KV_SLICE("k") };
    kv_caller caller;

    KV_TRY(kv_auth_identify(self->fixture->auth, certificate->sha256, der_of(certificate), token,
                            self->fixture->now_ms, &arena, &caller, err));
    return kv_auth_permit(self->fixture->auth, &caller, KV_MAY_KEYS_SIGN, &key,
                          self->fixture->now_ms, err);
}

static void *read_on(void *context)
{
    reader *self = context;

    while (!atomic_load(self->stop)) {
        kv_error err = { 0 };
        kv_status status;

        self->wrong += sign(self, self->steady, self->steady_token, &err) != KV_OK;
        err = (kv_error){ 0 };
        status = sign(self, self->changing, self->changing_token, &err);
        self->allowed += status == KV_OK;
        self->refused += status == KV_DENIED && err.reason == KV_REASON_PERMISSION_MISSING;
        self->wrong += status != KV_OK && err.reason != KV_REASON_PERMISSION_MISSING;
    }
    return NULL;
}

static kv_slice token_of(auth_fixture *fixture, const made_certificate *certificate)
{
    kv_caller caller;
    kv_slice token;
    kv_error err = { 0 };

    assert_kv_ok(fixture_sign_in(fixture, certificate, KV_ROLE_CRYPTO_USER, "/vaults/v", &token,
                                 &caller, &err));
    return token;
}

/* The answer after each change is exact, whatever the other threads do. */
static void change_grants(const reader *self, kv_slice principal_id, kv_slice assignment_id)
{
    auth_fixture *fixture = self->fixture;
    kv_caller admin = fixture_admin(fixture);
    kv_access_work work = fixture_work(fixture, &admin);
    kv_assignment_new in = { .principal_id = principal_id,
                             .role = KV_ROLE_CRYPTO_USER,
                             .scope = KV_SLICE("/vaults/v") };
    kv_assignment assignment = { .id = assignment_id };
    kv_error err = { 0 };

    for (unsigned i = 0; i < CHANGES; i++) {
        assert_kv_ok(kv_access_remove_assignment(&work, assignment.id, &err));
        assert_kv_fails(KV_DENIED, sign(self, self->changing, self->changing_token, &err));
        assert_kv_ok(kv_access_assign_role(&work, &in, &assignment, &err));
        assert_kv_ok(sign(self, self->changing, self->changing_token, &err));
    }
}

static void calls_are_decided_while_grants_change(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *steady = fixture_self_signed("steady");
    made_certificate *changing = fixture_client(fixture, "changing", "URI:urn:changing");
    kv_principal first = fixture_principal(fixture, "Steady", steady);
    kv_principal second = fixture_principal(fixture, "Changing", changing);
    kv_assignment assignment;
    atomic_bool stop = false;
    pthread_t threads[READERS];
    reader readers[READERS];
    unsigned refused = 0;

    (void)fixture_assign(fixture, first.id, KV_ROLE_CRYPTO_USER, "/vaults/v");
    assignment = fixture_assign(fixture, second.id, KV_ROLE_CRYPTO_USER, "/vaults/v");
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (reader){ .fixture = fixture,
                               .steady = steady,
                               .steady_token = token_of(fixture, steady),
                               .changing = changing,
                               .changing_token = token_of(fixture, changing),
                               .stop = &stop };
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    change_grants(&readers[0], second.id, assignment.id);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(readers[i].wrong, 0);
        assert_true(readers[i].allowed > 0);
        refused += readers[i].refused;
    }
    assert_true(refused > 0);
    free_certificate(steady);
    free_certificate(changing);
}

/* --- two administrators who would remove each other --- */

typedef struct rival {
    auth_fixture *fixture;
    kv_caller caller;
    kv_slice victim; /* assignment */
    pthread_barrier_t *barrier;
    kv_status status;
} rival;

static void *remove_other(void *context)
{
    rival *self = context;
    KV_AUTO(kv_arena) arena = KV_ARENA(1 << 20);
    kv_access_work work = { .auth = self->fixture->auth,
                            .caller = &self->caller,
                            .now_ms = self->fixture->now_ms,
                            .arena = &arena,
                            .commit = { fixture_commit, self->fixture } };
    kv_error err = { 0 };

    (void)pthread_barrier_wait(self->barrier);
    self->status = kv_access_remove_assignment(&work, self->victim, &err);
    return NULL;
}

static kv_slice assignment_of(auth_fixture *fixture, kv_slice principal_id)
{
    kv_access_work work = fixture_work(fixture, NULL);
    kv_access_page page = { 0 };
    kv_assignment_list list;
    kv_error err = { 0 };

    assert_kv_ok(
        kv_access_list_assignments(&work, principal_id, KV_SLICE_NONE, &page, &list, &err));
    assert_int_equal(list.count, 1);
    return list.items[0].id;
}

static void one_administrator_remains_of_two_rivals(void **state)
{
    auth_fixture *fixture = *state;
    made_certificate *certificate = fixture_self_signed("second");
    kv_principal second = fixture_principal(fixture, "Second", certificate);
    pthread_barrier_t barrier;
    pthread_t threads[2];
    rival rivals[2];
    kv_error err = { 0 };

    (void)fixture_assign(fixture, second.id, KV_ROLE_ACCESS_ADMINISTRATOR, "/");
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    for (unsigned i = 0; i < 2; i++)
        rivals[i] = (rival){ .fixture = fixture, .barrier = &barrier };
    rivals[0].caller = fixture_admin(fixture);
    rivals[0].victim = assignment_of(fixture, second.id);
    assert_kv_ok(fixture_sign_in(fixture, certificate, KV_ROLE_ACCESS_ADMINISTRATOR, "/", NULL,
                                 &rivals[1].caller, &err));
    rivals[1].victim = assignment_of(fixture, fixture->admin_principal.id);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, remove_other, &rivals[i]), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    /* The loser is refused: no longer an administrator, or about to remove the last one. */
    assert_true((rivals[0].status == KV_OK) != (rivals[1].status == KV_OK));
    (void)pthread_barrier_destroy(&barrier);
    free_certificate(certificate);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, auth_fixture_setup, auth_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_are_decided_while_grants_change),
        TEST(one_administrator_remains_of_two_rivals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
