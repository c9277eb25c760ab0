/* test_merge_lint.c - what the lint says of what a CA sends back, and of when and by whom it was
 * signed. */
#include "server/x509/merge.h"

#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/pki.h"

typedef struct merging {
    pki p;
    kv_x509_policy policy;
    kv_x509_merge_in in;
    pki_spec spec;
    kv_slice given[3];
} merging;

static int set_up(void **state)
{
    merging *m = test_calloc(1, sizeof(*m));

    pki_make(&m->p);
    m->policy = soft_policy(KV_KEY_P256);
    m->policy.issuer.name = KV_SLICE("Unknown");
    m->spec = pki_leaf_spec(&m->p);
    m->in = (kv_x509_merge_in){ .given = { m->given, 3 },
                                .field = "x5c",
                                .spki = m->p.key.spki,
                                .csr = pki_request(&m->p.key, m->spec.sans, &m->p.arena),
                                .policy = &m->policy,
                                .now_ms = SOFT_NOW_MS };
    m->given[0] = m->p.leaf;
    m->given[1] = m->p.ca;
    m->given[2] = m->p.root;
    *state = m;
    return 0;
}

static int tear_down(void **state)
{
    merging *m = *state;

    pki_cleanup(&m->p);
    test_free(m);
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

#define MERGE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MERGE_TEST(knows_when_it_was_signed),
        MERGE_TEST(knows_when_the_issuer_ends),
        MERGE_TEST(looks_at_the_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
