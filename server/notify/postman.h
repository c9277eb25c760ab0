/* postman.h - as whom this server sends mail, and through which server.
 *
 * Threads: any that may block.
 */
#pragma once

#include "server/base/clock.h"
#include "server/notify/message.h"

struct kv_mailer;

/* All borrowed. */
typedef struct kv_postman {
    struct kv_mailer *mailer;
    const char *from;      /* address */
    const char *from_name; /* may be "" */
    const char *domain;    /* what this server is called: of Message-IDs */
} kv_postman;

/* Builds and sends; `mail` needs no sender and no domain. Errors of kv_letter_build and
 * kv_mailer_send (server/net/mail.h). */
kv_status kv_postman_send(const kv_postman *postman, const kv_letter *mail, kv_deadline deadline,
                          kv_arena *arena, kv_error *err) KV_MUST_USE;
/* Is the mail server there, and does it take the login? */
kv_status kv_postman_check(const kv_postman *postman, kv_deadline deadline,
                           kv_error *err) KV_MUST_USE;
