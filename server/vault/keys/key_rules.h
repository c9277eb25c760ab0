/* key_rules.h - what may be done with a key, and how one is shown. Inner to vault. */
#pragma once

#include "pkcs11/mechanism.h"
#include "server/vault/keys/key_cache.h"
#include "server/vault/messages/messages_keys.h"

/* The one use a new key is made for, and its operations: 0 gives the default. KV_BAD_REQUEST about
 * key_ops for operations that no key of the type has together. */
kv_status kv_key_class_asked(kv_key_type kty, kv_key_ops asked, kv_key_ops *ops, kv_key_class *out,
                             kv_error *err) KV_MUST_USE;
/* pkcs11's kind for what a caller asks for; KV_BAD_REQUEST names kty, key_size or crv. */
kv_status kv_key_kind_asked(kv_key_type kty, kv_key_class class, uint32_t key_size, kv_curve crv,
                            kv_key_kind *out, kv_error *err) KV_MUST_USE;
/* The class a stored version was made with. KV_CLASS_NONE when its operations make no sense. */
kv_key_class kv_key_class_of(const kv_key_version_row *version, kv_key_kind kind);
/* KV_BAD_REQUEST about key_ops unless the key was made for them. */
kv_status kv_key_ops_changed(const kv_key_version_row *version, kv_key_ops asked,
                             kv_error *err) KV_MUST_USE;

/* KV_PRECONDITION with KV_REASON_DESTROYED, DISABLED, OPERATION_NOT_PERMITTED, or (for `dated`
 * operations) NOT_YET_VALID or EXPIRED. */
kv_status kv_key_allows(const kv_key_snapshot *key, kv_key_ops op, const char *verb, bool dated,
                        int64_t now_ms, kv_error *err) KV_MUST_USE;

/* What birth read back, as the bit mask of kv_key_version_row.attested. */
int64_t kv_key_attested(const kv_key_born *born);
/* KV_INTERNAL when the token says that the key is not what it has to be. */
kv_status kv_key_check_born(const kv_key_born *born, bool exportable, kv_error *err) KV_MUST_USE;

kv_status kv_key_check_imported(const kv_key_born *born, kv_error *err) KV_MUST_USE;
kv_key_type kv_key_type_of(kv_key_kind kind);

/* A new version in all that births and imports have in common. */
typedef struct kv_key_making {
    const kv_target *target;
    kv_key_class class;
    kv_key_kind kind;
    kv_key_ops ops;
    const kv_attributes_in *attributes;
    const kv_tags *tags;
    const kv_secret_buf *material; /* NULL: wrapped, or the token makes it */
    const kv_key_ref *exchange;    /* what `wrapped` is wrapped for; or NULL */
    kv_slice wrapped;
    kv_slice spki;        /* of what is brought */
    kv_rotation_row *due; /* it is made because of this row, as read or last changed; or NULL */
} kv_key_making;

/* What all attempts to store one new version have in common: the key. All zero before the first. */
typedef struct kv_key_effort {
    unsigned races; /* as kv_race_again() counts them */
    bool born;
    kv_birth birth;
    kv_token_object_row token_object;
    int64_t attested;
} kv_key_effort;

/* The version, with the effort's key if that is of the kind and for the use that are asked for now,
 * else with one that is born. KV_CONFLICT: somebody else came first, and the key waits for another
 * attempt. */
kv_status kv_key_attempt(kv_vault *vault, kv_work *work, const kv_key_making *making,
                         kv_key_effort *effort, kv_key_bundle *out, kv_error *err) KV_MUST_USE;
/* After the last attempt, whose status it returns: a key that is no version's goes. */
kv_status kv_key_settle(kv_vault *vault, kv_work *work, const kv_key_effort *effort,
                        kv_status status) KV_MUST_USE;
/* As many attempts as it takes. */
kv_status kv_key_make(kv_vault *vault, kv_work *work, const kv_key_making *making,
                      kv_key_bundle *out, kv_error *err) KV_MUST_USE;

kv_status kv_key_bundle_of(kv_work *work, const kv_vault_row *vault_row,
                           const kv_object_row *object, const kv_key_version_row *version,
                           kv_key_bundle *out, kv_error *err) KV_MUST_USE;
