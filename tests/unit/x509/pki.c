/* pki.c - certificates for tests. */
#include "tests/unit/x509/pki.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tests/support/kv_cmocka.h"

static kv_slice keep(kv_arena *arena, unsigned char *der, int len)
{
    kv_error err = { 0 };
    kv_slice out;

    assert_true(len > 0);
    assert_kv_ok(kv_arena_copy(arena, kv_slice_of(der, (size_t)len), &out, &err));
    OPENSSL_free(der);
    return out;
}

static X509_NAME *name_of(const char *common_name)
{
    X509_NAME *name = X509_NAME_new();

    assert_true(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                           (const unsigned char *)common_name, -1, -1, 0));
    return name;
}

static X509_EXTENSION *extension(int nid, const char *value)
{
    X509_EXTENSION *made = X509V3_EXT_nconf_nid(NULL, NULL, nid, value);

    if (!made)
        fail_msg("no extension '%s'", value);
    return made;
}

static void add(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *made;

    if (!value)
        return;
    made = extension(nid, value);
    assert_true(X509_add_ext(certificate, made, -1));
    X509_EXTENSION_free(made);
}

kv_slice pki_certificate(const pki_spec *spec, kv_arena *arena)
{
    X509 *made = X509_new();
    X509_NAME *subject = name_of(spec->subject), *issuer = name_of(spec->issuer);
    bool dates = spec->from_days || spec->to_days;
    time_t now = SOFT_NOW_MS / 1000;
    unsigned char *der = NULL;
    int len;

    assert_true(X509_set_version(made, X509_VERSION_3));
    assert_true(ASN1_INTEGER_set(X509_get_serialNumber(made), spec->serial ? spec->serial : 1));
    assert_true(X509_set_subject_name(made, subject) && X509_set_issuer_name(made, issuer));
    assert_non_null(
        X509_time_adj_ex(X509_getm_notBefore(made), dates ? spec->from_days : -1, 0, &now));
    assert_non_null(
        X509_time_adj_ex(X509_getm_notAfter(made), dates ? spec->to_days : 90, 0, &now));
    assert_true(X509_set_pubkey(made, spec->key->pair));
    add(made, NID_basic_constraints, spec->constraints);
    add(made, NID_key_usage, spec->usage);
    add(made, NID_ext_key_usage, spec->ekus);
    add(made, NID_subject_alt_name, spec->sans);
    add(made, NID_name_constraints, spec->name_constraints);
    assert_true(X509_sign(made, spec->signer->pair, EVP_sha256()) > 0);
    len = i2d_X509(made, &der);
    X509_NAME_free(subject);
    X509_NAME_free(issuer);
    X509_free(made);
    return keep(arena, der, len);
}

kv_slice pki_sign_again(kv_slice der, const soft_key *signer, kv_arena *arena)
{
    const unsigned char *at = der.data;
    X509 *made = d2i_X509(NULL, &at, (long)der.len);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const ASN1_BIT_STRING *place;
    const uint8_t *tbs = der.data + 4;
    size_t tbs_len, len = 256;
    uint8_t signature[256];
    unsigned char *out = NULL;
    int out_len;

    assert_non_null(made);
    /* Both lengths have two bytes. */
    assert_true(der.data[1] == 0x82 && tbs[1] == 0x82);
    tbs_len = 4 + ((size_t)tbs[2] << 8 | tbs[3]);
    assert_true(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, signer->pair) == 1 &&
                EVP_DigestSign(context, signature, &len, tbs, tbs_len) == 1);
    X509_get0_signature(&place, NULL, made);
    assert_true(ASN1_STRING_set((ASN1_BIT_STRING *)(uintptr_t)place, signature, (int)len));
    out_len = i2d_X509(made, &out);
    EVP_MD_CTX_free(context);
    X509_free(made);
    return keep(arena, out, out_len);
}

