/* test_ocsp.c - OCSP questions are read, and what is answered OpenSSL believes. */
#include "server/x509/ocsp.h"

#include <openssl/ocsp.h>
#include <openssl/rand.h>

#include "tests/support/kv_cmocka.h"
#include "tests/unit/x509/pki.h"

enum { HOUR_MS = 3600 * 1000 };

typedef struct fixture {
    pki pki;
    soft_key responder_key;
    kv_slice responder;
    X509 *ca, *leaf;
} fixture;

static X509 *parse(kv_slice der)
{
    const uint8_t *at = der.data;
    X509 *out = d2i_X509(NULL, &at, (long)der.len);

    assert_non_null(out);
    return out;
}

static int set_up(void **state)
{
    fixture *f = test_calloc(1, sizeof(*f));
    pki_spec spec;

    pki_make(&f->pki);
    soft_key_make(&f->responder_key, KV_KEY_P256, &f->pki.arena);
    spec = pki_leaf_spec(&f->pki);
    spec.subject = "OCSP Responder";
    spec.key = &f->responder_key;
    spec.ekus = "OCSPSigning";
    spec.sans = NULL;
    spec.serial = 7;
    f->responder = pki_certificate(&spec, &f->pki.arena);
    f->ca = parse(f->pki.ca);
    f->leaf = parse(f->pki.leaf);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    X509_free(f->ca);
    X509_free(f->leaf);
    soft_key_cleanup(&f->responder_key);
    pki_cleanup(&f->pki);
    test_free(f);
    return 0;
}

/* --- questions --- */

static kv_slice encode(fixture *f, OCSP_REQUEST *request)
{
    uint8_t *bytes = NULL;
    int len = i2d_OCSP_REQUEST(request, &bytes);
    kv_slice out;
    kv_error err = { 0 };

    assert_true(len > 0);
    assert_kv_ok(kv_arena_copy(&f->pki.arena, kv_slice_of(bytes, (size_t)len), &out, &err));
    OPENSSL_free(bytes);
    OCSP_REQUEST_free(request);
    return out;
}

static OCSP_REQUEST *ask(fixture *f, const EVP_MD *hash, X509 *issuer, unsigned ids)
{
    OCSP_REQUEST *request = OCSP_REQUEST_new();

    assert_non_null(request);
    for (unsigned i = 0; i < ids; i++)
        assert_non_null(OCSP_request_add0_id(request, OCSP_cert_to_id(hash, f->leaf, issuer)));
    return request;
}

static kv_status read(fixture *f, kv_slice request, kv_x509_ocsp_question *out)
{
    kv_error err = { 0 };

    *out = (kv_x509_ocsp_question){ 0 };
    return kv_x509_ocsp_read(&f->pki.arena, request, f->pki.ca, out, &err);
}

static void a_question_names_serial_numbers(void **state)
{
    fixture *f = *state;
    const EVP_MD *const hashes[] = { EVP_sha1(), EVP_sha256() };
    kv_x509_ocsp_question question;

    for (size_t i = 0; i < KV_COUNT(hashes); i++) {
        assert_int_equal(read(f, encode(f, ask(f, hashes[i], f->ca, 1)), &question), KV_OK);
        assert_int_equal(question.count, 1);
        assert_false(question.foreign);
        assert_false(question.nonce);
        assert_int_equal(question.serials[0].len, 1);
        assert_int_equal(question.serials[0].data[0], 1);
    }
    assert_int_equal(read(f, encode(f, ask(f, EVP_sha1(), f->ca, KV_X509_OCSP_IDS_MAX)), &question),
                     KV_OK);
    assert_int_equal(question.count, KV_X509_OCSP_IDS_MAX);
}

static void another_issuer_is_foreign(void **state)
{
    fixture *f = *state;
    kv_x509_ocsp_question question;
    X509 *other = parse(f->pki.other);
    OCSP_REQUEST *mixed = ask(f, EVP_sha1(), f->ca, 1);

    assert_int_equal(read(f, encode(f, ask(f, EVP_sha1(), other, 1)), &question), KV_OK);
    assert_true(question.foreign);
    assert_non_null(OCSP_request_add0_id(mixed, OCSP_cert_to_id(EVP_sha1(), f->leaf, other)));
    assert_int_equal(read(f, encode(f, mixed), &question), KV_OK);
    assert_true(question.foreign);
    X509_free(other);
}

