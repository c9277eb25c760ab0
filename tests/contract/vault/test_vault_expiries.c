/* test_vault_expiries.c - what ends is announced in time, each moment once, whoever made it and
 * whoever was away meanwhile.
 */
#include "server/vault/events/events.h"
#include "tests/contract/vault/acts.h"

#define DAY INT64_C(86400000)

enum { STEPS_MAX = 500, CHANGES_MAX = 20, READ_MAX = 200 };

static house *start(void)
{
    house *h = house_new(false);
    kv_error err = { 0 };

    assert_kv_ok(act_make_vault(h, &err));
    return h;
}

/* As the server's thread does, until that moment. */
static kv_status live_until(house *h, int64_t until, kv_error *err)
{
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        int64_t next = 0;

        KV_TRY(kv_vault_step_expiry(h->vault, &next, err));
        if (!next || next > until) {
            atomic_store(&h->now_ms, until);
            return KV_OK;
        }
        if (next > atomic_load(&h->now_ms))
            atomic_store(&h->now_ms, next);
    }
    return kv_fail(err, KV_INTERNAL, "there is no end of steps");
}

/* The causes of all announcements about `name`, in order, past `after`. */
static const char *said(house *h, const char *name, int64_t after)
{
    static char text[512];
    kv_event_query query = { .after = after, .limit = READ_MAX };
    kv_event_page page;
    kv_error err = { 0 };
    house_job job;

    text[0] = 0;
    house_begin(h, &job);
    assert_kv_ok(kv_events_read(h->vault, job.work.arena, &query, &page, &err));
    for (unsigned i = 0; i < page.count; i++) {
        const kv_event_row *event = &page.events[i];
        bool near = memmem(event->type.data, event->type.len, "NearExpiry", 10) != NULL;
        bool over = memmem(event->type.data, event->type.len, "Expired", 7) != NULL;

        if (!(near || over) || !kv_slice_equal(event->name, kv_slice_text(name)))
            continue;
        assert_int_equal(over, kv_slice_equal(event->cause, KV_SLICE("expired")));
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s ",
                       KV_SLICE_ARG(event->cause));
    }
    return text;
}

static kv_status set_ending(house *h, const char *name, int64_t expires, kv_error *err)
{
    kv_secret_set_in in = { .target = act_target(KV_COLLECTION_SECRETS, name),
                            .value = KV_SLICE("v"),
                            .attributes = { .has_expires = true, .expires = expires } };
    kv_secret_bundle out;
    house_job job;
    kv_status status;

    house_begin(h, &job);
    status = kv_secret_set(h->vault, &job.work, &in, &out, err);
    house_end(h, &job, status);
    return status;
}

static kv_status move_end(house *h, const char *name, int64_t expires, bool tag, kv_error *err)
{
    kv_secret_update_in in = { .target = act_target(KV_COLLECTION_SECRETS, name),
                               .attributes = { .has_expires = !tag, .expires = expires },
                               .has_content_type = tag,
                               .content_type = KV_SLICE("text/plain") };
    kv_secret_bundle out;
    house_job job;
    kv_status status;

    house_begin(h, &job);
    status = kv_secret_update(h->vault, &job.work, &in, &out, err);
    house_end(h, &job, status);
    return status;
}

static void each_moment_is_announced_once(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(set_ending(h, "s", HOUSE_NOW_MS + 90 * DAY, &err));
    assert_kv_ok(act_set_secret(h, "for-ever", KV_SLICE("v"), NULL, &err));
    assert_kv_ok(act_make_certificate(h, "c", "Self", false, NULL, &err));
    /* Key and secret of a certificate are not announced beside it. */
    assert_int_equal(house_count(h, "SELECT count(*) FROM expiries"), 2);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 59 * DAY, &err));
    assert_string_equal(said(h, "s", 0), "");
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 76 * DAY, &err));
    assert_string_equal(said(h, "s", 0), "30-days 15-days ");
    assert_kv_ok(house_restart(h, &err));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 500 * DAY, &err));
    assert_string_equal(said(h, "s", 0), "30-days 15-days 90-percent 7-days 95-percent expired ");
    assert_string_equal(said(h, "c", 0), "90-percent 30-days 95-percent 15-days 7-days expired ");
    assert_string_equal(said(h, "for-ever", 0), "");
    assert_int_equal(house_count(h, "SELECT count(*) FROM expiries"), 0);
    house_assert_tidy(h);
    house_free(h);
}

