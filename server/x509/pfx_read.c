/* pfx_read.c - walks a PKCS#12 file, every step bounded. */
#include <openssl/err.h>

#include "server/x509/found.h"

enum { NESTING_MAX = 4, PASSWORDS_MAX = 2 };

typedef STACK_OF(PKCS12_SAFEBAG) bags;

static void free_bags(bags *all)
{
    sk_PKCS12_SAFEBAG_pop_free(all, PKCS12_SAFEBAG_free);
}

static void free_safes(STACK_OF(PKCS7) *all)
{
    sk_PKCS7_pop_free(all, PKCS7_free);
}

KV_OSSL_TYPE(bags, bags, free_bags)
KV_OSSL_TYPE(safes, STACK_OF(PKCS7), free_safes)
KV_OSSL_TYPE(integrity, ASN1_INTEGER, ASN1_INTEGER_free)

/* "No password" is written in two ways that derive different keys: NULL and "". */
typedef struct reader {
    kv_x509_found *found;
    const char *passwords[PASSWORDS_MAX];
    size_t count;
    kv_error *err;
} reader;

static int len_of(const reader *r, size_t index)
{
    return r->passwords[index] ? (int)r->found->password.len : 0;
}

static kv_status refused(const reader *r, const char *why)
{
    ERR_clear_error();
    return kv_fail_field(r->err, r->found->field, "%s", why);
}

static kv_status wrong_password(const reader *r)
{
    ERR_clear_error();
    if (!r->found->password.len)
        return kv_fail_field(r->err, "password", "the file needs a password");
    return kv_fail_field(r->err, "password", "is not the file's (or the file is damaged)");
}

/* ---- integrity ---- */

static kv_status check_mac_algorithm(const reader *r, const X509_ALGOR *algorithm)
{
    static const int known[] = { NID_sha1,   NID_sha224,     NID_sha256, NID_sha384,
                                 NID_sha512, NID_sha512_256, NID_md5 };
    int nid = OBJ_obj2nid(algorithm->algorithm);

    for (size_t i = 0; i < KV_COUNT(known); i++)
        if (nid == known[i])
            return KV_OK;
    if (nid == NID_pbmac1)
        return refused(r, "has a PBMAC1 integrity check, which is not supported: export it with "
                          "an HMAC instead");
    return refused(r, "has an integrity check that is not supported");
}

static kv_status mac_iterations(const reader *r, const ASN1_INTEGER *iterations)
{
    KV_AUTO(kv_ossl_integrity) one = NULL;

    if (!iterations) {
        one = ASN1_INTEGER_new();
        if (!one || !ASN1_INTEGER_set(one, 1))
            return kv_ossl_failed(r->err, KV_INTERNAL, "out of memory");
    }
    return kv_x509_found_work(r->found, iterations ? iterations : one, 1, r->err);
}

/* Leaves only the password that is right. */
static kv_status check_mac(reader *r, PKCS12 *file)
{
    const ASN1_INTEGER *iterations = NULL;
    const X509_ALGOR *algorithm = NULL;

    if (!PKCS12_mac_present(file)) {
        if (!r->found->accept_unprotected)
            return refused(r, "has no integrity check (MAC)");
        return KV_OK;
    }
    PKCS12_get0_mac(NULL, &algorithm, NULL, &iterations, file);
    KV_TRY(check_mac_algorithm(r, algorithm));
    for (size_t i = 0; i < r->count; i++) {
        KV_TRY(mac_iterations(r, iterations));
        if (PKCS12_verify_mac(file, r->passwords[i], len_of(r, i))) {
            r->passwords[0] = r->passwords[i];
            r->count = 1;
            return KV_OK;
        }
    }
    return wrong_password(r);
}

/* ---- decryption ---- */

static kv_status decrypt(const reader *r, const X509_ALGOR *algorithm, const ASN1_ITEM *item,
                         const ASN1_OCTET_STRING *sealed, void **out)
{
    *out = NULL;
    if (!algorithm || !sealed)
        return refused(r, "has an encrypted part without content");
    for (size_t i = 0; i < r->count && !*out; i++) {
        OSSL_LIB_CTX *library = NULL;

        KV_TRY(kv_x509_found_algorithm(r->found, algorithm, &library, r->err));
        *out = PKCS12_item_decrypt_d2i_ex(algorithm, item, r->passwords[i], len_of(r, i), sealed, 1,
                                          library, NULL);
    }
    return *out ? KV_OK : wrong_password(r);
}

