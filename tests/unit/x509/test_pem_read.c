/* test_pem_read.c - PEM text as people bring it. */
#include <stdio.h>

#include "server/x509/import.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/importing.h"

enum { PATH_BYTES = 256, OUTPUT_MAX = 8192 };

static void gives(pki *p, kv_slice text)
{
    kv_x509_import_in in = importing(text, "");

    importing_gives(p, &in, 3, true);
    in.value = pki_base64(text, &p->arena);
    importing_gives(p, &in, 3, true);
}

static void fails(pki *p, kv_slice text, const char *message)
{
    kv_x509_import_in in = importing(text, "");

    importing_fails(p, &in, "value", message);
}

/* With this instead of every line feed. */
static kv_slice with_line_ends(pki *p, kv_slice text, kv_slice ending)
{
    kv_slice all = KV_SLICE_NONE;
    size_t line = 0;

    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '\n') {
            all = JOIN(p, all, kv_slice_of(text.data + line, i - line), ending);
            line = i + 1;
        }
    return JOIN(p, all, kv_slice_of(text.data + line, text.len - line));
}

static void takes_blocks_in_any_order(void **state)
{
    pki *p = *state;
    kv_slice key = importing_key(p), leaf = importing_certificate(p, p->leaf),
             ca = importing_certificate(p, p->ca), root = importing_certificate(p, p->root);

    gives(p, JOIN(p, key, leaf, ca, root));
    gives(p, JOIN(p, root, ca, leaf, key));
    gives(p, JOIN(p, ca, key, root, leaf));
    gives(p, JOIN(p, ca, key, root, leaf, ca, root, key));
}

static void bounds_repetitions(void **state)
{
    pki *p = *state;
    kv_slice key = importing_key(p), leaf = importing_certificate(p, p->leaf);
    kv_slice keys = JOIN(p, key, key, key, key), leaves = leaf;

    fails(p, JOIN(p, leaf, keys, keys, key), "has several private keys");
    for (int i = 0; i < 6; i++)
        leaves = JOIN(p, leaves, leaves);
    fails(p, JOIN(p, leaves, key), "has more than 50 certificates");
}

static void takes_any_text_around(void **state)
{
    pki *p = *state;
    kv_slice pem = importing_pem(p), crl = pki_pem("X509 CRL", KV_SLICE("whatever"), &p->arena);

    gives(p, JOIN(p, KV_SLICE("\xef\xbb\xbf"), pem));
    gives(p, JOIN(p, KV_SLICE("Bag Attributes\n    friendlyName: x: y\nsubject=CN = z\n"), pem));
    gives(p, JOIN(p, pem, KV_SLICE("\n\n bye --- \n")));
    gives(p, JOIN(p, crl, pem, crl));
    gives(p, kv_slice_of(pem.data, pem.len - 1));
    gives(p, with_line_ends(p, pem, KV_SLICE("\r\n")));
    gives(p, with_line_ends(p, pem, KV_SLICE("\r")));
    gives(p, with_line_ends(p, pem, KV_SLICE(" \t \n\n")));
    gives(p, with_line_ends(p, pem, KV_SLICE("")));
}

static void takes_other_labels(void **state)
{
    pki *p = *state;
    kv_slice rest = JOIN(p, importing_key(p), importing_certificate(p, p->ca),
                         importing_certificate(p, p->root));
    kv_slice trust = KV_SLICE("\x30\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01");

    gives(p, JOIN(p, rest, pki_pem("X509 CERTIFICATE", p->leaf, &p->arena)));
    gives(p, JOIN(p, rest, pki_pem("TRUSTED CERTIFICATE", p->leaf, &p->arena)));
    gives(p, JOIN(p, rest, pki_pem("TRUSTED CERTIFICATE", JOIN(p, p->leaf, trust), &p->arena)));
}

