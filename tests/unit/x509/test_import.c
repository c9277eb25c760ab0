/* test_import.c - files with a key and its certificate, in the shapes that programs write them. */
#include "server/x509/import.h"

#include <openssl/provider.h>

#include "server/x509/bundle.h"
#include "server/x509/pfx.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/importing.h"

static void assert_value_refused(pki *p, kv_slice value, const char *message)
{
    kv_x509_import_in in = importing(value, "");

    importing_fails(p, &in, "value", message);
}

/* ---- PFX as the openssl program writes them ---- */

typedef struct shape {
    const char *name;
    const char *password;
    const char *const options[12];
    const char *field; /* NULL: imports */
    const char *message;
} shape;

static const shape shapes[] = {
    { "default", "secret", { NULL }, NULL, NULL },
    { "no password", "", { NULL }, NULL, NULL },
    { "long password",
      "a pass phrase with spaces and \303\274ml\303\244uts",
      { NULL },
      NULL,
      NULL },
    { "legacy", "secret", { "-legacy" }, NULL, NULL },
    { "legacy, no password", "", { "-legacy" }, NULL, NULL },
    { "3DES", "secret", { "-descert", "-legacy" }, NULL, NULL },
    { "RC2-128",
      "s",
      { "-legacy", "-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-RC2-128" },
      NULL,
      NULL },
    { "RC4",
      "s",
      { "-legacy", "-certpbe", "PBE-SHA1-RC4-128", "-keypbe", "PBE-SHA1-RC4-40" },
      NULL,
      NULL },
    { "DES", "s", { "-legacy", "-certpbe", "PBE-MD5-DES", "-keypbe", "PBE-SHA1-DES" }, NULL, NULL },
    { "one iteration", "secret", { "-noiter", "-nomaciter" }, NULL, NULL },
    { "many iterations", "secret", { "-iter", "100000" }, NULL, NULL },
    { "SHA-512 MAC", "secret", { "-macalg", "sha512" }, NULL, NULL },
    { "AES-128", "secret", { "-certpbe", "AES-128-CBC", "-keypbe", "AES-192-CBC" }, NULL, NULL },
    { "Camellia", "secret", { "-keypbe", "CAMELLIA-256-CBC" }, NULL, NULL },
    { "plain certificates", "secret", { "-certpbe", "NONE" }, NULL, NULL },
    { "all plain", "secret", { "-certpbe", "NONE", "-keypbe", "NONE" }, NULL, NULL },
    { "names",
      "secret",
      { "-name", "my \303\251", "-caname", "one", "-caname", "two" },
      NULL,
      NULL },
    { "Microsoft names", "secret", { "-CSP", "Microsoft CSP", "-LMK", "-keyex" }, NULL, NULL },
    { "no MAC", "secret", { "-nomac" }, "value", "has no integrity check" },
    { "no keys", "secret", { "-nokeys" }, "value", "has no private key" },
    { "no certificates", "secret", { "-nocerts" }, "value", "has no certificate" },
};

static void every_shape_of_openssl(void **state)
{
    pki *p = *state;

    for (size_t i = 0; i < KV_COUNT(shapes); i++) {
        const shape *s = &shapes[i];
        kv_slice pfx = importing_pfx(p, importing_pem(p), s->password, s->options);
        kv_x509_import_in in = importing(pfx, s->password), wrong = importing(pfx, "wrong");

        if (s->field)
            importing_fails(p, &in, s->field, s->message);
        else
            importing_gives(p, &in, 3, true);
        if (strcmp(s->name, "no MAC") != 0)
            importing_fails(p, &wrong, "password", "is not the file's");
        in.value = pki_base64(pfx, &p->arena);
        if (!s->field)
            importing_gives(p, &in, 3, true);
    }
}

static void a_file_without_a_mac_is_taken_on_request(void **state)
{
    static const char *const options[] = { "-nomac", NULL };
    pki *p = *state;
    kv_x509_import_in in =
        importing(importing_pfx(p, importing_pem(p), "secret", options), "secret");

    in.accept_unprotected = true;
    importing_gives(p, &in, 3, true);
    in.password = KV_SLICE("wrong");
    importing_fails(p, &in, "password", "is not the file's");
}

static void legacy_encryption_can_be_turned_off(void **state)
{
    static const char *const old[] = { "-legacy", NULL };
    pki *p = *state;
    kv_x509_import_in in = importing(importing_pfx(p, importing_pem(p), "secret", old), "secret");

    in.refuse_legacy = true;
    importing_fails(p, &in, "value", "legacy encryption (RC2, RC4 or DES), which is turned off");
    /* The default library context never learns the old algorithms. */
    in.refuse_legacy = false;
    importing_gives(p, &in, 3, true);
    assert_int_equal(OSSL_PROVIDER_available(NULL, "legacy"), 0);
}

