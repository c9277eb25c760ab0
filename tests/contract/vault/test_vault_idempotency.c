/* test_vault_idempotency.c - a change with a key is made once, whatever happens in between. */
#include <stdio.h>
#include <stdlib.h>

#include "server/vault/idempotency.h"
#include "tests/contract/vault/acts.h"

typedef struct attempt {
    const char *key;
    const char *name;
    const char *request; /* what the bytes of the request would be; NULL: the name */
    uint8_t who;         /* a principal */
    bool again;
    char version[33];
} attempt;

static kv_status run(house *h, house_job *job, attempt *it, kv_error *err)
{
    kv_key_create_in in = { .target = act_target(KV_COLLECTION_KEYS, it->name),
                            .kty = KV_KEY_TYPE_EC };
    kv_key_bundle out = { 0 };

    it->again = false;
    it->version[0] = '\0';
    KV_TRY(kv_idempotency_find(h->vault, &job->work, "KeyCreate", kv_slice_text(it->key),
                               kv_slice_text(it->request ? it->request : it->name), &out,
                               &it->again, err));
    if (!it->again)
        KV_TRY(kv_key_create(h->vault, &job->work, &in, &out, err));
    (void)snprintf(it->version, sizeof(it->version), "%.*s", KV_SLICE_ARG(out.id.version));
    return KV_OK;
}

static kv_status create(house *h, attempt *it, kv_error *err)
{
    house_job job;
    kv_status status;

    house_begin(h, &job);
    job.caller.principal_id[0] ^= it->who;
    job.entry.vault = KV_SLICE(ACT_VAULT); /* as the gate notes it */
    status = run(h, &job, it, err);
    house_end(h, &job, status);
    return status;
}

static unsigned versions(house *h)
{
    return house_count(h, "SELECT count(*) FROM key_versions");
}

static void a_repetition_gets_the_same_answer(void **state)
{
    house *h = *state;
    attempt it = { .key = "one", .name = "k" };
    char first[33];
    kv_error err = { 0 };

    assert_kv_ok(create(h, &it, &err));
    assert_false(it.again);
    memcpy(first, it.version, sizeof(first));
    assert_kv_ok(create(h, &it, &err));
    assert_true(it.again);
    assert_string_equal(it.version, first);
    assert_kv_ok(house_restart(h, &err));
    assert_kv_ok(create(h, &it, &err));
    assert_string_equal(it.version, first);
    assert_int_equal(versions(h), 1);

    /* Another key, and another principal with the same one, are other calls. */
    it.key = "two";
    assert_kv_ok(create(h, &it, &err));
    it.key = "one";
    it.who = 1;
    assert_kv_ok(create(h, &it, &err));
    assert_false(it.again);
    assert_int_equal(versions(h), 3);
    house_assert_tidy(h);
}

static void a_key_belongs_to_one_request(void **state)
{
    house *h = *state;
    attempt it = { .key = "one", .name = "k" };
    kv_error err = { 0 };

    assert_kv_ok(create(h, &it, &err));
    it.request = "something else";
    assert_kv_fails(KV_BAD_REQUEST, create(h, &it, &err));
    assert_string_equal(err.field, "idempotency-key");
    assert_int_equal(versions(h), 1);
}

static void keys_have_a_form(void **state)
{
    house *h = *state;
    char *nines = malloc((1 << 20) + 1);
    char longest[65];
    const char *bad[] = { "with space", "tab\t", "umlaut\xc3\xa4", nines,
                          "12345678901234567890123456789012345678901234567890123456789012345" };
    attempt it = { .name = "k" };
    kv_error err = { 0 };

    assert_non_null(nines);
    memset(nines, '9', 1 << 20);
    nines[1 << 20] = '\0';
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        it.key = bad[i];
        assert_kv_fails(KV_BAD_REQUEST, create(h, &it, &err));
        assert_string_equal(err.field, "idempotency-key");
    }
    memset(longest, '9', 64);
    longest[64] = '\0';
    it.key = longest;
    assert_kv_ok(create(h, &it, &err));
    assert_int_equal(versions(h), 1);
    free(nines);
}

