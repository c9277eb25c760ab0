/* tls_key.c - RSA and EC keys whose signatures a token makes.
 *
 * OpenSSL's methods for foreign keys are deprecated in favour of providers, and work for as long as
 * there is a 3.x: they are two functions, a provider would be a library.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "pkcs11/tls_key.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "pkcs11/rv.h"
#include "pkcs11/token.h"
#include "pkcs11/token_object.h"
#include "pkcs11/token_uri.h"

enum { MOST_SIGNATURE = 1024, APP_DATA = 0, REASON = 1000 };

static const char not_together[] = "the server's certificate and key do not belong together";

struct kv_tls_key {
    atomic_uint holders; /* the caller, and every EVP_PKEY */
    kv_token *token;     /* borrowed */
    P11KitUri *uri;
    EC_KEY_METHOD *ec;
    RSA_METHOD *rsa;

    atomic_bool refused; /* the last signature was, and that has been told */

    pthread_mutex_t mutex; /* guards all that follows */
    CK_OBJECT_HANDLE object;
    uint64_t generation; /* of the token when the object was found */
};

static void let_go(kv_tls_key *key)
{
    if (!key || atomic_fetch_sub(&key->holders, 1) > 1)
        return;
    p11_kit_uri_free(key->uri);
    if (key->ec)
        EC_KEY_METHOD_free(key->ec);
    RSA_meth_free(key->rsa);
    (void)pthread_mutex_destroy(&key->mutex);
    free(key);
}

/* --- on the token --- */

static kv_status search(kv_token_visit *visit, const kv_tls_key *key, CK_OBJECT_HANDLE *out,
                        kv_error *err)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[4] = { { CKA_CLASS, &class, sizeof(class) },
                                 { CKA_TOKEN, &yes, sizeof(yes) } };
    CK_ATTRIBUTE *id = p11_kit_uri_get_attribute(key->uri, CKA_ID);
    CK_ATTRIBUTE *label = p11_kit_uri_get_attribute(key->uri, CKA_LABEL);
    KV_AUTO(kv_handles) list = NULL;
    CK_ULONG count = 2;
    size_t found = 0;

    if (id)
        template[count++] = *id;
    if (label)
        template[count++] = *label;
    KV_TRY(kv_objects_find(visit, template, count, &list, &found, err));
    if (found == 1) {
        *out = list[0];
        return KV_OK;
    }
    /* A wedged SoftHSM finds nothing and says so cheerfully. */
    if (!found && !kv_token_probe_inside(visit)) {
        kv_token_suspect(visit->token);
        return kv_module_unavailable(err);
    }
    return kv_fail(err, KV_NOT_FOUND, "%s key on the TLS token fits the URI",
                   found ? "more than one" : "no");
}

/* `fresh`: it was not known, and may be another key of that name. */
static kv_status find(kv_token_visit *visit, kv_tls_key *key, CK_OBJECT_HANDLE *out, bool *fresh,
                      kv_error *err)
{
    uint64_t generation = visit->token->generation;

    pthread_mutex_lock(&key->mutex);
    *out = key->generation == generation ? key->object : CK_INVALID_HANDLE;
    pthread_mutex_unlock(&key->mutex);
    *fresh = *out == CK_INVALID_HANDLE;
    if (!*fresh)
        return KV_OK;
    KV_TRY(search(visit, key, out, err));
    pthread_mutex_lock(&key->mutex);
    key->object = *out;
    key->generation = generation;
    pthread_mutex_unlock(&key->mutex);
    return KV_OK;
}

static void forget(kv_tls_key *key)
{
    pthread_mutex_lock(&key->mutex);
    key->object = CK_INVALID_HANDLE;
    pthread_mutex_unlock(&key->mutex);
}

typedef struct signing {
    kv_tls_key *key;
    CK_MECHANISM_TYPE mechanism;
    kv_slice in;
    bool fresh; /* see find() */
    uint8_t out[MOST_SIGNATURE];
    size_t len;
} signing;

static kv_status sign(kv_token_visit *visit, void *context, kv_error *err)
{
    signing *work = context;
    CK_MECHANISM mechanism = { work->mechanism, NULL, 0 };
    CK_ULONG len = sizeof(work->out);
    CK_OBJECT_HANDLE object;
    CK_RV rv;

    KV_TRY(find(visit, work->key, &object, &work->fresh, err));
    rv = visit->f->C_SignInit(visit->session, &mechanism, object);
    if (rv == CKR_OK)
        rv = visit->f->C_Sign(visit->session, (uint8_t *)(uintptr_t)work->in.data, work->in.len,
                              work->out, &len);
    rv = kv_rv_within(rv, len, sizeof(work->out));
    work->len = len;
    if (rv == CKR_OK)
        return KV_OK;
    kv_token_failed(visit, rv, "C_Sign", err);
    if (kv_rv_of(rv)->class == KV_RV_BAD_KEY) {
        forget(work->key);
        visit->again = true;
    }
    return err->status;
}