kv_slice pki_request(const soft_key *key, const char *sans, kv_arena *arena)
{
    X509_REQ *made = X509_REQ_new();
    X509_NAME *subject = name_of("www.example.com");
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    unsigned char *der = NULL;
    int len;

    assert_true(sk_X509_EXTENSION_push(extensions, extension(NID_subject_alt_name, sans)));
    assert_true(X509_REQ_set_subject_name(made, subject) && X509_REQ_set_pubkey(made, key->pair) &&
                X509_REQ_add_extensions(made, extensions) &&
                X509_REQ_sign(made, key->pair, EVP_sha256()) > 0);
    len = i2d_X509_REQ(made, &der);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_NAME_free(subject);
    X509_REQ_free(made);
    return keep(arena, der, len);
}

pki_spec pki_leaf_spec(const pki *p)
{
    return (pki_spec){ .subject = "www.example.com",
                       .issuer = "Issuing CA",
                       .key = &p->key,
                       .signer = &p->ca_key,
                       .constraints = "critical,CA:FALSE",
                       .usage = "critical,digitalSignature",
                       .ekus = "serverAuth,clientAuth",
                       .sans = "DNS:www.example.com" };
}

pki_spec pki_ca_spec(const pki *p)
{
    return (pki_spec){ .subject = "Issuing CA",
                       .issuer = "Root",
                       .key = &p->ca_key,
                       .signer = &p->root_key,
                       .constraints = "critical,CA:TRUE",
                       .usage = "critical,keyCertSign,cRLSign" };
}

static kv_slice root_of(const char *name, const soft_key *key, kv_arena *arena)
{
    pki_spec spec = { .subject = name,
                      .issuer = name,
                      .key = key,
                      .signer = key,
                      .constraints = "critical,CA:TRUE",
                      .usage = "critical,keyCertSign,cRLSign" };

    return pki_certificate(&spec, arena);
}

void pki_make(pki *p)
{
    pki_spec ca, leaf;

    *p = (pki){ .arena = KV_ARENA(64 << 20) };
    soft_key_make(&p->root_key, KV_KEY_P384, &p->arena);
    soft_key_make(&p->ca_key, KV_KEY_P256, &p->arena);
    soft_key_make(&p->key, KV_KEY_P256, &p->arena);
    soft_key_make(&p->other_key, KV_KEY_P256, &p->arena);
    ca = pki_ca_spec(p);
    leaf = pki_leaf_spec(p);
    p->root = root_of("Root", &p->root_key, &p->arena);
    p->ca = pki_certificate(&ca, &p->arena);
    p->leaf = pki_certificate(&leaf, &p->arena);
    p->other = root_of("Other", &p->other_key, &p->arena);
}

void pki_cleanup(pki *p)
{
    soft_key_cleanup(&p->root_key);
    soft_key_cleanup(&p->ca_key);
    soft_key_cleanup(&p->key);
    soft_key_cleanup(&p->other_key);
    kv_arena_cleanup(&p->arena);
}

kv_slice pki_base64(kv_slice bytes, kv_arena *arena)
{
    uint8_t *text = kv_arena_alloc(arena, (bytes.len + 2) / 3 * 4 + 1);

    return kv_slice_of(text, (size_t)EVP_EncodeBlock(text, bytes.data, (int)bytes.len));
}

kv_slice pki_pem(const char *label, kv_slice der, kv_arena *arena)
{
    kv_slice body = pki_base64(der, arena), out;
    kv_error err = { 0 };

    assert_kv_ok(kv_arena_print(arena, &out, &err, "-----BEGIN %s-----\n%.*s\n-----END %s-----\n",
                                label, KV_SLICE_ARG(body), label));
    return out;
}

kv_slice pki_join(kv_arena *arena, const kv_slice *parts, size_t count)
{
    uint8_t *all;
    size_t len = 0;

    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    all = kv_arena_alloc(arena, len + 1);
    len = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len)
            memcpy(all + len, parts[i].data, parts[i].len);
        len += parts[i].len;
    }
    return kv_slice_of(all, len);
}