/* The server dies after the n-th change of the store; the call is made again with its key. */
static void a_death_in_between_makes_no_second_one(void **state)
{
    house *h = *state;
    unsigned n = 0;
    bool died = true;

    while (died) {
        char key[16];
        attempt it = { .key = key, .name = "k" };
        kv_error err = { 0 };

        assert_true(++n < 20);
        (void)snprintf(key, sizeof(key), "try-%u", n);
        house_die_after(h, n, HOUSE_KEYS_STAY);
        (void)create(h, &it, &err);
        died = atomic_load(&h->dead);
        atomic_store(&h->dies_in, 0);
        assert_kv_ok(house_restart(h, &err));
        assert_kv_ok(create(h, &it, &err));
        assert_int_equal(versions(h), n);
        house_assert_tidy(h);
    }
    assert_true(n > 2);
}

/* Both have looked before either has changed anything. */
static void of_two_at_once_one_comes_first(void **state)
{
    house *h = *state;
    house_job jobs[2];
    kv_key_create_in in = { .target = act_target(KV_COLLECTION_KEYS, "k"), .kty = KV_KEY_TYPE_EC };
    kv_key_bundle out;
    attempt it = { .key = "one", .name = "k" };
    kv_error err = { 0 };
    bool again = true;

    for (int i = 0; i < 2; i++) {

        house_begin(h, &jobs[i]);
        jobs[i].entry.vault = KV_SLICE(ACT_VAULT);
        assert_kv_ok(kv_idempotency_find(h->vault, &jobs[i].work, "KeyCreate", KV_SLICE("one"),
                                         KV_SLICE("k"), &out, &again, &err));
        assert_false(again);
    }
    assert_kv_ok(kv_key_create(h->vault, &jobs[0].work, &in, &out, &err));
    /* What a call stored itself, before it failed later, is no answer to it. */
    assert_kv_ok(kv_idempotency_find(h->vault, &jobs[0].work, "KeyCreate", KV_SLICE("one"),
                                     KV_SLICE("k"), &out, &again, &err));
    assert_false(again);
    house_end(h, &jobs[0], KV_OK);
    assert_kv_fails(KV_CONFLICT, kv_key_create(h->vault, &jobs[1].work, &in, &out, &err));
    house_end(h, &jobs[1], KV_CONFLICT);
    assert_kv_ok(create(h, &it, &err));
    assert_true(it.again);
    assert_int_equal(versions(h), 1);
    house_assert_tidy(h);
}

static void they_make_a_version(house *h, void *context)
{
    kv_error err = { 0 };

    (void)context;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
}

/* Whether the key of the call is new, or one of more than a day ago that nobody swept. */
static void who_was_outrun_tries_again_with_the_key(void **state)
{
    house *h = *state;
    attempt it = { .key = "one", .name = "k" };
    kv_error err = { 0 };

    for (unsigned i = 1; i < 3; i++) {
        char made[33];

        house_meanwhile(h, &kv_table_key_versions, 2, they_make_a_version, NULL);
        assert_kv_ok(create(h, &it, &err));
        assert_false(it.again);
        assert_null(h->meanwhile.table);
        memcpy(made, it.version, sizeof(made));
        assert_kv_ok(create(h, &it, &err));
        assert_true(it.again);
        assert_string_equal(it.version, made);
        assert_int_equal(versions(h), 3 * i);
        assert_int_equal(house_count(h, "SELECT count(*) FROM idempotency"), 1);
        atomic_fetch_add(&h->now_ms, KV_IDEMPOTENCY_MS);
    }
    house_assert_tidy(h);
}

/* The first call of the two, while the second one makes its key. */
static void they_are_first(house *h, void *context)
{
    kv_error err = { 0 };

    assert_kv_ok(create(h, context, &err));
}

static void who_was_outrun_by_the_same_call_does_not_try_again(void **state)
{
    house *h = *state;
    attempt first = { .key = "one", .name = "k" };
    attempt it = first;
    kv_error err = { 0 };

    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    house_meanwhile(h, &kv_table_key_versions, 2, they_are_first, &first);
    assert_kv_fails(KV_CONFLICT, create(h, &it, &err));
    assert_int_equal(h->meanwhile.times, 1);
    house_meanwhile(h, NULL, 0, NULL, NULL);
    assert_false(it.again);
    assert_int_equal(versions(h), 2);
    house_assert_tidy(h);
}