static kv_status take_key(const reader *r, const PKCS12_SAFEBAG *bag)
{
    KV_AUTO(kv_ossl_pkcs8) opened = NULL;
    const X509_ALGOR *algorithm = NULL;
    const ASN1_OCTET_STRING *sealed = NULL;
    void *item = NULL;

    if (PKCS12_SAFEBAG_get_nid(bag) == NID_keyBag)
        return kv_x509_found_pkcs8(r->found, PKCS12_SAFEBAG_get0_p8inf(bag), r->err);
    X509_SIG_get0(PKCS12_SAFEBAG_get0_pkcs8(bag), &algorithm, &sealed);
    KV_TRY(decrypt(r, algorithm, ASN1_ITEM_rptr(PKCS8_PRIV_KEY_INFO), sealed, &item));
    opened = item;
    return kv_x509_found_pkcs8(r->found, opened, r->err);
}

static kv_status take_certificate(const reader *r, const PKCS12_SAFEBAG *bag)
{
    KV_AUTO(kv_ossl_x509) certificate = NULL;

    if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate)
        return refused(r, "has a certificate of a kind other than X.509");
    certificate = PKCS12_SAFEBAG_get1_cert(bag);
    if (!certificate)
        return refused(r, "has a malformed certificate");
    return kv_x509_found_certificate(r->found, certificate, r->err);
}

/* ---- bags ---- */

typedef struct level {
    const bags *all;
    int next;
} level;

static kv_status descend(const reader *r, level levels[NESTING_MAX], size_t *depth,
                         const PKCS12_SAFEBAG *bag)
{
    if (*depth == NESTING_MAX)
        return refused(r, "is nested too deeply");
    levels[*depth] = (level){ .all = PKCS12_SAFEBAG_get0_safes(bag) };
    *depth += 1;
    return KV_OK;
}

/* Revocation lists, secrets and what else there may be is passed over. */
static kv_status walk(const reader *r, const bags *all)
{
    level levels[NESTING_MAX] = { { .all = all } };
    size_t depth = 1;

    while (depth) {
        level *here = &levels[depth - 1];
        const PKCS12_SAFEBAG *bag;
        int nid;

        if (here->next >= sk_PKCS12_SAFEBAG_num(here->all)) {
            depth--;
            continue;
        }
        bag = sk_PKCS12_SAFEBAG_value(here->all, here->next++);
        nid = PKCS12_SAFEBAG_get_nid(bag);
        if (nid == NID_keyBag || nid == NID_pkcs8ShroudedKeyBag)
            KV_TRY(take_key(r, bag));
        else if (nid == NID_certBag)
            KV_TRY(take_certificate(r, bag));
        else if (nid == NID_safeContentsBag)
            KV_TRY(descend(r, levels, &depth, bag));
    }
    return KV_OK;
}

static kv_status open_safe(const reader *r, PKCS7 *safe, bags **out)
{
    const PKCS7_ENC_CONTENT *content;
    void *item = NULL;

    if (PKCS7_type_is_data(safe)) {
        *out = PKCS12_unpack_p7data(safe);
        return *out ? KV_OK : refused(r, "has a malformed part");
    }
    if (!PKCS7_type_is_encrypted(safe))
        return refused(r, "is protected by a public key, which is not supported: use a password");
    content = safe->d.encrypted ? safe->d.encrypted->enc_data : NULL;
    if (!content)
        return refused(r, "has an encrypted part without content");
    KV_TRY(
        decrypt(r, content->algorithm, ASN1_ITEM_rptr(PKCS12_SAFEBAGS), content->enc_data, &item));
    *out = item;
    return KV_OK;
}

static kv_status read_safes(const reader *r, PKCS12 *file)
{
    KV_AUTO(kv_ossl_safes) safes = PKCS12_unpack_authsafes(file);

    if (!safes)
        return refused(r, "has no readable content");
    for (int i = 0; i < sk_PKCS7_num(safes); i++) {
        KV_AUTO(kv_ossl_bags) all = NULL;

        KV_TRY(open_safe(r, sk_PKCS7_value(safes, i), &all));
        KV_TRY(walk(r, all));
    }
    return KV_OK;
}

kv_status kv_x509_pfx_read(kv_x509_found *found, kv_slice der, kv_error *err)
{
    const unsigned char *at = der.data;
    KV_AUTO(kv_ossl_pkcs12) file = d2i_PKCS12(NULL, &at, (long)der.len);
    reader r = { .found = found, .err = err };

    r.passwords[r.count++] = found->password.len ? (const char *)found->password.data : NULL;
    if (!found->password.len)
        r.passwords[r.count++] = "";
    ERR_clear_error();
    if (!file)
        return refused(&r, "is not a PFX file, or a damaged one");
    if (at != der.data + der.len)
        return refused(&r, "has something behind the end of the PFX");
    KV_TRY(check_mac(&r, file));
    return read_safes(&r, file);
}
