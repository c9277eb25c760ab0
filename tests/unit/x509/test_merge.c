/* test_merge.c - what a CA sends back, in every form, and every reason to refuse it. */
#include "server/x509/merge.h"

#include "server/x509/bundle.h"
#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/importing.h"
#include "tests/unit/x509/merging.h"

static const char names[] = "DNS:www.example.com,email:a@example.com,IP:192.0.2.1,URI:https://a.b/";

static int set_up(void **state)
{
    *state = merging_new(names);
    return 0;
}

static kv_x509_merged gives(merging *m, size_t chain)
{
    kv_x509_merged out = { 0 };
    kv_error err = { 0 };

    assert_kv_ok(kv_x509_merge(&m->p.arena, &m->in, &out, &err));
    assert_int_equal(out.chain.count, chain);
    assert_int_equal(out.order.count, chain);
    assert_slice_equal(m->p.leaf, out.chain.items[0]);
    assert_slice_equal(m->p.key.spki, out.leaf.spki);
    return out;
}

static void fails(merging *m, const char *message)
{
    kv_x509_merged out = { 0 };
    kv_error err = { 0 };

    assert_kv_fails(KV_BAD_REQUEST, kv_x509_merge(&m->p.arena, &m->in, &out, &err));
    assert_string_equal(err.field, "x5c");
    if (!strstr(err.message, message))
        fail_msg("'%s' instead of '%s'", err.message, message);
}

static bool warns(const kv_x509_merged *out, const char *words)
{
    for (size_t i = 0; i < out->warnings.count; i++)
        if (strstr((const char *)out->warnings.items[i].data, words))
            return true;
    return false;
}

static void assert_warns(const kv_x509_merged *out, const char *words)
{
    if (!warns(out, words))
        fail_msg("no warning '%s' among %zu", words, out->warnings.count);
}

/* The leaf anew, after a change of its specification. */
static void again(merging *m)
{
    m->p.leaf = m->given[0] = pki_certificate(&m->spec, &m->p.arena);
}

static void one(merging *m, kv_slice piece)
{
    m->given[0] = piece;
    m->in.given.count = 1;
}

/* ---- forms ---- */

static void takes_every_form(void **state)
{
    merging *m = *state;
    pki *p = &m->p;
    kv_slice chain[] = { p->root, p->leaf, p->ca }, p7, p7_pem, pem[3], text;
    kv_x509_list list = { chain, 3 };
    kv_error err = { 0 };

    gives(m, 3);
    assert_kv_ok(kv_x509_chain_pkcs7(&p->arena, list, &p7, &err));
    assert_kv_ok(kv_x509_chain_pkcs7_pem(&p->arena, list, &p7_pem, &err));
    for (int i = 0; i < 3; i++)
        pem[i] = pki_pem("CERTIFICATE", chain[i], &p->arena);
    text = pki_join(&p->arena, pem, 3);
    const kv_slice forms[] = {
        p7,
        p7_pem,
        text,
        pki_pem("CMS", p7, &p->arena),
        pki_pem("CERTIFICATE", p7, &p->arena),
        pki_pem("PKCS #7 SIGNED DATA", p7, &p->arena),
        pki_base64(p7, &p->arena),
        pki_base64(text, &p->arena),
        pki_base64(pki_base64(p7, &p->arena), &p->arena),
        pki_base64(pki_base64(text, &p->arena), &p->arena),
    };
    for (size_t i = 0; i < KV_COUNT(forms); i++) {
        one(m, forms[i]);
        assert_true(gives(m, 3).complete);
    }
}

static void takes_pieces_of_different_forms(void **state)
{
    merging *m = *state;
    pki *p = &m->p;
    kv_x509_merged out;

    m->given[0] = pki_base64(p->root, &p->arena);
    m->given[1] = pki_pem("X509 CERTIFICATE", p->ca, &p->arena);
    m->given[2] = pki_base64(pki_base64(p->leaf, &p->arena), &p->arena);
    out = gives(m, 3);
    assert_slice_equal(p->ca, out.chain.items[1]);
    assert_slice_equal(p->root, out.order.items[0]);
    assert_slice_equal(p->leaf, out.order.items[2]);
}