static void what_is_no_more_is_not_made_again(void **state)
{
    house *h = *state;
    attempt it = { .key = "one", .name = "k" };
    kv_error err = { 0 };

    assert_kv_ok(create(h, &it, &err));
    assert_kv_ok(act_delete(h, KV_COLLECTION_KEYS, "k", &err));
    assert_kv_ok(create(h, &it, &err)); /* deleted, but there */
    assert_kv_ok(act_purge(h, KV_COLLECTION_KEYS, "k", &err));
    assert_kv_fails(KV_NOT_FOUND, create(h, &it, &err));
    assert_int_equal(versions(h), 0);
}

/* Who edits the row to have a change swallowed, or answered wrongly, is found out. */
static void an_edited_row_answers_nothing(void **state)
{
    static const char *const edits[] = {
        "UPDATE idempotency SET version = '00000000000000000000000000000000'",
        "UPDATE idempotency SET name = 'other'",
        "UPDATE idempotency SET created = created + 1",
        "UPDATE idempotency SET operation = 'KeyImport'",
    };
    attempt it = { .key = "one", .name = "k" };
    kv_error err = { 0 };

    for (size_t i = 0; i < KV_COUNT(edits); i++) {
        house *h = *state;

        if (i == 0)
            assert_kv_ok(create(h, &it, &err));
        assert_int_equal(house_attack(h, edits[i]), 1);
        assert_kv_fails(KV_INTERNAL, create(h, &it, &err));
        assert_int_equal(err.reason, KV_REASON_INTEGRITY);
    }
}

static void after_a_day_keys_are_forgotten(void **state)
{
    enum { MANY = 520 };
    house *h = *state;
    attempt it = { .key = "late", .name = "k" };
    kv_error err = { 0 };
    bool more = true;

    for (unsigned i = 0; i < MANY; i++) {
        char key[16];
        house_job job;
        kv_secret_set_in in = { .target = act_target(KV_COLLECTION_SECRETS, "s") };
        kv_secret_bundle out;
        bool again = true;

        (void)snprintf(key, sizeof(key), "key-%u", i);
        house_begin(h, &job);
        assert_kv_ok(kv_idempotency_find(h->vault, &job.work, "SecretSet", kv_slice_text(key),
                                         KV_SLICE("s"), &out, &again, &err));
        assert_kv_ok(kv_secret_set(h->vault, &job.work, &in, &out, &err));
        house_end(h, &job, KV_OK);
    }
    atomic_fetch_add(&h->now_ms, KV_IDEMPOTENCY_MS - 1);
    assert_kv_ok(kv_idempotency_sweep(h->vault, &more, &err));
    assert_false(more);
    assert_int_equal(house_count(h, "SELECT count(*) FROM idempotency"), MANY);
    assert_kv_ok(create(h, &it, &err));
    atomic_fetch_add(&h->now_ms, 1);
    assert_kv_ok(kv_idempotency_sweep(h->vault, &more, &err));
    assert_true(more);
    assert_kv_ok(kv_idempotency_sweep(h->vault, &more, &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM idempotency"), 1);

    /* Not swept yet, and used again: a new call. */
    atomic_fetch_add(&h->now_ms, KV_IDEMPOTENCY_MS);
    assert_kv_ok(create(h, &it, &err));
    assert_false(it.again);
    assert_kv_ok(create(h, &it, &err));
    assert_true(it.again);
    house_assert_tidy(h);
}

#define ON_FAKE(test) cmocka_unit_test_setup_teardown(test, act_start, act_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_FAKE(a_repetition_gets_the_same_answer),
        ON_FAKE(a_key_belongs_to_one_request),
        ON_FAKE(keys_have_a_form),
        ON_FAKE(a_death_in_between_makes_no_second_one),
        ON_FAKE(of_two_at_once_one_comes_first),
        ON_FAKE(who_was_outrun_tries_again_with_the_key),
        ON_FAKE(who_was_outrun_by_the_same_call_does_not_try_again),
        ON_FAKE(what_is_no_more_is_not_made_again),
        ON_FAKE(an_edited_row_answers_nothing),
        ON_FAKE(after_a_day_keys_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