/* Once for each time that it begins; `err`: NULL when all is well. */
static void tell(kv_tls_key *key, const kv_error *err)
{
    if (atomic_exchange(&key->refused, err != NULL) == (err != NULL))
        return;
    kv_log_write(key->token->log, err ? KV_LOG_ERROR : KV_LOG_INFO,
                 err ? "tls.key_refused" : "tls.key_signs",
                 (kv_log_field[]){ { "why", err ? err->message : "", 0 },
                                   { "detail", err ? err->detail : "", 0 },
                                   { 0 } });
}

/* Why it failed goes to OpenSSL's queue too, and so to who asked it for the signature. */
static bool refuse(kv_tls_key *key, const kv_error *err)
{
    tell(key, err);
    ERR_raise_data(ERR_LIB_USER, REASON + (int)err->status, "%s%s%s", err->message,
                   *err->detail ? ": " : "", err->detail);
    return false;
}

/* The key on the token is not that of the public half: another one has its name now, say. */
static bool not_ours(kv_tls_key *key)
{
    kv_error err = { 0 };

    forget(key);
    kv_fail(&err, KV_PRECONDITION, "%s", not_together);
    return refuse(key, &err);
}

static bool signed_by_token(signing *work)
{
    kv_error err = { 0 };

    (void)ERR_set_mark();
    if (kv_token_run(work->key->token, sign, work, &err) != KV_OK) {
        (void)ERR_clear_last_mark();
        return refuse(work->key, &err);
    }
    /* A module that shares our OpenSSL may leave something though it succeeds. */
    (void)ERR_pop_to_mark();
    return true;
}

/* --- what OpenSSL calls --- */

static ECDSA_SIG *ec_sign(const unsigned char *digest, int len, const BIGNUM *inverse,
                          const BIGNUM *r, EC_KEY *ec)
{
    size_t order = ((size_t)EC_GROUP_order_bits(EC_KEY_get0_group(ec)) + 7) / 8;
    signing work = { .key = EC_KEY_get_ex_data(ec, APP_DATA), .mechanism = CKM_ECDSA };
    ECDSA_SIG *signature;
    BIGNUM *one, *other;

    (void)inverse;
    (void)r;
    work.in = kv_slice_of(digest, (size_t)len < order ? (size_t)len : order);
    if (!signed_by_token(&work))
        return NULL;
    if (work.len != 2 * order) {
        (void)not_ours(work.key);
        return NULL;
    }
    signature = ECDSA_SIG_new();
    one = BN_bin2bn(work.out, (int)order, NULL);
    other = BN_bin2bn(work.out + order, (int)order, NULL);
    if (!signature || !one || !other || !ECDSA_SIG_set0(signature, one, other)) {
        ECDSA_SIG_free(signature);
        BN_free(one);
        BN_free(other);
        return NULL;
    }
    if (work.fresh && ECDSA_do_verify(digest, len, signature, ec) != 1) {
        ECDSA_SIG_free(signature);
        (void)not_ours(work.key);
        return NULL;
    }
    tell(work.key, NULL);
    return signature;
}

static int ec_copy(EC_KEY *to, const EC_KEY *from)
{
    kv_tls_key *key = EC_KEY_get_ex_data(from, APP_DATA);

    (void)to;
    if (key)
        atomic_fetch_add(&key->holders, 1);
    return 1;
}

static void ec_finish(EC_KEY *ec)
{
    let_go(EC_KEY_get_ex_data(ec, APP_DATA));
}

static bool rsa_gives_back(RSA *rsa, int padding, const signing *work)
{
    unsigned char back[MOST_SIGNATURE];
    int len = RSA_public_decrypt((int)work->len, work->out, back, rsa, padding);

    return len == (int)work->in.len && !memcmp(back, work->in.data, work->in.len);
}

