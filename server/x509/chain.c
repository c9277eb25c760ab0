/* chain.c - from a leaf to its root. */
#include "server/x509/chain.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "server/x509/bundle.h"
#include "server/x509/inspect.h"
#include "server/x509/openssl.h"

/* Verifying with a longer key takes too long to do it often. */
enum { CANDIDATES_MAX = 128, KEY_BITS_MAX = 8192 };

static void free_context(X509_STORE_CTX *context)
{
    X509_STORE_CTX_free(context);
}

KV_OSSL_TYPE(verification, X509_STORE_CTX, free_context)
KV_OSSL_TYPE(store, X509_STORE, X509_STORE_free)
KV_OSSL_TYPE(borrowed, STACK_OF(X509), sk_X509_free)

typedef struct candidate {
    X509 *certificate;
    kv_slice der;
    bool given; /* not an anchor */
    bool used;
} candidate;

typedef struct builder {
    const kv_x509_chain_in *in;
    candidate all[CANDIDATES_MAX];
    size_t count;
    const candidate *path[KV_X509_CHAIN_MAX];
    size_t len;
    kv_error *err;
} builder;

static void builder_cleanup(builder *b)
{
    for (size_t i = 0; i < b->count; i++)
        X509_free(b->all[i].certificate);
    ERR_clear_error();
}

static bool known(const builder *b, kv_slice der)
{
    for (size_t i = 0; i < b->count; i++)
        if (kv_slice_equal(b->all[i].der, der))
            return true;
    return false;
}

static kv_status add_all(builder *b, kv_x509_list list, bool given)
{
    for (size_t i = 0; i < list.count; i++) {
        candidate *next = &b->all[b->count];

        if (!given && known(b, list.items[i]))
            continue;
        if (b->count == CANDIDATES_MAX)
            return kv_fail_field(b->err, b->in->field, "has too many certificates");
        *next = (candidate){ .certificate = kv_ossl_parse_certificate(list.items[i]),
                             .der = list.items[i],
                             .given = given };
        if (!next->certificate)
            return kv_fail_field(b->err, b->in->field, "certificate %zu is malformed", i + 1);
        b->count++;
    }
    return KV_OK;
}

/* Text of a name, for messages: cut, never longer than `room`. */
static void name_text(const X509_NAME *name, char *out, size_t room)
{
    KV_AUTO(kv_ossl_bio) text = BIO_new(BIO_s_mem());
    int len = 0;

    if (text && X509_NAME_print_ex(text, name, 0,
                                   XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >= 0)
        len = BIO_read(text, out, (int)room - 1);
    out[len > 0 ? len : 0] = '\0';
}

static bool valid_now(const X509 *certificate, int64_t now_ms)
{
    time_t now = (time_t)(now_ms / 1000);

    return X509_cmp_time(X509_get0_notBefore(certificate), &now) < 0 &&
           X509_cmp_time(X509_get0_notAfter(certificate), &now) > 0;
}

/* By name, and by key identifier where both have one. */
static bool names_fit(const X509 *subject, X509 *issuer)
{
    const ASN1_OCTET_STRING *wanted = X509_get0_authority_key_id((X509 *)(uintptr_t)subject);
    const ASN1_OCTET_STRING *has = X509_get0_subject_key_id(issuer);

    if (X509_NAME_cmp(X509_get_issuer_name(subject), X509_get_subject_name(issuer)) != 0)
        return false;
    return !wanted || !has || ASN1_OCTET_STRING_cmp(wanted, has) == 0;
}

static bool signed_by(X509 *subject, X509 *issuer)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    bool good = key && EVP_PKEY_get_bits(key) <= KEY_BITS_MAX && X509_verify(subject, key) == 1;

    ERR_clear_error();
    return good;
}

/* What lasts longer comes first, what is not valid now last. */
static bool better(const builder *b, const candidate *a, const candidate *than)
{
    bool now = valid_now(a->certificate, b->in->now_ms);
    int days = 0, seconds = 0;

    if (!than)
        return true;
    if (now != valid_now(than->certificate, b->in->now_ms))
        return now;
    (void)ASN1_TIME_diff(&days, &seconds, X509_get0_notAfter(than->certificate),
                         X509_get0_notAfter(a->certificate));
    return days > 0 || seconds > 0;
}

static kv_status refuse_signature(const builder *b, const candidate *of)
{
    char name[100];

    name_text(X509_get_subject_name(of->certificate), name, sizeof(name));
    return kv_fail_field(b->err, b->in->field,
                         "the signature of '%s' was not made by the issuer that came with it",
                         name);
}

static kv_status find_issuer(builder *b, const candidate *of, candidate **out)
{
    candidate *best = NULL;
    bool named = false;

    for (size_t i = 0; i < b->count; i++) {
        candidate *each = &b->all[i];

        if (each->used || !names_fit(of->certificate, each->certificate))
            continue;
        if (!signed_by(of->certificate, each->certificate))
            named = true;
        else if (better(b, each, best))
            best = each;
    }
    if (!best && named)
        return refuse_signature(b, of);
    *out = best;
    return KV_OK;
}

static bool is_self_signed(const candidate *of)
{
    bool result = X509_self_signed(of->certificate, 1) == 1;

    ERR_clear_error();
    return result;
}

/* A root of version 1 has no extension that could say so. */
static kv_status check_ca(const builder *b, const candidate *issuer)
{
    enum { BY_EXTENSION = 1, ROOT_OF_VERSION_1 = 3 };
    int ca = X509_check_ca(issuer->certificate);
    char name[100];

    if ((ca == BY_EXTENSION || ca == ROOT_OF_VERSION_1) &&
        (X509_get_key_usage(issuer->certificate) & KU_KEY_CERT_SIGN))
        return KV_OK;
    name_text(X509_get_subject_name(issuer->certificate), name, sizeof(name));
    return kv_fail_field(b->err, b->in->field, "the issuer '%s' is not a CA's certificate", name);
}

