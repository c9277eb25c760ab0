/* test_chain.c - order, proof and completeness of chains. */
#include "server/x509/chain.h"

#include <stdio.h>

#include "server/x509/bundle.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/importing.h"

/* Root, CA and leaf of a PKI, which tests change before they build the chain. */
typedef struct chaining {
    pki *p;
    kv_slice given[30];
    size_t count;
    kv_x509_chain_in in;
} chaining;

static chaining chain_of(void **state)
{
    pki *p = *state;

    return (chaining){ .p = p,
                       .given = { p->root, p->leaf, p->ca },
                       .count = 3,
                       .in = { .leaf = 1, .now_ms = SOFT_NOW_MS, .field = "x" } };
}

static kv_x509_chain gives(chaining *c, size_t len)
{
    kv_x509_chain out = { 0 };
    kv_error err = { 0 };

    c->in.certificates = (kv_x509_list){ c->given, c->count };
    assert_kv_ok(kv_x509_chain_build(&c->p->arena, &c->in, &out, &err));
    assert_int_equal(out.certificates.count, len);
    assert_slice_equal(c->given[c->in.leaf], out.certificates.items[0]);
    return out;
}

static void fails(chaining *c, const char *message)
{
    kv_x509_chain out = { 0 };
    kv_error err = { 0 };

    c->in.certificates = (kv_x509_list){ c->given, c->count };
    assert_kv_fails(KV_BAD_REQUEST, kv_x509_chain_build(&c->p->arena, &c->in, &out, &err));
    assert_string_equal(err.field, "x");
    if (!strstr(err.message, message))
        fail_msg("'%s' instead of '%s'", err.message, message);
}

