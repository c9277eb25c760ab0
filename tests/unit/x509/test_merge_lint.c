/* test_merge_lint.c - what the lint says of what a CA sends back, and of when and by whom it was
 * signed. */
#include "tests/unit/x509/merging.h"

#include "server/base/text.h"
#include "tests/support/kv_cmocka.h"

static int set_up(void **state)
{
    *state = merging_new(NULL);
    return 0;
}

static bool warns(merging *m, const char *words)
{
    kv_x509_merged out = { 0 };
    kv_error err = { 0 };

    assert_kv_ok(kv_x509_merge(&m->p.arena, &m->in, &out, &err));
    assert_int_equal(out.chain.count, 3);
    for (size_t i = 0; i < out.warnings.count; i++)
        if (strstr((const char *)out.warnings.items[i].data, words))
            return true;
    return false;
}

/* The moment of the request is the first at which it can have been signed. */
static void knows_when_it_was_signed(void **state)
{
    static const char rule[] = "validity_signed: a server certificate begins within 48 hours";
    merging *m = *state;

    m->in.scope = KV_X509_LINT_PUBLIC;
    m->spec.from_days = -5;
    m->spec.to_days = 90;
    m->given[0] = pki_certificate(&m->spec, &m->p.arena);
    assert_false(warns(m, rule));
    m->in.requested_ms = SOFT_NOW_MS - INT64_C(3) * 86400000;
    assert_false(warns(m, rule));
    m->in.requested_ms++;
    assert_true(warns(m, rule));
}

static void knows_when_the_issuer_ends(void **state)
{
    static const char rule[] = "validity_issuer: a certificate does not end after";
    merging *m = *state;
    pki_spec ca = pki_ca_spec(&m->p);

    assert_false(warns(m, rule));
    m->spec.serial = 0x4102030405060708;
    m->given[0] = pki_certificate(&m->spec, &m->p.arena);
    ca.from_days = -5;
    ca.to_days = 80;
    m->given[1] = pki_certificate(&ca, &m->p.arena);
    assert_true(warns(m, rule));
    /* Among private ones it is no error. */
    m->in.strict = KV_X509_STRICT_LINT;
    assert_true(warns(m, rule));
}

/* TRUE is 01 instead of ff, and signed so. OpenSSL reads it, and gives back these bytes. */
static void looks_at_the_bytes(void **state)
{
    static const uint8_t critical[] = { 0x55, 0x1d, 0x0f, 0x01, 0x01, 0xff };
    merging *m = *state;
    uint8_t bytes[2048];
    uint8_t *found;

    assert_false(warns(m, "der: "));
    assert_true(m->p.leaf.len <= sizeof(bytes));
    memcpy(bytes, m->p.leaf.data, m->p.leaf.len);
    found = memmem(bytes, m->p.leaf.len, critical, sizeof(critical));
    assert_non_null(found);
    found[sizeof(critical) - 1] = 0x01;
    m->given[0] = pki_sign_again(kv_slice_of(bytes, m->p.leaf.len), &m->p.ca_key, &m->p.arena);
    assert_true(warns(m, "der: its encoding is DER"));
}

/* Names are cut where a sentence would get too long, in the middle of a character, too. */
static void sentences_have_no_half_characters(void **state)
{
    merging *m = *state;
    char subject[2 * 64 + 1] = "";
    kv_x509_merged out = { 0 };
    kv_error err = { 0 };

    for (int i = 0; i < 64; i++)
        (void)strncat(subject, "\xc3\xa4", sizeof(subject) - strlen(subject) - 1);
    m->spec.subject = subject;
    m->given[0] = pki_certificate(&m->spec, &m->p.arena);
    assert_kv_ok(kv_x509_merge(&m->p.arena, &m->in, &out, &err));
    assert_true(out.warnings.count > 0);
    for (size_t i = 0; i < out.warnings.count; i++)
        assert_true(kv_text_printable(out.warnings.items[i]));
    m->in.strict = KV_X509_STRICT_SUBJECT;
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_merge(&m->p.arena, &m->in, &out, &err));
    assert_non_null(strstr(err.message, "the subject is 'CN=\xc3\xa4"));
    assert_true(kv_text_printable(kv_slice_text(err.message)));
}

#define MERGE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, merging_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MERGE_TEST(knows_when_it_was_signed),
        MERGE_TEST(knows_when_the_issuer_ends),
        MERGE_TEST(looks_at_the_bytes),
        MERGE_TEST(sentences_have_no_half_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
