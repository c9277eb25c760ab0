/* importing.c - what the tests of imports have in common. */
#include "tests/unit/x509/importing.h"

#include <stdio.h>

#include "tests/support/kv_cmocka.h"

enum { PATH_BYTES = 256, OUTPUT_MAX = 4096, FILE_MAX = 1 << 20, ARGUMENTS_MAX = 40 };

int importing_set_up(void **state)
{
    *state = test_calloc(1, sizeof(pki));
    pki_make(*state);
    return 0;
}

int importing_tear_down(void **state)
{
    pki_cleanup(*state);
    test_free(*state);
    return 0;
}

kv_x509_import_in importing(kv_slice value, const char *password)
{
    return (kv_x509_import_in){ .value = value,
                                .password = kv_slice_text(password),
                                .now_ms = SOFT_NOW_MS };
}

void importing_gives(pki *p, const kv_x509_import_in *in, size_t chain, bool complete)
{
    KV_AUTO(kv_x509_imported) out = KV_X509_NOT_IMPORTED;
    kv_error err = { 0 };

    assert_kv_ok(kv_x509_import(&p->arena, in, &out, &err));
    assert_slice_equal(p->key.pkcs8, kv_secret_buf_slice(&out.key));
    assert_int_equal(out.chain.count, chain);
    assert_slice_equal(p->leaf, out.chain.items[0]);
    if (chain > 1)
        assert_slice_equal(p->ca, out.chain.items[1]);
    if (chain > 2)
        assert_slice_equal(p->root, out.chain.items[2]);
    assert_int_equal(out.complete, complete);
    assert_slice_equal(p->key.spki, out.leaf.spki);
}

void importing_fails(pki *p, const kv_x509_import_in *in, const char *field, const char *message)
{
    KV_AUTO(kv_x509_imported) out = KV_X509_NOT_IMPORTED;
    kv_error err = { 0 };

    assert_kv_fails(KV_BAD_REQUEST, kv_x509_import(&p->arena, in, &out, &err));
    assert_string_equal(err.field, field);
    if (!strstr(err.message, message))
        fail_msg("'%s' instead of '%s'", err.message, message);
    assert_null(out.key.data);
}

kv_slice importing_join(pki *p, size_t count, const kv_slice *parts)
{
    return pki_join(&p->arena, parts, count);
}

kv_slice importing_certificate(pki *p, kv_slice der)
{
    return pki_pem("CERTIFICATE", der, &p->arena);
}

kv_slice importing_key(pki *p)
{
    return pki_pem("PRIVATE KEY", p->key.pkcs8, &p->arena);
}

kv_slice importing_pem(pki *p)
{
    return JOIN(p, importing_key(p), importing_certificate(p, p->leaf),
                importing_certificate(p, p->ca), importing_certificate(p, p->root));
}

static void read_back(pki *p, const char *path, kv_slice *out)
{
    uint8_t *bytes = kv_arena_alloc(&p->arena, FILE_MAX);
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    *out = kv_slice_of(bytes, fread(bytes, 1, FILE_MAX, file));
    (void)fclose(file);
}

kv_slice importing_pfx(pki *p, kv_slice pem, const char *password, const char *const *options)
{
    char source[PATH_BYTES], target[PATH_BYTES], pass[128], output[OUTPUT_MAX];
    const char *argv[ARGUMENTS_MAX] = { "openssl", "pkcs12", "-export",  "-in", source,
                                        "-out",    target,   "-passout", pass };
    kv_slice out;

    soft_file("in.pem", pem, source);
    soft_file("out.pfx", KV_SLICE_NONE, target);
    (void)snprintf(pass, sizeof(pass), "pass:%s", password);
    for (size_t i = 0; options[i]; i++)
        argv[9 + i] = options[i];
    if (soft_run(argv, output, sizeof(output)) != 0)
        fail_msg("openssl pkcs12: %s", output);
    read_back(p, target, &out);
    soft_file_remove(source);
    soft_file_remove(target);
    return out;
}
