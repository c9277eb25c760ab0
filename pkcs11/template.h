/* template.h - the one complete template of each class of key, and whether an object obeys it.
 *
 * Keys are born modifiable and copyable (else there are no session copies) and pinned by
 * CKA_ALLOWED_MECHANISMS, which nobody can change afterwards.
 */
#pragma once

#include "pkcs11/token.h"
#include "pkcs11/token_key.h"

enum { KV_TEMPLATE_MAX = 24 };

/* A template owns what its attributes point to, except the spec it was made from. */
typedef struct kv_template {
    CK_ATTRIBUTE items[KV_TEMPLATE_MAX];
    CK_ULONG count;
    CK_ULONG numbers[4];
    CK_MECHANISM_TYPE allowed[4];
    CK_ATTRIBUTE inner[5]; /* CKA_UNWRAP_TEMPLATE */
    CK_OBJECT_CLASS inner_class;
    CK_KEY_TYPE inner_type;
} kv_template;

/* KV_BAD_REQUEST when the kind does not fit the class, or the class is never exportable. */
kv_status kv_template_check(const kv_key_spec *spec, kv_error *err) KV_MUST_USE;

/* Session objects all; `out` must not move afterwards. */
void kv_template_private(const kv_key_spec *spec, kv_template *out);
void kv_template_public(const kv_key_spec *spec, kv_template *out);
void kv_template_secret(const kv_key_spec *spec, kv_template *out);
/* With its length: to be generated. */
void kv_template_new_secret(const kv_key_spec *spec, kv_template *out);
/* Adds the value of a key that is to be created; `value` is borrowed. */
void kv_template_put_value(kv_template *out, kv_key_kind kind, kv_slice value);

/* The mechanism that generates a kind. */
CK_MECHANISM_TYPE kv_template_generator(kv_key_kind kind);

/* KV_UNSUPPORTED when the token lacks a mechanism that the class needs. */
kv_status kv_template_supported(const kv_token *token, kv_key_class class, kv_key_kind kind,
                                kv_error *err) KV_MUST_USE;

/* The class whose mechanisms the object is pinned to; KV_CLASS_NONE when none. */
kv_key_class kv_template_class_of(kv_token_visit *visit, CK_OBJECT_HANDLE object);
kv_key_kind kv_template_kind_of(kv_token_visit *visit, CK_OBJECT_HANDLE object);

/* The object is a private, sensitive key of the class, and its public half is ref->spki.
 * KV_INTERNAL with KV_REASON_INTEGRITY when it is not. */
kv_status kv_template_prove(kv_token_visit *visit, const kv_key_ref *ref, CK_OBJECT_HANDLE object,
                            kv_key_kind *kind, kv_error *err) KV_MUST_USE;

/* Writes the first attribute that is not as the template of the class says; "" when there is none.
 * Anything but CKR_OK: the token did not answer. */
CK_RV kv_template_differs(kv_token_visit *visit, CK_OBJECT_HANDLE object, kv_key_class class,
                          kv_key_kind kind, const char **name);
