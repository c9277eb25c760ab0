/* isolated_dialect.h - what p11-kit's remoting leaves out, in clothes that it lets pass.
 *
 * p11-kit 0.24 carries a part of Cryptoki only: it hides AES-GCM, AES-CBC, AES key wrap and EdDSA
 * from the list of mechanisms and refuses them, fails on CKA_UNWRAP_TEMPLATE, and gets the length
 * of CKA_ALLOWED_MECHANISMS wrong. So both ends of an isolated module speak a dialect: a mechanism
 * travels as the parameter of an OAEP mechanism, whose label is bytes; attributes travel under a
 * type that p11-kit does not know, so as bytes; the list of mechanisms is an attribute of an object
 * that no token has. What is not in the dialect passes unchanged, so plain clients are
 * served too. Both ends are one program on one machine: numbers and structures go as they are in
 * memory.
 *
 * Every function has the name of the Cryptoki function that it stands for, says in which direction
 * it translates, and gives what comes out to `next`.
 *
 * Threads: any.
 */
#pragma once

#include <p11-kit/pkcs11.h>

typedef enum kv_dialect_way {
    KV_DIALECT_OUT, /* from Cryptoki to the dialect, before the remoting */
    KV_DIALECT_IN   /* back, after it */
} kv_dialect_way;

/* X(name, (parameters), (their names)). Functions that pass as they are: */
/* clang-format off */
/* shape: table */
#define KV_DIALECT_PLAIN(X) \
    X(C_GetSlotList, (CK_BBOOL a, CK_SLOT_ID *b, CK_ULONG *c), (a, b, c)) \
    X(C_GetTokenInfo, (CK_SLOT_ID a, CK_TOKEN_INFO *b), (a, b)) \
    X(C_OpenSession, (CK_SLOT_ID a, CK_FLAGS b, void *c, CK_NOTIFY d, CK_SESSION_HANDLE *e), \
      (a, b, c, d, e)) \
    X(C_CloseSession, (CK_SESSION_HANDLE a), (a)) \
    X(C_Login, (CK_SESSION_HANDLE a, CK_USER_TYPE b, CK_BYTE *c, CK_ULONG d), (a, b, c, d)) \
    X(C_Logout, (CK_SESSION_HANDLE a), (a)) \
    X(C_DestroyObject, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE b), (a, b)) \
    X(C_FindObjects, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE *b, CK_ULONG c, CK_ULONG *d), \
      (a, b, c, d)) \
    X(C_FindObjectsFinal, (CK_SESSION_HANDLE a), (a)) \
    X(C_Encrypt, (CK_SESSION_HANDLE a, CK_BYTE *b, CK_ULONG c, CK_BYTE *d, CK_ULONG *e), \
      (a, b, c, d, e)) \
    X(C_Decrypt, (CK_SESSION_HANDLE a, CK_BYTE *b, CK_ULONG c, CK_BYTE *d, CK_ULONG *e), \
      (a, b, c, d, e)) \
    X(C_Sign, (CK_SESSION_HANDLE a, CK_BYTE *b, CK_ULONG c, CK_BYTE *d, CK_ULONG *e), \
      (a, b, c, d, e)) \
    X(C_GenerateRandom, (CK_SESSION_HANDLE a, CK_BYTE *b, CK_ULONG c), (a, b, c))

/* shape: table */
/* Functions with something to translate: */
#define KV_DIALECT_SPOKEN(X) \
    X(C_GetMechanismList, (CK_SLOT_ID a, CK_MECHANISM_TYPE *b, CK_ULONG *c), (a, b, c)) \
    X(C_CreateObject, (CK_SESSION_HANDLE a, CK_ATTRIBUTE *b, CK_ULONG c, CK_OBJECT_HANDLE *d), \
      (a, b, c, d)) \
    X(C_CopyObject, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE b, CK_ATTRIBUTE *c, CK_ULONG d, \
      CK_OBJECT_HANDLE *e), (a, b, c, d, e)) \
    X(C_GetAttributeValue, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE b, CK_ATTRIBUTE *c, \
      CK_ULONG d), (a, b, c, d)) \
    X(C_SetAttributeValue, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE b, CK_ATTRIBUTE *c, \
      CK_ULONG d), (a, b, c, d)) \
    X(C_FindObjectsInit, (CK_SESSION_HANDLE a, CK_ATTRIBUTE *b, CK_ULONG c), (a, b, c)) \
    X(C_EncryptInit, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_OBJECT_HANDLE c), (a, b, c)) \
    X(C_DecryptInit, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_OBJECT_HANDLE c), (a, b, c)) \
    X(C_SignInit, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_OBJECT_HANDLE c), (a, b, c)) \
    X(C_GenerateKey, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_ATTRIBUTE *c, CK_ULONG d, \
      CK_OBJECT_HANDLE *e), (a, b, c, d, e)) \
    X(C_GenerateKeyPair, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_ATTRIBUTE *c, CK_ULONG d, \
      CK_ATTRIBUTE *e, CK_ULONG f, CK_OBJECT_HANDLE *g, CK_OBJECT_HANDLE *h), \
      (a, b, c, d, e, f, g, h)) \
    X(C_WrapKey, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_OBJECT_HANDLE c, CK_OBJECT_HANDLE d, \
      CK_BYTE *e, CK_ULONG *f), (a, b, c, d, e, f)) \
    X(C_UnwrapKey, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_OBJECT_HANDLE c, CK_BYTE *d, \
      CK_ULONG e, CK_ATTRIBUTE *f, CK_ULONG g, CK_OBJECT_HANDLE *h), (a, b, c, d, e, f, g, h))
/* clang-format on */

#define KV_DIALECT_OPEN(...) __VA_ARGS__

/* Besides what `next` says: CKR_HOST_MEMORY; CKR_MECHANISM_PARAM_INVALID for a parameter whose
 * shape the dialect does not know. */
#define KV_DIALECT_DECLARE(name, parameters, values) \
    CK_RV kv_dialect_##name(kv_dialect_way way, CK_FUNCTION_LIST *next, KV_DIALECT_OPEN parameters);
KV_DIALECT_SPOKEN(KV_DIALECT_DECLARE)
#undef KV_DIALECT_DECLARE