static void a_nonce_has_1_to_32_bytes(void **state)
{
    static const struct {
        int len;
        kv_status status;
    } rows[] = { { 1, KV_OK }, { 16, KV_OK }, { 32, KV_OK }, { 33, KV_BAD_REQUEST } };
    fixture *f = *state;

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        OCSP_REQUEST *request = ask(f, EVP_sha1(), f->ca, 1);
        kv_x509_ocsp_question question;

        assert_int_equal(OCSP_request_add1_nonce(request, NULL, rows[i].len), 1);
        assert_int_equal(read(f, encode(f, request), &question), rows[i].status);
        if (rows[i].status == KV_OK)
            assert_true(question.nonce);
    }
}

static void what_is_no_question_is_refused(void **state)
{
    static uint8_t large[KV_X509_OCSP_REQUEST_MAX + 1];
    fixture *f = *state;
    kv_slice good = encode(f, ask(f, EVP_sha1(), f->ca, 1));
    kv_x509_ocsp_question question;
    uint8_t *longer = kv_arena_alloc(&f->pki.arena, good.len + 1);

    memcpy(longer, good.data, good.len);
    longer[good.len] = 0;
    assert_int_equal(read(f, KV_SLICE_NONE, &question), KV_BAD_REQUEST);
    assert_int_equal(read(f, KV_SLICE("nonsense"), &question), KV_BAD_REQUEST);
    assert_int_equal(read(f, kv_slice_of(large, sizeof(large)), &question), KV_BAD_REQUEST);
    assert_int_equal(read(f, kv_slice_of(longer, good.len + 1), &question), KV_BAD_REQUEST);
    assert_int_equal(read(f, encode(f, OCSP_REQUEST_new()), &question), KV_BAD_REQUEST);
    assert_int_equal(
        read(f, encode(f, ask(f, EVP_sha1(), f->ca, KV_X509_OCSP_IDS_MAX + 1)), &question),
        KV_BAD_REQUEST);
    for (size_t len = 0; len < good.len; len++)
        assert_int_equal(read(f, kv_slice_of(good.data, len), &question), KV_BAD_REQUEST);
}

/* --- answers --- */

static kv_status answer(fixture *f, kv_slice request, const kv_x509_ocsp_status *statuses,
                        size_t count, kv_slice *out)
{
    kv_x509_ocsp_answer in = { .request = request,
                               .statuses = statuses,
                               .count = count,
                               .responder = f->responder,
                               .signer = f->responder_key.signer,
                               .now_ms = SOFT_NOW_MS,
                               .next_ms = SOFT_NOW_MS + (int64_t)12 * HOUR_MS };
    kv_error err = { 0 };

    return kv_x509_ocsp_answer_der(&f->pki.arena, &in, out, &err);
}

/* Verified below the root; the caller frees it. */
static OCSP_BASICRESP *believed(fixture *f, kv_slice der)
{
    const uint8_t *at = der.data;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)der.len);
    STACK_OF(X509) *others = sk_X509_new_null();
    X509_STORE *store = X509_STORE_new();
    X509_VERIFY_PARAM *rules = X509_STORE_get0_param(store);
    X509 *root = parse(f->pki.root);
    OCSP_BASICRESP *basic;

    assert_non_null(response);
    assert_int_equal(OCSP_response_status(response), OCSP_RESPONSE_STATUS_SUCCESSFUL);
    basic = OCSP_response_get1_basic(response);
    assert_non_null(basic);
    X509_VERIFY_PARAM_set_time(rules, (time_t)(SOFT_NOW_MS / 1000));
    assert_int_equal(X509_STORE_add_cert(store, root), 1);
    assert_true(sk_X509_push(others, f->ca) > 0);
    assert_int_equal(OCSP_basic_verify(basic, others, store, 0), 1);
    sk_X509_free(others);
    X509_STORE_free(store);
    X509_free(root);
    OCSP_RESPONSE_free(response);
    return basic;
}

