/* armour.h - base64 and PEM as people bring them, and what a blob of bytes is.
 *
 * Internal to this folder. Lenient about line ends, white space, text around blocks and missing
 * padding; strict about everything that would change the bytes.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

typedef enum kv_x509_form {
    KV_X509_FORM_UNKNOWN = 0,
    KV_X509_FORM_DER,   /* BER counts as well: a SEQUENCE of more than 127 bytes */
    KV_X509_FORM_PEM,   /* has a line that begins a block */
    KV_X509_FORM_UTF16, /* text that Windows wrote */
    KV_X509_FORM_BASE64 /* nothing else in it than base64 and white space */
} kv_x509_form;

kv_x509_form kv_x509_form_of(kv_slice bytes);

/* Takes base64 off (at most three times) until something else appears. Fails with KV_BAD_REQUEST
 * naming `field` for empty and for UTF-16 input and for what is neither DER nor PEM; `what` says
 * what was expected. What is decoded lives in `scratch`. */
kv_status kv_x509_peel(kv_arena *scratch, kv_slice bytes, const char *field, const char *what,
                       kv_slice *out, kv_x509_form *form, kv_error *err) KV_MUST_USE;

/* Standard or URL alphabet, white space anywhere, padding at will. False for anything else. */
bool kv_x509_unbase64(kv_arena *scratch, kv_slice text, kv_slice *out);

/* One block. All slices point into the text, `der` into the arena. */
typedef struct kv_x509_block {
    kv_slice label;   /* "CERTIFICATE" */
    kv_slice headers; /* RFC 1421 headers such as Proc-Type, with their line ends; often empty */
    kv_slice der;     /* as the armour had it: still encrypted when `headers` say so */
    size_t number;    /* of the block in the text, from 1 */
} kv_x509_block;

typedef struct kv_x509_blocks {
    kv_slice rest;
    size_t count; /* blocks so far */
    const char *field;
} kv_x509_blocks;

/* `*more` is false after the last block. KV_BAD_REQUEST for a block without an end, with another
 * end, or with a body that is no base64. */
kv_status kv_x509_blocks_next(kv_arena *scratch, kv_x509_blocks *in, kv_x509_block *out, bool *more,
                              kv_error *err) KV_MUST_USE;