static void refuses_other_things(void **state)
{
    merging *m = *state;
    pki *p = &m->p;

    m->in.given.count = 0;
    fails(m, "must not be empty");
    one(m, KV_SLICE_NONE);
    fails(m, "must not be empty");
    one(m, KV_SLICE("certificate, please"));
    fails(m, "must be a certificate in DER or PEM");
    one(m, p->key.pkcs8);
    fails(m, "is neither a certificate nor PKCS#7");
    one(m, importing_key(p));
    fails(m, "is out of place: bring certificates only");
    one(m, pki_pem("X509 CRL", KV_SLICE("x"), &p->arena));
    fails(m, "has no certificate");
    one(m, kv_slice_of(p->leaf.data, p->leaf.len - 1));
    fails(m, "is neither a certificate nor PKCS#7");
}

/* ---- 1: sizes and counts ---- */

static void bounds_sizes_and_counts(void **state)
{
    merging *m = *state;
    kv_slice many = KV_SLICE_NONE;

    for (size_t i = 0; i <= KV_X509_MERGE_CERTIFICATES; i++) {
        m->spec.serial = (long)i + 2;
        m->given[i] = pki_certificate(&m->spec, &m->p.arena);
        many = JOIN(&m->p, many, pki_pem("CERTIFICATE", m->given[i], &m->p.arena));
    }
    m->in.given.count = KV_X509_MERGE_CERTIFICATES + 1;
    fails(m, "must be at most 20 pieces");
    one(m, many);
    fails(m, "has more than 20 certificates");
    m->given[0] = kv_slice_of(kv_arena_alloc(&m->p.arena, KV_X509_MERGE_MAX), KV_X509_MERGE_MAX);
    m->given[1] = KV_SLICE("x");
    m->in.given.count = 2;
    fails(m, "must be at most 262144 bytes long");
}

/* ---- 2: the pending key ---- */

static void needs_exactly_one_certificate_of_the_key(void **state)
{
    merging *m = *state;
    kv_x509_merged out;

    m->in.spki = m->p.other_key.spki;
    fails(m, "its public key does not match");
    m->in.spki = m->p.key.spki;
    m->spec.serial = 7;
    m->given[3] = pki_certificate(&m->spec, &m->p.arena);
    m->in.given.count = 4;
    fails(m, "2 certificates are for the pending key");
    m->given[3] = m->p.leaf;
    out = gives(m, 3);
    assert_warns(&out, "1 repeated certificates");
}

/* ---- 3: CA or not ---- */

static void a_ca_only_on_request(void **state)
{
    merging *m = *state;

    m->policy.x509_props.ca = true;
    fails(m, "it is not a CA's certificate, which was requested");
    m->policy.x509_props.ca = false;
    m->spec.constraints = "critical,CA:TRUE";
    again(m);
    fails(m, "it is a CA's certificate, which was not requested");
    m->policy.x509_props.ca = true;
    gives(m, 3);
}

/* ---- 4: the chain ---- */

static void tells_a_missing_issuer(void **state)
{
    merging *m = *state;
    kv_x509_merged out;

    m->in.given.count = 1;
    out = gives(m, 1);
    assert_false(out.complete);
    assert_warns(&out, "the issuer 'CN=Issuing CA' is missing");
    m->in.strict = KV_X509_STRICT_CHAIN;
    fails(m, "the issuer 'CN=Issuing CA' is missing");
    m->in.anchors = (kv_x509_list){ m->given + 1, 2 };
    assert_true(gives(m, 3).complete);
}

