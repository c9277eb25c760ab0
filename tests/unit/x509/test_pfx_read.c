/* test_pfx_read.c - PKCS#12 files that no program should write, and bombs. */
#include <openssl/pkcs12.h>

#include "server/x509/import.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/importing.h"

static void value_fails(pki *p, kv_slice value, const char *message)
{
    kv_x509_import_in in = importing(value, "");

    importing_fails(p, &in, "value", message);
}

static X509 *parse(kv_slice der)
{
    const unsigned char *at = der.data;

    return d2i_X509(NULL, &at, (long)der.len);
}

static kv_slice encode(pki *p, PKCS12 *file)
{
    unsigned char *der = NULL;
    int len = i2d_PKCS12(file, &der);
    kv_error err = { 0 };
    kv_slice out;

    assert_true(len > 0);
    assert_kv_ok(kv_arena_copy(&p->arena, kv_slice_of(der, (size_t)len), &out, &err));
    OPENSSL_free(der);
    return out;
}

typedef struct bag_list {
    STACK_OF(PKCS12_SAFEBAG) *bags;
} bag_list;

static void add_cert(bag_list *to, kv_slice der, const char *id)
{
    X509 *certificate = parse(der);
    PKCS12_SAFEBAG *bag = PKCS12_add_cert(&to->bags, certificate);

    assert_non_null(bag);
    if (id)
        assert_true(PKCS12_add_localkeyid(bag, (unsigned char *)(uintptr_t)id, (int)strlen(id)));
    X509_free(certificate);
}

static void add_key(bag_list *to, const soft_key *key, const char *id)
{
    PKCS12_SAFEBAG *bag = PKCS12_add_key(&to->bags, key->pair, 0, 100, NID_aes_256_cbc, "secret");

    assert_non_null(bag);
    if (id)
        assert_true(PKCS12_add_localkeyid(bag, (unsigned char *)(uintptr_t)id, (int)strlen(id)));
}

static PKCS12 *file_of(bag_list *from)
{
    STACK_OF(PKCS7) *safes = NULL;
    PKCS12 *file;

    assert_true(PKCS12_add_safe(&safes, from->bags, -1, 0, NULL));
    file = PKCS12_add_safes(safes, 0);
    assert_non_null(file);
    assert_true(PKCS12_set_mac(file, "secret", -1, NULL, 0, 100, EVP_sha256()));
    sk_PKCS7_pop_free(safes, PKCS7_free);
    sk_PKCS12_SAFEBAG_pop_free(from->bags, PKCS12_SAFEBAG_free);
    return file;
}

static kv_slice pfx_of(pki *p, bag_list *from)
{
    PKCS12 *file = file_of(from);
    kv_slice out = encode(p, file);

    PKCS12_free(file);
    return out;
}

static void pairs_by_the_key_not_by_its_label(void **state)
{
    pki *p = *state;
    bag_list all = { 0 };
    kv_x509_import_in in;

    add_cert(&all, p->root, "1");
    add_cert(&all, p->leaf, "2");
    add_cert(&all, p->ca, NULL);
    add_key(&all, &p->key, "1");
    in = importing(pfx_of(p, &all), "secret");
    importing_gives(p, &in, 3, true);
}

static void refuses_several_keys(void **state)
{
    pki *p = *state;
    bag_list all = { 0 }, same = { 0 };
    kv_x509_import_in in;

    add_cert(&all, p->leaf, NULL);
    add_key(&all, &p->key, NULL);
    add_key(&all, &p->other_key, NULL);
    in = importing(pfx_of(p, &all), "secret");
    importing_fails(p, &in, "value", "has several private keys");
    add_cert(&same, p->leaf, NULL);
    add_key(&same, &p->key, NULL);
    add_key(&same, &p->key, NULL);
    in = importing(pfx_of(p, &same), "secret");
    importing_gives(p, &in, 1, false);
}

static void refuses_too_many_certificates(void **state)
{
    pki *p = *state;
    bag_list all = { 0 };
    pki_spec spec = pki_leaf_spec(p);
    kv_x509_import_in in;

    for (int i = 0; i <= KV_X509_FOUND_MAX; i++) {
        spec.serial = i + 1;
        add_cert(&all, pki_certificate(&spec, &p->arena), NULL);
    }
    add_key(&all, &p->key, NULL);
    in = importing(pfx_of(p, &all), "secret");
    importing_fails(p, &in, "value", "more than 50 certificates");
}