static void openssl_believes_each_state(void **state)
{
    static const kv_x509_ocsp_status rows[] = {
        { .state = KV_X509_OCSP_GOOD },
        { .state = KV_X509_OCSP_REVOKED, .revoked_ms = SOFT_NOW_MS - HOUR_MS, .reason = 1 },
        { .state = KV_X509_OCSP_REVOKED, .revoked_ms = SOFT_NOW_MS - HOUR_MS, .reason = 0 },
        { .state = KV_X509_OCSP_UNKNOWN },
    };
    fixture *f = *state;
    kv_slice request = encode(f, ask(f, EVP_sha256(), f->ca, 1));

    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha256(), f->leaf, f->ca);
        ASN1_GENERALIZEDTIME *revoked = NULL, *made = NULL, *next = NULL;
        int status = -1, reason = -1, days = 9, seconds = 9;
        OCSP_BASICRESP *basic;
        kv_slice der;

        assert_int_equal(answer(f, request, &rows[i], 1, &der), KV_OK);
        basic = believed(f, der);
        assert_int_equal(OCSP_resp_find_status(basic, id, &status, &reason, &revoked, &made, &next),
                         1);
        assert_int_equal(status, rows[i].state);
        assert_int_equal(reason, rows[i].reason ? rows[i].reason : -1);
        assert_int_equal(revoked != NULL, rows[i].state == KV_X509_OCSP_REVOKED);
        assert_int_equal(ASN1_TIME_diff(&days, &seconds, made, next), 1);
        assert_int_equal(days * 86400 + seconds, 12 * 3600);
        OCSP_CERTID_free(id);
        OCSP_BASICRESP_free(basic);
    }
}

static void a_nonce_comes_back(void **state)
{
    static const kv_x509_ocsp_status good = { .state = KV_X509_OCSP_GOOD };
    fixture *f = *state;
    OCSP_REQUEST *request = ask(f, EVP_sha1(), f->ca, 1);
    OCSP_REQUEST *again;
    const uint8_t *at;
    OCSP_BASICRESP *basic;
    kv_slice asked, der;

    assert_int_equal(OCSP_request_add1_nonce(request, NULL, 32), 1);
    asked = encode(f, request);
    at = asked.data;
    again = d2i_OCSP_REQUEST(NULL, &at, (long)asked.len);
    assert_int_equal(answer(f, asked, &good, 1, &der), KV_OK);
    basic = believed(f, der);
    assert_int_equal(OCSP_check_nonce(again, basic), 1);
    OCSP_BASICRESP_free(basic);
    OCSP_REQUEST_free(again);
}

static void a_signature_that_is_none_is_not_sent(void **state)
{
    static const kv_x509_ocsp_status good = { .state = KV_X509_OCSP_GOOD };
    fixture *f = *state;
    kv_slice request = encode(f, ask(f, EVP_sha1(), f->ca, 1));
    kv_slice der;

    f->responder_key.lies = true;
    assert_int_equal(answer(f, request, &good, 1, &der), KV_INTERNAL);
    f->responder_key.lies = false;
    f->responder_key.refuses = true;
    assert_int_equal(answer(f, request, &good, 1, &der), KV_UNAVAILABLE);
}

static void a_refusal_is_five_bytes(void **state)
{
    static const kv_x509_ocsp_error rows[] = { KV_X509_OCSP_MALFORMED, KV_X509_OCSP_INTERNAL,
                                               KV_X509_OCSP_TRY_LATER, KV_X509_OCSP_UNAUTHORIZED };

    (void)state;
    for (size_t i = 0; i < KV_COUNT(rows); i++) {
        uint8_t bytes[5];
        const uint8_t *at = bytes;
        OCSP_RESPONSE *response;

        kv_x509_ocsp_refusal(rows[i], bytes);
        response = d2i_OCSP_RESPONSE(NULL, &at, sizeof(bytes));
        assert_non_null(response);
        assert_int_equal(OCSP_response_status(response), rows[i]);
        OCSP_RESPONSE_free(response);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_question_names_serial_numbers),
        TEST(another_issuer_is_foreign),
        TEST(a_nonce_has_1_to_32_bytes),
        TEST(what_is_no_question_is_refused),
        TEST(openssl_believes_each_state),
        TEST(a_nonce_comes_back),
        TEST(a_signature_that_is_none_is_not_sent),
        TEST(a_refusal_is_five_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
