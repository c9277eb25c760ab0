/* rv.h - what a CKR_ code means, for us and for the caller.
 *
 * Threads: any; the table is constant.
 */
#pragma once

#include <p11-kit/pkcs11.h>

#include "server/base/error.h"

typedef enum kv_rv_class {
    KV_RV_OK,
    KV_RV_CALLER,        /* the caller's data: nothing is wrong with the token */
    KV_RV_NEW_SESSION,   /* this session is of no use any more; a new one may be */
    KV_RV_REINITIALISE,  /* login or library state is lost */
    KV_RV_BAD_KEY,       /* the handle or the key is not what we think */
    KV_RV_CONFIGURATION, /* PIN, slot or mechanism: retrying will not help */
    KV_RV_TOKEN_DOWN     /* the token or the way to it */
} kv_rv_class;

typedef struct kv_rv_row {
    CK_RV rv;
    const char *name; /* "CKR_DEVICE_ERROR" */
    kv_rv_class class;
} kv_rv_row;

/* Never NULL; unknown codes are TOKEN_DOWN and named "CKR_(unknown)". */
const kv_rv_row *kv_rv_of(CK_RV rv);
/* Row `index` of the table, NULL past the end. */
const kv_rv_row *kv_rv_at(size_t index);

/* What an answer is worth: `rv`, but CKR_DEVICE_ERROR for a success that tells a length or count of
 * more than the room it was given. */
CK_RV kv_rv_within(CK_RV rv, CK_ULONG len, size_t room);
/* The same for a call that makes a session or an object: a success without a handle is none, and
 * what was written by a call that failed is not a handle. */
CK_RV kv_rv_made(CK_RV rv, CK_ULONG *handle);

/* Fills `err` for a failed call of `function`:
 * CALLER: KV_BAD_REQUEST. CONFIGURATION: KV_PRECONDITION. All others: KV_UNAVAILABLE with
 * KV_REASON_TOKEN_UNAVAILABLE and a retry hint. The code's name goes to the detail. */
kv_status kv_rv_fail(kv_error *err, CK_RV rv, const char *function);
