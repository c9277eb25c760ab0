/* oidc.c - identity providers: their rules, their keys, and who a token proves. */
#include "server/auth/oidc.h"

#include <stdlib.h>

#include <openssl/sha.h>

#include "server/auth/oidc_impl.h"
#include "server/base/text.h"

#define SECONDS INT64_C(1000000) /* in microseconds */

enum {
    DOUBLINGS = 5, /* from two seconds up to a minute */
    TRY_AGAIN_MS = 1000
};

struct kv_oidc {
    kv_http *http; /* borrowed */
    kv_log *log;   /* borrowed */
    kv_oidc_pace pace;
    unsigned count;
    kv_oidc_source sources[KV_OIDC_PROVIDERS];
    bool started;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards `stop` */
    pthread_cond_t wake;
    bool stop;
};

static const kv_oidc_pace usual_pace = { .refresh_us = 600 * SECONDS,
                                         .asked_us = 60 * SECONDS,
                                         .retry_us = 2 * SECONDS,
                                         .keep_us = 24 * 3600 * SECONDS };

/* --- configuration --- */

static kv_status wrong(const char *name, const char *key, const char *rule, kv_error *err)
{
    return kv_fail_field(err, key, "[oidc.%.32s] %s %s", name, key, rule);
}

static bool is_name(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= KV_OIDC_NAME_BYTES &&
           strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz-") == len;
}

/* The next of words that are separated by commas or blanks; empty at the end. */
static kv_slice next_word(const char **at)
{
    kv_slice word;

    *at += strspn(*at, ", \t");
    word = kv_slice_of(*at, strcspn(*at, ", \t"));
    *at += word.len;
    return word;
}

static kv_status read_algorithms(kv_oidc_source *source, const char *text, kv_error *err)
{
    kv_id_token_rules *rules = &source->rules;

    for (kv_slice word = next_word(&text); word.len; word = next_word(&text)) {
        const kv_jws_algorithm *row = kv_jws_algorithm_find(word);

        if (!row || rules->algorithm_count == KV_COUNT(rules->algorithms))
            return wrong(source->name, "algorithms",
                         "must be of RS256 to RS512, PS256 to PS512, ES256 to ES512 and EdDSA",
                         err);
        rules->algorithms[rules->algorithm_count++] = row;
    }
    if (!rules->algorithm_count)
        return wrong(source->name, "algorithms", "must name an algorithm", err);
    return KV_OK;
}

static bool is_claim(kv_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] <= ' ' || name.data[i] > '~' || name.data[i] == ':')
            return false;
    return name.len > 0 && name.len <= KV_OIDC_CLAIM_BYTES;
}

static kv_status read_claims(kv_oidc_source *source, kv_error *err)
{
    const char *at = source->claims;
    kv_id_token_rules *rules = &source->rules;

    for (kv_slice word = next_word(&at); word.len; word = next_word(&at)) {
        if (!is_claim(word) || rules->claim_count == KV_ID_CLAIMS)
            return wrong(source->name, "claims",
                         "must be at most 4 names of at most 64 bytes without a colon", err);
        rules->claims[rules->claim_count++] = word;
    }
    if (!rules->claim_count)
        return wrong(source->name, "claims", "must name a claim", err);
    return KV_OK;
}

static kv_status copy_texts(kv_oidc_source *source, const kv_oidc_provider *from, kv_error *err)
{
    source->issuer = strdup(from->issuer);
    source->audience = strdup(from->audience);
    source->jwks = strdup(from->jwks ? from->jwks : "");
    source->ca_file = strdup(from->ca_file ? from->ca_file : "");
    source->claims = strdup(from->claims);
    if (!source->issuer || !source->audience || !source->jwks || !source->ca_file ||
        !source->claims)
        return kv_fail(err, KV_BUSY, "out of memory");
    return KV_OK;
}

