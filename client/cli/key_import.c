/* key_import.c - keys that were made elsewhere: PEM, PKCS #8, JSON Web Keys, and wrapped ones. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <keyvault/v1/keys.pb-c.h>

#include "client/cli/run.h"
#include "server/base/secret_buf.h"
#include "server/base/text.h"

enum { KEY_FILE_MAX = 16 * 1024, FIELD_BYTES = 32, NAME_BYTES = 160 };

/* A key with a passphrase is opened by its owner first: openssl pkey. */
static int no_passphrase(char *buf, int size, int rwflag, void *context)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)context;
    return -1;
}

/* PEM of any private key becomes PKCS#8; other bytes stay what they are. */
static kv_status read_private(kv_slice file, kv_secret_buf *out, kv_error *err)
{
    static const char begin[] = "-----BEGIN ";
    bool pem = file.len > sizeof(begin) && !memcmp(file.data, begin, sizeof(begin) - 1);
    BIO *bio = pem ? BIO_new_mem_buf(file.data, (int)file.len) : NULL;
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    PKCS8_PRIV_KEY_INFO *info = key ? EVP_PKEY2PKCS8(key) : NULL;
    unsigned char *der = NULL;
    int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : 0;
    kv_status status = KV_OK;

    if (!pem)
        status = kv_secret_buf_copy(file, out, err);
    else if (len > 0)
        status = kv_secret_buf_copy(kv_slice_of(der, (size_t)len), out, err);
    else
        status = kv_fail_field(err, "file", "no private key in PEM without a passphrase");
    OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return status;
}

/* --- JSON Web Keys (RFC 7517, 7518, 8037, 8812) --- */