/* ---- damage ---- */

static void refuses_what_is_damaged(void **state)
{
    static const char *const none[] = { NULL };
    pki *p = *state;
    kv_slice pfx = importing_pfx(p, importing_pem(p), "secret", none);
    kv_x509_import_in in = importing(JOIN(p, pfx, KV_SLICE("x")), "secret");
    KV_AUTO(kv_x509_imported) out = KV_X509_NOT_IMPORTED;

    importing_fails(p, &in, "value", "behind the end");
    for (size_t len = 0; len < pfx.len; len += 37) {
        kv_error err = { 0 };

        in.value = kv_slice_of(pfx.data, len);
        assert_kv_fails(KV_BAD_REQUEST, kv_x509_import(&p->arena, &in, &out, &err));
        assert_string_not_equal(err.message, "");
    }
}

static void refuses_what_is_something_else(void **state)
{
    pki *p = *state;
    kv_slice p7;
    kv_error err = { 0 };

    assert_kv_ok(kv_x509_chain_pkcs7(&p->arena, (kv_x509_list){ &p->leaf, 1 }, &p7, &err));
    assert_value_refused(p, KV_SLICE_NONE, "must not be empty");
    assert_value_refused(p, KV_SLICE("hello, world"), "must be a PFX or PEM file");
    assert_value_refused(p, p->leaf, "is a certificate without its private key");
    assert_value_refused(p, p->key.pkcs8, "is a private key without its certificate");
    assert_value_refused(p, p7, "is PKCS#7, which has no private key");
    assert_value_refused(p, KV_SLICE("\xff\xfe-\0-\0"), "UTF-16");
    assert_value_refused(p, importing_certificate(p, p->leaf), "has no private key");
    assert_value_refused(p, importing_key(p), "has no certificate");
    assert_value_refused(p, JOIN(p, importing_key(p), importing_certificate(p, p->ca)),
                         "no certificate is the private key's");
}

static void refuses_bad_passwords(void **state)
{
    pki *p = *state;
    char password[KV_X509_PASSWORD_MAX + 2];
    kv_x509_import_in in = importing(importing_pem(p), "");

    memset(password, 'x', sizeof(password));
    in.password = kv_slice_of(password, KV_X509_PASSWORD_MAX + 1);
    importing_fails(p, &in, "password", "at most 200 bytes");
    in.password = KV_SLICE("a\nb");
    importing_fails(p, &in, "password", "without control characters");
    in.password = KV_SLICE("\xff");
    importing_fails(p, &in, "password", "must be UTF-8");
}

/* ---- our own export ---- */

static void imports_what_we_export(void **state)
{
    pki *p = *state;
    kv_slice chain[] = { p->leaf, p->ca, p->root };
    kv_x509_pfx out = { .chain = { chain, 3 }, .key = p->key.pkcs8 };
    kv_error err = { 0 };

    for (int i = 0; i < 4; i++) {
        KV_AUTO(kv_secret_buf) bytes = KV_SECRET_NONE;
        kv_x509_import_in in;

        out.for_old_clients = i & 1;
        out.password = i & 2 ? KV_SLICE("secret") : KV_SLICE_NONE;
        assert_kv_ok(kv_x509_pfx_write(&out, &bytes, &err));
        in = importing(kv_secret_buf_slice(&bytes), i & 2 ? "secret" : "");
        importing_gives(p, &in, 3, true);
    }
    for (int i = 0; i < 1; i++) {
        KV_AUTO(kv_secret_buf) text = KV_SECRET_NONE;
        kv_x509_import_in in;

        assert_kv_ok(kv_x509_secret_pem(out.chain, out.key, &text, &err));
        in = importing(kv_secret_buf_slice(&text), "");
        importing_gives(p, &in, 3, true);
    }
}

/* ---- what the certificates must be ---- */

static kv_slice pem_of(pki *p, const pki_spec *spec)
{
    return JOIN(p, importing_key(p), importing_certificate(p, pki_certificate(spec, &p->arena)),
                importing_certificate(p, p->ca), importing_certificate(p, p->root));
}

static void judges_the_leaf(void **state)
{
    pki *p = *state;
    pki_spec spec = pki_leaf_spec(p);
    kv_x509_import_in in;

    spec.constraints = "critical,CA:TRUE";
    in = importing(pem_of(p, &spec), "");
    importing_fails(p, &in, "value", "the certificate is a CA's");
    in.allow_ca = true;
    p->leaf = pki_certificate(&spec, &p->arena);
    in.value = JOIN(p, importing_key(p), importing_certificate(p, p->leaf));
    importing_gives(p, &in, 1, false);
    spec = pki_leaf_spec(p);
    spec.from_days = -90;
    in = importing(pem_of(p, &spec), "");
    importing_fails(p, &in, "value", "the certificate has expired");
    spec.from_days = 2;
    spec.to_days = 90;
    in = importing(pem_of(p, &spec), "");
    importing_fails(p, &in, "value", "the certificate is not valid yet");
    p->leaf = pki_certificate(&spec, &p->arena);
    in.allow_expired = true;
    in.value = JOIN(p, importing_key(p), importing_certificate(p, p->leaf));
    importing_gives(p, &in, 1, false);
}

