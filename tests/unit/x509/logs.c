/* logs.c - logs of Certificate Transparency for tests. */
#include "tests/unit/x509/logs.h"

#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "server/base/text.h"
#include "tests/support/kv_cmocka.h"

enum { LIST_MAX = 1 << 16, HOUR_MS = 3600 * 1000 };

static const int64_t year_ms = INT64_C(365) * 24 * HOUR_MS;

void test_log_make(test_log *log, kv_key_kind kind, kv_arena *arena)
{
    soft_key_make(&log->key, kind, arena);
    (void)SHA256(log->key.spki.data, log->key.spki.len, log->id);
}

kv_slice test_log_list(const test_log *logs, size_t count, kv_arena *arena)
{
    kv_error err = { 0 };
    char time[KV_TIME_TEXT_BYTES];
    kv_slice text;

    kv_time_text(SOFT_NOW_MS, time);
    assert_kv_ok(kv_arena_print(arena, &text, &err,
                                "{\"version\":\"1\",\"log_list_timestamp\":\"%s\",\"operators\":[",
                                time));
    for (size_t i = 0; i < count; i++) {
        const test_log *log = &logs[i];
        bool same = i && !strcmp(log->operator_name, logs[i - 1].operator_name);
        kv_slice state = KV_SLICE(""), before = KV_SLICE("");

        kv_time_text(log->since_ms ? log->since_ms : SOFT_NOW_MS - year_ms, time);
        if (log->state)
            assert_kv_ok(kv_arena_print(arena, &state, &err,
                                        ",\"state\":{\"%s\":{\"timestamp\":\"%s\"}}", log->state,
                                        time));
        kv_time_text(SOFT_NOW_MS - 24 * (int64_t)HOUR_MS, time);
        if (log->before)
            assert_kv_ok(kv_arena_print(arena, &before, &err,
                                        ",\"previous_operators\":[{\"name\":\"%s\","
                                        "\"end_time\":\"%s\"}]",
                                        log->before, time));
        if (!same)
            assert_kv_ok(kv_arena_print(arena, &text, &err,
                                        "%.*s%s{\"name\":\"%s\",\"email\":[],\"logs\":[",
                                        KV_SLICE_ARG(text), i ? "]}," : "", log->operator_name));
        assert_kv_ok(
            kv_arena_print(arena, &text, &err,
                           "%.*s%s{\"description\":\"%s\",\"log_id\":\"%.*s\",\"key\":\"%.*s\","
                           "\"url\":\"https://log.example/\",\"mmd\":86400%.*s%.*s}",
                           KV_SLICE_ARG(text), same ? "," : "", log->name,
                           KV_SLICE_ARG(pki_base64(kv_slice_of(log->id, sizeof(log->id)), arena)),
                           KV_SLICE_ARG(pki_base64(log->key.spki, arena)), KV_SLICE_ARG(state),
                           KV_SLICE_ARG(before)));
    }
    assert_kv_ok(
        kv_arena_print(arena, &text, &err, "%.*s%s]}", KV_SLICE_ARG(text), count ? "]}" : ""));
    return text;
}

/* --- timestamps --- */

typedef struct bytes {
    uint8_t data[LIST_MAX];
    size_t len;
} bytes;

static void put(bytes *to, uint64_t number, size_t size)
{
    assert_true(to->len + size <= sizeof(to->data));
    while (size--)
        to->data[to->len++] = (uint8_t)(number >> (8 * size));
}

static void append(bytes *to, const void *from, size_t len)
{
    assert_true(to->len + len <= sizeof(to->data));
    if (len)
        memcpy(to->data + to->len, from, len);
    to->len += len;
}

static X509 *parsed(kv_slice der)
{
    const unsigned char *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.len);

    assert_non_null(certificate);
    return certificate;
}

