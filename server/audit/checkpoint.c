/* checkpoint.c - encoding and checking of signed heads. */
#include "server/audit/checkpoint.h"

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "keyvault/v1/audit.pb-c.h"
#include "server/audit/message.h"
#include "server/base/text.h"

enum { KID_BYTES = 16, DER_SIGNATURE_BYTES = 80 };

typedef Keyvault__V1__AuditCheckpoint message;

static ProtobufCBinaryData lend(const uint8_t *data, size_t len)
{
    return (ProtobufCBinaryData){ .data = (uint8_t *)data, .len = len };
}

static size_t pack(const kv_checkpoint *checkpoint, bool with_signature,
                   uint8_t out[KV_CHECKPOINT_BYTES])
{
    message in;
    char node[33];

    keyvault__v1__audit_checkpoint__init(&in);
    kv_hex(kv_slice_of(checkpoint->node, sizeof(checkpoint->node)), node);
    in.node = node;
    in.sequence = checkpoint->sequence;
    in.hash = lend(checkpoint->head, sizeof(checkpoint->head));
    in.time_ms = checkpoint->time_ms;
    in.kid = (char *)checkpoint->kid;
    in.store_version = checkpoint->store_version;
    in.store_digest = lend(checkpoint->store_digest, sizeof(checkpoint->store_digest));
    if (with_signature)
        in.signature = lend(checkpoint->signature, sizeof(checkpoint->signature));
    return keyvault__v1__audit_checkpoint__pack(&in, out);
}

size_t kv_checkpoint_pack(const kv_checkpoint *checkpoint, uint8_t out[KV_CHECKPOINT_BYTES])
{
    return pack(checkpoint, true, out);
}

static bool take(const message *in, kv_checkpoint *out)
{
    uint8_t kid[KID_BYTES];

    out->sequence = in->sequence;
    out->time_ms = in->time_ms;
    out->store_version = in->store_version;
    if (!kv_unhex(kv_slice_text(in->node), out->node, sizeof(out->node)) ||
        !kv_unhex(kv_slice_text(in->kid), kid, sizeof(kid)) || in->hash.len != sizeof(out->head) ||
        in->signature.len != sizeof(out->signature) ||
        !kv_message_bytes(&in->hash, out->head, sizeof(out->head)) ||
        !kv_message_bytes(&in->store_digest, out->store_digest, sizeof(out->store_digest)) ||
        !kv_message_bytes(&in->signature, out->signature, sizeof(out->signature)))
        return false;
    memcpy(out->kid, in->kid, sizeof(out->kid));
    return true;
}

kv_status kv_checkpoint_unpack(kv_slice bytes, kv_checkpoint *out, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(16384);
    ProtobufCAllocator allocator = kv_message_allocator(&arena);
    kv_checkpoint checkpoint = { 0 };
    message *in = NULL;
    uint8_t again[KV_CHECKPOINT_BYTES];

    if (bytes.len <= KV_CHECKPOINT_BYTES)
        in = keyvault__v1__audit_checkpoint__unpack(&allocator, bytes.len, bytes.data);
    if (!in || !take(in, &checkpoint))
        return kv_fail(err, KV_BAD_REQUEST, "not a checkpoint");
    /* One encoding only: what is signed is spelled again from the fields. */
    if (!kv_slice_equal(bytes, kv_slice_of(again, kv_checkpoint_pack(&checkpoint, again))))
        return kv_fail(err, KV_BAD_REQUEST, "not a checkpoint in its one encoding");
    *out = checkpoint;
    return KV_OK;
}

void kv_checkpoint_digest(const kv_checkpoint *checkpoint, uint8_t digest[32])
{
    uint8_t bytes[KV_CHECKPOINT_BYTES];

    SHA256(bytes, pack(checkpoint, false, bytes), digest);
}

/* PKCS#11 gives r || s, OpenSSL checks the DER of it. 0 when it cannot be spelled. */
static int der_of(const uint8_t signature[64], uint8_t der[DER_SIGNATURE_BYTES])
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, 32, NULL);
    BIGNUM *s = BN_bin2bn(signature + 32, 32, NULL);
    int len = 0;

    if (pair && r && s && ECDSA_SIG_set0(pair, r, s)) {
        uint8_t *at = der;

        r = s = NULL;
        len = i2d_ECDSA_SIG(pair, &at);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return len > 0 ? len : 0;
}

bool kv_checkpoint_signed_by(const kv_checkpoint *checkpoint, kv_slice spki)
{
    const uint8_t *at = spki.data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.len);
    EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    uint8_t digest[32], der[DER_SIGNATURE_BYTES];
    int len = der_of(checkpoint->signature, der);
    bool good;

    kv_checkpoint_digest(checkpoint, digest);
    good = context && len > 0 && EVP_PKEY_is_a(key, "EC") && EVP_PKEY_verify_init(context) == 1 &&
           EVP_PKEY_verify(context, der, (size_t)len, digest, sizeof(digest)) == 1;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    return good;
}
