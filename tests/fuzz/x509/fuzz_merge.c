/* fuzz_merge.c - what a CA sends back. The first byte chooses how strict the checks are; "|||"
 * separates pieces. */
#include <stdlib.h>

#include "server/x509/merge.h"
#include "tests/fuzz/x509/pending.h"

enum { ARENA = 8 << 20, PIECES_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static kv_x509_list split(kv_slice text, kv_slice pieces[PIECES_MAX])
{
    kv_x509_list all = { .items = pieces };

    while (all.count < PIECES_MAX - 1) {
        const uint8_t *at = text.len ? memmem(text.data, text.len, "|||", 3) : NULL;
        size_t len;

        if (!at)
            break;
        len = (size_t)(at - text.data);
        pieces[all.count++] = kv_slice_of(text.data, len);
        text = kv_slice_of(at + 3, text.len - len - 3);
    }
    pieces[all.count++] = text;
    return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA);
    kv_slice pieces[PIECES_MAX];
    kv_x509_policy policy = { .key_props = { .kty = KV_SLICE("EC") } };
    kv_x509_merge_in in = { .field = "x5c",
                            .spki = kv_slice_of(pending_spki, sizeof(pending_spki)),
                            .csr = kv_slice_of(pending_csr, sizeof(pending_csr)),
                            .policy = &policy,
                            .now_ms = INT64_C(1800000000000) };
    kv_x509_merged out = { 0 };
    kv_error err = { 0 };

    if (!size)
        return 0;
    kv_x509_policy_defaults(&policy);
    in.given = split(kv_slice_of(data + 1, size - 1), pieces);
    in.strict = data[0] & 31;
    in.omit_root = data[0] & 32;
    if (kv_x509_merge(&arena, &in, &out, &err) != KV_OK) {
        if (err.status != KV_BAD_REQUEST || !err.message[0])
            abort();
        return 0;
    }
    if (!kv_slice_equal(out.leaf.spki, in.spki) || out.chain.count == 0 || out.leaf.is_ca)
        abort();
    return 0;
}