static int rsa_sign(int len, const unsigned char *in, unsigned char *out, RSA *rsa, int padding)
{
    size_t size = (size_t)RSA_size(rsa);
    signing work = { .key = RSA_meth_get0_app_data(RSA_get_method(rsa)),
                     .mechanism = padding == RSA_NO_PADDING ? CKM_RSA_X_509 : CKM_RSA_PKCS,
                     .in = kv_slice_of(in, (size_t)len) };

    if ((padding != RSA_NO_PADDING && padding != RSA_PKCS1_PADDING) || size > sizeof(work.out)) {
        ERR_raise(ERR_LIB_USER, ERR_R_UNSUPPORTED);
        return -1;
    }
    if (!signed_by_token(&work))
        return -1;
    if (work.len != size || (work.fresh && !rsa_gives_back(rsa, padding, &work))) {
        (void)not_ours(work.key);
        return -1;
    }
    tell(work.key, NULL);
    memcpy(out, work.out, size);
    return (int)size;
}

static int rsa_finish(RSA *rsa)
{
    int (*finish)(RSA *) = RSA_meth_get_finish(RSA_PKCS1_OpenSSL());
    int outcome = finish ? finish(rsa) : 1;

    let_go(RSA_meth_get0_app_data(RSA_get_method(rsa)));
    return outcome;
}

/* An EC key can be copied together with the application's data from the moment on in which anybody
 * has asked OpenSSL for a number, the first of which is the application's. It never takes one back:
 * so only who finds that it cannot be asks. */
static bool copies_are_whole(void)
{
    EC_KEY *one = EC_KEY_new(), *copy = NULL;
    char data = 0;
    bool whole;

    (void)ERR_set_mark();
    if (one && EC_KEY_set_ex_data(one, APP_DATA, &data))
        copy = EC_KEY_dup(one);
    (void)ERR_pop_to_mark();
    whole = copy && EC_KEY_get_ex_data(copy, APP_DATA) == &data;
    EC_KEY_free(copy);
    EC_KEY_free(one);
    return whole;
}

static bool make_methods(kv_tls_key *key)
{
    int (*encode)(int, const unsigned char *, int, unsigned char *, unsigned *, const BIGNUM *,
                  const BIGNUM *, EC_KEY *) = NULL;

    if (!copies_are_whole())
        (void)EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    EC_KEY_METHOD_get_sign(EC_KEY_OpenSSL(), &encode, NULL, NULL);
    key->ec = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
    key->rsa = RSA_meth_dup(RSA_PKCS1_OpenSSL());
    if (!key->ec || !key->rsa)
        return false;
    EC_KEY_METHOD_set_init(key->ec, NULL, ec_finish, ec_copy, NULL, NULL, NULL);
    EC_KEY_METHOD_set_sign(key->ec, encode, NULL, ec_sign);
    return RSA_meth_set0_app_data(key->rsa, key) &&
           RSA_meth_set1_name(key->rsa, "RSA on a token") &&
           RSA_meth_set_priv_enc(key->rsa, rsa_sign) && RSA_meth_set_finish(key->rsa, rsa_finish);
}

/* --- open and pair --- */

/* Is the URI one of this token, and is the key there? */
static kv_status look(kv_token_visit *visit, void *context, kv_error *err)
{
    kv_tls_key *key = context;
    CK_OBJECT_HANDLE object;
    CK_TOKEN_INFO info = { 0 };
    bool fresh;
    CK_RV rv = visit->f->C_GetTokenInfo(visit->token->slot, &info);

    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_GetTokenInfo", err);
    if (!p11_kit_uri_match_token_info(key->uri, &info))
        return kv_fail_field(err, "uri", "the URI of the TLS key is not of the TLS token");
    return find(visit, key, &object, &fresh, err);
}

kv_status kv_tls_key_open(kv_token *token, const char *uri, kv_tls_key **out, kv_error *err)
{
    kv_tls_key *key = calloc(1, sizeof(*key));
    kv_status status;

    if (!key)
        return kv_fail(err, KV_BUSY, "out of memory");
    atomic_init(&key->holders, 1);
    key->token = token;
    (void)pthread_mutex_init(&key->mutex, NULL);
    status = kv_token_uri_parse(uri, &key->uri, err);
    if (status == KV_OK && !make_methods(key))
        status = kv_fail(err, KV_BUSY, "out of memory");
    if (status == KV_OK)
        status = kv_token_run(token, look, key, err);
    if (status != KV_OK) {
        let_go(key);
        return status;
    }
    *out = key;
    return KV_OK;
}

void kv_tls_key_close(kv_tls_key *key)
{
    let_go(key);
}