static void sorts_from_leaf_to_root(void **state)
{
    static const size_t orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                        { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    chaining c = chain_of(state);
    const kv_slice all[] = { c.p->leaf, c.p->ca, c.p->root };

    for (size_t i = 0; i < KV_COUNT(orders); i++) {
        kv_x509_chain out;

        for (size_t k = 0; k < 3; k++) {
            c.given[k] = all[orders[i][k]];
            c.in.leaf = orders[i][k] == 0 ? k : c.in.leaf;
        }
        out = gives(&c, 3);
        assert_slice_equal(c.p->ca, out.certificates.items[1]);
        assert_slice_equal(c.p->root, out.certificates.items[2]);
        assert_true(out.complete && out.root_included);
        assert_int_equal(out.unrelated + out.expired + out.missing.len, 0);
    }
}

static void completes_from_anchors(void **state)
{
    chaining c = chain_of(state);
    kv_slice anchors[] = { c.p->other, c.p->ca, c.p->root };
    kv_x509_chain out;

    c.given[0] = c.p->leaf;
    c.in.leaf = 0;
    c.count = 1;
    out = gives(&c, 1);
    assert_false(out.complete);
    assert_slice_equal(KV_SLICE("CN=Issuing CA"), out.missing);
    c.in.need_complete = true;
    fails(&c, "the issuer 'CN=Issuing CA' is missing");
    c.in.anchors = (kv_x509_list){ anchors, 3 };
    out = gives(&c, 3);
    assert_true(out.complete);
    assert_int_equal(out.unrelated, 0);
    c.in.omit_root = true;
    out = gives(&c, 2);
    assert_true(out.complete);
    assert_false(out.root_included);
}

static void counts_what_is_unrelated(void **state)
{
    chaining c = chain_of(state);

    c.given[c.count++] = c.p->other;
    assert_int_equal(gives(&c, 3).unrelated, 1);
}

static void refuses_what_is_none(void **state)
{
    chaining c = chain_of(state);

    c.given[c.count++] = KV_SLICE("none");
    fails(&c, "certificate 4 is malformed");
}

static void an_issuer_must_be_a_ca(void **state)
{
    chaining c = chain_of(state);
    pki_spec ca = pki_ca_spec(c.p);

    ca.constraints = NULL;
    c.given[2] = pki_certificate(&ca, &c.p->arena);
    fails(&c, "the issuer 'CN=Issuing CA' is not a CA's certificate");
    ca.constraints = "critical,CA:FALSE";
    c.given[2] = pki_certificate(&ca, &c.p->arena);
    fails(&c, "the issuer 'CN=Issuing CA' is not a CA's certificate");
    ca.constraints = "critical,CA:TRUE";
    ca.usage = "critical,cRLSign";
    c.given[2] = pki_certificate(&ca, &c.p->arena);
    fails(&c, "the issuer 'CN=Issuing CA' is not a CA's certificate");
}

static void keeps_the_constraints_of_issuers(void **state)
{
    chaining c = chain_of(state);
    pki_spec ca = pki_ca_spec(c.p);
    pki_spec root = ca;

    ca.name_constraints = "permitted;DNS:example.org";
    c.given[2] = pki_certificate(&ca, &c.p->arena);
    fails(&c, "permitted subtree violation");
    ca.name_constraints = NULL;
    c.given[2] = pki_certificate(&ca, &c.p->arena);
    root.subject = root.issuer = "Root";
    root.key = root.signer = &c.p->root_key;
    root.constraints = "critical,CA:TRUE,pathlen:0";
    c.given[0] = pki_certificate(&root, &c.p->arena);
    fails(&c, "path length constraint exceeded");
}

static void prefers_an_issuer_that_is_valid(void **state)
{
    chaining c = chain_of(state);
    pki_spec ca = pki_ca_spec(c.p);
    kv_x509_chain out;

    ca.from_days = -100;
    ca.to_days = -10;
    ca.serial = 99;
    c.given[3] = c.given[2];
    c.given[2] = pki_certificate(&ca, &c.p->arena);
    c.count = 4;
    out = gives(&c, 3);
    assert_slice_equal(c.p->ca, out.certificates.items[1]);
    assert_int_equal(out.expired, 0);
    c.count = 3;
    out = gives(&c, 3);
    assert_int_equal(out.expired, 1);
}

static void follows_one_of_two_cross_certificates(void **state)
{
    chaining c = chain_of(state);
    pki_spec cross = pki_ca_spec(c.p);
    kv_x509_chain out;

    /* The same CA, by another root, for longer; and the two roots certify each other. */
    cross.issuer = "Other";
    cross.signer = &c.p->other_key;
    cross.from_days = -1;
    cross.to_days = 91;
    c.given[3] = pki_certificate(&cross, &c.p->arena);
    cross.subject = "Other";
    cross.key = &c.p->other_key;
    cross.issuer = "Root";
    cross.signer = &c.p->root_key;
    c.given[4] = pki_certificate(&cross, &c.p->arena);
    cross.subject = "Root";
    cross.key = &c.p->root_key;
    cross.issuer = "Other";
    cross.signer = &c.p->other_key;
    c.given[0] = pki_certificate(&cross, &c.p->arena);
    c.count = 5;
    out = gives(&c, 4);
    assert_slice_equal(c.given[3], out.certificates.items[1]);
    assert_false(out.complete);
}

static void bounds_its_length(void **state)
{
    enum { STEPS = KV_X509_CHAIN_MAX + 1 };
    chaining c = chain_of(state);
    pki_spec ca = pki_ca_spec(c.p);
    char names[STEPS + 1][8];

    for (size_t i = 0; i <= STEPS; i++)
        (void)snprintf(names[i], sizeof(names[i]), "CA %zu", i);
    ca.key = ca.signer = &c.p->ca_key;
    for (size_t i = 0; i < STEPS; i++) {
        ca.subject = names[i];
        ca.issuer = names[i + 1];
        c.given[i] = pki_certificate(&ca, &c.p->arena);
    }
    c.in.leaf = 0;
    c.count = STEPS;
    fails(&c, "the chain has more than 20 certificates");
    c.count = STEPS - 1;
    assert_false(gives(&c, KV_X509_CHAIN_MAX).complete);
}

static void keeps_the_given_order(void **state)
{
    pki *p = *state;
    kv_slice sorted[] = { p->leaf, p->ca, p->root }, given[] = { p->other, p->ca, p->leaf };
    kv_x509_list out;
    kv_error err = { 0 };

    assert_kv_ok(kv_x509_chain_order(&p->arena, (kv_x509_list){ sorted, 3 },
                                     (kv_x509_list){ given, 3 }, &out, &err));
    assert_int_equal(out.count, 3);
    assert_slice_equal(p->ca, out.items[0]);
    assert_slice_equal(p->leaf, out.items[1]);
    assert_slice_equal(p->root, out.items[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMPORT_TEST(sorts_from_leaf_to_root),
        IMPORT_TEST(completes_from_anchors),
        IMPORT_TEST(counts_what_is_unrelated),
        IMPORT_TEST(refuses_what_is_none),
        IMPORT_TEST(an_issuer_must_be_a_ca),
        IMPORT_TEST(keeps_the_constraints_of_issuers),
        IMPORT_TEST(prefers_an_issuer_that_is_valid),
        IMPORT_TEST(follows_one_of_two_cross_certificates),
        IMPORT_TEST(bounds_its_length),
        IMPORT_TEST(keeps_the_given_order),
    };

    return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
