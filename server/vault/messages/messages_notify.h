/* messages_notify.h - who is told what happens in a vault. target.collection is
 * KV_COLLECTION_CERTIFICATES, target.name is empty. */
#pragma once

#include "server/vault/messages/messages_common.h"

enum {
    KV_CONTACTS_MAX = 50,
    KV_CONTACT_NAME_MAX = 128, /* bytes */
    KV_CONTACT_PHONE_MAX = 64
};

typedef struct kv_contact {
    kv_slice email;
    kv_slice name;
    kv_slice phone;
} kv_contact;

/* The numbers of the .proto. */
typedef enum kv_mail_mode {
    KV_MAIL_MODE_NONE = 0,
    KV_MAIL_MODE_EACH,  /* what happens is mailed when it does */
    KV_MAIL_MODE_DIGEST /* once a day, all together */
} kv_mail_mode;

typedef struct kv_contacts_set_in {
    kv_target target;
    const kv_contact *contacts;
    size_t count;
    kv_mail_mode mode; /* NONE: as it was, or EACH */
    bool has_generation;
    int64_t generation;
} kv_contacts_set_in;

typedef kv_target_in kv_contacts_get_in;
typedef kv_target_in kv_contacts_delete_in;
typedef kv_target_in kv_contacts_test_in;

typedef struct kv_contacts {
    kv_slice vault;
    const kv_contact *items;
    size_t count;
    kv_mail_mode mode;
    int64_t generation;
    int64_t created;
    int64_t updated;
} kv_contacts;

typedef struct kv_contact_tested {
    kv_slice email;
    bool accepted;    /* by the mail server */
    kv_slice details; /* what it said when it did not */
} kv_contact_tested;

typedef struct kv_contacts_tested {
    const kv_contact_tested *items;
    size_t count;
} kv_contacts_tested;
