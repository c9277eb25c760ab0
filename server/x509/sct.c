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

enum { HEAD_BYTES = 12, LENGTH_BYTES = 3, SIGNED_MAX = 1 << 18 };

static inline void free_timestamps(STACK_OF(SCT) *all)
{
    SCT_LIST_free(all);
}

KV_OSSL_TYPE(timestamps, STACK_OF(SCT), free_timestamps)
KV_OSSL_TYPE(digest, EVP_MD_CTX, EVP_MD_CTX_free)

/* A timestamp that its log has signed. */
typedef struct signed_one {
    const kv_known_log *log;
    unsigned number; /* from 1 */
    int64_t time_ms;
} signed_one;

typedef struct judging {
    kv_arena *arena;
    const kv_sct_in *in;
    kv_sct_verdict *out;
    kv_x509_warnings missing, notes;
    signed_one good[KV_SCT_MAX];
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
static kv_status signed_bytes(const judging *at, const SCT *sct, kv_arena *arena, kv_slice *out,
                              kv_error *err)
{
    unsigned char *extensions;
    size_t extensions_len = SCT_get0_extensions(sct, &extensions);
    size_t room =
        HEAD_BYTES + sizeof(at->issuer_hash) + LENGTH_BYTES + at->tbs.len + 2 + extensions_len;
    uint8_t *bytes = kv_arena_alloc(arena, room);
    uint8_t *end;

    if (!bytes)
        return kv_arena_full(err);
    end = put(bytes, SCT_VERSION_V1, 1);
    end = put(end, 0, 1);
    end = put(end, SCT_get_timestamp(sct), 8);
    end = put(end, CT_LOG_ENTRY_TYPE_PRECERT, 2);
    end = append(end, at->issuer_hash, sizeof(at->issuer_hash));
    end = put(end, at->tbs.len, LENGTH_BYTES);
    end = append(end, at->tbs.data, at->tbs.len);
    end = put(end, extensions_len, 2);
    end = append(end, extensions, extensions_len);
    *out = kv_slice_of(bytes, (size_t)(end - bytes));
    return KV_OK;
}

/* SHA-256 with a key of the log's kind. */
static bool fits_key(const SCT *sct, const kv_known_log *log)
{
    return SCT_get_signature_nid(sct) ==
           (EVP_PKEY_is_a(log->key, "RSA") ? NID_sha256WithRSAEncryption : NID_ecdsa_with_SHA256);
}

static kv_status verify(const judging *at, const SCT *sct, const kv_known_log *log, bool *good,
                        kv_error *err)
{
    KV_AUTO(kv_ossl_digest) digest = EVP_MD_CTX_new();
    KV_AUTO(kv_arena) arena = KV_ARENA(SIGNED_MAX);
    unsigned char *signature;
    size_t len = SCT_get0_signature(sct, &signature);
    kv_slice bytes;

    *good = false;
    if (!len || !fits_key(sct, log))
        return KV_OK;
    KV_TRY(signed_bytes(at, sct, &arena, &bytes, err));
    if (!digest || EVP_DigestVerifyInit(digest, NULL, EVP_sha256(), NULL, log->key) != 1)
        return kv_ossl_failed(err, KV_INTERNAL, "a signature could not be checked");
    *good = EVP_DigestVerify(digest, signature, len, bytes.data, bytes.len) == 1;
    ERR_clear_error();
    return KV_OK;
}

/* --- one timestamp --- */

static bool counted(const judging *at, const kv_known_log *log)
{
    for (unsigned i = 0; i < at->out->good; i++)
        if (at->good[i].log == log)
            return true;
    return false;
}

/* The list may say that a log will be. */
static bool is_retired(const judging *at, const kv_known_log *log)
{
    return log->state == KV_LOG_RETIRED && at->in->now_ms >= log->since_ms;
}

/* What is said of it without looking at its signature; NULL: nothing. */
static const char *objection(const judging *at, const SCT *sct, const kv_known_log *log)
{
    uint64_t time = SCT_get_timestamp(sct);

    if (log->state == KV_LOG_UNKNOWN || log->state == KV_LOG_PENDING ||
        log->state == KV_LOG_REJECTED)
        return "browsers do not accept this log";
    if (is_retired(at, log) && time >= (uint64_t)log->since_ms)
        return "it was signed after the log was retired";
    if (time > (uint64_t)(at->in->now_ms + KV_SCT_SKEW_MS))
        return "its time is in the future";
    if (counted(at, log))
        return "this log has signed another one already";
    return NULL;
}

static kv_status note(judging *at, unsigned number, const kv_known_log *log, const char *why,
                      kv_error *err)
{
    return kv_x509_warn(&at->notes, err, "timestamp %u, of log '%.*s' (%s), does not count: %s",
                        number, KV_SLICE_ARG(log->description), kv_log_state_name(log->state), why);
}

static kv_status judge_one(judging *at, const SCT *sct, unsigned number, kv_error *err)
{
    unsigned char *id;
    size_t len = SCT_get0_log_id(sct, &id);
    const kv_known_log *log;
    char digits[2 * KV_LOG_ID_BYTES + 1] = "";
    const char *why;
    bool good;

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
        return note(at, number, log, why, err);
    KV_TRY(verify(at, sct, log, &good, err));
    if (!good)
        return note(at, number, log, "the log did not sign it for this certificate and this issuer",
                    err);
    at->good[at->out->good++] =
        (signed_one){ .log = log, .number = number, .time_ms = (int64_t)SCT_get_timestamp(sct) };
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
                            "checked; bring it along");
    KV_TRY(find_tbs(at, leaf, err));
    for (int i = 0; i < found && i < KV_SCT_MAX; i++)
        KV_TRY(judge_one(at, sk_SCT_value(all, i), (unsigned)i + 1, err));
    if (found > KV_SCT_MAX)
        KV_TRY(kv_x509_warn(&at->notes, err, "timestamps after the first %d were not looked at",
                            KV_SCT_MAX));
    return KV_OK;
}

