/* fake_inside.h - the state that the files of the fake token share. */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "tests/support/fake_token.h"

enum { FAKE_SESSIONS = 64, FAKE_ATTRIBUTES = 32, FAKE_FOUND = 512, FAKE_AAD = 4096 };

typedef struct fake_attribute {
    CK_ATTRIBUTE_TYPE type;
    CK_ULONG len;
    uint8_t *value;
} fake_attribute;

typedef struct fake_object {
    CK_OBJECT_HANDLE handle;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE owner; /* 0: a token object */
    fake_attribute attributes[FAKE_ATTRIBUTES];
    unsigned count;
    EVP_PKEY *pkey;
    struct fake_object *next;
} fake_object;

typedef enum fake_operation { FAKE_IDLE, FAKE_SIGN, FAKE_ENCRYPT, FAKE_DECRYPT } fake_operation;

typedef struct fake_session {
    CK_SESSION_HANDLE handle; /* 0: free */
    CK_SLOT_ID slot;
    fake_operation operation;
    CK_OBJECT_HANDLE key;
    CK_MECHANISM_TYPE mechanism;
    CK_RSA_PKCS_PSS_PARAMS pss;
    uint8_t iv[16], aad[FAKE_AAD];
    size_t iv_len, aad_len;
    bool finding;
    CK_OBJECT_HANDLE found[FAKE_FOUND];
    unsigned found_count, found_next;
} fake_session;

typedef struct fake_state {
    pthread_mutex_t lock;
    pthread_cond_t released;
    unsigned token_count;
    char labels[KV_FAKE_TOKENS_MAX][33];
    bool logged_in[KV_FAKE_TOKENS_MAX];
    bool initialised;
    bool gone, wedged;
    CK_MECHANISM_TYPE without;
    const char *hanging;
    CK_ULONG next_handle;
    fake_session sessions[FAKE_SESSIONS];
    fake_object *objects;
    kv_fake_counts counts;
    unsigned fail_in; /* calls until the fault */
    CK_RV fail_rv;
    const char *fail_function;
    unsigned fail_times;
    bool failed;
} fake_state;

/* The one fake of this process; every user holds its lock. */
extern fake_state kv_fake_state;

/* Begins a call: takes the lock, counts, injects. Anything but CKR_OK is the call's answer and the
 * lock is not held. */
CK_RV kv_fake_begin(const char *function);
CK_RV kv_fake_end(CK_RV rv);

fake_session *kv_fake_session(CK_SESSION_HANDLE handle);
/* As seen by a session: NULL when private and not logged in, or out of reach. */
fake_object *kv_fake_object(const fake_session *session, CK_OBJECT_HANDLE handle);
bool kv_fake_visible(const fake_session *session, const fake_object *object);

const fake_attribute *kv_fake_attribute(const fake_object *object, CK_ATTRIBUTE_TYPE type);
bool kv_fake_flag(const fake_object *object, CK_ATTRIBUTE_TYPE type, bool absent);
CK_ULONG kv_fake_number(const fake_object *object, CK_ATTRIBUTE_TYPE type);
void kv_fake_set(fake_object *object, CK_ATTRIBUTE_TYPE type, const void *value, CK_ULONG len);
void kv_fake_set_flag(fake_object *object, CK_ATTRIBUTE_TYPE type, bool value);
fake_object *kv_fake_object_new(const fake_session *session, CK_ATTRIBUTE *template,
                                CK_ULONG count);
void kv_fake_object_free(fake_object *object);
/* Takes it off the token too. */
void kv_fake_forget_object(fake_object *object);
void kv_fake_set_big(fake_object *object, CK_ATTRIBUTE_TYPE type, EVP_PKEY *key, const char *name);

/* fake_crypto.c: what all operations check. */
bool kv_fake_allows(const fake_object *key, CK_MECHANISM_TYPE mechanism);
CK_RV kv_fake_begin_operation(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism,
                              CK_OBJECT_HANDLE which, fake_operation operation,
                              CK_ATTRIBUTE_TYPE usage, fake_session **out);
/* The key of the operation under way, which ends here. */
CK_RV kv_fake_end_operation(CK_SESSION_HANDLE handle, fake_operation operation,
                            fake_session **session, fake_object **key);
/* fake_cipher.c */
CK_RV kv_fake_rsa_open(const fake_object *key, CK_MECHANISM_TYPE mechanism, const CK_BYTE *in,
                       CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len);
/* Those of one session, or all of them with 0. */
void kv_fake_drop_session_objects(CK_SESSION_HANDLE owner);

bool kv_fake_has(CK_MECHANISM_TYPE mechanism);
extern const CK_MECHANISM_TYPE kv_fake_mechanisms[];
extern const unsigned kv_fake_mechanism_count;

CK_RV kv_fake_create(CK_SESSION_HANDLE, CK_ATTRIBUTE *, CK_ULONG, CK_OBJECT_HANDLE *);
CK_RV kv_fake_copy(CK_SESSION_HANDLE, CK_OBJECT_HANDLE, CK_ATTRIBUTE *, CK_ULONG,
                   CK_OBJECT_HANDLE *);
CK_RV kv_fake_destroy(CK_SESSION_HANDLE, CK_OBJECT_HANDLE);
CK_RV kv_fake_get(CK_SESSION_HANDLE, CK_OBJECT_HANDLE, CK_ATTRIBUTE *, CK_ULONG);
CK_RV kv_fake_set_attributes(CK_SESSION_HANDLE, CK_OBJECT_HANDLE, CK_ATTRIBUTE *, CK_ULONG);
CK_RV kv_fake_find_init(CK_SESSION_HANDLE, CK_ATTRIBUTE *, CK_ULONG);
CK_RV kv_fake_find(CK_SESSION_HANDLE, CK_OBJECT_HANDLE *, CK_ULONG, CK_ULONG *);
CK_RV kv_fake_find_final(CK_SESSION_HANDLE);
CK_RV kv_fake_sign_init(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);
CK_RV kv_fake_sign(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
CK_RV kv_fake_encrypt_init(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);
CK_RV kv_fake_encrypt(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
CK_RV kv_fake_decrypt_init(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);
CK_RV kv_fake_decrypt(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
CK_RV kv_fake_generate_key(CK_SESSION_HANDLE, CK_MECHANISM *, CK_ATTRIBUTE *, CK_ULONG,
                           CK_OBJECT_HANDLE *);
CK_RV kv_fake_generate_pair(CK_SESSION_HANDLE, CK_MECHANISM *, CK_ATTRIBUTE *, CK_ULONG,
                            CK_ATTRIBUTE *, CK_ULONG, CK_OBJECT_HANDLE *, CK_OBJECT_HANDLE *);
CK_RV kv_fake_wrap(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_OBJECT_HANDLE, CK_BYTE *,
                   CK_ULONG *);
CK_RV kv_fake_unwrap(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE, CK_BYTE *, CK_ULONG,
                     CK_ATTRIBUTE *, CK_ULONG, CK_OBJECT_HANDLE *);
CK_RV kv_fake_random(CK_SESSION_HANDLE, CK_BYTE *, CK_ULONG);
