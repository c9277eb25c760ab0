/* test_mailbox.c - mail arrives in order, and a burst wakes once. */
#include "server/core/mailbox.h"

#include <poll.h>
#include <pthread.h>

#include "tests/support/kv_cmocka.h"

enum { SENDERS = 4, EACH = 500 };

static int make(void **state)
{
    kv_error err;

    assert_kv_ok(kv_mailbox_new((kv_mailbox **)state, &err));
    return 0;
}

static int drop(void **state)
{
    kv_mailbox_free(*state);
    return 0;
}

static bool is_readable(const kv_mailbox *box)
{
    struct pollfd fd = { .fd = kv_mailbox_fd(box), .events = POLLIN };

    return poll(&fd, 1, 0) == 1;
}

static void an_empty_box_is_quiet(void **state)
{
    assert_false(is_readable(*state));
    assert_null(kv_mailbox_take_all(*state));
}

static void mail_comes_in_order(void **state)
{
    kv_mail mail[3] = { 0 };

    for (size_t i = 0; i < KV_COUNT(mail); i++)
        kv_mailbox_post(*state, &mail[i]);
    assert_true(is_readable(*state));
    assert_ptr_equal(kv_mailbox_take_all(*state), &mail[0]);
    assert_ptr_equal(mail[0].next, &mail[1]);
    assert_ptr_equal(mail[1].next, &mail[2]);
    assert_null(mail[2].next);
    assert_false(is_readable(*state));
}

static void a_box_wakes_again_after_it_was_emptied(void **state)
{
    kv_mail mail = { 0 };

    kv_mailbox_post(*state, &mail);
    (void)kv_mailbox_take_all(*state);
    kv_mailbox_post(*state, &mail);
    assert_true(is_readable(*state));
    assert_ptr_equal(kv_mailbox_take_all(*state), &mail);
}

static void a_list_is_posted_behind_what_is_there(void **state)
{
    kv_mail mail[4] = { { .next = &mail[1] }, { 0 }, { .next = &mail[3] }, { 0 } };
    const kv_mail *first;

    kv_mailbox_post_all(*state, &mail[0]);
    kv_mailbox_post_all(*state, &mail[2]);
    assert_true(is_readable(*state));
    first = kv_mailbox_take_all(*state);
    for (size_t i = 0; i < KV_COUNT(mail); i++, first = first->next)
        assert_ptr_equal(first, &mail[i]);
    assert_null(first);
}

typedef struct sender {
    kv_mailbox *box;
    pthread_t thread;
    kv_mail mail[EACH];
} sender;

static void *send_all(void *context)
{
    sender *me = context;

    for (size_t i = 0; i < EACH; i++)
        kv_mailbox_post(me->box, &me->mail[i]);
    return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
    static sender senders[SENDERS];
    size_t got = 0;

    for (size_t i = 0; i < SENDERS; i++) {
        senders[i].box = *state;
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    while (got < (size_t)SENDERS * EACH) {
        struct pollfd fd = { .fd = kv_mailbox_fd(*state), .events = POLLIN };

        assert_int_equal(poll(&fd, 1, 5000), 1);
        for (kv_mail *mail = kv_mailbox_take_all(*state); mail; mail = mail->next)
            got++;
    }
    for (size_t i = 0; i < SENDERS; i++)
        (void)pthread_join(senders[i].thread, NULL);
    assert_null(kv_mailbox_take_all(*state));
}

#define BOX(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOX(an_empty_box_is_quiet),
        BOX(mail_comes_in_order),
        BOX(a_box_wakes_again_after_it_was_emptied),
        BOX(a_list_is_posted_behind_what_is_there),
        BOX(nothing_is_lost_between_threads),
    };

    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