static void refuses_a_wrong_signature(void **state)
{
    merging *m = *state;
    uint8_t *changed = kv_arena_alloc(&m->p.arena, m->p.leaf.len);

    memcpy(changed, m->p.leaf.data, m->p.leaf.len);
    changed[m->p.leaf.len - 1] ^= 1;
    m->given[0] = kv_slice_of(changed, m->p.leaf.len);
    fails(m, "the signature of 'CN=www.example.com' was not made by the issuer");
    /* The same by somebody who took the CA's name. */
    m->spec.signer = &m->p.other_key;
    again(m);
    fails(m, "the signature of 'CN=www.example.com' was not made by the issuer");
}

static void leaves_out_what_is_unrelated(void **state)
{
    merging *m = *state;
    kv_x509_merged out;

    m->given[3] = m->p.other;
    m->in.given.count = 4;
    out = gives(m, 3);
    assert_warns(&out, "1 certificates that are not of the chain");
}

static void the_root_can_be_left_out(void **state)
{
    merging *m = *state;
    kv_x509_merged out;

    m->in.omit_root = true;
    out = gives(m, 2);
    assert_true(out.complete);
    m->in.omit_root = false;
    m->in.given.count = 2;
    out = gives(m, 2);
    assert_false(out.complete);
    assert_warns(&out, "the issuer 'CN=Root' is missing");
}

/* ---- 5: dates ---- */

static void refuses_dates_that_are_not_now(void **state)
{
    merging *m = *state;

    m->spec.from_days = -90;
    m->spec.to_days = 0;
    again(m);
    fails(m, "it has expired");
    m->spec.from_days = 1;
    m->spec.to_days = 90;
    again(m);
    fails(m, "it is not valid yet");
    m->spec.from_days = 50;
    m->spec.to_days = 40;
    again(m);
    fails(m, "it ends before it begins");
    m->spec.from_days = 0;
    m->spec.to_days = 40;
    again(m);
    m->in.now_ms = SOFT_NOW_MS - KV_X509_MERGE_SKEW_MS;
    gives(m, 3);
    m->in.now_ms--;
    fails(m, "it is not valid yet");
}

/* ---- 6: names ---- */

static void every_requested_name_must_be_there(void **state)
{
    static const struct {
        const char *sans, *message;
    } rows[] = {
        { "email:a@example.com,IP:192.0.2.1,URI:https://a.b/", "the DNS name 'www.example.com'" },
        { "DNS:www.example.com,IP:192.0.2.1,URI:https://a.b/", "the e-mail address" },
        { "DNS:www.example.com,email:a@example.com,URI:https://a.b/",
          "the IP address '192.0.2.1'" },
        { "DNS:www.example.com,email:a@example.com,IP:192.0.2.1", "the URI 'https://a.b/'" },
    };
    merging *m = *state;

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        m->spec.sans = rows[i].sans;
        again(m);
        fails(m, rows[i].message);
    }
}

static void more_names_are_a_warning_or_an_error(void **state)
{
    merging *m = *state;
    kv_x509_merged out;

    m->spec.sans = "DNS:WWW.example.com,email:a@example.com,IP:192.0.2.1,URI:https://a.b/,"
                   "DNS:example.com,RID:1.2.3.4";
    again(m);
    out = gives(m, 3);
    assert_warns(&out, "the DNS name 'example.com' was not requested");
    assert_warns(&out, "it has 1 names of other kinds");
    m->in.strict = KV_X509_STRICT_NAMES;
    fails(m, "the DNS name 'example.com' was not requested");
}

static void another_subject_is_a_warning_or_an_error(void **state)
{
    merging *m = *state;
    kv_x509_merged out = gives(m, 3);

    assert_false(warns(&out, "the subject is"));
    m->spec.subject = "else.example.com";
    again(m);
    out = gives(m, 3);
    assert_warns(&out, "the subject is 'CN=else.example.com', which was not requested");
    m->in.strict = KV_X509_STRICT_SUBJECT;
    fails(m, "the subject is 'CN=else.example.com', which was not requested");
}

