/* dn.h - distinguished names as text, RFC 4514.
 *
 * "CN=www.example.com, O=Example\, Inc., C=CH": attributes separated by ",", several values of one
 * RDN by "+", special characters escaped by "\" or as two hexadecimal digits, white space around
 * separators ignored. As Azure's callers use it, a value may also stand in double quotes. The
 * first RDN of the text is the last of the encoded name.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/arena.h"
#include "server/base/error.h"
#include "server/base/slice.h"

/* One attribute of a name, in the order of the text. */
typedef struct kv_x509_attribute {
    int nid;        /* OpenSSL's number of the attribute type */
    kv_slice value; /* UTF-8, escapes resolved, never empty */
    bool same_rdn;  /* belongs to the RDN of the attribute before it */
} kv_x509_attribute;

typedef struct kv_x509_dn {
    const kv_x509_attribute *items; /* in the arena */
    size_t count;
} kv_x509_dn;

enum { KV_X509_ATTRIBUTES_MAX = 32 };

/* An empty text is the empty name. KV_BAD_REQUEST names `field` and says what is wrong: an unknown
 * attribute, no value, a stray special character, a value longer than RFC 5280 allows, a control
 * character, an attribute given twice that may stand once only (all but OU, DC and STREET). */
kv_status kv_x509_dn_parse(kv_arena *arena, kv_slice text, const char *field, kv_x509_dn *out,
                           kv_error *err) KV_MUST_USE;
