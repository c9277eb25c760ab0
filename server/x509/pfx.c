/* pfx.c - writes PKCS#12 files and reads them back. */
#include "server/x509/pfx.h"

#include <openssl/err.h>

#include "server/base/text.h"
#include "server/x509/bundle.h"
#include "server/x509/openssl.h"

enum { DEFAULT_NID = 0, NO_ENCRYPTION = -1 };

/* The objects of one file. */
typedef struct parts {
    EVP_PKEY *key; /* NULL: certificates only */
    X509 *leaf;
    STACK_OF(X509) *rest; /* the others, in their order */
    int place;            /* of the leaf among all */
} parts;

typedef STACK_OF(PKCS12_SAFEBAG) bags;
typedef STACK_OF(PKCS7) safes;

static void free_bags(bags *all)
{
    sk_PKCS12_SAFEBAG_pop_free(all, PKCS12_SAFEBAG_free);
}

static void free_safes(safes *all)
{
    sk_PKCS7_pop_free(all, PKCS7_free);
}

KV_OSSL_TYPE(bags, bags, free_bags)
KV_OSSL_TYPE(safes, safes, free_safes)

/* How a file is protected. */
typedef struct protection {
    const char *password;
    int cipher; /* a cipher means PBES2 */
    int iterations;
    const EVP_MD *mac;
} protection;

static kv_status failed(kv_error *err)
{
    return kv_ossl_failed(err, KV_INTERNAL, "a PFX could not be built");
}

static kv_status check_text(kv_slice text, size_t most, const char *field, kv_error *err)
{
    if (text.len > most)
        return kv_fail_field(err, field, "must be at most %zu bytes long", most);
    if (!kv_text_printable(text))
        return kv_fail_field(err, field, "must be UTF-8 without control characters");
    return KV_OK;
}

static void parts_cleanup(parts *of)
{
    EVP_PKEY_free(of->key);
    X509_free(of->leaf);
    kv_ossl_free_chain(of->rest);
}

static kv_status add_certificate(parts *out, kv_slice der, size_t index, kv_error *err)
{
    X509 *next = kv_ossl_parse_certificate(der);

    if (!next)
        return kv_fail(err, KV_BAD_REQUEST, "element %zu of a chain is not a certificate", index);
    if (!sk_X509_push(out->rest, next)) {
        X509_free(next);
        return failed(err);
    }
    return KV_OK;
}

/* The first one, or in a chain of any order the first one of the key. */
static kv_status pick_leaf(const kv_x509_pfx *in, parts *out, kv_error *err)
{
    int count = in->keep_order && out->key ? sk_X509_num(out->rest) : 1;
    int place = 0;

    while (out->key && place < count &&
           !X509_check_private_key(sk_X509_value(out->rest, place), out->key))
        place++;
    ERR_clear_error();
    if (place == count)
        return kv_fail(err, KV_INTERNAL, "a private key is not the one of its certificate");
    out->place = place;
    out->leaf = sk_X509_delete(out->rest, place);
    return KV_OK;
}

static kv_status read_parts(const kv_x509_pfx *in, parts *out, kv_error *err)
{
    if (in->chain.count == 0 || in->chain.count > KV_X509_CHAIN_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "a chain has 1 to %d certificates", KV_X509_CHAIN_MAX);
    out->rest = sk_X509_new_null();
    if (!out->rest)
        return failed(err);
    for (size_t i = 0; i < in->chain.count; i++)
        KV_TRY(add_certificate(out, in->chain.items[i], i, err));
    if (in->key.len) {
        out->key = kv_ossl_parse_private_key(in->key);
        if (!out->key)
            return kv_fail(err, KV_INTERNAL, "a private key is malformed");
    }
    return pick_leaf(in, out, err);
}

/* ---- writing ---- */