static void judges_the_key(void **state)
{
    enum { SCALAR = 40 };
    pki *p = *state;
    uint8_t *changed = kv_arena_alloc(&p->arena, p->key.pkcs8.len);
    pki_spec spec = pki_leaf_spec(p);
    kv_x509_import_in in;
    soft_key small;

    memcpy(changed, p->key.pkcs8.data, p->key.pkcs8.len);
    changed[SCALAR] ^= 1;
    in =
        importing(JOIN(p, pki_pem("PRIVATE KEY", kv_slice_of(changed, p->key.pkcs8.len), &p->arena),
                       importing_certificate(p, p->leaf)),
                  "");
    importing_fails(p, &in, "value", "the private key is not sound");
    soft_key_make_rsa(&small, 1024, &p->arena);
    spec.key = &small;
    in.value = JOIN(p, pki_pem("PRIVATE KEY", small.pkcs8, &p->arena),
                    importing_certificate(p, pki_certificate(&spec, &p->arena)));
    importing_fails(p, &in, "value", "the key is RSA of 1024 bits: must be 2048, 3072 or 4096");
    soft_key_cleanup(&small);
    spec = pki_leaf_spec(p);
    spec.serial = 5;
    in.value = JOIN(p, pem_of(p, &spec), importing_certificate(p, p->leaf));
    importing_fails(p, &in, "value", "2 certificates are the private key's");
}

static void completes_the_chain_or_refuses(void **state)
{
    pki *p = *state;
    kv_slice anchors[] = { p->root, p->ca };
    kv_x509_import_in in =
        importing(JOIN(p, importing_key(p), importing_certificate(p, p->leaf)), "");

    importing_gives(p, &in, 1, false);
    in.need_complete = true;
    importing_fails(p, &in, "value", "the issuer 'CN=Issuing CA' is missing");
    in.anchors = (kv_x509_list){ anchors, 2 };
    importing_gives(p, &in, 3, true);
    in.omit_root = true;
    importing_gives(p, &in, 2, true);
}

static void tells_what_it_leaves_out(void **state)
{
    pki *p = *state;
    kv_slice other = importing_certificate(p, p->other), leaf = importing_certificate(p, p->leaf);
    kv_slice ca = importing_certificate(p, p->ca);
    kv_x509_import_in in = importing(JOIN(p, other, ca, ca, leaf, importing_key(p)), "");
    KV_AUTO(kv_x509_imported) out = KV_X509_NOT_IMPORTED;
    kv_error err = { 0 };

    assert_kv_ok(kv_x509_import(&p->arena, &in, &out, &err));
    assert_int_equal(out.warnings.count, 5);
    assert_slice_equal(KV_SLICE("1 repeated certificates were left out"), out.warnings.items[0]);
    assert_slice_equal(KV_SLICE("1 certificates that are not of the chain were left out"),
                       out.warnings.items[1]);
    assert_slice_equal(KV_SLICE("the chain is incomplete: the issuer 'CN=Root' is missing"),
                       out.warnings.items[2]);
    /* And which rules it breaks. */
    assert_true(kv_slice_starts_with(out.warnings.items[3], KV_SLICE("serial: ")));
    assert_true(kv_slice_starts_with(out.warnings.items[4], KV_SLICE("key_identifiers: ")));
    /* As given: the CA before the leaf. */
    assert_int_equal(out.given.count, 2);
    assert_slice_equal(p->ca, out.given.items[0]);
    assert_slice_equal(p->leaf, out.given.items[1]);
    assert_slice_equal(p->leaf, out.chain.items[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMPORT_TEST(every_shape_of_openssl),
        IMPORT_TEST(a_file_without_a_mac_is_taken_on_request),
        IMPORT_TEST(legacy_encryption_can_be_turned_off),
        IMPORT_TEST(refuses_what_is_damaged),
        IMPORT_TEST(refuses_what_is_something_else),
        IMPORT_TEST(refuses_bad_passwords),
        IMPORT_TEST(imports_what_we_export),
        IMPORT_TEST(judges_the_leaf),
        IMPORT_TEST(judges_the_key),
        IMPORT_TEST(completes_the_chain_or_refuses),
        IMPORT_TEST(tells_what_it_leaves_out),
    };

    return cmocka_run_group_tests_name("import", tests, NULL, NULL);
}
