/* mail.h - outgoing mail: one message handed to one SMTP server (RFC 5321).
 *
 * With KV_MAIL_STARTTLS and KV_MAIL_IMPLICIT nothing but the greeting passes before TLS 1.2 or
 * newer is up, with the server's name and chain verified: a server without STARTTLS, or with a
 * certificate that is not trusted, gets no mail and no password. No proxy. The address that the
 * server's name resolves to is checked against the policy (see address.h).
 *
 * Threads:  kv_mailer_send() from any thread that may block; never a loop.
 * Lifetime: kv_mailer_new() before the first thread starts; kv_mailer_free() after the last send.
 */
#pragma once

#include "server/base/clock.h"
#include "server/base/secret_buf.h"
#include "server/base/slice.h"
#include "server/net/address.h"

typedef struct kv_mailer kv_mailer;

typedef enum kv_mail_tls {
    KV_MAIL_STARTTLS, /* RFC 3207, required */
    KV_MAIL_IMPLICIT, /* TLS from the first byte (RFC 8314) */
    KV_MAIL_PLAIN     /* none: for a relay on this machine */
} kv_mail_tls;

enum {
    KV_MAIL_RECIPIENTS = 100,
    KV_MAIL_BYTES = 1 << 20, /* of one message */
    KV_MAIL_ADDRESS_BYTES = 254
};

/* Texts are copied. */
typedef struct kv_mailer_config {
    const char *host;
    unsigned port;
    kv_mail_tls tls;
    const char *ca_file;           /* PEM, instead of the system's store; NULL or "": that */
    const char *user;              /* NULL or "": no login; never with KV_MAIL_PLAIN */
    const kv_secret_buf *password; /* copied; NULL without a user */
    const char *helo;              /* our own name */
    kv_address_policy addresses;
} kv_mailer_config;

/* KV_BUSY out of memory. KV_BAD_REQUEST: a user without TLS. */
kv_status kv_mailer_new(const kv_mailer_config *config, kv_mailer **out, kv_error *err) KV_MUST_USE;
/* From now on every send, running ones too, ends with KV_CANCELLED. No way back. */
void kv_mailer_stop(kv_mailer *mailer);
void kv_mailer_free(kv_mailer *mailer);

/* Everything is borrowed for the call. */
typedef struct kv_mail_send {
    const char *from; /* envelope sender; addresses are plain: "a@example.org" */
    const char *const *to;
    size_t to_count;
    kv_slice message; /* RFC 5322, lines end with CR LF */
    kv_deadline deadline;
} kv_mail_send;

/* KV_OK: the server has taken the message for all recipients.
 * Errors, with the server's last reply in the message and libcurl's words in the detail:
 *   KV_BAD_REQUEST   refused for good (5yz): an address, or the message
 *   KV_DENIED        the login was refused
 *   KV_PRECONDITION  the server's address is one that this server may not connect to
 *   KV_TIMEOUT       the deadline passed; the message may have been taken
 *   KV_CANCELLED     kv_mailer_stop()
 *   KV_UNAVAILABLE   no connection, no TLS, no trust, a temporary refusal (4yz): may be tried again
 *   KV_BUSY          out of memory */
kv_status kv_mailer_send(kv_mailer *mailer, const kv_mail_send *send, kv_error *err) KV_MUST_USE;
/* Connects, brings TLS up, logs in, says NOOP. The same errors. */
kv_status kv_mailer_check(kv_mailer *mailer, kv_deadline deadline, kv_error *err) KV_MUST_USE;