static bool is_json(kv_slice file)
{
    for (size_t i = 0; i < file.len; i++)
        if (file.data[i] != ' ' && file.data[i] != '\n' && file.data[i] != '\t' &&
            file.data[i] != '\r')
            return file.data[i] == '{';
    return false;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static kv_status set_base64url(kv_cli *cli, ProtobufCMessage *request, const char *field,
                               const char *text, kv_error *err)
{
    kv_slice bytes;

    if (kv_unbase64url(&cli->arena, kv_slice_text(text), &bytes, err) != KV_OK)
        return kv_fail_field(err, field, "is not base64url");
    return kv_message_set_bytes(request, field, bytes, err);
}

static kv_status fill_jwk(kv_cli *cli, ProtobufCMessage *request, const json_t *jwk, kv_error *err)
{
    static const char *const members[] = {
        "n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y", "k"
    };
    const char *crv = text_of(jwk, "crv");

    KV_TRY(kv_message_set(request, "key.kty", text_of(jwk, "kty"), err));
    if (*crv)
        KV_TRY(kv_message_set(request, "key.crv", !strcmp(crv, "secp256k1") ? "P-256K" : crv, err));
    for (size_t i = 0; i < KV_COUNT(members); i++) {
        const char *text = text_of(jwk, members[i]);
        char field[FIELD_BYTES];

        (void)snprintf(field, sizeof(field), "key.%s", members[i]);
        if (*text)
            KV_TRY(set_base64url(cli, request, field, text, err));
    }
    return KV_OK;
}

/* --- keys wrapped for a key-exchange key --- */

/* Of "https://.../keys/NAME/VERSION", "NAME/VERSION" or "NAME", as a transfer blob has it. */
static kv_status set_exchange_key(ProtobufCMessage *request, const char *kid, kv_error *err)
{
    const char *keys = strstr(kid, "/keys/");
    const char *name = keys ? keys + strlen("/keys/") : kid;
    const char *slash = strchr(name, '/');
    char text[NAME_BYTES];

    (void)snprintf(text, sizeof(text), "%.*s", (int)(slash ? slash - name : (long)strlen(name)),
                   name);
    KV_TRY(kv_message_set(request, "key_hsm.exchange_key", text, err));
    return slash && slash[1]
               ? kv_message_set(request, "key_hsm.exchange_key_version", slash + 1, err)
               : KV_OK;
}

/* {"schema_version":"1.0.0","header":{"kid":...,"alg":"dir","enc":...},"ciphertext":...} */
static kv_status fill_transfer(kv_cli *cli, ProtobufCMessage *request, const json_t *blob,
                               kv_error *err)
{
    const json_t *header = json_object_get(blob, "header");
    const char *named = kv_cli_given(cli, "exchange-key");

    if (strcmp(text_of(header, "enc"), "CKM_RSA_AES_KEY_WRAP") != 0)
        return kv_fail_field(err, "byok-file", "enc is not CKM_RSA_AES_KEY_WRAP");
    KV_TRY(set_exchange_key(request, named ? named : text_of(header, "kid"), err));
    return set_base64url(cli, request, "key_hsm.ciphertext", text_of(blob, "ciphertext"), err);
}

/* The DER of PEM or DER. */
static kv_status public_half(kv_cli *cli, kv_slice file, kv_slice *out, kv_error *err)
{
    BIO *bio = BIO_new_mem_buf(file.data, (int)file.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    unsigned char *der = NULL;
    int len = key ? i2d_PUBKEY(key, &der) : 0;
    kv_status status =
        kv_arena_copy(&cli->arena, len > 0 ? kv_slice_of(der, (size_t)len) : file, out, err);

    OPENSSL_free(der);
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return status;
}

kv_status kv_cli_fill_wrapped(kv_cli *cli, ProtobufCMessage *request, kv_slice file,
                              kv_slice public_file, kv_error *err)
{
    json_t *blob = is_json(file) ? json_loadb((const char *)file.data, file.len, 0, NULL) : NULL;
    const char *named = kv_cli_given(cli, "exchange-key");
    kv_slice spki;
    kv_status status;

    KV_TRY(public_half(cli, public_file, &spki, err));
    if (blob) {
        status = fill_transfer(cli, request, blob, err);
        json_decref(blob);
        KV_TRY(status);
    } else {
        KV_TRY(kv_message_set_bytes(request, "key_hsm.ciphertext", file, err));
        KV_TRY(set_exchange_key(request, named ? named : "", err));
    }
    return kv_message_set_bytes(request, "key_hsm.spki", spki, err);
}

/* --- the verb --- */

kv_status kv_cli_fill_import(kv_cli *cli, ProtobufCMessage *request, kv_slice file, kv_error *err)
{
    KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
    json_t *jwk;
    kv_status status;

    if (kv_cli_given(cli, "symmetric")) {
        KV_TRY(kv_message_set(request, "key.kty", "OCT", err));
        return kv_message_set_bytes(request, "key.k", file, err);
    }
    if (!is_json(file)) {
        KV_TRY(read_private(file, &pkcs8, err));
        return kv_message_set_bytes(request, "pkcs8", kv_secret_buf_slice(&pkcs8), err);
    }
    jwk = json_loadb((const char *)file.data, file.len, JSON_REJECT_DUPLICATES, NULL);
    if (!jwk)
        return kv_fail_field(err, "file", "is not a JSON Web Key");
    status = fill_jwk(cli, request, jwk, err);
    json_decref(jwk);
    return status;
}

static kv_exit fill(kv_cli *cli, ProtobufCMessage *request)
{
    const char *file = kv_cli_given(cli, "file");
    const char *wrapped = kv_cli_given(cli, "byok-file");
    const char *public_file = kv_cli_given(cli, "public-key-file");
    kv_slice bytes, public_bytes = KV_SLICE_NONE;
    kv_error err = { 0 };
    kv_exit told;

    if (wrapped && file)
        return kv_cli_usage(cli, "give --file or --byok-file, not both");
    if (wrapped && !public_file)
        return kv_cli_usage(cli, "--byok-file needs --public-key-file: the public half of the key");
    told = kv_cli_read(cli, wrapped ? wrapped : file ? file : "-", KEY_FILE_MAX, &bytes);
    if (told == KV_EXIT_OK && wrapped)
        told = kv_cli_read(cli, public_file, KEY_FILE_MAX, &public_bytes);
    if (told != KV_EXIT_OK)
        return told;
    if ((wrapped ? kv_cli_fill_wrapped(cli, request, bytes, public_bytes, &err)
                 : kv_cli_fill_import(cli, request, bytes, &err)) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    return KV_EXIT_OK;
}

kv_exit kv_cli_key_import(kv_cli *cli)
{
    ProtobufCMessage *request = NULL, *response = NULL;
    kv_exit told = kv_cli_build(cli, cli->args.verb->path, &request);

    if (told != KV_EXIT_OK)
        return told;
    told = fill(cli, request);
    if (told == KV_EXIT_OK)
        told = kv_cli_call(cli, cli->args.verb->path, request, &response);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? kv_cli_show(cli, response) : told;
}