/* RFC 6962 section 3.2: what a log signs. */
static void signed_bytes(kv_slice leaf, kv_slice issuer, const test_sct *sct, int64_t time,
                         bytes *out)
{
    X509 *leaf_x509 = parsed(leaf), *issuer_x509 = parsed(issuer);
    unsigned char *tbs = NULL, *spki = NULL;
    uint8_t hash[SHA256_DIGEST_LENGTH];
    int tbs_len = i2d_re_X509_tbs(leaf_x509, &tbs);
    int spki_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(issuer_x509), &spki);

    assert_true(tbs_len > 0 && spki_len > 0);
    (void)SHA256(spki, (size_t)spki_len, hash);
    put(out, sct->version, 1);
    put(out, 0, 1);
    put(out, (uint64_t)time, 8);
    put(out, 1, 2);
    append(out, hash, sizeof(hash));
    put(out, (uint64_t)tbs_len, 3);
    append(out, tbs, (size_t)tbs_len);
    put(out, sct->extensions.len, 2);
    append(out, sct->extensions.data, sct->extensions.len);
    OPENSSL_free(tbs);
    OPENSSL_free(spki);
    X509_free(leaf_x509);
    X509_free(issuer_x509);
}

static void add_sct(kv_slice leaf, kv_slice issuer, const test_sct *sct, bytes *list)
{
    int64_t time = sct->time_ms ? sct->time_ms : SOFT_NOW_MS - HOUR_MS;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bytes *over = test_calloc(1, sizeof(*over)), *one = test_calloc(1, sizeof(*one));
    uint8_t signature[512];
    size_t len = sizeof(signature);

    signed_bytes(leaf, issuer, sct, time, over);
    assert_int_equal(EVP_DigestSignInit(digest, NULL, EVP_sha256(), NULL, sct->log->key.pair), 1);
    assert_int_equal(EVP_DigestSign(digest, signature, &len, over->data, over->len), 1);
    signature[len - 1] ^= sct->broken;
    put(one, sct->version, 1);
    append(one, sct->log->id, sizeof(sct->log->id));
    put(one, (uint64_t)time, 8);
    put(one, sct->extensions.len, 2);
    append(one, sct->extensions.data, sct->extensions.len);
    put(one, 4, 1); /* sha256 */
    put(one, EVP_PKEY_is_a(sct->log->key.pair, "RSA") != sct->mislabeled ? 1 : 3,
        1); /* rsa, ecdsa */
    put(one, len, 2);
    append(one, signature, len);
    put(list, one->len, 2);
    append(list, one->data, one->len);
    EVP_MD_CTX_free(digest);
    test_free(over);
    test_free(one);
}

kv_slice test_with_sct_bytes(kv_slice leaf, EVP_PKEY *signer, kv_slice list, kv_arena *arena)
{
    X509 *certificate = parsed(leaf);
    ASN1_OCTET_STRING *inner = ASN1_OCTET_STRING_new(), *outer = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension;
    unsigned char *der = NULL;
    kv_error err = { 0 };
    kv_slice out;
    int len;

    assert_true(ASN1_OCTET_STRING_set(inner, list.data, (int)list.len));
    len = i2d_ASN1_OCTET_STRING(inner, &der);
    assert_true(len > 0 && ASN1_OCTET_STRING_set(outer, der, len));
    OPENSSL_free(der);
    extension = X509_EXTENSION_create_by_NID(NULL, NID_ct_precert_scts, 0, outer);
    assert_true(extension && X509_add_ext(certificate, extension, -1));
    assert_true(X509_sign(certificate, signer, EVP_sha256()) > 0);
    der = NULL;
    len = i2d_X509(certificate, &der);
    assert_true(len > 0);
    assert_kv_ok(kv_arena_copy(arena, kv_slice_of(der, (size_t)len), &out, &err));
    OPENSSL_free(der);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(inner);
    ASN1_OCTET_STRING_free(outer);
    X509_free(certificate);
    return out;
}

kv_slice test_with_scts(kv_slice leaf, kv_slice issuer, EVP_PKEY *signer, const test_sct *scts,
                        size_t count, kv_arena *arena)
{
    bytes *list = test_calloc(1, sizeof(*list));
    kv_slice out;

    list->len = 2;
    for (size_t i = 0; i < count; i++)
        add_sct(leaf, issuer, &scts[i], list);
    list->data[0] = (uint8_t)((list->len - 2) >> 8);
    list->data[1] = (uint8_t)(list->len - 2);
    out = test_with_sct_bytes(leaf, signer, kv_slice_of(list->data, list->len), arena);
    test_free(list);
    return out;
}
