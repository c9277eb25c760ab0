/* acts_brought.c - what comes from elsewhere: a file with its key, an answer to a CSR, a backup. */
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "tests/contract/vault/acts.h"

#define FROM_S  INT64_C(1767225600) /* 2026 */
#define UNTIL_S INT64_C(1798761600) /* 2027 */

static kv_status import(house *h, house_job *job, const char *name, kv_slice pem, kv_error *err)
{
    kv_certificate_import_in in = {
        .target = act_target(KV_COLLECTION_CERTIFICATES, name),
        .value = pem,
        .has_policy = true,
        .policy = { .key_props = { .exportable = true, .exportable_given = true } },
    };
    kv_certificate_bundle out;

    KV_TRY(kv_certificate_import(h->vault, &job->work, &in, &out, err));
    assert_true(out.key_known_outside);
    return KV_OK;
}

kv_status act_import_certificate(house *h, const char *name, kv_error *err)
{
    made_certificate *made = make_certificate(
        &(certificate_shape){ .name = name, .from_s = FROM_S, .until_s = UNTIL_S });
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len;
    house_job job;
    kv_status status;

    assert_true(PEM_write_bio_PrivateKey(bio, made->key, NULL, NULL, 0, NULL, NULL) == 1);
    assert_true(PEM_write_bio_X509(bio, made->x509) == 1);
    len = BIO_get_mem_data(bio, &text);
    house_begin(h, &job);
    status = import(h, &job, name, kv_slice_of(text, (size_t)len), err);
    house_end(h, &job, status);
    BIO_free(bio);
    free_certificate(made);
    return status;
}

uint8_t *act_certify(kv_slice csr, const char *alternative, int *len)
{
    return act_certify_for(csr, alternative, FROM_S, UNTIL_S, len);
}

uint8_t *act_certify_for(kv_slice csr, const char *alternative, int64_t from_s, int64_t until_s,
                         int *len)
{
    const unsigned char *at = csr.data;
    X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)csr.len);
    made_certificate *ca = make_certificate(
        &(certificate_shape){ .name = "CA", .ca = true, .from_s = from_s, .until_s = until_s });
    made_certificate *leaf = make_certificate(&(certificate_shape){ .name = "c",
                                                                    .alternative = alternative,
                                                                    .from_s = from_s,
                                                                    .until_s = until_s,
                                                                    .issuer = ca });
    uint8_t *der = NULL;

    assert_non_null(request);
    assert_int_equal(X509_set_pubkey(leaf->x509, X509_REQ_get0_pubkey(request)), 1);
    assert_true(X509_sign(leaf->x509, ca->key, EVP_sha256()) > 0);
    *len = i2d_X509(leaf->x509, &der);
    free_certificate(leaf);
    free_certificate(ca);
    X509_REQ_free(request);
    return der;
}

static kv_status merge(house *h, house_job *job, const char *name, const char *alternative,
                       kv_error *err)
{
    kv_certificate_pending_get_in ask = { .target = act_target(KV_COLLECTION_CERTIFICATES, name) };
    kv_certificate_merge_in in = { .target = ask.target };
    kv_certificate_operation operation;
    kv_certificate_bundle out;
    kv_slice one;
    kv_status status;
    uint8_t *der;
    int len;

    KV_TRY(kv_certificate_pending_get(h->vault, &job->work, &ask, &operation, err));
    der = act_certify(operation.csr, alternative, &len);
    one = kv_slice_of(der, (size_t)len);
    in.x5c = (kv_x509_list){ .items = &one, .count = 1 };
    status = kv_certificate_pending_merge(h->vault, &job->work, &in, &out, err);
    OPENSSL_free(der);
    return status;
}

kv_status act_merge(house *h, const char *name, kv_error *err)
{
    return act_merge_named(h, name, NULL, err);
}

kv_status act_merge_named(house *h, const char *name, const char *alternative, kv_error *err)
{
    house_job job;
    kv_status status;

    house_begin(h, &job);
    status = merge(h, &job, name, alternative, err);
    house_end(h, &job, status);
    return status;
}

static kv_status run_backup(house *h, house_job *job, kv_collection collection, const char *name,
                            kv_backup *out, kv_error *err)
{
    kv_target_in in = { .target = act_target(collection, name) };

    if (collection == KV_COLLECTION_KEYS)
        return kv_key_backup(h->vault, &job->work, &in, out, err);
    if (collection == KV_COLLECTION_SECRETS)
        return kv_secret_backup(h->vault, &job->work, &in, out, err);
    return kv_certificate_backup(h->vault, &job->work, &in, out, err);
}

kv_status act_backup(house *h, kv_collection collection, const char *name, kv_backup *out,
                     kv_error *err)
{
    house_job job;
    kv_status status;

    house_begin(h, &job);
    status = run_backup(h, &job, collection, name, out, err);
    house_end(h, &job, status);
    return status;
}

static kv_status run_restore(house *h, house_job *job, kv_collection collection, kv_slice backup,
                             kv_error *err)
{
    kv_restore_in in = { .target = act_target(collection, ""), .value = backup };
    kv_key_bundle key;
    kv_secret_bundle secret;
    kv_certificate_bundle certificate;

    if (collection == KV_COLLECTION_KEYS)
        return kv_key_restore(h->vault, &job->work, &in, &key, err);
    if (collection == KV_COLLECTION_SECRETS)
        return kv_secret_restore(h->vault, &job->work, &in, &secret, err);
    return kv_certificate_restore(h->vault, &job->work, &in, &certificate, err);
}

kv_status act_restore(house *h, kv_collection collection, kv_slice backup, kv_error *err)
{
    house_job job;
    kv_status status;

    house_begin(h, &job);
    status = run_restore(h, &job, collection, backup, err);
    house_end(h, &job, status);
    return status;
}
