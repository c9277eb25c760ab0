/* sct.c - each timestamp against its log's key, and all of them against what browsers want.
 *
 * OpenSSL's own check takes logs from a file alone, so the signature is checked here: over the
 * certificate without its list of timestamps, with the hash of the issuer's key (RFC 6962, section
 * 3.2).
 */
#include "server/x509/sct.h"

#include <openssl/ct.h>
#include <openssl/err.h>
#include <openssl/sha.h>

#include "server/base/text.h"
#include "server/x509/inspect.h"
#include "server/x509/openssl.h"
#include "server/x509/warnings.h"

#define DAY_MS INT64_C(86400000)

enum { HEAD_BYTES = 12, LENGTH_BYTES = 3, EXTENSIONS_MAX = 0xffff, TBS_MAX = 0xffffff };

static inline void free_timestamps(STACK_OF(SCT) *all)
{
    SCT_LIST_free(all);
}

KV_OSSL_TYPE(timestamps, STACK_OF(SCT), free_timestamps)
KV_OSSL_TYPE(digest, EVP_MD_CTX, EVP_MD_CTX_free)

typedef struct judging {
    kv_arena *arena;
    const kv_sct_in *in;
    kv_sct_verdict *out;
    kv_x509_warnings missing, notes;
    const kv_known_log *good[KV_SCT_MAX];
    kv_slice tbs; /* what logs have seen */
    uint8_t issuer_hash[SHA256_DIGEST_LENGTH];
    int64_t days;
} judging;

/* --- what is signed --- */

static kv_status find_tbs(judging *at, X509 *leaf, kv_error *err)
{
    KV_AUTO(kv_ossl_x509) copy = X509_dup(leaf);
    KV_AUTO(kv_ossl_bytes) der = NULL;
    int place = copy ? X509_get_ext_by_NID(copy, NID_ct_precert_scts, -1) : -1;
    int len;

    if (place < 0)
        return kv_ossl_failed(err, KV_INTERNAL, "a certificate could not be copied");
    X509_EXTENSION_free(X509_delete_ext(copy, place));
    len = i2d_re_X509_tbs(copy, &der);
    return kv_ossl_keep(at->arena, der, len, &at->tbs, err);
}

static kv_status hash_issuer(judging *at, kv_error *err)
{
    kv_x509_facts facts;
    size_t len = 0;

    if (!at->in->issuer.len)
        return KV_OK;
    KV_TRY(kv_x509_inspect(at->arena, at->in->issuer, &facts, err));
    if (!EVP_Q_digest(NULL, "SHA256", NULL, facts.spki.data, facts.spki.len, at->issuer_hash, &len))
        return kv_ossl_failed(err, KV_INTERNAL, "SHA-256 failed");
    return KV_OK;
}

static uint8_t *put(uint8_t *to, uint64_t number, size_t bytes)
{
    while (bytes--)
        *to++ = (uint8_t)(number >> (8 * bytes));
    return to;
}

static uint8_t *append(uint8_t *to, const void *from, size_t len)
{
    if (len)
        memcpy(to, from, len);
    return to + len;
}

/* version, kind, time, entry type, issuer, certificate, extensions */
static bool is_signed(const judging *at, const SCT *sct, const kv_known_log *log)
{
    KV_AUTO(kv_ossl_digest) digest = EVP_MD_CTX_new();
    KV_AUTO(kv_arena) arena = KV_ARENA(TBS_MAX);
    unsigned char *extensions, *signature;
    size_t extensions_len = SCT_get0_extensions(sct, &extensions);
    size_t signature_len = SCT_get0_signature(sct, &signature);
    uint8_t *bytes = NULL, *end;
    bool good;

    if (extensions_len <= EXTENSIONS_MAX && at->tbs.len <= TBS_MAX / 2)
        bytes = kv_arena_alloc(&arena, HEAD_BYTES + sizeof(at->issuer_hash) + LENGTH_BYTES +
                                           at->tbs.len + 2 + extensions_len);
    if (!bytes || !digest || !signature_len || SCT_get_signature_nid(sct) == NID_undef)
        return false;
    end = put(bytes, SCT_VERSION_V1, 1);
    end = put(end, 0, 1);
    end = put(end, SCT_get_timestamp(sct), 8);
    end = put(end, CT_LOG_ENTRY_TYPE_PRECERT, 2);
    end = append(end, at->issuer_hash, sizeof(at->issuer_hash));
    end = put(end, at->tbs.len, LENGTH_BYTES);
    end = append(end, at->tbs.data, at->tbs.len);
    end = put(end, extensions_len, 2);
    end = append(end, extensions, extensions_len);
    good = EVP_DigestVerifyInit(digest, NULL, EVP_sha256(), NULL, log->key) == 1 &&
           EVP_DigestVerify(digest, signature, signature_len, bytes, (size_t)(end - bytes)) == 1;
    ERR_clear_error();
    return good;
}

/* --- one timestamp --- */

static bool counted(const judging *at, const kv_known_log *log)
{
    for (unsigned i = 0; i < at->out->good; i++)
        if (at->good[i] == log)
            return true;
    return false;
}

