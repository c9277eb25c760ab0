/* certificate_secret.c - the secret of a certificate: PFX or PEM, with the private key where its
 * policy made it exportable, else the chain alone. */
#include "server/vault/certificates/certificate_rules.h"
#include "server/vault/secrets/secret_rules.h"
#include "server/x509/bundle.h"
#include "server/x509/pfx.h"

/* The certificates in the order in which they are given out. */
typedef struct certificates {
    kv_x509_list list;
    bool as_given; /* not leaf first */
} certificates;

static kv_status reorder(kv_work *work, kv_slice places, certificates *at, kv_error *err)
{
    kv_slice *items = kv_arena_array(work->arena, places.len, sizeof(*items));

    if (!items)
        return kv_arena_full(err);
    for (size_t i = 0; i < places.len; i++) {
        if (places.data[i] >= at->list.count)
            return kv_fail(err, KV_INTERNAL, "a stored chain has an order of another one");
        items[i] = at->list.items[places.data[i]];
    }
    *at = (certificates){ .list = { .items = items, .count = places.len }, .as_given = true };
    return KV_OK;
}

static kv_status find_chain(kv_vault *vault, kv_work *work, const kv_object_row *secret_object,
                            kv_slice version, certificates *out, kv_error *err)
{
    kv_certificate_version_row row = { .version = version };
    kv_object_row object;
    bool exists = false;

    KV_TRY(kv_look_up_object(vault, work, secret_object->vault_uid, KV_COLLECTION_CERTIFICATES,
                             secret_object->name, &object, &exists, err));
    if (!exists)
        return kv_fail(err, KV_INTERNAL, "a managed secret has lost its certificate");
    row.object_uid = object.uid;
    KV_TRY(kv_records_get(vault->config.records, &kv_table_certificate_versions, &row, work->arena,
                          err));
    *out = (certificates){ 0 };
    KV_TRY(kv_chain_split(work, row.der, row.chain, &out->list, err));
    return row.given.len ? reorder(work, row.given, out, err) : KV_OK;
}

static kv_secret_format format_of(const kv_secret_get_in *in, const kv_secret_version_row *version)
{
    if (in->format != KV_SECRET_FORMAT_NONE)
        return in->format;
    return kv_slice_equal(version->content_type, KV_SLICE(KV_X509_CONTENT_PEM))
               ? KV_SECRET_FORMAT_PEM
               : KV_SECRET_FORMAT_PFX;
}

static kv_status encode(const kv_secret_get_in *in, kv_secret_format format,
                        const certificates *chain, kv_slice key, kv_slice name, kv_secret_buf *out,
                        kv_error *err)
{
    kv_x509_pfx pfx = {
        .chain = chain->list,
        .key = key,
        .password = in->pfx_password,
        .friendly_name = name,
        .keep_order = chain->as_given,
        .for_old_clients = in->pfx_for_old_clients,
    };

    if (format == KV_SECRET_FORMAT_PFX)
        return kv_x509_pfx_write(&pfx, out, err);
    if (in->has_pfx_password)
        return kv_fail_field(err, "pfx_password", "a PEM file has no password here");
    if (in->pfx_for_old_clients)
        return kv_fail_field(err, "pfx_for_old_clients", "is for a PFX; this is a PEM file");
    if (chain->as_given)
        return kv_x509_secret_pem_as_given(chain->list, key, out, err);
    return kv_x509_secret_pem(chain->list, key, out, err);
}

kv_status kv_managed_secret_value(kv_vault *vault, kv_work *work, const kv_secret_get_in *in,
                                  const kv_object_row *object, const kv_secret_version_row *version,
                                  kv_slice *value, kv_slice *content_type, kv_error *err)
{
    KV_AUTO(kv_secret_buf) pkcs8 = KV_SECRET_NONE;
    KV_AUTO(kv_secret_buf) encoded = KV_SECRET_NONE;
    kv_secret_format format = format_of(in, version);
    kv_box place = kv_secret_place(object, version->version);
    certificates chain;

    KV_TRY(find_chain(vault, work, object, version->version, &chain, err));
    if (version->ciphertext.len)
        KV_TRY(kv_box_open(vault, work, &place, version, &pkcs8, err));
    KV_TRY(encode(in, format, &chain, kv_secret_buf_slice(&pkcs8), object->display_name, &encoded,
                  err));
    *content_type = format == KV_SECRET_FORMAT_PFX ? KV_SLICE(KV_X509_CONTENT_PKCS12)
                                                   : KV_SLICE(KV_X509_CONTENT_PEM);
    return kv_arena_copy(work->arena, kv_secret_buf_slice(&encoded), value, err);
}