static kv_status fill_source(kv_oidc_source *source, const kv_oidc_provider *from, kv_error *err)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];

    (void)pthread_rwlock_init(&source->lock, NULL);
    KV_TRY(copy_texts(source, from, err));
    if (!is_name(from->name))
        return wrong(from->name, "name", "must be 1 to 32 of [0-9a-z-]", err);
    memcpy(source->name, from->name, strlen(from->name));
    if (strncmp(from->issuer, "https://", 8) != 0 || !from->issuer[8])
        return wrong(from->name, "issuer", "must be an https URL", err);
    if (!from->audience[0])
        return wrong(from->name, "audience", "is missing", err);
    if (source->jwks[0] && source->jwks[0] != '/' && strncmp(source->jwks, "https://", 8) != 0)
        return wrong(from->name, "jwks", "must be an https URL or a path", err);
    KV_TRY(read_algorithms(source, from->algorithms, err));
    KV_TRY(read_claims(source, err));
    source->rules.issuer = kv_slice_text(source->issuer);
    source->rules.audience = kv_slice_text(source->audience);
    source->rules.leeway_ms = from->leeway_seconds * 1000;
    source->token_most_ms = from->token_seconds * 1000;
    SHA256((const uint8_t *)from->issuer, strlen(from->issuer), hash);
    kv_hex(kv_slice_of(hash, sizeof(hash)), source->issuer_hash);
    return KV_OK;
}

static kv_oidc_source *find_issuer(kv_oidc *oidc, kv_slice issuer)
{
    for (unsigned i = 0; i < oidc->count; i++)
        if (kv_slice_equal(issuer, oidc->sources[i].rules.issuer))
            return &oidc->sources[i];
    return NULL;
}

static kv_status add_source(kv_oidc *oidc, const kv_oidc_provider *from, kv_error *err)
{
    /* Whose token it is follows from its issuer alone. */
    if (find_issuer(oidc, kv_slice_text(from->issuer)))
        return wrong(from->name, "issuer", "is another provider's already", err);
    /* Counted first, so that kv_oidc_free() cleans up what was begun. */
    return fill_source(&oidc->sources[oidc->count++], from, err);
}

