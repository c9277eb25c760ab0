/* import.c - from the bytes of a file to one key, its certificate and its chain. */
#include "server/x509/import.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

#include "server/base/text.h"
#include "server/x509/armour.h"
#include "server/x509/found.h"
#include "server/x509/lint.h"
#include "server/x509/warnings.h"
#include "server/x509/weak.h"

enum { SCRATCH_MAX = 8 << 20, MINUTE_MS = 60 * 1000, SKEW_MS = 5 * MINUTE_MS };

static const char field[] = "value";

static kv_status check_in(const kv_x509_import_in *in, kv_error *err)
{
    if (in->value.len > KV_X509_BUNDLE_MAX)
        return kv_fail_field(err, field, "must be at most %d bytes long", KV_X509_BUNDLE_MAX);
    if (in->password.len > KV_X509_PASSWORD_MAX)
        return kv_fail_field(err, "password", "must be at most %d bytes long",
                             KV_X509_PASSWORD_MAX);
    if (!kv_text_printable(in->password))
        return kv_fail_field(err, "password", "must be UTF-8 without control characters");
    return KV_OK;
}

/* DER that is no PFX may be something that people take for one. */
static kv_status read_der(kv_x509_found *found, kv_slice der, kv_error *err)
{
    KV_AUTO(kv_ossl_x509) certificate = kv_ossl_parse_certificate(der);
    KV_AUTO(kv_ossl_key) key = kv_ossl_parse_private_key(der);
    const unsigned char *at = der.data;
    KV_AUTO(kv_ossl_pkcs7) message = NULL;

    if (certificate)
        return kv_fail_field(err, field, "is a certificate without its private key");
    if (key)
        return kv_fail_field(err, field, "is a private key without its certificate");
    message = d2i_PKCS7(NULL, &at, (long)der.len);
    ERR_clear_error();
    if (message)
        return kv_fail_field(err, field, "is PKCS#7, which has no private key");
    return kv_x509_pfx_read(found, der, err);
}

static kv_status read_value(kv_x509_found *found, const kv_x509_import_in *in,
                            kv_slice *content_type, kv_error *err)
{
    kv_slice bytes = KV_SLICE_NONE;
    kv_x509_form form = KV_X509_FORM_UNKNOWN;

    KV_TRY(kv_x509_peel(found->scratch, in->value, field, "a PFX or PEM file, or base64 of one",
                        &bytes, &form, err));
    *content_type =
        form == KV_X509_FORM_PEM ? KV_SLICE(KV_X509_CONTENT_PEM) : KV_SLICE(KV_X509_CONTENT_PKCS12);
    if (form == KV_X509_FORM_PEM)
        return kv_x509_pem_read(found, bytes, err);
    return read_der(found, bytes, err);
}

/* ---- which certificate is the key's ---- */

static bool certifies(kv_slice der, const EVP_PKEY *key)
{
    KV_AUTO(kv_ossl_x509) certificate = kv_ossl_parse_certificate(der);
    bool match = certificate && X509_check_private_key(certificate, key);

    ERR_clear_error();
    return match;
}

static kv_status find_leaf(const kv_x509_found *found, size_t *leaf, kv_error *err)
{
    size_t matches = 0;

    if (!found->key && !found->count)
        return kv_fail_field(err, field, "has no private key and no certificate");
    if (!found->key)
        return kv_fail_field(err, field, "has no private key");
    if (!found->count)
        return kv_fail_field(err, field, "has no certificate");
    for (size_t i = 0; i < found->count; i++) {
        if (!certifies(found->certificates[i], found->key))
            continue;
        *leaf = i;
        matches++;
    }
    if (!matches)
        return kv_fail_field(err, field, "no certificate is the private key's");
    if (matches > 1)
        return kv_fail_field(err, field, "%zu certificates are the private key's: bring one",
                             matches);
    return KV_OK;
}

/* ---- the key ---- */

static kv_status check_sound(EVP_PKEY *key, kv_error *err)
{
    const char *weakness;

    KV_TRY(kv_x509_weakness(key, &weakness, err));
    return weakness ? kv_fail_field(err, field, "the private key %s", weakness) : KV_OK;
}

static kv_status check_kind(const kv_x509_facts *leaf, kv_error *err)
{
    if (leaf->key_kind != KV_KEY_NONE)
        return KV_OK;
    if (leaf->is_rsa)
        return kv_fail_field(err, field, "the key is RSA of %u bits: must be 2048, 3072 or 4096",
                             leaf->key_bits);
    return kv_fail_field(err, field,
                         "the key is of a kind that is not supported: must be RSA or "
                         "EC on P-256, P-384 or P-521");
}

/* Whatever form its public half came in, or did not come in. */
static bool normalise(EVP_PKEY *key)
{
    bool good = EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
                (EVP_PKEY_set_int_param(key, OSSL_PKEY_PARAM_EC_INCLUDE_PUBLIC, 1) == 1 &&
                 EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                                "uncompressed") == 1);

    ERR_clear_error();
    return good;
}

