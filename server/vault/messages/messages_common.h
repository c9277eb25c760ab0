/* messages_common.h - what the messages of all operations share.
 *
 * Every operation takes a kv_<operation>_in, named after Azure's operation (KeyCreate:
 * kv_key_create_in), whose first member is a kv_target, and fills one of the outs. The doors
 * (server/wire) translate between these structs and what goes over the network.
 *
 * Conventions: slices are borrowed from the call's arena. An `in` is zeroed first, so an absent
 * field is zero; where absent differs from zero there is a has_ flag. Times are milliseconds since
 * the Unix epoch, 0 for none, as in the store (the doors spell seconds and round down). The form is
 * checked (text is printable UTF-8, enums are known, fixed lengths hold); names, limits and states
 * are not.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/base/slice.h"
#include "server/vault/work.h"

enum {
    KV_TAGS_MAX = 15,       /* per object */
    KV_TAG_NAME_MAX = 256,  /* bytes, at least 1 */
    KV_TAG_VALUE_MAX = 256, /* bytes */
    KV_THUMBPRINT_SHA1 = 20,
    KV_THUMBPRINT_SHA256 = 32
};

/* An `in` without further members, and an out that is an empty message. */
typedef struct kv_target_in {
    kv_target target;
} kv_target_in;

typedef struct kv_nothing_out {
    char unused;
} kv_nothing_out;

/* An `in` that asks for one page of a list. */
typedef struct kv_page {
    uint32_t size; /* 0: the default */
    kv_slice token;
} kv_page;

typedef struct kv_list_in {
    kv_target target;
    kv_page page;
} kv_list_in;

typedef struct kv_object_id {
    kv_slice vault; /* empty: there is no such object */
    kv_slice name;
    kv_slice version;
} kv_object_id;

typedef struct kv_tag {
    kv_slice name;
    kv_slice value;
} kv_tag;

typedef struct kv_tags {
    bool given; /* in an update: replace all tags by these; else leave them */
    const kv_tag *items;
    size_t count; /* at most KV_TAGS_MAX */
} kv_tags;

/* What a caller says about a version. */
typedef struct kv_attributes_in {
    bool has_enabled;
    bool has_not_before;
    bool has_expires;
    bool enabled;
    int64_t not_before; /* given and 0: remove it */
    int64_t expires;
} kv_attributes_in;

typedef struct kv_attributes {
    bool enabled;
    int64_t not_before; /* 0: none */
    int64_t expires;    /* 0: none */
    int64_t created;
    int64_t updated;
    kv_slice recovery_level; /* "Recoverable+Purgeable", ... */
    uint32_t recoverable_days;
} kv_attributes;

/* deleted_date is 0 for an object that is not deleted. */
typedef struct kv_deletion {
    int64_t deleted_date;
    int64_t scheduled_purge_date;
} kv_deletion;

/* One line of a list of keys, secrets or certificates. */
typedef struct kv_object_item {
    kv_object_id id;
    kv_attributes attributes;
    kv_tags tags;
    kv_deletion deletion;
    bool managed;          /* keys and secrets */
    int64_t destroyed;     /* keys */
    kv_slice content_type; /* secrets */
    kv_slice x5t;          /* certificates: SHA-1, and so on */
    kv_slice x5t_s256;
    kv_slice subject;
} kv_object_item;

typedef struct kv_object_list {
    const kv_object_item *items;
    size_t count;
    kv_slice next_page_token; /* empty: the last page */
} kv_object_list;

/* The numbers of the enums are those of the .proto files (server/wire asserts it). */

typedef enum kv_key_type {
    KV_KEY_TYPE_NONE = 0,
    KV_KEY_TYPE_EC,
    KV_KEY_TYPE_RSA,
    KV_KEY_TYPE_OCT,
    KV_KEY_TYPE_OKP
} kv_key_type;

typedef enum kv_curve {
    KV_CURVE_NONE = 0,
    KV_CURVE_P256,
    KV_CURVE_P384,
    KV_CURVE_P521,
    KV_CURVE_P256K,
    KV_CURVE_ED25519
} kv_curve;

/* A set: 1 << the number of keyvault.v1.KeyOperation. */
typedef uint32_t kv_key_ops;
#define KV_KEY_OP_SIGN       (UINT32_C(1) << 1)
#define KV_KEY_OP_VERIFY     (UINT32_C(1) << 2)
#define KV_KEY_OP_ENCRYPT    (UINT32_C(1) << 3)
#define KV_KEY_OP_DECRYPT    (UINT32_C(1) << 4)
#define KV_KEY_OP_WRAP_KEY   (UINT32_C(1) << 5)
#define KV_KEY_OP_UNWRAP_KEY (UINT32_C(1) << 6)
#define KV_KEY_OP_IMPORT     (UINT32_C(1) << 7)