static void who_was_away_announces_the_latest(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(set_ending(h, "s", HOUSE_NOW_MS + 90 * DAY, &err));
    house_shut(h);
    atomic_store(&h->now_ms, HOUSE_NOW_MS + 84 * DAY);
    assert_kv_ok(house_open(h, &err));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 85 * DAY, &err));
    assert_string_equal(said(h, "s", 0), "7-days ");
    atomic_store(&h->now_ms, HOUSE_NOW_MS + 200 * DAY);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 200 * DAY, &err));
    assert_string_equal(said(h, "s", 0), "7-days expired ");
    house_free(h);
}

static void what_is_replaced_is_announced_no_more(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(set_ending(h, "s", HOUSE_NOW_MS + 60 * DAY, &err));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 31 * DAY, &err));
    assert_kv_ok(set_ending(h, "s", HOUSE_NOW_MS + 400 * DAY, &err));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 300 * DAY, &err));
    assert_string_equal(said(h, "s", 0), "30-days ");
    assert_kv_ok(act_set_secret(h, "s", KV_SLICE("without end"), NULL, &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM expiries"), 0);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 500 * DAY, &err));
    assert_string_equal(said(h, "s", 0), "30-days ");
    house_free(h);
}

static void another_end_is_announced_anew(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(set_ending(h, "s", HOUSE_NOW_MS + 60 * DAY, &err));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 31 * DAY, &err));
    /* What does not touch the end changes nothing. */
    assert_kv_ok(move_end(h, "s", 0, true, &err));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 32 * DAY, &err));
    assert_string_equal(said(h, "s", 0), "30-days ");
    assert_kv_ok(move_end(h, "s", HOUSE_NOW_MS + 42 * DAY, false, &err));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 33 * DAY, &err));
    assert_string_equal(said(h, "s", 0), "30-days 15-days ");
    house_free(h);
}

static void what_is_near_its_end_already_says_so_at_once(void **state)
{
    house *h = start();
    kv_secret_set_in in = { .target = act_target(KV_COLLECTION_SECRETS, "late"),
                            .value = KV_SLICE("v"),
                            .attributes = { .has_not_before = true,
                                            .not_before = HOUSE_NOW_MS - 90 * DAY,
                                            .has_expires = true,
                                            .expires = HOUSE_NOW_MS + 5 * DAY } };
    kv_secret_bundle out;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(HOUSE_DO(h, kv_secret_set, &in, &out));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS, &err));
    assert_string_equal(said(h, "late", 0), "7-days ");
    house_free(h);
}

static void ask_for(house *h, uint32_t percentage, uint32_t days)
{
    kv_x509_lifetime_action mail = { KV_X509_EMAIL_CONTACTS, percentage, days };
    kv_certificate_policy_update_in in = {
        .target = act_target(KV_COLLECTION_CERTIFICATES, "c"),
        .policy = { .lifetime_actions = &mail, .lifetime_action_count = 1 },
    };
    kv_certificate_policy_bundle out;
    kv_error err;

    assert_kv_ok(HOUSE_DO(h, kv_certificate_policy_update, &in, &out));
}

/* What was said already is not said again. */
static void a_policy_has_a_moment_of_its_own(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_certificate(h, "c", "Self", false, NULL, &err));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 10 * DAY, &err));
    ask_for(h, 0, 300);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 100 * DAY, &err));
    assert_string_equal(said(h, "c", 0), "policy ");
    ask_for(h, 50, 0);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 200 * DAY, &err));
    assert_string_equal(said(h, "c", 0), "policy policy ");
    /* That moment is over, and nobody heard of it: nor will they. */
    ask_for(h, 20, 0);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 331 * DAY, &err));
    assert_string_equal(said(h, "c", 0), "policy policy 90-percent ");
    ask_for(h, 0, 20);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 500 * DAY, &err));
    assert_string_equal(said(h, "c", 0),
                        "policy policy 90-percent 30-days policy 95-percent 15-days 7-days "
                        "expired ");
    house_assert_tidy(h);
    house_free(h);
}