/* Written anew: no attributes, no foreign encoding, exactly the certificate's public half. */
static kv_status write_key(const kv_x509_found *found, const kv_x509_facts *leaf,
                           kv_secret_buf *out, kv_error *err)
{
    KV_AUTO(kv_ossl_pkcs8) info = normalise(found->key) ? EVP_PKEY2PKCS8(found->key) : NULL;
    KV_AUTO(kv_ossl_bytes) spki = NULL;
    int spki_len = i2d_PUBKEY(found->key, &spki);
    int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : 0;
    unsigned char *at;

    if (len <= 0 || spki_len <= 0)
        return kv_ossl_failed(err, KV_INTERNAL, "a private key could not be encoded");
    if (!kv_slice_equal(kv_slice_of(spki, (size_t)spki_len), leaf->spki))
        return kv_fail_field(err, field, "the certificate writes its public key in an unusual way");
    KV_TRY(kv_secret_buf_new((size_t)len, out, err));
    at = out->data;
    if (i2d_PKCS8_PRIV_KEY_INFO(info, &at) != len)
        return kv_ossl_failed(err, KV_INTERNAL, "a private key could not be encoded");
    return KV_OK;
}

/* ---- the certificates ---- */

static kv_status check_leaf(const kv_x509_import_in *in, const kv_x509_facts *leaf, kv_error *err)
{
    if (leaf->is_ca && !in->allow_ca)
        return kv_fail_field(err, field, "the certificate is a CA's");
    if (in->allow_expired)
        return KV_OK;
    if (leaf->not_after_ms <= in->now_ms)
        return kv_fail_field(err, field, "the certificate has expired");
    if (leaf->not_before_ms > in->now_ms + SKEW_MS)
        return kv_fail_field(err, field, "the certificate is not valid yet");
    return KV_OK;
}

/* It is there already, and somebody wants it: what it breaks is told. */
static kv_status warn_of_rules(kv_x509_imported *out, kv_x509_warnings *warnings, kv_error *err)
{
    kv_x509_findings findings = { 0 };
    kv_x509_facts issuer = { 0 };

    if (out->chain.count > 1)
        KV_TRY(kv_x509_inspect(warnings->arena, out->chain.items[1], &issuer, err));
    out->leaf.beside.issuer_until_ms = issuer.not_after_ms;
    kv_x509_lint(&out->leaf, KV_X509_LINT_PRIVATE, &findings);
    for (size_t i = 0; i < findings.count; i++)
        KV_TRY(kv_x509_warn(warnings, err, "%s: %s", findings.items[i]->id,
                            findings.items[i]->message));
    return KV_OK;
}

static kv_status tell(const kv_x509_found *found, const kv_x509_chain *chain, kv_x509_imported *out,
                      kv_error *err)
{
    kv_x509_warnings warnings = { .arena = found->arena };

    if (found->duplicates)
        KV_TRY(kv_x509_warn(&warnings, err, "%u repeated certificates were left out",
                            found->duplicates));
    if (chain->unrelated)
        KV_TRY(kv_x509_warn(&warnings, err,
                            "%zu certificates that are not of the chain were left out",
                            chain->unrelated));
    if (!chain->complete)
        KV_TRY(kv_x509_warn(&warnings, err, "the chain is incomplete: the issuer '%.*s' is missing",
                            KV_SLICE_ARG(chain->missing)));
    if (chain->expired)
        KV_TRY(kv_x509_warn(&warnings, err, "%zu issuers of the chain are not valid now",
                            chain->expired));
    KV_TRY(warn_of_rules(out, &warnings, err));
    return kv_x509_warnings_keep(&warnings, &out->warnings, err);
}

static kv_status finish(const kv_x509_found *found, const kv_x509_import_in *in,
                        kv_x509_imported *out, kv_error *err)
{
    kv_x509_chain_in wanted = {
        .certificates = { .items = found->certificates, .count = found->count },
        .anchors = in->anchors,
        .now_ms = in->now_ms,
        .field = field,
        .need_complete = in->need_complete,
        .omit_root = in->omit_root,
    };
    kv_x509_chain chain = { 0 };

    KV_TRY(find_leaf(found, &wanted.leaf, err));
    KV_TRY(kv_x509_inspect(found->arena, found->certificates[wanted.leaf], &out->leaf, err));
    KV_TRY(check_kind(&out->leaf, err));
    KV_TRY(check_sound(found->key, err));
    KV_TRY(check_leaf(in, &out->leaf, err));
    KV_TRY(kv_x509_chain_build(found->arena, &wanted, &chain, err));
    out->chain = chain.certificates;
    out->complete = chain.complete;
    KV_TRY(kv_x509_chain_order(found->arena, out->chain, wanted.certificates, &out->given, err));
    KV_TRY(tell(found, &chain, out, err));
    return write_key(found, &out->leaf, &out->key, err);
}

kv_status kv_x509_import(kv_arena *arena, const kv_x509_import_in *in, kv_x509_imported *out,
                         kv_error *err)
{
    KV_AUTO(kv_arena) scratch = KV_ARENA(SCRATCH_MAX);
    KV_AUTO(kv_secret_buf) password = KV_SECRET_NONE; /* for its NUL byte */
    KV_AUTO(kv_x509_found)
    found = { .arena = arena,
              .scratch = &scratch,
              .field = field,
              .refuse_legacy = in->refuse_legacy,
              .accept_unprotected = in->accept_unprotected,
              .needs_key = true };
    KV_AUTO(kv_x509_imported) imported = KV_X509_NOT_IMPORTED;

    KV_TRY(check_in(in, err));
    KV_TRY(kv_secret_buf_copy(in->password, &password, err));
    found.password = kv_secret_buf_slice(&password);
    KV_TRY(read_value(&found, in, &imported.content_type, err));
    KV_TRY(finish(&found, in, &imported, err));
    *out = imported;
    imported = KV_X509_NOT_IMPORTED;
    return KV_OK;
}

void kv_x509_imported_cleanup(kv_x509_imported *imported)
{
    kv_secret_buf_cleanup(&imported->key);
    *imported = KV_X509_NOT_IMPORTED;
}