kv_status kv_oidc_new(const kv_oidc_provider *providers, unsigned count, kv_http *http, kv_log *log,
                      kv_oidc **out, kv_error *err)
{
    kv_oidc *oidc = calloc(1, sizeof(*oidc));
    pthread_condattr_t monotonic;
    kv_status status = KV_OK;

    if (!oidc)
        return kv_fail(err, KV_BUSY, "out of memory");
    oidc->http = http;
    oidc->log = log;
    oidc->pace = usual_pace;
    (void)pthread_mutex_init(&oidc->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&oidc->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (count > KV_OIDC_PROVIDERS)
        status = kv_fail(err, KV_BAD_REQUEST, "at most %d identity providers can be configured",
                         KV_OIDC_PROVIDERS);
    for (unsigned i = 0; i < count && status == KV_OK; i++)
        status = add_source(oidc, &providers[i], err);
    if (status != KV_OK) {
        kv_oidc_free(oidc);
        return status;
    }
    *out = oidc;
    return KV_OK;
}

void kv_oidc_set_pace(kv_oidc *oidc, const kv_oidc_pace *pace)
{
    oidc->pace = *pace;
}

void kv_oidc_free(kv_oidc *oidc)
{
    if (!oidc)
        return;
    if (oidc->started) {
        (void)pthread_mutex_lock(&oidc->mutex);
        oidc->stop = true;
        (void)pthread_cond_signal(&oidc->wake);
        (void)pthread_mutex_unlock(&oidc->mutex);
        (void)pthread_join(oidc->thread, NULL);
    }
    for (unsigned i = 0; i < oidc->count; i++) {
        kv_oidc_source *source = &oidc->sources[i];

        kv_jwks_free(source->keys);
        free(source->issuer);
        free(source->audience);
        free(source->jwks);
        free(source->ca_file);
        free(source->claims);
        (void)pthread_rwlock_destroy(&source->lock);
    }
    (void)pthread_cond_destroy(&oidc->wake);
    (void)pthread_mutex_destroy(&oidc->mutex);
    free(oidc);
}

/* --- the thread that fetches --- */

/* When the keys are to be fetched next. */
static int64_t due_us(const kv_oidc_pace *pace, kv_oidc_source *source)
{
    unsigned doublings;
    int64_t due;

    (void)pthread_rwlock_rdlock(&source->lock);
    doublings = source->failures < DOUBLINGS ? source->failures : DOUBLINGS;
    if (!source->tried_us)
        due = 0;
    else if (source->failures)
        due = source->tried_us + (pace->retry_us << (doublings - 1));
    else
        due = source->tried_us + pace->refresh_us;
    if (source->asked_us && !source->failures)
        due = 0;
    (void)pthread_rwlock_unlock(&source->lock);
    return due;
}

static void fetch(kv_oidc *oidc, kv_oidc_source *source)
{
    kv_error err = { 0 };
    kv_jwks *keys = NULL, *old = NULL;
    kv_status status = kv_oidc_fetch(source, oidc->http, &keys, &err);

    (void)pthread_rwlock_wrlock(&source->lock);
    source->tried_us = kv_monotonic_us();
    source->asked_us = 0;
    if (status == KV_OK) {
        old = source->keys;
        source->keys = keys;
        source->fetched_us = source->tried_us;
        source->failures = 0;
    } else {
        source->failures++;
    }
    (void)pthread_rwlock_unlock(&source->lock);
    kv_jwks_free(old);
    if (status == KV_OK)
        kv_log_write(oidc->log, KV_LOG_DEBUG, "oidc.keys",
                     (kv_log_field[]){ { "provider", source->name, 0 },
                                       { "keys", NULL, kv_jwks_count(keys) },
                                       { 0 } });
    else if (status != KV_CANCELLED)
        kv_log_write(oidc->log, KV_LOG_WARNING, "oidc.keys_unavailable",
                     (kv_log_field[]){ { "provider", source->name, 0 },
                                       { "error", err.message, 0 },
                                       { "detail", err.detail, 0 },
                                       { 0 } });
}

/* True when it is time to stop. */
static bool rest(kv_oidc *oidc)
{
    int64_t due = kv_monotonic_us() + oidc->pace.refresh_us;
    bool stop;

    (void)pthread_mutex_lock(&oidc->mutex);
    for (unsigned i = 0; i < oidc->count; i++) {
        int64_t at = due_us(&oidc->pace, &oidc->sources[i]);

        due = at < due ? at : due;
    }
    if (!oidc->stop && due > kv_monotonic_us())
        (void)pthread_cond_timedwait(
            &oidc->wake, &oidc->mutex,
            &(struct timespec){ .tv_sec = due / SECONDS, .tv_nsec = due % SECONDS * 1000 });
    stop = oidc->stop;
    (void)pthread_mutex_unlock(&oidc->mutex);
    return stop;
}

static void *run(void *context)
{
    kv_oidc *oidc = context;

    do {
        for (unsigned i = 0; i < oidc->count; i++)
            if (due_us(&oidc->pace, &oidc->sources[i]) <= kv_monotonic_us())
                fetch(oidc, &oidc->sources[i]);
    } while (!rest(oidc));
    return NULL;
}

kv_status kv_oidc_start(kv_oidc *oidc, kv_error *err)
{
    if (pthread_create(&oidc->thread, NULL, run, oidc) != 0)
        return kv_fail(err, KV_BUSY, "no thread for the identity providers");
    oidc->started = true;
    return KV_OK;
}

/* --- who is it --- */

static kv_status come_again(kv_error *err)
{
    (void)kv_fail(err, KV_UNAVAILABLE, "the identity provider's keys are not here yet: try again");
    err->retry_ms = TRY_AGAIN_MS;
    return err->status;
}

/* A key is missing: perhaps it is new. Whether it is being fetched now. */
static bool ask_for_keys(kv_oidc *oidc, kv_oidc_source *source)
{
    int64_t now = kv_monotonic_us();
    bool asked;

    (void)pthread_rwlock_wrlock(&source->lock);
    if (!source->asked_us && source->tried_us && now - source->tried_us >= oidc->pace.asked_us)
        source->asked_us = now;
    asked = source->asked_us != 0 || !source->tried_us;
    (void)pthread_rwlock_unlock(&source->lock);
    if (asked) {
        (void)pthread_mutex_lock(&oidc->mutex);
        (void)pthread_cond_signal(&oidc->wake);
        (void)pthread_mutex_unlock(&oidc->mutex);
    }
    return asked;
}

static kv_status check(kv_oidc *oidc, kv_oidc_source *source, const kv_id_token_form *form,
                       const uint8_t thumbprint[32], int64_t now_ms, kv_arena *arena,
                       kv_id_token *out, kv_error *err)
{
    bool unknown_key = false, too_old;
    kv_status status = KV_UNAVAILABLE;

    (void)pthread_rwlock_rdlock(&source->lock);
    too_old = !source->keys || kv_monotonic_us() - source->fetched_us > oidc->pace.keep_us;
    if (!too_old)
        status = kv_id_token_check(form, &source->rules, source->keys, thumbprint, now_ms, arena,
                                   out, &unknown_key, err);
    (void)pthread_rwlock_unlock(&source->lock);
    if (too_old || (unknown_key && ask_for_keys(oidc, source)))
        return come_again(err);
    return status;
}

static kv_status print_match(const kv_oidc_source *source, kv_slice claim, kv_slice value,
                             kv_arena *arena, kv_slice *out, kv_error *err)
{
    return kv_arena_print(arena, out, err, "oidc:%s:%s:%.*s:%.*s", source->name,
                          source->issuer_hash, KV_SLICE_ARG(claim), KV_SLICE_ARG(value));
}

kv_status kv_oidc_identify(kv_oidc *oidc, kv_slice text, const uint8_t thumbprint[32],
                           int64_t now_ms, kv_arena *arena, kv_oidc_identity *out, kv_error *err)
{
    KV_AUTO(kv_id_token_form) form = { 0 };
    kv_oidc_identity identity = { 0 };
    kv_oidc_source *source;

    KV_TRY(kv_id_token_open(text, arena, &form, err));
    source = oidc ? find_issuer(oidc, form.issuer) : NULL;
    if (!source) {
        (void)kv_fail(err, KV_UNAUTHENTICATED,
                      "the ID token is not valid: its issuer (iss) is no provider of this server");
        return kv_because(err, KV_REASON_ID_TOKEN_INVALID);
    }
    KV_TRY(check(oidc, source, &form, thumbprint, now_ms, arena, &identity.token, err));
    identity.provider = source->name;
    identity.names = source->rules.claims;
    identity.token_most_ms = source->token_most_ms;
    identity.matches = kv_arena_array(arena, identity.token.count, sizeof(*identity.matches));
    if (!identity.matches)
        return kv_arena_full(err);
    for (unsigned i = 0; i < identity.token.count; i++)
        KV_TRY(print_match(source, source->rules.claims[identity.token.values[i].claim],
                           identity.token.values[i].text, arena, &identity.matches[i], err));
    *out = identity;
    return KV_OK;
}

kv_status kv_oidc_match(const kv_oidc *oidc, kv_slice provider, kv_slice claim, kv_slice value,
                        kv_arena *arena, kv_slice *out, kv_error *err)
{
    const kv_oidc_source *source = NULL;

    for (unsigned i = 0; oidc && i < oidc->count; i++)
        if (kv_slice_equal(provider, kv_slice_text(oidc->sources[i].name)))
            source = &oidc->sources[i];
    if (!source)
        return kv_fail_field(err, "provider", "must be an identity provider of this server");
    if (!claim.len)
        claim = source->rules.claims[0];
    if (!value.len || value.len > KV_ID_VALUE_BYTES || !kv_text_printable(value))
        return kv_fail_field(err, "value", "must be 1 to %d bytes of printable text",
                             KV_ID_VALUE_BYTES);
    for (unsigned i = 0; i < source->rules.claim_count; i++)
        if (kv_slice_equal(claim, source->rules.claims[i]))
            return print_match(source, claim, value, arena, out, err);
    return kv_fail_field(err, "claim", "must be one that [oidc.%s] maps (claims)", source->name);
}

bool kv_oidc_match_parts(kv_slice match, kv_slice *provider, kv_slice *claim, kv_slice *value)
{
    kv_slice parts[3] = { 0 };

    if (!kv_slice_starts_with(match, KV_SLICE("oidc:")))
        return false;
    match = kv_slice_of(match.data + 5, match.len - 5);
    for (unsigned i = 0; i < KV_COUNT(parts); i++) {
        const uint8_t *colon = match.len ? memchr(match.data, ':', match.len) : NULL;

        if (!colon)
            return false;
        parts[i] = kv_slice_of(match.data, (size_t)(colon - match.data));
        match = kv_slice_of(colon + 1, match.len - parts[i].len - 1);
    }
    *provider = parts[0];
    *claim = parts[2];
    *value = match;
    return true;
}