/* The leaf and the key carry the same name and the leaf's hash, by which readers pair them. */
static bool label(PKCS12_SAFEBAG *bag, X509 *leaf, const char *name)
{
    unsigned char id[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    return bag && X509_digest(leaf, EVP_sha1(), id, &len) &&
           PKCS12_add_localkeyid(bag, id, (int)len) &&
           (!name || PKCS12_add_friendlyname_utf8(bag, name, -1));
}

static bool add_certificates(const parts *from, const char *name, bags **out)
{
    int count = sk_X509_num(from->rest) + 1;

    for (int i = 0; i < count; i++) {
        int other = i > from->place ? i - 1 : i;
        bool leaf = i == from->place;
        PKCS12_SAFEBAG *bag =
            PKCS12_add_cert(out, leaf ? from->leaf : sk_X509_value(from->rest, other));

        if (!bag || (leaf && !label(bag, from->leaf, name)))
            return false;
    }
    return true;
}

static PKCS12 *build(const parts *from, const char *name, const protection *how)
{
    KV_AUTO(kv_ossl_safes) all = NULL;
    KV_AUTO(kv_ossl_bags) certificates = NULL;
    KV_AUTO(kv_ossl_bags) keys = NULL;

    if (!add_certificates(from, name, &certificates) ||
        !PKCS12_add_safe(&all, certificates, how->cipher, how->iterations, how->password))
        return NULL;
    if (from->key &&
        (!label(PKCS12_add_key(&keys, from->key, 0, how->iterations, how->cipher, how->password),
                from->leaf, name) ||
         !PKCS12_add_safe(&all, keys, NO_ENCRYPTION, 0, NULL)))
        return NULL;
    return PKCS12_add_safes(all, DEFAULT_NID);
}

static kv_status write_file(const parts *from, const char *name, const protection *how,
                            kv_secret_buf *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) bytes = KV_SECRET_NONE;
    KV_AUTO(kv_ossl_pkcs12) file = build(from, name, how);
    unsigned char *at;
    int len;

    if (!file || !PKCS12_set_mac(file, how->password, -1, NULL, 0, how->iterations, how->mac))
        return failed(err);
    len = i2d_PKCS12(file, NULL);
    if (len <= 0)
        return failed(err);
    KV_TRY(kv_secret_buf_new((size_t)len, &bytes, err));
    at = bytes.data;
    if (i2d_PKCS12(file, &at) != len)
        return failed(err);
    *out = kv_secret_buf_move(&bytes);
    return KV_OK;
}

/* ---- reading back ---- */

/* A file without a key has all its certificates in `rest`, in their order. */
static bool same_certificates(const parts *wrote, const parts *read)
{
    int count = sk_X509_num(wrote->rest);
    int all = sk_X509_num(read->rest);

    if (wrote->key) {
        if (!read->leaf || X509_cmp(read->leaf, wrote->leaf) != 0)
            return false;
        for (int i = 0; i < count && i < all; i++)
            if (X509_cmp(sk_X509_value(read->rest, i), sk_X509_value(wrote->rest, i)) != 0)
                return false;
        return all == count || (count == 0 && !read->rest);
    }
    for (int i = 0; i < all && i < count + 1; i++)
        if (X509_cmp(sk_X509_value(read->rest, i),
                     i ? sk_X509_value(wrote->rest, i - 1) : wrote->leaf) != 0)
            return false;
    return all == count + 1;
}

static kv_status read_back(const parts *wrote, const char *password, const kv_secret_buf *bytes,
                           kv_error *err)
{
    const unsigned char *at = bytes->data;
    KV_AUTO(kv_ossl_pkcs12) file = d2i_PKCS12(NULL, &at, (long)bytes->len);
    KV_AUTO(parts) read = { 0 };

    if (!file || !PKCS12_parse(file, password, &read.key, &read.leaf, &read.rest))
        return kv_ossl_failed(err, KV_INTERNAL, "a new PFX cannot be read");
    if (!same_certificates(wrote, &read) || !wrote->key != !read.key ||
        (wrote->key && EVP_PKEY_eq(wrote->key, read.key) != 1))
        return kv_fail(err, KV_INTERNAL, "a new PFX reads back as something else");
    return KV_OK;
}

static protection protection_of(const kv_x509_pfx *in, const kv_secret_buf *password)
{
    bool old = in->for_old_clients;
    int strong = in->password.len ? KV_X509_PFX_ITERATIONS : KV_X509_PFX_ITERATIONS_NO_PASSWORD;

    return (protection){
        .password = (const char *)password->data,
        .cipher = old ? NID_pbe_WithSHA1And3_Key_TripleDES_CBC : NID_aes_256_cbc,
        .iterations = old ? KV_X509_PFX_ITERATIONS_OLD : strong,
        .mac = old ? EVP_sha1() : EVP_sha256(),
    };
}

kv_status kv_x509_pfx_write(const kv_x509_pfx *in, kv_secret_buf *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) password = KV_SECRET_NONE;
    KV_AUTO(kv_secret_buf) name = KV_SECRET_NONE; /* for its NUL byte */
    KV_AUTO(kv_secret_buf) bytes = KV_SECRET_NONE;
    KV_AUTO(parts) all = { 0 };
    protection how;

    KV_TRY(check_text(in->password, KV_X509_PFX_PASSWORD_MAX, "password", err));
    KV_TRY(check_text(in->friendly_name, KV_X509_PFX_NAME_MAX, "friendly_name", err));
    KV_TRY(read_parts(in, &all, err));
    KV_TRY(kv_secret_buf_copy(in->password, &password, err));
    KV_TRY(kv_secret_buf_copy(in->friendly_name, &name, err));
    how = protection_of(in, &password);
    KV_TRY(write_file(&all, name.len ? (const char *)name.data : NULL, &how, &bytes, err));
    KV_TRY(read_back(&all, how.password, &bytes, err));
    *out = kv_secret_buf_move(&bytes);
    return KV_OK;
}
