/* test_armour.c - base64 and PEM blocks, lenient where that is safe. */
#include "server/x509/armour.h"

#include "tests/support/kv_cmocka.h"

static void decodes(const char *text, const char *expected)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(4096);
    kv_slice out;

    assert_true(kv_x509_unbase64(&arena, kv_slice_text(text), &out));
    assert_slice_equal(kv_slice_text(expected), out);
}

static void refuses(const char *text)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(4096);
    kv_slice out;

    assert_false(kv_x509_unbase64(&arena, kv_slice_text(text), &out));
}

static void base64_is_lenient(void **state)
{
    (void)state;
    decodes("aGVsbG8=", "hello");
    decodes("aGVsbG8", "hello");
    decodes(" aGVs\r\nbG\t8 =\n", "hello");
    decodes("Pz8/Pj4+", "?\?\?>>>");
    decodes("Pz8_Pj4-", "?\?\?>>>");
    decodes("YQ==", "a");
    decodes("YWI=", "ab");
    decodes("YWJj", "abc");
    decodes("", "");
}

static void base64_keeps_every_byte_or_fails(void **state)
{
    (void)state;
    refuses("a");
    refuses("aGVsb");
    refuses("aGVs*G8=");
    refuses("aGVsbG8==");
    refuses("aG=sbG8=");
    refuses("YQ===");
    refuses("=");
}

static void tells_forms_apart(void **state)
{
    (void)state;
    assert_int_equal(kv_x509_form_of(KV_SLICE("\x30\x82\x01\x00")), KV_X509_FORM_DER);
    assert_int_equal(kv_x509_form_of(KV_SLICE("\x30\x80\x02\x01")), KV_X509_FORM_DER);
    /* "0" begins base64 as well. */
    assert_int_equal(kv_x509_form_of(KV_SLICE("0123")), KV_X509_FORM_BASE64);
    assert_int_equal(kv_x509_form_of(KV_SLICE("x\n-----BEGIN A-----")), KV_X509_FORM_PEM);
    assert_int_equal(kv_x509_form_of(KV_SLICE("-\0-\0-\0")), KV_X509_FORM_UTF16);
    assert_int_equal(kv_x509_form_of(KV_SLICE("\0-\0-\0-")), KV_X509_FORM_UTF16);
    assert_int_equal(kv_x509_form_of(KV_SLICE("no, thanks")), KV_X509_FORM_UNKNOWN);
    assert_int_equal(kv_x509_form_of(KV_SLICE_NONE), KV_X509_FORM_UNKNOWN);
}

static void peels_three_layers_at_most(void **state)
{
    static const char *const layers[] = { "MIEA", "TUlFQQ==", "VFVsRlFRPT0=" };
    KV_AUTO(kv_arena) arena = KV_ARENA(4096);
    kv_x509_form form;
    kv_slice out;
    kv_error err = { 0 };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(layers); i++) {
        assert_kv_ok(kv_x509_peel(&arena, kv_slice_text(layers[i]), "f", "x", &out, &form, &err));
        assert_slice_equal(KV_SLICE("\x30\x81\x00"), out);
        assert_int_equal(form, KV_X509_FORM_DER);
    }
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_peel(&arena, KV_SLICE("VkZWc1JsRlJQVDA9"), "f", "bread",
                                                 &out, &form, &err));
    assert_string_equal(err.message, "must be bread");
}

static void walks_blocks(void **state)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(4096);
    kv_x509_blocks blocks = {
        .rest = KV_SLICE("text\n-----BEGIN A B-----\nProc-Type: 4,X\nDEK-Info: y\n\naGk=\n"
                         "-----END A B----------BEGIN C-----aGk=-----END C-----"),
        .field = "f",
    };
    kv_x509_block block;
    bool more = false;
    kv_error err = { 0 };

    (void)state;
    assert_kv_ok(kv_x509_blocks_next(&arena, &blocks, &block, &more, &err));
    assert_true(more);
    assert_slice_equal(KV_SLICE("A B"), block.label);
    assert_slice_equal(KV_SLICE("Proc-Type: 4,X\nDEK-Info: y\n"), block.headers);
    assert_slice_equal(KV_SLICE("hi"), block.der);
    assert_kv_ok(kv_x509_blocks_next(&arena, &blocks, &block, &more, &err));
    assert_true(more);
    assert_int_equal(block.number, 2);
    assert_int_equal(block.headers.len, 0);
    assert_slice_equal(KV_SLICE("hi"), block.der);
    assert_kv_ok(kv_x509_blocks_next(&arena, &blocks, &block, &more, &err));
    assert_false(more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_lenient), cmocka_unit_test(base64_keeps_every_byte_or_fails),
        cmocka_unit_test(tells_forms_apart), cmocka_unit_test(peels_three_layers_at_most),
        cmocka_unit_test(walks_blocks),
    };

    return cmocka_run_group_tests_name("armour", tests, NULL, NULL);
}
