/* mailbox.c - a list behind a mutex and an eventfd that is written when the list stops being empty.
 */
#include "server/core/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct kv_mailbox {
    int fd;
    pthread_mutex_t mutex; /* guards the list */
    kv_mail *first;
    kv_mail **tail;
};

kv_status kv_mailbox_new(kv_mailbox **out, kv_error *err)
{
    kv_mailbox *box = calloc(1, sizeof(*box));

    if (!box)
        return kv_fail(err, KV_UNAVAILABLE, "out of memory");
    box->tail = &box->first;
    box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (box->fd < 0) {
        free(box);
        kv_fail(err, KV_UNAVAILABLE, "no descriptor left");
        return kv_note(err, "eventfd: %s", strerror(errno));
    }
    (void)pthread_mutex_init(&box->mutex, NULL);
    *out = box;
    return KV_OK;
}

void kv_mailbox_free(kv_mailbox *box)
{
    if (!box)
        return;
    (void)close(box->fd);
    (void)pthread_mutex_destroy(&box->mutex);
    free(box);
}

void kv_mailbox_post(kv_mailbox *box, kv_mail *mail)
{
    mail->next = NULL;
    kv_mailbox_post_all(box, mail);
}

void kv_mailbox_post_all(kv_mailbox *box, kv_mail *mail)
{
    const uint64_t one = 1;
    kv_mail **tail = &mail->next;
    bool was_empty;

    while (*tail)
        tail = &(*tail)->next;
    pthread_mutex_lock(&box->mutex);
    was_empty = !box->first;
    *box->tail = mail;
    box->tail = tail;
    pthread_mutex_unlock(&box->mutex);
    /* Outside the mutex, or the owner would wake up only to wait for it. The counter cannot
     * overflow, so the write cannot fail. */
    if (was_empty && write(box->fd, &one, sizeof(one)) < 0)
        abort();
}

int kv_mailbox_fd(const kv_mailbox *box)
{
    return box->fd;
}

kv_mail *kv_mailbox_take_all(kv_mailbox *box)
{
    kv_mail *mail;
    uint64_t count;
    ssize_t got;

    got = read(box->fd, &count, sizeof(count));
    (void)got; /* nothing to read: the box was empty, or is about to be told that it is not */
    pthread_mutex_lock(&box->mutex);
    mail = box->first;
    box->first = NULL;
    box->tail = &box->first;
    pthread_mutex_unlock(&box->mutex);
    return mail;
}