static void refuses_damaged_blocks(void **state)
{
    pki *p = *state;
    kv_slice key = importing_key(p);

    fails(p, JOIN(p, key, KV_SLICE("-----BEGIN CERTIFICATE-----\nAAAA\n")),
          "PEM block 2 has no end");
    fails(p, JOIN(p, key, KV_SLICE("-----BEGIN A-----\nAAAA\n-----END B-----\n")),
          "PEM block 2 ends as another one");
    fails(p, KV_SLICE("-----BEGIN CERTIFICATE-----\nAA*A\n-----END CERTIFICATE-----\n"),
          "PEM block 1 is not base64");
    fails(p, KV_SLICE("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
          "PEM block 1 is not base64");
    fails(p, KV_SLICE("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
          "PEM block 1 (CERTIFICATE) is not a certificate");
    fails(p, KV_SLICE("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
          "is not a private key in PKCS#8");
    fails(p, KV_SLICE("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"),
          "is not a private key of that kind");
    fails(p, KV_SLICE("-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n"), "is not PKCS#7");
    fails(p, KV_SLICE("-----BEGIN "), "malformed first line");
    fails(p, pki_pem("OPENSSH PRIVATE KEY", KV_SLICE("xxx"), &p->arena), "not supported");
    fails(p, pki_pem("PGP MESSAGE", KV_SLICE("xxx"), &p->arena), "is nothing that belongs here");
}

/* ---- keys in every form that the openssl program writes ---- */

typedef struct form {
    const char *label; /* that comes out */
    const char *const argv[12];
    bool sealed;
    const char *refusal; /* NULL: imports */
} form;

#define PASS "-passout", "pass:secret"

static const form forms[] = {
    { "PRIVATE KEY", { "pkcs8", "-topk8", "-nocrypt" }, false, NULL },
    { "EC PRIVATE KEY", { "ec" }, false, NULL },
    { "EC PRIVATE KEY", { "ec", "-no_public" }, false, NULL },
    { "EC PRIVATE KEY", { "ec", "-conv_form", "compressed" }, false, NULL },
    { "Proc-Type", { "ec", "-aes256", PASS }, true, NULL },
    { "Proc-Type", { "ec", "-des3", PASS }, true, NULL },
    { "Proc-Type",
      { "ec", "-provider", "default", "-provider", "legacy", "-des", PASS },
      true,
      "is encrypted in a way that is not supported" },
    { "ENCRYPTED", { "pkcs8", "-topk8", PASS }, true, NULL },
    { "ENCRYPTED", { "pkcs8", "-topk8", "-v2", "aes-128-cbc", PASS }, true, NULL },
    { "ENCRYPTED",
      { "pkcs8", "-topk8", "-v2", "des3", "-v2prf", "hmacWithSHA512", PASS },
      true,
      NULL },
    { "ENCRYPTED", { "pkcs8", "-topk8", "-scrypt", PASS }, true, NULL },
    { "ENCRYPTED", { "pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", PASS }, true, NULL },
    { "ENCRYPTED",
      { "pkcs8", "-topk8", "-provider", "default", "-provider", "legacy", "-v1", "PBE-MD5-DES",
        PASS },
      true,
      NULL },
    { "EC PRIVATE KEY",
      { "ec", "-param_enc", "explicit" },
      false,
      "the curve of an EC key must be a named one" },
    { "PRIVATE KEY",
      { "pkey", "-ec_param_enc", "explicit" },
      false,
      "the curve of an EC key must be a named one" },
};

static kv_slice converted(pki *p, const form *f)
{
    char source[PATH_BYTES];
    char *output = kv_arena_alloc(&p->arena, OUTPUT_MAX);
    const char *argv[20] = { "openssl" };
    size_t count = 1;

    soft_file("key.pem", importing_key(p), source);
    for (size_t i = 0; f->argv[i]; i++)
        argv[count++] = f->argv[i];
    argv[count++] = "-in";
    argv[count++] = source;
    if (soft_run(argv, output, OUTPUT_MAX) != 0)
        fail_msg("openssl: %s", output);
    soft_file_remove(source);
    if (!strstr(output, f->label))
        fail_msg("no %s: %s", f->label, output);
    return kv_slice_text(output);
}

static void takes_keys_in_every_form(void **state)
{
    pki *p = *state;

    for (size_t i = 0; i < KV_COUNT(forms); i++) {
        kv_slice text = JOIN(p, importing_certificate(p, p->leaf), converted(p, &forms[i]));
        kv_x509_import_in in = importing(text, forms[i].sealed ? "secret" : "");

        if (forms[i].refusal) {
            importing_fails(p, &in, "value", forms[i].refusal);
            continue;
        }
        importing_gives(p, &in, 1, false);
        if (!forms[i].sealed)
            continue;
        in.password = KV_SLICE("wrong");
        importing_fails(p, &in, "password", "is not the private key's");
        in.password = KV_SLICE_NONE;
        importing_fails(p, &in, "password", "the private key needs a password");
    }
}

static void takes_a_key_behind_its_parameters(void **state)
{
    static const form ec = { "EC PRIVATE KEY", { "ec" }, false, NULL };
    pki *p = *state;
    kv_slice oid = KV_SLICE("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07");

    gives(p, JOIN(p, pki_pem("EC PARAMETERS", oid, &p->arena), converted(p, &ec),
                  importing_certificate(p, p->leaf), importing_certificate(p, p->ca),
                  importing_certificate(p, p->root)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMPORT_TEST(takes_blocks_in_any_order),
        IMPORT_TEST(takes_any_text_around),
        IMPORT_TEST(takes_other_labels),
        IMPORT_TEST(bounds_repetitions),
        IMPORT_TEST(refuses_damaged_blocks),
        IMPORT_TEST(takes_keys_in_every_form),
        IMPORT_TEST(takes_a_key_behind_its_parameters),
    };

    return cmocka_run_group_tests_name("pem_read", tests, NULL, NULL);
}
