/* test_vault_events.c - the outbox: an event if and only if there is the change, in order, and a
 * cursor that nothing appears behind.
 */
#include "server/vault/events/events.h"
#include "tests/contract/vault/scripted_issuer.h"

#define DAY             INT64_C(86400000)
#define NEW_KEY         "Microsoft.KeyVault.KeyNewVersionCreated"
#define NEW_SECRET      "Microsoft.KeyVault.SecretNewVersionCreated"
#define NEW_CERTIFICATE "Microsoft.KeyVault.CertificateNewVersionCreated"

enum { CHANGES_MAX = 40, READ_MAX = 200 };

static house *start(void)
{
    house *h = house_new(false);
    kv_error err = { 0 };

    scripted_join(h);
    assert_kv_ok(act_make_vault(h, &err));
    return h;
}

/* Past a cursor, in the memory of a job. */
static kv_event_page read_events(house *h, int64_t after, unsigned limit)
{
    kv_event_query query = { .after = after, .limit = limit };
    kv_event_page page;
    kv_error err = { 0 };
    house_job job;

    house_begin(h, &job);
    assert_kv_ok(kv_events_read(h->vault, job.work.arena, &query, &page, &err));
    return page;
}

static void assert_event(const kv_event_row *event, const char *type, const char *name,
                         const char *cause)
{
    assert_slice_equal(kv_slice_text(type), event->type);
    assert_slice_equal(kv_slice_text(name), event->name);
    assert_slice_equal(kv_slice_text(cause), event->cause);
    assert_slice_equal(KV_SLICE(ACT_VAULT), event->vault);
    assert_int_equal(event->object_uid.len, 16);
}

static void every_change_tells_once(void **state)
{
    house *h = start();
    kv_certificate_operation operation;
    kv_event_page page;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(act_set_secret(h, "s", KV_SLICE("hidden"), NULL, &err));
    assert_kv_ok(act_make_certificate(h, "c", "Self", false, NULL, &err));
    assert_kv_ok(act_renew(h, "c", &operation, &err));
    assert_kv_ok(act_make_certificate(h, "u", "Unknown", false, NULL, &err));
    assert_kv_ok(act_merge(h, "u", &err));
    assert_kv_ok(act_import_certificate(h, "i", &err));
    assert_kv_ok(act_sign(h, "k", KV_SLICE_NONE, &err));
    page = read_events(h, 0, READ_MAX);
    assert_int_equal(page.count, 8);
    assert_false(page.more);
    assert_false(page.lost);
    assert_event(&page.events[0], NEW_KEY, "k", "created");
    assert_event(&page.events[1], NEW_KEY, "k", "rotated");
    assert_event(&page.events[2], NEW_SECRET, "s", "set");
    assert_event(&page.events[3], NEW_CERTIFICATE, "c", "created");
    assert_event(&page.events[4], NEW_CERTIFICATE, "c", "renewed");
    assert_event(&page.events[5], "KeyVault.CertificateActionNeeded", "u", "creation");
    assert_event(&page.events[6], NEW_CERTIFICATE, "u", "created");
    assert_event(&page.events[7], NEW_CERTIFICATE, "i", "imported");
    for (unsigned i = 1; i < page.count; i++)
        assert_true(page.events[i].sequence > page.events[i - 1].sequence);
    assert_int_equal(page.events[3].sha256.len, 32);
    assert_slice_equal(KV_SLICE("Self"), page.events[3].issuer);
    assert_true(page.events[3].expires > page.events[3].not_before);
    house_assert_tidy(h);
    house_free(h);
}

static void a_failure_tells_in_the_issuers_words(void **state)
{
    house *h = start();
    kv_event_page page;
    kv_error err = { 0 };

    (void)state;
    scripted_begin();
    scripted.deed = SCRIPT_REFUSE;
    assert_kv_ok(act_make_certificate(h, "c", "Scripted", false, NULL, &err));
    assert_kv_ok(scripted_drive(h, &err));
    page = read_events(h, 0, READ_MAX);
    assert_int_equal(page.count, 1);
    assert_event(&page.events[0], "KeyVault.CertificateOperationFailed", "c", "creation");
    assert_true(page.events[0].error_code.len > 0);
    assert_true(page.events[0].error_message.len > 0);
    assert_slice_equal(KV_SLICE("Scripted"), page.events[0].issuer);
    house_free(h);
}