static kv_status climb(builder *b, bool *complete)
{
    candidate *at = &b->all[b->in->leaf];

    at->used = true;
    b->path[b->len++] = at;
    while (!is_self_signed(at)) {
        candidate *issuer = NULL;

        KV_TRY(find_issuer(b, at, &issuer));
        if (!issuer)
            return KV_OK;
        KV_TRY(check_ca(b, issuer));
        if (b->len == KV_X509_CHAIN_MAX)
            return kv_fail_field(b->err, b->in->field, "the chain has more than %d certificates",
                                 KV_X509_CHAIN_MAX);
        issuer->used = true;
        b->path[b->len++] = issuer;
        at = issuer;
    }
    *complete = true;
    return KV_OK;
}

/* Path lengths, name constraints and the like, by OpenSSL's own rules; time is judged elsewhere,
 * and extensions that only a relying party must know are its business. */
static kv_status verify(const builder *b)
{
    KV_AUTO(kv_ossl_store) store = X509_STORE_new();
    KV_AUTO(kv_ossl_verification) context = X509_STORE_CTX_new();
    KV_AUTO(kv_ossl_borrowed) others = sk_X509_new_null();
    X509_VERIFY_PARAM *rules;

    if (b->len < 2)
        return KV_OK;
    if (!store || !context || !others ||
        !X509_STORE_add_cert(store, b->path[b->len - 1]->certificate) ||
        !X509_STORE_CTX_init(context, store, b->path[0]->certificate, others))
        return kv_ossl_failed(b->err, KV_INTERNAL, "a chain could not be verified");
    for (size_t i = 1; i + 1 < b->len; i++)
        if (!sk_X509_push(others, b->path[i]->certificate))
            return kv_ossl_failed(b->err, KV_INTERNAL, "a chain could not be verified");
    rules = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_depth(rules, KV_X509_CHAIN_MAX);
    X509_VERIFY_PARAM_set_auth_level(rules, 0);
    if (!X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME |
                                                X509_V_FLAG_IGNORE_CRITICAL))
        return kv_ossl_failed(b->err, KV_INTERNAL, "a chain could not be verified");
    if (X509_verify_cert(context) == 1)
        return KV_OK;
    ERR_clear_error();
    return kv_fail_field(b->err, b->in->field, "the chain does not hold: %s (certificate %d of it)",
                         X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)),
                         X509_STORE_CTX_get_error_depth(context) + 1);
}

static kv_status missing_name(kv_arena *arena, const builder *b, kv_slice *out)
{
    char name[200];

    name_text(X509_get_issuer_name(b->path[b->len - 1]->certificate), name, sizeof(name));
    return kv_arena_copy(arena, kv_slice_text(name), out, b->err);
}

static void count_rest(const builder *b, kv_x509_chain *out)
{
    for (size_t i = 0; i < b->count; i++)
        out->unrelated += b->all[i].given && !b->all[i].used;
    for (size_t i = 1; i < b->len; i++)
        out->expired += !valid_now(b->path[i]->certificate, b->in->now_ms);
}

static kv_status finish(kv_arena *arena, const builder *b, kv_x509_chain *out)
{
    kv_slice *items = kv_arena_array(arena, b->len, sizeof(*items));
    size_t len = b->len;

    if (!items)
        return kv_arena_full(b->err);
    if (out->complete && b->in->omit_root && len > 1)
        len--;
    for (size_t i = 0; i < len; i++)
        items[i] = b->path[i]->der;
    out->certificates = (kv_x509_list){ .items = items, .count = len };
    out->root_included = out->complete && len == b->len;
    count_rest(b, out);
    return out->complete ? KV_OK : missing_name(arena, b, &out->missing);
}

kv_status kv_x509_chain_build(kv_arena *arena, const kv_x509_chain_in *in, kv_x509_chain *out,
                              kv_error *err)
{
    KV_AUTO(builder) b = { .in = in, .err = err };
    kv_x509_chain built = { 0 };

    KV_TRY(add_all(&b, in->certificates, true));
    KV_TRY(add_all(&b, in->anchors, false));
    if (in->leaf >= in->certificates.count)
        return kv_fail(err, KV_INTERNAL, "a chain without a leaf");
    KV_TRY(climb(&b, &built.complete));
    KV_TRY(verify(&b));
    KV_TRY(finish(arena, &b, &built));
    if (in->need_complete && !built.complete)
        return kv_fail_field(err, in->field,
                             "the chain is incomplete: the issuer '%.100s' is missing",
                             (const char *)built.missing.data);
    *out = built;
    return KV_OK;
}

static bool contains(kv_x509_list list, kv_slice der)
{
    for (size_t i = 0; i < list.count; i++)
        if (kv_slice_equal(list.items[i], der))
            return true;
    return false;
}

kv_status kv_x509_chain_order(kv_arena *arena, kv_x509_list chain, kv_x509_list given,
                              kv_x509_list *out, kv_error *err)
{
    kv_slice *items = kv_arena_array(arena, chain.count + given.count, sizeof(*items));
    size_t count = 0;

    if (!items)
        return kv_arena_full(err);
    for (size_t i = 0; i < given.count; i++)
        if (contains(chain, given.items[i]))
            items[count++] = given.items[i];
    for (size_t i = 0; i < chain.count; i++)
        if (!contains(given, chain.items[i]))
            items[count++] = chain.items[i];
    *out = (kv_x509_list){ .items = items, .count = count };
    return KV_OK;
}