/* Chrome takes the first timestamp of a log in use for the time when the certificate was issued: a
 * log that had been retired by then does not count, whatever it signed before. */
static kv_status drop_retired(judging *at, kv_error *err)
{
    int64_t issued_ms = INT64_MAX;
    unsigned kept = 0;

    for (unsigned i = 0; i < at->out->good; i++)
        if (!is_retired(at, at->good[i].log) && at->good[i].time_ms < issued_ms)
            issued_ms = at->good[i].time_ms;
    for (unsigned i = 0; i < at->out->good; i++) {
        const signed_one *one = &at->good[i];

        if (issued_ms != INT64_MAX && is_retired(at, one->log) && issued_ms >= one->log->since_ms)
            KV_TRY(note(at, one->number, one->log,
                        "the log was retired before any that is in use signed one", err));
        else
            at->good[kept++] = *one;
    }
    at->out->good = kept;
    return KV_OK;
}

static kv_slice operator_of(const signed_one *one)
{
    return kv_known_log_operator(one->log, one->time_ms);
}

static void count(judging *at)
{
    for (unsigned i = 0; i < at->out->good; i++) {
        bool known = false;

        for (unsigned k = 0; k < i; k++)
            known = known || kv_slice_equal(operator_of(&at->good[i]), operator_of(&at->good[k]));
        at->out->operators += !known;
        at->out->current += !is_retired(at, at->good[i].log);
    }
}

/* New logs come every half year; who has an old list learns of them by nothing else. */
static kv_status tell_age(judging *at, kv_error *err)
{
    int64_t days = (at->in->now_ms - at->in->logs->made_ms) / DAY_MS;

    if (!at->missing.count || days <= KV_LOG_LIST_OLD_DAYS)
        return KV_OK;
    return kv_x509_warn(&at->missing, err,
                        "the log list is %lld days old and may not have newer logs: replace it",
                        (long long)days);
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
                            KV_SLICE_ARG(operator_of(&at->good[0]))));
    if (out->good && !out->current)
        KV_TRY(kv_x509_warn(&at->missing, err,
                            "every log whose timestamp counts has been retired: one in use is "
                            "needed"));
    return tell_age(at, err);
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
    KV_TRY(drop_retired(&at, err));
    count(&at);
    KV_TRY(tell_missing(&at, err));
    verdict.enough = !at.missing.count;
    KV_TRY(kv_x509_warnings_keep(&at.missing, &verdict.missing, err));
    KV_TRY(kv_x509_warnings_keep(&at.notes, &verdict.notes, err));
    *out = verdict;
    return KV_OK;
}