/* After death at any change the versions and the events agree. */
static void an_event_if_and_only_if_the_change(void **state)
{
    bool whole = false;

    (void)state;
    for (unsigned n = 1; !whole && n < CHANGES_MAX; n++) {
        house *h = start();
        kv_certificate_operation operation;
        kv_error err = { 0 };

        assert_kv_ok(act_make_certificate(h, "c", "Self", true, NULL, &err));
        house_die_after(h, n, n % 2 ? HOUSE_KEYS_STAY : HOUSE_NO_NEW_KEYS);
        whole = act_renew(h, "c", &operation, &err) == KV_OK &&
                act_set_secret(h, "s", KV_SLICE("v"), NULL, &err) == KV_OK &&
                act_make_key(h, "k", NULL, &err) == KV_OK && !atomic_load(&h->dead);
        assert_kv_ok(house_restart(h, &err));
        assert_int_equal(house_count(h, "SELECT count(*) FROM events WHERE type = "
                                        "'" NEW_CERTIFICATE "'"),
                         house_count(h, "SELECT count(*) FROM certificate_versions"));
        assert_int_equal(house_count(h, "SELECT count(*) FROM events WHERE type = '" NEW_KEY "'"),
                         house_count(h, "SELECT count(*) FROM key_versions WHERE managed = 0"));
        assert_int_equal(
            house_count(h, "SELECT count(*) FROM events WHERE type = '" NEW_SECRET "'"),
            house_count(h, "SELECT count(*) FROM secret_versions WHERE managed = 0"));
        house_assert_tidy(h);
        house_free(h);
    }
    assert_true(whole);
}

static void a_cursor_outlives_a_restart(void **state)
{
    house *h = start();
    kv_event_page page;
    kv_error err = { 0 };
    int64_t cursor = -1;
    house_job job;

    (void)state;
    assert_kv_ok(act_make_key(h, "before", NULL, &err));
    house_begin(h, &job);
    assert_kv_ok(kv_event_cursor(h->vault, &job.work, "mail", &cursor, &err));
    house_end(h, &job, KV_OK);
    /* New consumers hear of what comes, and a crash right then loses nothing. */
    assert_int_equal(read_events(h, cursor, READ_MAX).count, 0);
    assert_kv_ok(act_make_key(h, "one", NULL, &err));
    assert_kv_ok(act_make_key(h, "two", NULL, &err));
    assert_kv_ok(house_restart(h, &err));
    house_begin(h, &job);
    assert_kv_ok(kv_event_cursor(h->vault, &job.work, "mail", &cursor, &err));
    house_end(h, &job, KV_OK);
    page = read_events(h, cursor, 1);
    assert_int_equal(page.count, 1);
    assert_true(page.more);
    assert_slice_equal(KV_SLICE("one"), page.events[0].name);
    house_begin(h, &job);
    assert_kv_ok(kv_event_move_cursor(h->vault, &job.work, "mail", page.next, &err));
    house_end(h, &job, KV_OK);
    /* The clock was wrong: numbers go on all the same. */
    atomic_store(&h->now_ms, HOUSE_NOW_MS - 400 * DAY);
    assert_kv_ok(house_restart(h, &err));
    assert_kv_ok(act_make_key(h, "three", NULL, &err));
    house_begin(h, &job);
    assert_kv_ok(kv_event_cursor(h->vault, &job.work, "mail", &cursor, &err));
    house_end(h, &job, KV_OK);
    page = read_events(h, cursor, READ_MAX);
    assert_int_equal(page.count, 2);
    assert_slice_equal(KV_SLICE("two"), page.events[0].name);
    assert_slice_equal(KV_SLICE("three"), page.events[1].name);
    assert_int_equal(page.next, kv_events_now(h->vault));
    house_free(h);
}

static void a_cursor_has_a_proper_name(void **state)
{
    static const char *const bad[] = { "", "_swept", "Mail", "a b", "m\xc3\xa4il" };
    house *h = start();
    int64_t cursor;
    house_job job;

    (void)state;
    house_begin(h, &job);
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        kv_error err = { 0 };

        assert_kv_fails(KV_BAD_REQUEST,
                        kv_event_cursor(h->vault, &job.work, bad[i], &cursor, &err));
    }
    house_end(h, &job, KV_OK);
    house_free(h);
}

static unsigned sweep(house *h)
{
    kv_error err = { 0 };
    unsigned removed = 0;

    assert_kv_ok(kv_events_sweep(h->vault, &removed, &err));
    return removed;
}