/* ---- BER ---- */

/* One level of a constructed element: tag 80 contents 00 00. */
static kv_slice indefinite(pki *p, uint8_t tag, kv_slice contents)
{
    uint8_t head[] = { tag, 0x80 };

    return JOIN(p, kv_slice_of(head, 2), contents, KV_SLICE("\0\0"));
}

/* An octet string in pieces of 100 bytes. */
static kv_slice pieces(pki *p, kv_slice bytes)
{
    kv_slice all = KV_SLICE_NONE;

    for (size_t at = 0; at < bytes.len; at += 100) {
        size_t len = bytes.len - at < 100 ? bytes.len - at : 100;
        uint8_t head[] = { 0x04, (uint8_t)len };

        all = JOIN(p, all, kv_slice_of(head, 2), kv_slice_of(bytes.data + at, len));
    }
    return indefinite(p, 0x24, all);
}

static kv_slice contents_of(kv_slice *rest, kv_slice *whole)
{
    const unsigned char *at = rest->data;
    long len = 0;
    int tag, class;

    assert_int_equal(ASN1_get_object(&at, &len, &tag, &class, (long)rest->len) & 0x80, 0);
    *whole = kv_slice_of(rest->data, (size_t)(at - rest->data) + (size_t)len);
    *rest = kv_slice_of(rest->data + whole->len, rest->len - whole->len);
    return kv_slice_of(at, (size_t)len);
}

/* PFX { version, authSafe { oid, [0] { OCTET STRING } }, macData } as Windows writes it. */
static kv_slice in_ber(pki *p, kv_slice der)
{
    kv_slice whole, version, oid, mac, safe, octets, contents;
    kv_slice fields = contents_of(&der, &whole);

    (void)contents_of(&fields, &version);
    safe = contents_of(&fields, &whole);
    (void)contents_of(&fields, &mac);
    (void)contents_of(&safe, &oid);
    octets = contents_of(&safe, &whole);
    contents = contents_of(&octets, &whole);
    safe = JOIN(p, oid, indefinite(p, 0xa0, pieces(p, contents)));
    return indefinite(p, 0x30, JOIN(p, version, indefinite(p, 0x30, safe), mac));
}

static void reads_ber(void **state)
{
    static const char *const none[] = { NULL };
    pki *p = *state;
    kv_slice ber = in_ber(p, importing_pfx(p, importing_pem(p), "secret", none));
    kv_x509_import_in in = importing(ber, "secret");

    importing_gives(p, &in, 3, true);
}

/* ---- bombs ---- */

static void bounds_iterations_of_the_mac(void **state)
{
    static const long counts[] = { KV_X509_KDF_WORK_MAX + 1L, 0x7fffffff, 0, -1 };
    pki *p = *state;

    for (size_t i = 0; i < KV_COUNT(counts); i++) {
        const ASN1_INTEGER *iterations = NULL;
        bag_list all = { 0 };
        PKCS12 *file;
        kv_x509_import_in in;

        add_cert(&all, p->leaf, NULL);
        add_key(&all, &p->key, NULL);
        file = file_of(&all);
        PKCS12_get0_mac(NULL, NULL, NULL, &iterations, file);
        assert_true(ASN1_INTEGER_set((ASN1_INTEGER *)(uintptr_t)iterations, counts[i]));
        in = importing(encode(p, file), "secret");
        PKCS12_free(file);
        importing_fails(p, &in, "value",
                        counts[i] > 0 ? "more than 5000000 iterations" : "malformed");
    }
}

static kv_slice sealed_pem(pki *p, X509_ALGOR *algorithm)
{
    X509_SIG *sealed = X509_SIG_new();
    X509_ALGOR *target = NULL;
    ASN1_OCTET_STRING *octets = NULL;
    unsigned char *der = NULL;
    kv_error err = { 0 };
    kv_slice copy;
    int len;

    assert_non_null(algorithm);
    X509_SIG_getm(sealed, &target, &octets);
    assert_true(X509_ALGOR_copy(target, algorithm));
    assert_true(ASN1_OCTET_STRING_set(octets, (const unsigned char *)"0123456789abcdef", 16));
    len = i2d_X509_SIG(sealed, &der);
    assert_kv_ok(kv_arena_copy(&p->arena, kv_slice_of(der, (size_t)len), &copy, &err));
    OPENSSL_free(der);
    X509_SIG_free(sealed);
    X509_ALGOR_free(algorithm);
    return JOIN(p, pki_pem("ENCRYPTED PRIVATE KEY", copy, &p->arena),
                importing_certificate(p, p->leaf));
}

