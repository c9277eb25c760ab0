/* key.c - sign and verify files, download the public key. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <keyvault/v1/keys.pb-c.h>

#include "client/cli/run.h"
#include "client/cli/say.h"

enum { BLOCK_BYTES = 64 * 1024, SIGNATURE_BYTES = 2048, MESSAGE_BYTES = 64 * 1024 };

typedef struct algorithm {
    const char *hash; /* NULL: the message itself is signed */
    bool ecdsa;
} algorithm;

/* shape: table */
static const algorithm algorithms[] = {
    [KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_RS256] = { "SHA256", false },
    [KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_RS384] = { "SHA384", false },
    [KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_RS512] = { "SHA512", false },
    [KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_PS256] = { "SHA256", false },
    [KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_PS384] = { "SHA384", false },
    [KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_PS512] = { "SHA512", false },
    [KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_ES256] = { "SHA256", true },
    [KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_ES384] = { "SHA384", true },
    [KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_ES512] = { "SHA512", true },
    [KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_ES256K] = { "SHA256", true },
    [KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_EDDSA] = { NULL, false },
    [KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_HS256] = { NULL, false },
    [KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_HS384] = { NULL, false },
    [KEYVAULT__V1__SIGNATURE_ALGORITHM__SIGNATURE_ALGORITHM_HS512] = { NULL, false },
};

/* --- what is signed --- */

