/* software.c - OpenSSL alone, the key in memory: the ceiling of any signature by this machine. */
#include <stdbool.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "server/base/slice.h"
#include "tests/bench/speed/bench.h"

enum { TAG_BYTES = 16, IV_BYTES = 12, SIGNATURE_BYTES = 1024 };

typedef struct software {
    bench_what what;
    EVP_PKEY *key; /* one per thread: none waits for another's locks */
    EVP_CIPHER_CTX *cipher;
    uint8_t plain[BENCH_GCM_BYTES];
} software;

static EVP_PKEY *make_key(bench_what what)
{
    switch (what) {
    case BENCH_P256:
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    case BENCH_P384:
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    case BENCH_RSA2048:
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    case BENCH_RSA4096:
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)4096);
    case BENCH_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case BENCH_GCM:
    case BENCH_SECRET:
    case BENCH_CERTIFICATE:
    case BENCH_CREATE:
    case BENCH_WHAT_COUNT:
        break;
    }
    return NULL;
}

static bool sign_digest(EVP_PKEY *key, kv_slice digest, uint8_t *signature, size_t *len)
{
    const EVP_MD *hash = digest.len == 32 ? EVP_sha256() : EVP_sha384();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    bool good = context && EVP_PKEY_sign_init(context) == 1 &&
                (!EVP_PKEY_is_a(key, "RSA") ||
                 EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1) &&
                EVP_PKEY_CTX_set_signature_md(context, hash) == 1 &&
                EVP_PKEY_sign(context, signature, len, digest.data, digest.len) == 1;

    EVP_PKEY_CTX_free(context);
    return good;
}

static bool sign_message(EVP_PKEY *key, kv_slice message, uint8_t *signature, size_t *len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestSign(context, signature, len, message.data, message.len) == 1;

    EVP_MD_CTX_free(context);
    return good;
}

static void sign_once(void *state)
{
    software *me = state;
    uint8_t signature[SIGNATURE_BYTES];
    size_t len = sizeof(signature);
    kv_slice digest = kv_slice_of(me->plain, bench_digest_len(me->what));
    bool good = me->what == BENCH_ED25519 ? sign_message(me->key, digest, signature, &len)
                                          : sign_digest(me->key, digest, signature, &len);

    if (!good)
        bench_die("OpenSSL", "does not sign");
}

static void seal_once(void *state)
{
    software *me = state;
    static const uint8_t key[32] = { 1 }, iv[IV_BYTES] = { 2 };
    uint8_t sealed[BENCH_GCM_BYTES + TAG_BYTES];
    int len = 0, rest = 0;

    if (EVP_EncryptInit_ex(me->cipher, EVP_aes_256_gcm(), NULL, key, iv) != 1 ||
        EVP_EncryptUpdate(me->cipher, sealed, &len, me->plain, sizeof(me->plain)) != 1 ||
        EVP_EncryptFinal_ex(me->cipher, sealed + len, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(me->cipher, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, sealed + len) != 1)
        bench_die("OpenSSL", "does not encrypt");
}

void bench_software(const bench_options *options, bench_series *out)
{
    software *all = calloc(options->parallel, sizeof(*all));
    bench_worker *workers = calloc(options->parallel, sizeof(*workers));

    if (!all || !workers)
        bench_die("memory", "exhausted");
    for (unsigned i = 0; i < options->parallel; i++) {
        all[i].what = options->what;
        all[i].key = make_key(options->what);
        all[i].cipher = EVP_CIPHER_CTX_new();
        if (!all[i].cipher || (!all[i].key && options->what != BENCH_GCM))
            bench_die("--what", "software does not do that");
        workers[i] = (bench_worker){ &all[i], all[i].key ? sign_once : seal_once };
    }
    bench_threads(options, workers, options->parallel, out);
    for (unsigned i = 0; i < options->parallel; i++) {
        EVP_PKEY_free(all[i].key);
        EVP_CIPHER_CTX_free(all[i].cipher);
    }
    free(workers);
    free(all);
}
