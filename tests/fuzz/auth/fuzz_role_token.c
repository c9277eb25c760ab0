/* fuzz_role_token.c - the three parsers of a role token: compact form, header, claims. The first
 * byte chooses, so the claims are reached without a signature. */
#include <stdlib.h>

#include "server/auth/role_token_claims.h"

static const uint8_t spki[] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0x39, 0xa7, 0x90, 0xb6, 0xa2,
    0x14, 0xc3, 0x53, 0xbd, 0xb6, 0x65, 0x40, 0x59, 0x7b, 0x4b, 0x04, 0xfd, 0x77, 0x65, 0x69, 0xca,
    0x01, 0xfd, 0xfb, 0x39, 0x27, 0xeb, 0x69, 0xb3, 0x4a, 0xf5, 0xa3, 0x18, 0x18, 0x9d, 0x09, 0x60,
    0x97, 0x13, 0x7a, 0x2d, 0x9c, 0x5a, 0x20, 0x64, 0x94, 0x86, 0xce, 0x54, 0x12, 0xfc, 0x38, 0x9b,
    0xce, 0x0c, 0x66, 0xca, 0xa5, 0x73, 0x78, 0xab, 0x44, 0x7c, 0x80
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void verify(kv_slice text)
{
    kv_role_token_key key = { .kid = KV_SLICE("00112233445566778899aabbccddeeff"),
                              .spki = kv_slice_of(spki, sizeof(spki)) };
    kv_role_token_verifier *verifier;
    kv_role_token token;
    kv_error err = { 0 };

    if (kv_role_token_verifier_new(&key, 1, KV_SLICE("keyvault:test"), &verifier, &err) != KV_OK)
        abort();
    /* Nothing can be signed with a key nobody has. */
    if (kv_role_token_verify(verifier, text, &token, &err) != KV_UNAUTHENTICATED)
        abort();
    kv_role_token_verifier_free(verifier);
}

static void read_claims(kv_slice json)
{
    kv_role_token token;
    kv_scope scope;

    if (kv_role_token_read_claims(json, KV_SLICE("keyvault:test"), &token))
        return;
    if (token.role_count == 0 || token.role_count > KV_ROLES_PER_TOKEN || token.epoch < 0 ||
        token.expires_ms - token.not_before_ms > KV_ROLE_TOKEN_TTL_MAX_MS ||
        !kv_scope_read(kv_slice_of(token.scope, token.scope_len), &scope))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char kid[KV_ROLE_TOKEN_KID_DIGITS + 1];
    kv_slice rest;

    if (size == 0)
        return 0;
    rest = kv_slice_of(data + 1, size - 1);
    if (data[0] == 'h')
        (void)kv_role_token_read_header(rest, kid);
    else if (data[0] == 'c')
        read_claims(rest);
    else
        verify(rest);
    return 0;
}