/* NULL: it counts. */
static const char *objection(const judging *at, const SCT *sct, const kv_known_log *log)
{
    uint64_t time = SCT_get_timestamp(sct);

    if (log->state == KV_LOG_UNKNOWN || log->state == KV_LOG_PENDING ||
        log->state == KV_LOG_REJECTED)
        return "browsers do not accept this log";
    if (log->state == KV_LOG_RETIRED && time >= (uint64_t)log->since_ms)
        return "it was signed after the log was retired";
    if (time > (uint64_t)(at->in->now_ms + KV_SCT_SKEW_MS))
        return "its time is in the future";
    if (counted(at, log))
        return "this log has signed another one already";
    if (!is_signed(at, sct, log))
        return "the log did not sign it for this certificate and this issuer";
    return NULL;
}

static void count(judging *at, const kv_known_log *log)
{
    bool known = false;

    for (unsigned i = 0; i < at->out->good; i++)
        known = known || at->good[i]->operator_index == log->operator_index;
    at->good[at->out->good++] = log;
    at->out->operators += !known;
    at->out->current += log->state != KV_LOG_RETIRED;
}

static kv_status judge_one(judging *at, const SCT *sct, unsigned number, kv_error *err)
{
    unsigned char *id;
    size_t len = SCT_get0_log_id(sct, &id);
    const kv_known_log *log;
    char digits[2 * KV_LOG_ID_BYTES + 1] = "";
    const char *why;

    if (SCT_get_version(sct) != SCT_VERSION_V1 || len != KV_LOG_ID_BYTES)
        return kv_x509_warn(&at->notes, err, "timestamp %u is not of version 1", number);
    log = kv_log_list_find(at->in->logs, id);
    if (!log) {
        kv_hex(kv_slice_of(id, len), digits);
        return kv_x509_warn(&at->notes, err,
                            "timestamp %u is of a log that the log list does not have: %s", number,
                            digits);
    }
    why = objection(at, sct, log);
    if (why)
        return kv_x509_warn(&at->notes, err, "timestamp %u, of log '%.*s' (%s), does not count: %s",
                            number, KV_SLICE_ARG(log->description), kv_log_state_name(log->state),
                            why);
    count(at, log);
    return KV_OK;
}

/* --- all of them --- */

static kv_status judge_all(judging *at, X509 *leaf, kv_error *err)
{
    int critical = -1;
    KV_AUTO(kv_ossl_timestamps) all = X509_get_ext_d2i(leaf, NID_ct_precert_scts, &critical, NULL);
    int found = sk_SCT_num(all);

    ERR_clear_error();
    if (!all && critical != -1)
        return kv_x509_warn(&at->missing, err, "the certificate's list of timestamps is malformed");
    if (found <= 0)
        return kv_x509_warn(&at->missing, err,
                            "the certificate has no timestamps of logs, %u are needed",
                            at->out->needed);
    at->out->found = (unsigned)found;
    if (!at->in->issuer.len)
        return kv_x509_warn(&at->missing, err,
                            "the issuer's certificate is missing: without it no timestamp can be "
                            "checked");
    KV_TRY(find_tbs(at, leaf, err));
    for (int i = 0; i < found && i < KV_SCT_MAX; i++)
        KV_TRY(judge_one(at, sk_SCT_value(all, i), (unsigned)i + 1, err));
    if (found > KV_SCT_MAX)
        KV_TRY(kv_x509_warn(&at->notes, err, "timestamps after the first %d were not looked at",
                            KV_SCT_MAX));
    return KV_OK;
}

static kv_status tell_missing(judging *at, kv_error *err)
{
    const kv_sct_verdict *out = at->out;

    if (at->missing.count)
        return KV_OK;
    if (out->good < out->needed)
        KV_TRY(kv_x509_warn(&at->missing, err,
                            "%u of its %u timestamps count, %u are needed for %lld days", out->good,
                            out->found, out->needed, (long long)at->days));
    if (out->good > 1 && out->operators < 2)
        KV_TRY(kv_x509_warn(&at->missing, err,
                            "all timestamps that count are of logs of '%.*s': two operators are "
                            "needed",
                            KV_SLICE_ARG(at->good[0]->operator_name)));
    if (out->good && !out->current)
        KV_TRY(kv_x509_warn(&at->missing, err,
                            "every log whose timestamp counts has been retired: one in use is "
                            "needed"));
    return KV_OK;
}

kv_status kv_sct_judge(kv_arena *arena, const kv_sct_in *in, kv_sct_verdict *out, kv_error *err)
{
    KV_AUTO(kv_ossl_x509) leaf = kv_ossl_parse_certificate(in->leaf);
    kv_sct_verdict verdict = { 0 };
    judging at = { .arena = arena,
                   .in = in,
                   .out = &verdict,
                   .missing = { .arena = arena },
                   .notes = { .arena = arena } };
    kv_x509_facts facts;
    int64_t life;

    if (!leaf)
        return kv_fail(err, KV_BAD_REQUEST, "it is not a certificate");
    KV_TRY(kv_x509_inspect(arena, in->leaf, &facts, err));
    life = facts.not_after_ms - facts.not_before_ms;
    at.days = (life + DAY_MS - 1) / DAY_MS;
    verdict.needed = life > KV_SCT_SHORT_DAYS * DAY_MS ? 3 : 2;
    KV_TRY(hash_issuer(&at, err));
    KV_TRY(judge_all(&at, leaf, err));
    KV_TRY(tell_missing(&at, err));
    verdict.enough = !at.missing.count;
    KV_TRY(kv_x509_warnings_keep(&at.missing, &verdict.missing, err));
    KV_TRY(kv_x509_warnings_keep(&at.notes, &verdict.notes, err));
    *out = verdict;
    return KV_OK;
}
