/* message.h - a mail message as bytes (RFC 5322, MIME), and which addresses may be mailed to.
 *
 * Nothing that a caller chose can begin another header or another part: control characters are
 * refused, everything that is not plain is encoded (RFC 2047, quoted-printable, base64), and the
 * boundary of the parts cannot occur in what is so encoded. Lines have at most 76 characters and
 * end with CR LF.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

enum {
    KV_LETTER_LOCAL_MAX = 64, /* bytes before the @ */
    KV_LETTER_ADDRESS_MAX = 254,
    KV_LETTER_NAME_MAX = 128,    /* bytes of a display name */
    KV_LETTER_SUBJECT_MAX = 400, /* bytes; what is longer is cut */
    KV_LETTER_TEXT_MAX = 256 * 1024
};

/* A dot-string and a domain of letter-digit-hyphen labels (RFC 5321): no quoted local parts, no
 * address literals, no comments, ASCII only. KV_BAD_REQUEST about `field`. */
kv_status kv_mail_address_check(kv_slice address, const char *field, kv_error *err) KV_MUST_USE;

/* What goes along. */
typedef struct kv_letter_attachment {
    kv_slice name; /* file name: [0-9A-Za-z._-] */
    kv_slice type; /* "application/pkcs10"; a literal */
    kv_slice body;
} kv_letter_attachment;

typedef struct kv_letter {
    kv_slice from_name; /* may be empty */
    kv_slice from;
    kv_slice to_name; /* may be empty */
    kv_slice to;
    kv_slice subject;
    kv_slice id; /* of the message, without domain: [0-9A-Za-z.-]; the same when it is sent again */
    kv_slice domain; /* of the Message-ID */
    int64_t date_ms;
    kv_slice text;                          /* UTF-8, lines end with LF */
    const kv_letter_attachment *attachment; /* NULL: none */
} kv_letter;

/* KV_BAD_REQUEST names the field ("to", "subject", ...) that has control characters, is no UTF-8,
 * or too long. KV_BUSY: the arena is full. */
kv_status kv_letter_build(kv_arena *arena, const kv_letter *mail, kv_slice *out,
                          kv_error *err) KV_MUST_USE;