static bool pair_ec(kv_tls_key *key, EVP_PKEY *public, EVP_PKEY *pair)
{
    const EC_KEY *known = EVP_PKEY_get0_EC_KEY(public);
    EC_KEY *ec = EC_KEY_new();
    bool good = known && ec && EC_KEY_set_group(ec, EC_KEY_get0_group(known)) &&
                EC_KEY_set_public_key(ec, EC_KEY_get0_public_key(known)) &&
                EC_KEY_set_method(ec, key->ec);

    if (good) {
        atomic_fetch_add(&key->holders, 1);
        good = EC_KEY_set_ex_data(ec, APP_DATA, key);
        if (!good)
            let_go(key);
    }
    if (good && EVP_PKEY_assign_EC_KEY(pair, ec))
        return true;
    EC_KEY_free(ec);
    return false;
}

static bool pair_rsa(kv_tls_key *key, EVP_PKEY *public, EVP_PKEY *pair)
{
    const RSA *known = EVP_PKEY_get0_RSA(public);
    RSA *rsa = RSA_new();
    BIGNUM *n = known ? BN_dup(RSA_get0_n(known)) : NULL;
    BIGNUM *e = known ? BN_dup(RSA_get0_e(known)) : NULL;
    bool good = n && e && rsa && RSA_set0_key(rsa, n, e, NULL);

    if (!good) {
        BN_free(n);
        BN_free(e);
    }
    if (good) {
        atomic_fetch_add(&key->holders, 1);
        good = RSA_set_method(rsa, key->rsa);
        if (!good)
            let_go(key);
    }
    if (good && EVP_PKEY_assign_RSA(pair, rsa))
        return true;
    RSA_free(rsa);
    return false;
}

/* As TLS 1.3 wants it signed. */
static bool use_pss(EVP_PKEY_CTX *how)
{
    return EVP_PKEY_get_base_id(EVP_PKEY_CTX_get0_pkey(how)) != EVP_PKEY_RSA ||
           EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) > 0;
}

/* What the one half signs, the other verifies. */
static kv_status try_pair(EVP_PKEY *pair, EVP_PKEY *public, kv_error *err)
{
    static const unsigned char message[] = "is this the key of that certificate?";
    EVP_MD_CTX *signer = EVP_MD_CTX_new(), *verifier = EVP_MD_CTX_new();
    EVP_PKEY_CTX *how = NULL;
    unsigned char signature[MOST_SIGNATURE];
    size_t len = sizeof(signature);
    bool made = signer && verifier &&
                EVP_DigestSignInit(signer, &how, EVP_sha256(), NULL, pair) > 0 && use_pss(how) &&
                EVP_DigestSign(signer, signature, &len, message, sizeof(message)) > 0;
    bool good = made && EVP_DigestVerifyInit(verifier, &how, EVP_sha256(), NULL, public) > 0 &&
                use_pss(how) &&
                EVP_DigestVerify(verifier, signature, len, message, sizeof(message)) > 0;
    const char *why = "";
    unsigned long code;

    EVP_MD_CTX_free(signer);
    EVP_MD_CTX_free(verifier);
    if (good)
        return KV_OK;
    code = ERR_peek_last_error_data(&why, NULL);
    if (made)
        kv_fail(err, KV_PRECONDITION, "%s", not_together);
    else if (ERR_GET_LIB(code) == ERR_LIB_USER && ERR_GET_REASON(code) >= REASON)
        kv_fail(err, (kv_status)(ERR_GET_REASON(code) - REASON), "%s", why);
    else
        kv_fail(err, KV_PRECONDITION, "the TLS key on the token does not sign");
    ERR_clear_error();
    return err->status;
}

kv_status kv_tls_key_pair(kv_tls_key *key, EVP_PKEY *public, EVP_PKEY **out, kv_error *err)
{
    EVP_PKEY *pair = EVP_PKEY_new();
    kv_status status = KV_OK;

    if (!EVP_PKEY_is_a(public, "EC") && !EVP_PKEY_is_a(public, "RSA"))
        status = kv_fail(err, KV_UNSUPPORTED, "a TLS key on a token is RSA or EC");
    else if (!pair || !(EVP_PKEY_is_a(public, "EC") ? pair_ec : pair_rsa)(key, public, pair))
        status = kv_fail(err, KV_BUSY, "out of memory");
    if (status == KV_OK)
        status = try_pair(pair, public, err);
    /* Somebody may have put another key in its place. */
    if (status == KV_PRECONDITION) {
        forget(key);
        status = try_pair(pair, public, err);
    }
    if (status != KV_OK) {
        EVP_PKEY_free(pair);
        ERR_clear_error();
        return status;
    }
    *out = pair;
    return KV_OK;
}
