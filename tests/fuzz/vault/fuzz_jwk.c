/* fuzz_jwk.c - private JSON Web Keys on their way to PKCS #8, and what a token takes in of it.
 *
 * Type and curve, a byte each, then the members in the order of kv_private_jwk: two bytes of
 * length each.
 */
#include <stdlib.h>

#include "pkcs11/token_import.h"
#include "server/vault/keys/key_jwk.h"

enum { ARENA = 1 << 20, MEMBERS = 11 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static kv_slice take(kv_slice *from)
{
    size_t len = from->len < 2 ? 0 : (size_t)from->data[0] << 8 | from->data[1];
    kv_slice out = KV_SLICE_NONE;

    if (from->len < 2)
        return out;
    *from = kv_slice_of(from->data + 2, from->len - 2);
    len = len < from->len ? len : from->len;
    out = kv_slice_of(from->data, len);
    *from = kv_slice_of(from->data + len, from->len - len);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA);
    KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
    kv_slice rest = kv_slice_of(data, size);
    kv_private_jwk jwk = { 0 };
    kv_slice *members[MEMBERS] = { &jwk.n,  &jwk.e,  &jwk.d, &jwk.p, &jwk.q, &jwk.dp,
                                   &jwk.dq, &jwk.qi, &jwk.x, &jwk.y, &jwk.k };
    kv_key_kind kind;
    kv_slice spki;
    kv_error err = { 0 };

    if (size < 2)
        return 0;
    jwk.kty = (kv_key_type)(data[0] % 5);
    jwk.crv = (kv_curve)(data[1] % 6);
    rest = kv_slice_of(data + 2, size - 2);
    for (int i = 0; i < MEMBERS; i++)
        *members[i] = take(&rest);
    if (kv_jwk_to_pkcs8(&jwk, &pkcs8, &err) != KV_OK) {
        if (err.status != KV_BAD_REQUEST)
            abort();
        return 0;
    }
    if (kv_private_key_inspect(&pkcs8, &arena, &kind, &spki, &err) != KV_OK &&
        err.status != KV_BAD_REQUEST)
        abort();
    return 0;
}