/* They never renew, so this is all that anybody hears. */
static void an_import_is_announced_too(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_import_certificate(h, "i", &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM expiries"), 1);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 40000 * DAY, &err));
    assert_non_null(strstr(said(h, "i", 0), "95-percent"));
    assert_non_null(strstr(said(h, "i", 0), "expired "));
    house_free(h);
}

static void what_is_deleted_waits(void **state)
{
    house *h = start();
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(set_ending(h, "s", HOUSE_NOW_MS + 60 * DAY, &err));
    assert_kv_ok(set_ending(h, "gone", HOUSE_NOW_MS + 60 * DAY, &err));
    assert_kv_ok(act_delete(h, KV_COLLECTION_SECRETS, "s", &err));
    assert_kv_ok(act_delete(h, KV_COLLECTION_SECRETS, "gone", &err));
    assert_kv_ok(act_purge(h, KV_COLLECTION_SECRETS, "gone", &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM expiries"), 1);
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 50 * DAY, &err));
    assert_string_equal(said(h, "s", 0), "");
    assert_kv_ok(act_recover(h, KV_COLLECTION_SECRETS, "s", &err));
    assert_kv_ok(live_until(h, HOUSE_NOW_MS + 52 * DAY, &err));
    assert_string_equal(said(h, "s", 0), "15-days ");
    house_assert_tidy(h);
    house_free(h);
}

static void a_restored_one_ends_too(void **state)
{
    house *h = start();
    kv_backup backup;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(act_make_certificate(h, "c", "Self", true, NULL, &err));
    assert_kv_ok(act_backup(h, KV_COLLECTION_CERTIFICATES, "c", &backup, &err));
    assert_kv_ok(act_delete(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_kv_ok(act_purge(h, KV_COLLECTION_CERTIFICATES, "c", &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM expiries"), 0);
    assert_kv_ok(act_restore(h, KV_COLLECTION_CERTIFICATES, backup.value, &err));
    assert_int_equal(house_count(h, "SELECT count(*) FROM expiries"), 1);
    assert_int_equal(house_count(h, "SELECT count(*) FROM events WHERE cause = 'restored'"), 1);
    assert_int_equal(house_count(h, "SELECT count(*) FROM events WHERE type LIKE '%Destroyed'"), 1);
    house_free(h);
}

/* Death before or after an announcement: it is there once. */
static void death_announces_nothing_twice(void **state)
{
    bool whole = false;

    (void)state;
    for (unsigned n = 1; !whole && n < CHANGES_MAX; n++) {
        house *h = start();
        kv_error err = { 0 };

        assert_kv_ok(set_ending(h, "s", HOUSE_NOW_MS + 90 * DAY, &err));
        house_die_after(h, n, HOUSE_KEYS_STAY);
        whole = live_until(h, HOUSE_NOW_MS + 100 * DAY, &err) == KV_OK && !atomic_load(&h->dead);
        err = (kv_error){ 0 };
        assert_kv_ok(house_restart(h, &err));
        assert_kv_ok(live_until(h, HOUSE_NOW_MS + 100 * DAY, &err));
        assert_string_equal(said(h, "s", 0),
                            "30-days 15-days 90-percent 7-days 95-percent expired ");
        house_free(h);
    }
    assert_true(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_moment_is_announced_once),
        cmocka_unit_test(who_was_away_announces_the_latest),
        cmocka_unit_test(what_is_replaced_is_announced_no_more),
        cmocka_unit_test(another_end_is_announced_anew),
        cmocka_unit_test(what_is_near_its_end_already_says_so_at_once),
        cmocka_unit_test(a_policy_has_a_moment_of_its_own),
        cmocka_unit_test(an_import_is_announced_too),
        cmocka_unit_test(what_is_deleted_waits),
        cmocka_unit_test(a_restored_one_ends_too),
        cmocka_unit_test(death_announces_nothing_twice),
    };

    return cmocka_run_group_tests_name("vault_expiries", tests, NULL, NULL);
}