static void what_is_old_goes_and_is_missed(void **state)
{
    house *h = start();
    kv_error err = { 0 };
    kv_event_page page;
    int64_t first;

    (void)state;
    /* A server on its first day: there is nothing, and the sweep ends. */
    assert_int_equal(house_count(h, "SELECT count(*) FROM events"), 0);
    assert_int_equal(sweep(h), 0);
    assert_kv_ok(act_make_key(h, "a", NULL, &err));
    first = read_events(h, 0, READ_MAX).next;
    assert_kv_ok(act_make_key(h, "b", NULL, &err));
    assert_int_equal(sweep(h), 0);
    atomic_fetch_add(&h->now_ms, 31 * DAY);
    assert_kv_ok(act_make_key(h, "c", NULL, &err));
    assert_int_equal(sweep(h), 2);
    page = read_events(h, first, READ_MAX);
    assert_true(page.lost);
    assert_int_equal(page.count, 1);
    /* From the oldest that there is: nothing is missed. */
    assert_false(read_events(h, 0, READ_MAX).lost);
    assert_false(read_events(h, page.next, READ_MAX).lost);
    /* The last one stays, however old. */
    atomic_fetch_add(&h->now_ms, 400 * DAY);
    assert_int_equal(sweep(h), 0);
    assert_int_equal(house_count(h, "SELECT count(*) FROM events"), 1);
    house_assert_tidy(h);
    house_free(h);
}

static void what_is_too_much_goes(void **state)
{
    house *h = start();
    kv_error err = { 0 };
    kv_event_page page;

    (void)state;
    h->events_keep = 3;
    assert_kv_ok(house_restart(h, &err));
    for (unsigned i = 0; i < 5; i++)
        assert_kv_ok(act_set_secret(h, "s", KV_SLICE("v"), NULL, &err));
    assert_int_equal(sweep(h), 2);
    assert_int_equal(sweep(h), 0);
    page = read_events(h, 0, READ_MAX);
    assert_int_equal(page.count, 3);
    house_free(h);
}

static void one_vault_is_read_alone(void **state)
{
    house *h = start();
    kv_vault_put_in other = { .target = { .vault = KV_SLICE("other") } };
    kv_event_query query = { .limit = READ_MAX };
    kv_vault_bundle bundle;
    kv_event_page page;
    kv_error err = { 0 };
    house_job job;

    (void)state;
    assert_kv_ok(HOUSE_DO(h, kv_vault_put, &other, &bundle));
    assert_kv_ok(act_make_key(h, "here", NULL, &err));
    page = read_events(h, 0, READ_MAX);
    query.vault_uid = page.events[0].vault_uid;
    house_begin(h, &job);
    assert_kv_ok(kv_events_read(h->vault, job.work.arena, &query, &page, &err));
    assert_int_equal(page.count, 1);
    query.vault_uid = KV_SLICE("0123456789abcdef");
    assert_kv_ok(kv_events_read(h->vault, job.work.arena, &query, &page, &err));
    assert_int_equal(page.count, 0);
    assert_int_equal(page.next, kv_events_now(h->vault));
    house_free(h);
}

/* Nobody is told what it says, and it keeps nobody from the others. */
static void a_forged_event_is_passed_over(void **state)
{
    house *h = start();
    kv_event_page page;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_key(h, "k", NULL, &err));
    assert_kv_ok(act_make_key(h, "l", NULL, &err));
    assert_int_equal(house_attack(h, "UPDATE events SET name = 'other' WHERE name = 'k'"), 1);
    page = read_events(h, 0, READ_MAX);
    assert_int_equal(page.count, 1);
    assert_slice_equal(KV_SLICE("l"), page.events[0].name);
    /* Also where it is the newest, at a start. */
    assert_int_equal(house_attack(h, "UPDATE events SET name = 'other' WHERE name = 'l'"), 1);
    assert_kv_ok(house_restart(h, &err));
    atomic_fetch_add(&h->now_ms, 1000);
    assert_kv_ok(act_make_key(h, "m", NULL, &err));
    page = read_events(h, 0, READ_MAX);
    assert_int_equal(page.count, 1);
    assert_slice_equal(KV_SLICE("m"), page.events[0].name);
    house_free(h);
}

static void every_type_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < KV_EVENT_TYPE_COUNT; i++) {
        const kv_event_kind *kind = kv_event_kind_of((kv_event_type)i);
        kv_event_type found;

        assert_non_null(kind->name);
        assert_true(kv_event_type_named(kv_slice_text(kind->name), &found));
        assert_int_equal(found, i);
        assert_non_null(kv_event_severity_name(kind->severity));
    }
    assert_false(kv_event_type_named(KV_SLICE("KeyVault.Nothing"), &(kv_event_type){ 0 }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_change_tells_once),
        cmocka_unit_test(a_failure_tells_in_the_issuers_words),
        cmocka_unit_test(an_event_if_and_only_if_the_change),
        cmocka_unit_test(a_cursor_outlives_a_restart),
        cmocka_unit_test(a_cursor_has_a_proper_name),
        cmocka_unit_test(what_is_old_goes_and_is_missed),
        cmocka_unit_test(what_is_too_much_goes),
        cmocka_unit_test(one_vault_is_read_alone),
        cmocka_unit_test(a_forged_event_is_passed_over),
        cmocka_unit_test(every_type_has_a_name_of_its_own),
    };

    return cmocka_run_group_tests_name("vault_events", tests, NULL, NULL);
}