static bool hash_stream(FILE *file, const char *hash, uint8_t out[EVP_MAX_MD_SIZE], unsigned *len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t block[BLOCK_BYTES];
    bool good = context && EVP_DigestInit_ex(context, EVP_get_digestbyname(hash), NULL) == 1;
    size_t got = 1;

    while (good && got) {
        got = fread(block, 1, sizeof(block), file);
        good = !ferror(file) && EVP_DigestUpdate(context, block, got) == 1;
    }
    good = good && EVP_DigestFinal_ex(context, out, len) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

/* A file of any size is hashed here; only the digest travels. */
static kv_exit hash_file(kv_cli *cli, const char *path, const char *hash, kv_slice *out)
{
    bool standard = !strcmp(path, "-");
    FILE *file = standard ? cli->in : fopen(path, "rbe");
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    bool good = file && hash_stream(file, hash, digest, &len);
    kv_error err = { 0 };

    if (file && !standard)
        (void)fclose(file);
    if (!good) {
        kv_say(cli->err, "kvctl: %s cannot be read\n", path);
        return KV_EXIT_GENERAL;
    }
    if (kv_arena_copy(&cli->arena, kv_slice_of(digest, len), out, &err) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    return KV_EXIT_OK;
}

static kv_exit find_digest(kv_cli *cli, const algorithm *by, kv_slice *out)
{
    const char *file = kv_cli_given(cli, "message-file");
    const char *digest = kv_cli_given(cli, "digest");
    kv_error err = { 0 };

    if (!file == !digest)
        return kv_cli_usage(cli, "what is signed? Give --message-file or --digest");
    if (!by->hash)
        return file ? kv_cli_read(cli, file, MESSAGE_BYTES, out)
                    : kv_cli_usage(cli, "this algorithm signs the message itself: --message-file");
    if (file)
        return hash_file(cli, file, by->hash, out);
    if (kv_bytes_parse(&cli->arena, digest, out, &err) != KV_OK)
        return kv_cli_usage(cli, "--digest is hexadecimal or base64");
    return KV_EXIT_OK;
}

static const char *field_of(const algorithm *by)
{
    return by->hash ? "digest" : "message";
}

/* The other algorithms have one form only, and the switch does nothing. */
static bool wants_der(const kv_cli *cli, const algorithm *by)
{
    return by && by->ecdsa && kv_cli_given(cli, "der") != NULL;
}

static const algorithm *algorithm_of(Keyvault__V1__SignatureAlgorithm by)
{
    return by > 0 && (size_t)by < KV_COUNT(algorithms) ? &algorithms[by] : NULL;
}

/* --- sign --- */

static kv_exit give_signature(kv_cli *cli, Keyvault__V1__SignResponse *response)
{
    const char *out = kv_cli_given(cli, "signature-file");
    kv_slice signature = kv_slice_of(response->signature.data, response->signature.len);
    kv_exit told = out ? kv_cli_write(cli, out, signature) : KV_EXIT_OK;

    if (told == KV_EXIT_OK && !(out && !strcmp(out, "-")))
        return kv_cli_show(cli, &response->base);
    keyvault_message_free(response);
    return told;
}

kv_exit kv_cli_key_sign(kv_cli *cli)
{
    Keyvault__V1__SignRequest *request = NULL;
    Keyvault__V1__SignResponse *response = NULL;
    kv_slice digest = KV_SLICE_NONE;
    kv_error err = { 0 };
    const char *out = kv_cli_given(cli, "signature-file");
    kv_exit told = out ? kv_cli_may_write(cli, out) : KV_EXIT_OK;

    if (told == KV_EXIT_OK)
        told = kv_cli_build(cli, cli->args.verb->path, (ProtobufCMessage **)(void *)&request);
    if (told != KV_EXIT_OK)
        return told;
    told = algorithm_of(request->algorithm)
               ? find_digest(cli, algorithm_of(request->algorithm), &digest)
               : kv_cli_usage(cli, "--algorithm is one of RS256 ... HS512");
    request->der = wants_der(cli, algorithm_of(request->algorithm));
    if (told == KV_EXIT_OK &&
        kv_message_set_bytes(&request->base, field_of(algorithm_of(request->algorithm)), digest,
                             &err) != KV_OK)
        told = kv_cli_fail_local(cli, &err);
    if (told == KV_EXIT_OK)
        told = kv_cli_call(cli, cli->args.verb->path, &request->base,
                           (ProtobufCMessage **)(void *)&response);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? give_signature(cli, response) : told;
}

/* --- verify --- */

static kv_exit fill_verify(kv_cli *cli, Keyvault__V1__VerifyRequest *request)
{
    const algorithm *by = algorithm_of(request->algorithm);
    kv_slice digest = KV_SLICE_NONE, signature = KV_SLICE_NONE;
    kv_error err = { 0 };
    kv_exit told;

    if (!by)
        return kv_cli_usage(cli, "--algorithm is one of RS256 ... HS512");
    told = find_digest(cli, by, &digest);
    if (told == KV_EXIT_OK)
        told = kv_cli_read(cli, kv_cli_given(cli, "signature-file"), SIGNATURE_BYTES, &signature);
    if (told != KV_EXIT_OK)
        return told;
    request->der = wants_der(cli, by);
    if (kv_message_set_bytes(&request->base, field_of(by), digest, &err) != KV_OK ||
        kv_message_set_bytes(&request->base, "signature", signature, &err) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    return KV_EXIT_OK;
}

kv_exit kv_cli_key_verify(kv_cli *cli)
{
    Keyvault__V1__VerifyRequest *request = NULL;
    Keyvault__V1__VerifyResponse *response = NULL;
    bool valid;
    kv_exit told = kv_cli_build(cli, cli->args.verb->path, (ProtobufCMessage **)(void *)&request);

    if (told != KV_EXIT_OK)
        return told;
    told = fill_verify(cli, request);
    if (told == KV_EXIT_OK)
        told = kv_cli_call(cli, cli->args.verb->path, &request->base,
                           (ProtobufCMessage **)(void *)&response);
    keyvault_message_free(request);
    if (told != KV_EXIT_OK)
        return told;
    valid = response->valid;
    told = kv_cli_show(cli, &response->base);
    if (!valid)
        kv_say(cli->err, "kvctl: the signature is not valid\n");
    return told == KV_EXIT_OK && !valid ? KV_EXIT_NO : told;
}

/* --- download --- */

static kv_slice spki_pem(kv_cli *cli, kv_slice der)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;
    kv_slice out = KV_SLICE_NONE;
    kv_error err;

    if (bio && PEM_write_bio(bio, PEM_STRING_PUBLIC, "", der.data, (long)der.len) > 0)
        len = BIO_get_mem_data(bio, &text);
    if (len > 0)
        (void)!kv_arena_copy(&cli->arena, kv_slice_of(text, (size_t)len), &out, &err);
    BIO_free(bio);
    return out;
}

kv_exit kv_cli_key_download(kv_cli *cli)
{
    const char *format = kv_cli_given(cli, "format");
    Keyvault__V1__KeyBundle *key = NULL;
    kv_slice bytes;
    kv_exit told;

    if (format && strcmp(format, "pem") != 0 && strcmp(format, "der") != 0)
        return kv_cli_usage(cli, "--format is pem or der");
    told = kv_cli_ask(cli, cli->args.verb->path, (ProtobufCMessage **)(void *)&key);
    if (told != KV_EXIT_OK)
        return told;
    bytes = kv_slice_of(key->spki.data, key->spki.len);
    if (!format || !strcmp(format, "pem"))
        bytes = spki_pem(cli, bytes);
    told = bytes.len ? kv_cli_write(cli, kv_cli_given(cli, "file"), bytes)
                     : kv_cli_usage(cli, "the server gave no public key");
    keyvault_message_free(key);
    return told;
}
