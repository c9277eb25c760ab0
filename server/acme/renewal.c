/* renewal.c - when an authority would like a certificate to be renewed (RFC 9773). */
#include "server/acme/client.h"

#include <openssl/x509v3.h>

#include "server/base/text.h"

static void certificate_cleanup(X509 **certificate)
{
    X509_free(*certificate);
}

/* The content octets of the serial number, with the byte that only says that it is positive. */
static kv_status serial_of(const X509 *certificate, kv_arena *arena, kv_slice *out, kv_error *err)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    int len = i2d_ASN1_INTEGER(serial, NULL);
    unsigned char *der = len > 2 ? kv_arena_alloc(arena, (size_t)len) : NULL;
    unsigned char *at = der;

    if (!der)
        return kv_arena_full(err);
    (void)i2d_ASN1_INTEGER(serial, &at);
    /* A serial number is shorter than 128 bytes: tag and length are a byte each. */
    if (len > 2 + 0x7f)
        return kv_fail(err, KV_BAD_REQUEST, "a serial number is too long");
    return kv_base64url(arena, kv_slice_of(der + 2, (size_t)len - 2), out, err);
}

kv_status kv_acme_certificate_id(kv_arena *arena, kv_slice der, kv_slice *out, kv_error *err)
{
    const unsigned char *at = der.data;
    __attribute__((cleanup(certificate_cleanup))) X509 *certificate =
        d2i_X509(NULL, &at, (long)der.len);
    const ASN1_OCTET_STRING *authority;
    kv_slice key_id, serial;

    if (!certificate)
        return kv_fail(err, KV_BAD_REQUEST, "this is not a certificate");
    authority = X509_get0_authority_key_id(certificate);
    if (!authority || authority->length <= 0)
        return kv_fail(err, KV_NOT_FOUND, "the certificate does not name its authority's key");
    KV_TRY(
        kv_base64url(arena, kv_slice_of(authority->data, (size_t)authority->length), &key_id, err));
    KV_TRY(serial_of(certificate, arena, &serial, err));
    return kv_arena_print(arena, out, err, "%.*s.%.*s", KV_SLICE_ARG(key_id), KV_SLICE_ARG(serial));
}
