/* acme_chain.c - the certificate is fetched, with the chain that was asked for. */
#include <openssl/err.h>
#include <openssl/pem.h>

#include "server/base/text.h"
#include "server/issuer/acme_visit.h"
#include "server/x509/bundle.h"

typedef X509 *certificate;
typedef BIO *source;

static void certificate_cleanup(certificate *it)
{
    X509_free(*it);
}

static void source_cleanup(source *it)
{
    (void)BIO_free(*it);
}

static kv_status keep(kv_arena *arena, X509 *from, kv_slice *out, kv_error *err)
{
    int len = i2d_X509(from, NULL);
    unsigned char *der = len > 0 ? kv_arena_alloc(arena, (size_t)len) : NULL;
    unsigned char *at = der;

    if (!der)
        return kv_arena_full(err);
    (void)i2d_X509(from, &at);
    *out = kv_slice_of(der, (size_t)len);
    return KV_OK;
}

kv_status kv_acme_chain_read(kv_arena *arena, kv_slice pem, kv_x509_list *out, kv_error *err)
{
    KV_AUTO(source) from = BIO_new_mem_buf(pem.data, (int)pem.len);
    kv_slice *items = kv_arena_array(arena, KV_X509_CHAIN_MAX, sizeof(*items));
    size_t count = 0;

    if (!items || !from)
        return kv_arena_full(err);
    for (;;) {
        KV_AUTO(certificate) read = PEM_read_bio_X509(from, NULL, NULL, NULL);

        if (!read)
            break;
        if (count == KV_X509_CHAIN_MAX)
            return kv_fail(err, KV_UNAVAILABLE, "the authority sent too long a chain");
        KV_TRY(keep(arena, read, &items[count++], err));
    }
    ERR_clear_error();
    if (!count)
        return kv_fail(err, KV_UNAVAILABLE, "the authority sent no certificate");
    *out = (kv_x509_list){ .items = items, .count = count };
    return KV_OK;
}

static bool has_common_name(const X509_NAME *name, kv_slice wanted)
{
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    const ASN1_STRING *text =
        at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));

    return text && kv_slice_equal(kv_slice_of(text->data, (size_t)text->length), wanted);
}

bool kv_acme_chain_ends_in(const kv_x509_list *chain, kv_slice root)
{
    kv_slice last = chain->items[chain->count - 1];
    const unsigned char *at = last.data;
    KV_AUTO(certificate) top = d2i_X509(NULL, &at, (long)last.len);

    return top && (has_common_name(X509_get_issuer_name(top), root) ||
                   has_common_name(X509_get_subject_name(top), root));
}

static kv_status say_that_there_is_none(kv_arena *arena, kv_slice root, kv_x509_list *warnings,
                                        kv_error *err)
{
    kv_slice *text = kv_arena_array(arena, 1, sizeof(*text));

    if (!text)
        return kv_arena_full(err);
    *warnings = (kv_x509_list){ .items = text, .count = 1 };
    return kv_arena_print(arena, text, err, "The authority offers no chain to '%.*s'.",
                          KV_SLICE_ARG(root));
}

/* The others are asked for only while none fits. */
static kv_status prefer(kv_acme_visit *visit, const kv_acme_certificate *first, kv_x509_list *chain,
                        kv_x509_list *warnings, kv_error *err)
{
    kv_slice root = visit->settings.preferred_chain;
    kv_x509_list other;

    if (!root.len || kv_acme_chain_ends_in(chain, root))
        return KV_OK;
    for (size_t i = 0; i < first->count; i++) {
        kv_acme_certificate got;

        KV_TRY(kv_acme_certificate_get(&visit->client, first->alternates[i], &got, err));
        KV_TRY(kv_acme_chain_read(visit->client.arena, got.pem, &other, err));
        if (!kv_acme_chain_ends_in(&other, root))
            continue;
        *chain = other;
        return KV_OK;
    }
    return say_that_there_is_none(visit->client.arena, root, warnings, err);
}

kv_status kv_acme_chain_get(kv_acme_visit *visit, const char *url, kv_x509_list *chain,
                            kv_x509_list *warnings, kv_error *err)
{
    kv_acme_certificate got;

    KV_TRY(kv_acme_certificate_get(&visit->client, url, &got, err));
    KV_TRY(kv_acme_chain_read(visit->client.arena, got.pem, chain, err));
    return prefer(visit, &got, chain, warnings, err);
}