/* ---- 7: usages ---- */

static void usages_must_cover_the_policy(void **state)
{
    merging *m = *state;
    kv_x509_merged out;

    m->spec.ekus = "serverAuth";
    again(m);
    out = gives(m, 3);
    assert_warns(&out, "the extended key usage 1.3.6.1.5.5.7.3.2 of the policy is missing");
    m->in.strict = KV_X509_STRICT_USAGE;
    fails(m, "the extended key usage 1.3.6.1.5.5.7.3.2 of the policy is missing");
    m->in.strict = 0;
    m->spec.ekus = "codeSigning";
    again(m);
    fails(m, "it has none of the extended key usages of the policy");
    m->spec.ekus = "anyExtendedKeyUsage";
    again(m);
    gives(m, 3);
    m->spec.ekus = NULL;
    again(m);
    gives(m, 3);
    m->spec.usage = "critical,keyAgreement";
    again(m);
    fails(m, "it has none of the key usages of the policy");
    m->policy.x509_props.key_usage |= KV_X509_KEY_AGREEMENT;
    out = gives(m, 3);
    assert_warns(&out, "the key usage digitalSignature of the policy is missing");
    m->in.strict = KV_X509_STRICT_USAGE;
    fails(m, "the key usage digitalSignature of the policy is missing");
}

/* ---- 8: lint ---- */

static void lint_is_told_or_an_error(void **state)
{
    merging *m = *state;
    kv_x509_merged out;

    m->spec.to_days = 500;
    again(m);
    m->in.scope = KV_X509_LINT_PUBLIC;
    out = gives(m, 3);
    assert_true(out.warnings.count > 0);
    m->in.strict = KV_X509_STRICT_LINT;
    fails(m, "it breaks the rule ");
}

/* ---- 9: once ---- */

static void a_repetition_is_told_and_another_refused(void **state)
{
    merging *m = *state;
    kv_x509_merged out = gives(m, 3);
    kv_error err = { 0 };

    assert_false(out.repeated);
    m->in.merged = m->p.leaf;
    assert_true(gives(m, 3).repeated);
    m->in.merged = m->p.ca;
    assert_kv_fails(KV_PRECONDITION, kv_x509_merge(&m->p.arena, &m->in, &out, &err));
}

static void a_damaged_request_is_our_fault(void **state)
{
    merging *m = *state;
    kv_x509_merged out = { 0 };
    kv_error err = { 0 };

    m->in.csr = KV_SLICE("nothing");
    assert_kv_fails(KV_INTERNAL, kv_x509_merge(&m->p.arena, &m->in, &out, &err));
}

#define MERGE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, merging_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MERGE_TEST(takes_every_form),
        MERGE_TEST(takes_pieces_of_different_forms),
        MERGE_TEST(refuses_other_things),
        MERGE_TEST(bounds_sizes_and_counts),
        MERGE_TEST(needs_exactly_one_certificate_of_the_key),
        MERGE_TEST(a_ca_only_on_request),
        MERGE_TEST(tells_a_missing_issuer),
        MERGE_TEST(refuses_a_wrong_signature),
        MERGE_TEST(leaves_out_what_is_unrelated),
        MERGE_TEST(the_root_can_be_left_out),
        MERGE_TEST(refuses_dates_that_are_not_now),
        MERGE_TEST(every_requested_name_must_be_there),
        MERGE_TEST(more_names_are_a_warning_or_an_error),
        MERGE_TEST(another_subject_is_a_warning_or_an_error),
        MERGE_TEST(usages_must_cover_the_policy),
        MERGE_TEST(lint_is_told_or_an_error),
        MERGE_TEST(a_repetition_is_told_and_another_refused),
        MERGE_TEST(a_damaged_request_is_our_fault),
    };

    return cmocka_run_group_tests_name("merge", tests, NULL, NULL);
}
