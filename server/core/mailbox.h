/* mailbox.h - how a loop is told something by another thread.
 *
 * It knows nothing of event libraries: it has a file descriptor, and the loop watches it. Posting
 * wakes the loop only when the box was empty, so a burst costs one wake-up.
 *
 * Threads:  post: any. take_all and free: the one owner.
 * Lifetime: free it when every post has returned and none can come; mail still inside is dropped,
 *           not freed.
 */
#pragma once

#include <stdbool.h>

#include "server/base/error.h"

typedef struct kv_mailbox kv_mailbox;
typedef struct kv_mail kv_mail;

/* The node inside whatever is posted. In one mailbox at a time. */
struct kv_mail {
    kv_mail *next;
    /* Run by the owner; `owner` is whatever the owner says it is (a loop). Takes the mail. */
    void (*deliver)(KV_TAKES kv_mail *mail, void *owner);
};

/* KV_UNAVAILABLE when the system has no descriptor left. */
kv_status kv_mailbox_new(kv_mailbox **out, kv_error *err) KV_MUST_USE;
void kv_mailbox_free(kv_mailbox *box);

/* Never fails and never waits: the mail is its own list node. */
void kv_mailbox_post(kv_mailbox *box, KV_TAKES kv_mail *mail);
/* A list linked by `next`, in its order, with one wake-up. */
void kv_mailbox_post_all(kv_mailbox *box, KV_TAKES kv_mail *mail);

/* Readable when there is mail; the owner watches it and then takes all of it. */
int kv_mailbox_fd(const kv_mailbox *box);
/* Oldest first, linked by `next`; NULL when empty. */
kv_mail *kv_mailbox_take_all(kv_mailbox *box);