static void bounds_iterations_of_keys(void **state)
{
    static const uint64_t lanes = 10000;
    pki *p = *state;
    unsigned char salt[8] = { 1 }, iv[16] = { 2 };
    kv_x509_import_in in;

    in = importing(sealed_pem(p, PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), 2000000000, salt, 8, iv,
                                                   NID_hmacWithSHA256)),
                   "x");
    importing_fails(p, &in, "value", "more than 5000000 iterations");
    in = importing(
        sealed_pem(p, PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), salt, 8, iv, 1024, 8, lanes)), "x");
    importing_fails(p, &in, "value", "more than 5000000 iterations");
    in = importing(
        sealed_pem(p, PKCS5_pbe_set(NID_pbe_WithSHA1And3_Key_TripleDES_CBC, 2000000, salt, 8)),
        "x");
    importing_fails(p, &in, "value", "more than 5000000 iterations");
    in = importing(sealed_pem(p, PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), salt, 8, iv, 1024, 8, 1)),
                   "x");
    importing_fails(p, &in, "password", "is not the private key's");
}

static kv_slice wrap(pki *p, uint8_t tag, kv_slice contents)
{
    uint8_t head[] = { tag, 0x83, (uint8_t)(contents.len >> 16), (uint8_t)(contents.len >> 8),
                       (uint8_t)contents.len };

    return JOIN(p, kv_slice_of(head, sizeof(head)), contents);
}

#define OID_DATA  "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
#define OID_SAFES "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x06"

static kv_slice data_of(pki *p, kv_slice contents)
{
    return wrap(p, 0x30, JOIN(p, KV_SLICE(OID_DATA), wrap(p, 0xa0, wrap(p, 0x04, contents))));
}

static void bounds_nesting(void **state)
{
    static const struct {
        int depth;
        const char *message;
    } rows[] = { { 3, "has no private key and no certificate" },
                 { 4, "is nested too deeply" },
                 { 500, "has a malformed part" } };
    pki *p = *state;

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        /* In the short form: OpenSSL wants a byte behind a long one, in some versions. */
        kv_slice bags = KV_SLICE("\x30\x00"), file;
        kv_x509_import_in in;

        for (int n = 0; n < rows[i].depth; n++)
            bags = wrap(p, 0x30, wrap(p, 0x30, JOIN(p, KV_SLICE(OID_SAFES), wrap(p, 0xa0, bags))));
        file = wrap(p, 0x30,
                    JOIN(p, KV_SLICE("\x02\x01\x03"), data_of(p, wrap(p, 0x30, data_of(p, bags)))));
        in = importing(file, "");
        in.accept_unprotected = true;
        importing_fails(p, &in, "value", rows[i].message);
    }
}

static void bounds_sizes(void **state)
{
    pki *p = *state;
    uint8_t *bytes = kv_arena_alloc(&p->arena, KV_X509_BUNDLE_MAX + 1);

    memset(bytes, 0x30, KV_X509_BUNDLE_MAX + 1);
    value_fails(p, kv_slice_of(bytes, KV_X509_BUNDLE_MAX + 1),
                "must be at most 1048576 bytes long");
    for (size_t i = 1; i < KV_X509_BUNDLE_MAX; i += 2)
        bytes[i] = 0x80;
    value_fails(p, kv_slice_of(bytes, KV_X509_BUNDLE_MAX), "is not a PFX file");
    memset(bytes, 'A', KV_X509_BUNDLE_MAX);
    value_fails(p, kv_slice_of(bytes, KV_X509_BUNDLE_MAX), "must be a PFX or PEM file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMPORT_TEST(pairs_by_the_key_not_by_its_label),
        IMPORT_TEST(refuses_several_keys),
        IMPORT_TEST(refuses_too_many_certificates),
        IMPORT_TEST(reads_ber),
        IMPORT_TEST(bounds_iterations_of_the_mac),
        IMPORT_TEST(bounds_iterations_of_keys),
        IMPORT_TEST(bounds_nesting),
        IMPORT_TEST(bounds_sizes),
    };

    return cmocka_run_group_tests_name("pfx_read", tests, NULL, NULL);
}
