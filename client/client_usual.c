/* client_usual.c - the calls that most programs make, without their structs. */
#include <string.h>

#include "client/client_private.h"
#include "server/front/grpc/memory.h"

#define SERVICE(name) "/keyvault.v1." name "Service/"

/* protobuf-c's structs want mutable text and only read it. */
static char *text(const char *from)
{
    return (char *)(uintptr_t)(from ? from : "");
}

static ProtobufCBinaryData bytes(const void *data, size_t len)
{
    return (ProtobufCBinaryData){ .data = (uint8_t *)(uintptr_t)data, .len = len };
}

void keyvault_bytes_wipe(keyvault_bytes *wiped)
{
    kv_wiping_free(wiped->data);
    *wiped = (keyvault_bytes){ 0 };
}

static int copy_out(ProtobufCBinaryData from, keyvault_bytes *out, keyvault_error *err)
{
    uint8_t *data = kv_wiping_malloc(from.len + 1);

    if (!data)
        return kv_failure(err, KV_CODE_UNAVAILABLE, "out of memory");
    if (from.len)
        memcpy(data, from.data, from.len);
    data[from.len] = '\0';
    *out = (keyvault_bytes){ .data = data, .len = from.len };
    return 0;
}

int keyvault_key_create(keyvault *handle, const char *vault, const char *name,
                        Keyvault__V1__KeyType kty, uint32_t key_size, Keyvault__V1__Curve curve,
                        Keyvault__V1__KeyBundle **out, keyvault_error *err)
{
    Keyvault__V1__CreateKeyRequest request = KEYVAULT__V1__CREATE_KEY_REQUEST__INIT;

    request.vault = text(vault);
    request.name = text(name);
    request.kty = kty;
    request.key_size = key_size;
    request.crv = curve;
    return keyvault_call(handle, SERVICE("Key") "CreateKey", &request.base,
                         (ProtobufCMessage **)(void *)out, NULL, err);
}

int keyvault_key_get(keyvault *handle, const char *vault, const char *name, const char *version,
                     Keyvault__V1__KeyBundle **out, keyvault_error *err)
{
    Keyvault__V1__GetKeyRequest request = KEYVAULT__V1__GET_KEY_REQUEST__INIT;

    request.vault = text(vault);
    request.name = text(name);
    request.version = text(version);
    return keyvault_call(handle, SERVICE("Key") "GetKey", &request.base,
                         (ProtobufCMessage **)(void *)out, NULL, err);
}

int keyvault_sign(keyvault *handle, const char *vault, const char *name, const char *version,
                  Keyvault__V1__SignatureAlgorithm algorithm, const void *digest, size_t digest_len,
                  keyvault_bytes *signature, keyvault_error *err)
{
    Keyvault__V1__SignRequest request = KEYVAULT__V1__SIGN_REQUEST__INIT;
    Keyvault__V1__SignResponse *response;
    int code;

    request.vault = text(vault);
    request.name = text(name);
    request.version = text(version);
    request.algorithm = algorithm;
    request.input_case = KEYVAULT__V1__SIGN_REQUEST__INPUT_DIGEST;
    request.digest = bytes(digest, digest_len);
    code = keyvault_call(handle, SERVICE("Key") "Sign", &request.base,
                         (ProtobufCMessage **)(void *)&response, NULL, err);
    if (code)
        return code;
    code = copy_out(response->signature, signature, err);
    keyvault_message_free(response);
    return code;
}

int keyvault_verify(keyvault *handle, const char *vault, const char *name, const char *version,
                    Keyvault__V1__SignatureAlgorithm algorithm, const void *digest,
                    size_t digest_len, const void *signature, size_t signature_len, bool *valid,
                    keyvault_error *err)
{
    Keyvault__V1__VerifyRequest request = KEYVAULT__V1__VERIFY_REQUEST__INIT;
    Keyvault__V1__VerifyResponse *response;
    int code;

    request.vault = text(vault);
    request.name = text(name);
    request.version = text(version);
    request.algorithm = algorithm;
    request.input_case = KEYVAULT__V1__VERIFY_REQUEST__INPUT_DIGEST;
    request.digest = bytes(digest, digest_len);
    request.signature = bytes(signature, signature_len);
    code = keyvault_call(handle, SERVICE("Key") "Verify", &request.base,
                         (ProtobufCMessage **)(void *)&response, NULL, err);
    if (code)
        return code;
    *valid = response->valid;
    keyvault_message_free(response);
    return 0;
}

int keyvault_certificate_create(keyvault *handle, const char *vault, const char *name,
                                Keyvault__V1__CertificatePolicy *policy,
                                Keyvault__V1__CertificateOperation **out, keyvault_error *err)
{
    Keyvault__V1__CreateCertificateRequest request = KEYVAULT__V1__CREATE_CERTIFICATE_REQUEST__INIT;

    request.vault = text(vault);
    request.name = text(name);
    request.policy = policy;
    return keyvault_call(handle, SERVICE("Certificate") "CreateCertificate", &request.base,
                         (ProtobufCMessage **)(void *)out, NULL, err);
}

int keyvault_certificate_get(keyvault *handle, const char *vault, const char *name,
                             const char *version, Keyvault__V1__CertificateBundle **out,
                             keyvault_error *err)
{
    Keyvault__V1__GetCertificateRequest request = KEYVAULT__V1__GET_CERTIFICATE_REQUEST__INIT;

    request.vault = text(vault);
    request.by_case = KEYVAULT__V1__GET_CERTIFICATE_REQUEST__BY_NAME;
    request.name = text(name);
    request.version = text(version);
    return keyvault_call(handle, SERVICE("Certificate") "GetCertificate", &request.base,
                         (ProtobufCMessage **)(void *)out, NULL, err);
}

int keyvault_certificate_chain(keyvault *handle, const char *vault, const char *name,
                               const char *version, Keyvault__V1__ChainFormat format,
                               Keyvault__V1__CertificateChain **out, keyvault_error *err)
{
    Keyvault__V1__GetCertificateChainRequest request =
        KEYVAULT__V1__GET_CERTIFICATE_CHAIN_REQUEST__INIT;

    request.vault = text(vault);
    request.name = text(name);
    request.version = text(version);
    request.format = format;
    return keyvault_call(handle, SERVICE("Certificate") "GetCertificateChain", &request.base,
                         (ProtobufCMessage **)(void *)out, NULL, err);
}

int keyvault_secret_set(keyvault *handle, const char *vault, const char *name, const void *value,
                        size_t len, Keyvault__V1__SecretBundle **out, keyvault_error *err)
{
    Keyvault__V1__SetSecretRequest request = KEYVAULT__V1__SET_SECRET_REQUEST__INIT;

    request.vault = text(vault);
    request.name = text(name);
    request.value = bytes(value, len);
    return keyvault_call(handle, SERVICE("Secret") "SetSecret", &request.base,
                         (ProtobufCMessage **)(void *)out, NULL, err);
}

int keyvault_secret_get(keyvault *handle, const char *vault, const char *name, const char *version,
                        keyvault_bytes *value, keyvault_error *err)
{
    Keyvault__V1__GetSecretRequest request = KEYVAULT__V1__GET_SECRET_REQUEST__INIT;
    Keyvault__V1__SecretBundle *bundle;
    int code;

    request.vault = text(vault);
    request.name = text(name);
    request.version = text(version);
    code = keyvault_call(handle, SERVICE("Secret") "GetSecret", &request.base,
                         (ProtobufCMessage **)(void *)&bundle, NULL, err);
    if (code)
        return code;
    code = copy_out(bundle->value, value, err);
    keyvault_message_free(bundle);
    return code;
}
