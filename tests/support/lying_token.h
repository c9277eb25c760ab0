/* lying_token.h - a PKCS#11 module that says what the fake says, except where it lies.
 *
 * What it was not told to lie about is the truth of tests/support/fake_token.h, so a lie can come
 * as late as one likes in a conversation that is otherwise real. It may return any code, any
 * length, count or handle, any bytes, and NULL; it may do nothing and call it a success, or do
 * everything and call it a failure. It never writes past the room that the caller named: a module
 * that does so has the process in its hands, and the one help against it is to isolate it.
 *
 * Whatever it is given to read it does read, byte by byte, so that the address sanitizer sees a
 * length that is more than the caller's buffer has.
 *
 * Cryptoki's functions have no context, so there is one liar per process.
 * Threads: one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <p11-kit/pkcs11.h>

typedef enum kv_lie_kind {
    KV_LIE_REFUSE,  /* does nothing and returns `value` */
    KV_LIE_DISOWN,  /* does what it was asked, and returns `value` */
    KV_LIE_IDLE,    /* does nothing and returns CKR_OK */
    KV_LIE_LENGTH,  /* does it; every length or count it tells is `value` */
    KV_LIE_BEYOND,  /* does it; every length or count is `value` more than there was room for */
    KV_LIE_OFF,     /* does it; every length or count is `value` more than the true one */
    KV_LIE_BYTES,   /* does it; then fills all its room with the lowest byte of `value` */
    KV_LIE_FLIP,    /* does it; then bit `value` (modulo all) of its results is the other one */
    KV_LIE_HANDLE,  /* does it; every handle it tells is `value` */
    KV_LIE_POINTER, /* does it; the pointers of a template are NULL afterwards */
    KV_LIE_KINDS
} kv_lie_kind;

enum { KV_LIE_FOR_EVER = 0, KV_LIES_MAX = 32 };

typedef struct kv_lie {
    const char *function; /* "C_Sign"; NULL: every function */
    unsigned first;       /* the call of that function from which on it lies; 1: the first */
    unsigned times;       /* KV_LIE_FOR_EVER, or how many calls */
    kv_lie_kind kind;
    unsigned long value;
} kv_lie;

/* The liar in front of `truth`; nothing is said yet but the truth. */
CK_FUNCTION_LIST *kv_liar_new(CK_FUNCTION_LIST *truth);

/* Counts calls from one again and tells these lies (at most KV_LIES_MAX; the first that applies to
 * a call is told). Copied. */
void kv_liar_tell(const kv_lie *lies, size_t count);

/* Objects up to this handle are neither destroyed nor changed, whoever asks. */
void kv_liar_keep(CK_OBJECT_HANDLE last);

/* Calls since kv_liar_tell. */
unsigned long kv_liar_calls(void);
unsigned kv_liar_calls_of(const char *function);

/* Has an object been destroyed since kv_liar_tell of which only a call that failed had told? */
bool kv_liar_undone(void);

/* Name of function `index` that it has, NULL past the end. */
const char *kv_liar_function(size_t index);
