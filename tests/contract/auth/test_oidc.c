/* test_oidc.c - the keys of an identity provider: fetched, kept, missed, refused. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "server/auth/oidc_impl.h"
#include "server/base/text.h"
#include "tests/contract/auth/test_certificates.h"
#include "tests/support/http_peer.h"
#include "tests/support/kv_cmocka.h"

enum { PATIENCE = 6000, NAP_MS = 10 };

typedef enum mood {
    MOOD_GOOD,
    MOOD_HANGS,
    MOOD_FAILS,     /* 500 */
    MOOD_OTHER,     /* the discovery document of somebody else */
    MOOD_ELSEWHERE, /* keys behind plain http */
    MOOD_LOCAL,     /* keys in a file of the server's machine */
    MOOD_REDIRECTS, /* to the keys */
    MOOD_NO_KEYS,
    MOOD_HUGE,
    MOOD_COUNT
} mood;

typedef struct world {
    made_certificate *leaf;
    char ca_file[64];
    char keys_file[64]; /* good ones, while a test wants them */
    http_peer *peer;
    char issuer[64];
    kv_http *http;
    kv_oidc *oidc;
    EVP_PKEY *key;
    _Atomic mood mood;
    atomic_int generation; /* the kid that is published */
    atomic_int fetches;    /* of keys */
    kv_arena arena;
    kv_error err;
} world;

static void nap(void)
{
    (void)nanosleep(&(struct timespec){ .tv_nsec = NAP_MS * 1000000L }, NULL);
}

/* --- the provider --- */

static kv_slice keys_of(const world *at, kv_arena *arena)
{
    uint8_t raw[32];
    size_t len = sizeof(raw);
    kv_slice text, json;
    kv_error err = { 0 };

    if (EVP_PKEY_get_raw_public_key(at->key, raw, &len) != 1 ||
        kv_base64url(arena, kv_slice_of(raw, len), &text, &err) != KV_OK ||
        kv_arena_print(arena, &json, &err,
                       "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k%d\",\"x\":\"%."
                       "*s\"}]}",
                       atomic_load(&at->generation), KV_SLICE_ARG(text)) != KV_OK)
        abort();
    return json;
}

static bool say_keys(world *at, http_peer_link *link)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(4096);

    atomic_fetch_add(&at->fetches, 1);
    return http_peer_answer(link, "200 OK", "", keys_of(at, &arena));
}

static bool say_discovery(world *at, http_peer_link *link)
{
    char text[512];
    mood now = atomic_load(&at->mood);

    if (now == MOOD_LOCAL)
        (void)snprintf(text, sizeof(text), "{\"issuer\":\"%s\",\"jwks_uri\":\"%s\"}", at->issuer,
                       at->keys_file);
    else
        (void)snprintf(text, sizeof(text), "{\"issuer\":\"%s%s\",\"jwks_uri\":\"%s%s/keys\"}",
                       at->issuer, now == MOOD_OTHER ? "/other" : "",
                       now == MOOD_ELSEWHERE ? "http" : "https", at->issuer + strlen("https"));
    return http_peer_answer(link, "200 OK", "", kv_slice_text(text));
}

static bool serve(void *context, http_peer_link *link, const char *path, kv_slice request)
{
    static char huge[KV_JWKS_BYTES + 1];
    world *at = context;
    mood now = atomic_load(&at->mood);

    (void)request;
    if (!strcmp(path, "/.well-known/openid-configuration"))
        return say_discovery(at, link);
    if (now == MOOD_HANGS)
        while (atomic_load(&at->mood) == MOOD_HANGS)
            nap();
    if (now == MOOD_FAILS)
        return http_peer_answer(link, "500 Oops", "", KV_SLICE("{\"keys\":[]}"));
    if (now == MOOD_NO_KEYS)
        return http_peer_answer(link, "200 OK", "", KV_SLICE("{\"keys\":[]}"));
    if (now == MOOD_HUGE)
        return http_peer_answer(link, "200 OK", "", kv_slice_of(huge, sizeof(huge)));
    if (now == MOOD_REDIRECTS)
        return http_peer_answer(link, "302 Found", "Location: /more\r\n", KV_SLICE_NONE);
    return say_keys(at, link);
}

/* --- the world --- */

static void write_ca(world *at)
{
    FILE *file;
    int fd;

    (void)snprintf(at->ca_file, sizeof(at->ca_file), "/tmp/kv-oidc-XXXXXX");
    fd = mkstemp(at->ca_file);
    assert_true(fd >= 0);
    file = fdopen(fd, "w");
    assert_true(file && PEM_write_X509(file, at->leaf->x509) == 1);
    (void)fclose(file);
}

static kv_status provider_of(world *at, const kv_oidc_provider *change, kv_oidc **out)
{
    kv_oidc_provider provider = { .name = "corp",
                                  .issuer = at->issuer,
                                  .audience = "kv",
                                  .algorithms = "EdDSA",
                                  .claims = "sub",
                                  .leeway_seconds = 60,
                                  .token_seconds = 600 };

    at->err = (kv_error){ 0 };
    return kv_oidc_new(change ? change : &provider, 1, at->http, NULL, out, &at->err);
}

static void open_oidc(world *at, const kv_oidc_pace *pace)
{
    assert_kv_ok_with(provider_of(at, NULL, &at->oidc), &at->err);
    if (pace)
        kv_oidc_set_pace(at->oidc, pace);
    assert_kv_ok_with(kv_oidc_start(at->oidc, &at->err), &at->err);
}

static int set_up(void **state)
{
    world *at = calloc(1, sizeof(*at));
    int64_t now = time(NULL);
    kv_http_config config = { .user_agent = "kv/test", .ca_file = at->ca_file };

    at->leaf = make_certificate(&(certificate_shape){ .name = "provider",
                                                      .alternative = "DNS:localhost",
                                                      .from_s = now - 60,
                                                      .until_s = now + 3600 });
    write_ca(at);
    at->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    at->peer = http_peer_start(at->leaf->key, at->leaf->x509, false, serve, at);
    (void)snprintf(at->issuer, sizeof(at->issuer), "https://localhost:%u",
                   http_peer_port(at->peer));
    assert_kv_ok_with(kv_networks_parse(KV_SLICE("127.0.0.0/8"), "n", &config.addresses, &at->err),
                      &at->err);
    assert_kv_ok_with(kv_http_new(&config, &at->http, &at->err), &at->err);
    at->arena = KV_ARENA(64 << 20);
    *state = at;
    return 0;
}

static int take_down(void **state)
{
    world *at = *state;

    kv_http_stop(at->http);
    kv_oidc_free(at->oidc);
    kv_http_free(at->http);
    atomic_store(&at->mood, MOOD_GOOD);
    http_peer_stop(at->peer);
    (void)unlink(at->ca_file);
    EVP_PKEY_free(at->key);
    free_certificate(at->leaf);
    kv_arena_cleanup(&at->arena);
    free(at);
    return 0;
}

static kv_slice part(world *at, kv_slice bytes)
{
    kv_slice text;

    assert_kv_ok_with(kv_base64url(&at->arena, bytes, &text, &at->err), &at->err);
    return text;
}

static kv_slice token(world *at, int generation)
{
    char header[64], payload[256];
    uint8_t raw[64];
    size_t len = sizeof(raw);
    kv_slice text, whole;
    int64_t now = time(NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    (void)snprintf(header, sizeof(header), "{\"alg\":\"EdDSA\",\"kid\":\"k%d\"}", generation);
    (void)snprintf(payload, sizeof(payload),
                   "{\"iss\":\"%s\",\"sub\":\"alice\",\"aud\":\"kv\",\"iat\":%lld,\"exp\":%lld}",
                   at->issuer, (long long)now, (long long)now + 300);
    assert_kv_ok_with(kv_arena_print(&at->arena, &text, &at->err, "%.*s.%.*s",
                                     KV_SLICE_ARG(part(at, kv_slice_text(header))),
                                     KV_SLICE_ARG(part(at, kv_slice_text(payload)))),
                      &at->err);
    assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, at->key), 1);
    assert_int_equal(EVP_DigestSign(context, raw, &len, text.data, text.len), 1);
    EVP_MD_CTX_free(context);
    assert_kv_ok_with(kv_arena_print(&at->arena, &whole, &at->err, "%.*s.%.*s", KV_SLICE_ARG(text),
                                     KV_SLICE_ARG(part(at, kv_slice_of(raw, len)))),
                      &at->err);
    return whole;
}

static kv_status identify(world *at, int generation, kv_oidc_identity *out)
{
    const uint8_t thumbprint[32] = { 0 };

    at->err = (kv_error){ 0 };
    return kv_oidc_identify(at->oidc, token(at, generation), thumbprint, (int64_t)time(NULL) * 1000,
                            &at->arena, out, &at->err);
}

/* As a caller who is told to come again. */
static kv_status insist(world *at, int generation)
{
    kv_oidc_identity identity;
    kv_status status = KV_UNAVAILABLE;

    for (int i = 0; i < PATIENCE && status == KV_UNAVAILABLE; i++) {
        status = identify(at, generation, &identity);
        if (status == KV_UNAVAILABLE) {
            assert_true(at->err.retry_ms > 0);
            nap();
        }
    }
    return status;
}

/* --- tests --- */

static void keys_come_by_themselves_and_make_somebody_known(void **state)
{
    world *at = *state;
    kv_oidc_identity identity;
    kv_slice match, provider, claim, value;

    assert_kv_ok_with(provider_of(at, NULL, &at->oidc), &at->err);
    assert_int_equal(identify(at, 0, &identity), KV_UNAVAILABLE); /* not started */
    kv_oidc_free(at->oidc);
    open_oidc(at, NULL);
    assert_int_equal(insist(at, 0), KV_OK);
    assert_int_equal(identify(at, 0, &identity), KV_OK);
    assert_int_equal(atomic_load(&at->fetches), 1);
    assert_string_equal(identity.provider, "corp");
    assert_int_equal(identity.token_most_ms, 600000);
    assert_int_equal(identity.token.count, 1);
    assert_kv_ok_with(kv_oidc_match(at->oidc, KV_SLICE("corp"), KV_SLICE("sub"), KV_SLICE("alice"),
                                    &at->arena, &match, &at->err),
                      &at->err);
    assert_slice_equal(match, identity.matches[0]);
    assert_true(kv_oidc_match_parts(match, &provider, &claim, &value));
    assert_slice_equal(KV_SLICE("corp"), provider);
    assert_slice_equal(KV_SLICE("sub"), claim);
    assert_slice_equal(KV_SLICE("alice"), value);
    assert_false(kv_oidc_match_parts(KV_SLICE("oidc:a:b:c"), &provider, &claim, &value));
    assert_false(kv_oidc_match_parts(KV_SLICE("sha256:00"), &provider, &claim, &value));
}

static void a_missing_key_is_fetched_but_not_at_anybodys_bidding(void **state)
{
    world *at = *state;
    kv_oidc_identity identity;
    kv_oidc_pace pace = { .refresh_us = 3600 * INT64_C(1000000),
                          .asked_us = 5000000,
                          .retry_us = 50000,
                          .keep_us = 3600 * INT64_C(1000000) };

    open_oidc(at, &pace);
    assert_int_equal(insist(at, 0), KV_OK);
    atomic_store(&at->generation, 1);
    /* Just fetched: refused at once. */
    assert_int_equal(identify(at, 1, &identity), KV_UNAUTHENTICATED);
    assert_int_equal(atomic_load(&at->fetches), 1);
    (void)nanosleep(&(struct timespec){ .tv_sec = 5, .tv_nsec = 1000000L }, NULL);
    assert_int_equal(identify(at, 1, &identity), KV_UNAVAILABLE);
    assert_int_equal(insist(at, 1), KV_OK);
    assert_int_equal(atomic_load(&at->fetches), 2);
    /* The old key has gone with the set it was in. */
    assert_int_equal(insist(at, 0), KV_UNAUTHENTICATED);
    for (int i = 0; i < 50; i++)
        assert_int_equal(identify(at, 1000 + i, &identity), KV_UNAUTHENTICATED);
    assert_int_equal(atomic_load(&at->fetches), 2);
}

static void keys_are_kept_for_a_while_when_the_provider_fails(void **state)
{
    world *at = *state;
    kv_oidc_identity identity;
    kv_oidc_pace pace = {
        .refresh_us = 100000, .asked_us = 1000000, .retry_us = 50000, .keep_us = 5000000
    };
    int status = KV_OK;

    open_oidc(at, &pace);
    assert_int_equal(insist(at, 0), KV_OK);
    atomic_store(&at->mood, MOOD_FAILS);
    (void)nanosleep(&(struct timespec){ .tv_nsec = 300 * 1000000L }, NULL);
    assert_int_equal(identify(at, 0, &identity), KV_OK);
    for (int i = 0; i < PATIENCE && status == KV_OK; i++) {
        nap();
        status = identify(at, 0, &identity);
    }
    assert_int_equal(status, KV_UNAVAILABLE);
    atomic_store(&at->mood, MOOD_GOOD);
    assert_int_equal(insist(at, 0), KV_OK);
}

static void write_keys(world *at)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(4096);
    kv_slice json = keys_of(at, &arena);
    int fd;

    (void)snprintf(at->keys_file, sizeof(at->keys_file), "/tmp/kv-oidc-keys-XXXXXX");
    fd = mkstemp(at->keys_file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, json.data, json.len), json.len);
    (void)close(fd);
}

static void a_provider_that_misbehaves_gives_no_keys(void **state)
{
    world *at = *state;
    kv_oidc_source source = { .issuer = at->issuer, .jwks = (char *)"", .ca_file = (char *)"" };
    kv_jwks *from_file = NULL;

    write_keys(at);
    for (int now = MOOD_FAILS; now < MOOD_COUNT; now++) {
        kv_jwks *keys = NULL;

        atomic_store(&at->mood, (mood)now);
        at->err = (kv_error){ 0 };
        if (kv_oidc_fetch(&source, at->http, &keys, &at->err) == KV_OK)
            fail_msg("mood %d gives keys", now);
        assert_non_null(at->err.message);
        assert_true(at->err.message[0]);
    }
    assert_int_equal(atomic_load(&at->fetches), 0);
    /* Named by the operator it is taken. */
    source.jwks = at->keys_file;
    at->err = (kv_error){ 0 };
    assert_int_equal(kv_oidc_fetch(&source, at->http, &from_file, &at->err), KV_OK);
    kv_jwks_free(from_file);
    (void)unlink(at->keys_file);
}

static void keys_can_come_from_a_file(void **state)
{
    world *at = *state;
    kv_oidc_source source = { .issuer = at->issuer, .jwks = at->ca_file, .ca_file = (char *)"" };
    kv_jwks *keys = NULL;

    assert_int_equal(kv_oidc_fetch(&source, at->http, &keys, &at->err), KV_UNAVAILABLE);
    source.jwks = (char *)"/nonexistent/keys.json";
    assert_int_equal(kv_oidc_fetch(&source, at->http, &keys, &at->err), KV_UNAVAILABLE);
    assert_int_equal(http_peer_links(at->peer), 0);
}

static void a_provider_that_hangs_keeps_nobody_waiting(void **state)
{
    world *at = *state;
    kv_oidc_identity identity;
    int64_t start;

    atomic_store(&at->mood, MOOD_HANGS);
    open_oidc(at, NULL);
    while (http_peer_links(at->peer) < 1)
        nap();
    start = kv_monotonic_us();
    for (int i = 0; i < 20; i++)
        assert_int_equal(identify(at, 0, &identity), KV_UNAVAILABLE);
    kv_http_stop(at->http);
    kv_oidc_free(at->oidc);
    at->oidc = NULL;
    /* A fetch may take ten seconds. */
    assert_in_range(kv_monotonic_us() - start, 0, 9000000);
}

static void a_configuration_that_makes_no_sense_is_refused(void **state)
{
    world *at = *state;
    const kv_oidc_provider good = { .name = "corp",
                                    .issuer = "https://a",
                                    .audience = "kv",
                                    .algorithms = "RS256, ES512",
                                    .claims = "sub groups" };
    kv_oidc_provider bad[11], two[2] = { good, good };
    kv_oidc *oidc = NULL;

    for (size_t i = 0; i < KV_COUNT(bad); i++)
        bad[i] = good;
    bad[0].name = "Corp";
    bad[1].name = "";
    bad[2].issuer = "http://a";
    bad[3].issuer = "https://";
    bad[4].audience = "";
    bad[5].jwks = "http://a/keys";
    bad[6].algorithms = "none";
    bad[7].algorithms = "RS256 HS256";
    bad[8].algorithms = "";
    bad[9].claims = "";
    bad[10].claims = "a b c d e";
    for (size_t i = 0; i < KV_COUNT(bad); i++) {
        if (provider_of(at, &bad[i], &oidc) != KV_BAD_REQUEST)
            fail_msg("%zu is taken", i);
        assert_true(at->err.field[0]);
    }
    assert_kv_ok_with(provider_of(at, &good, &oidc), &at->err);
    kv_oidc_free(oidc);
    two[1].name = "other";
    assert_int_equal(kv_oidc_new(two, 2, at->http, NULL, &oidc, &at->err), KV_BAD_REQUEST);
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, take_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(keys_come_by_themselves_and_make_somebody_known),
        IN_A_WORLD(a_missing_key_is_fetched_but_not_at_anybodys_bidding),
        IN_A_WORLD(keys_are_kept_for_a_while_when_the_provider_fails),
        IN_A_WORLD(a_provider_that_misbehaves_gives_no_keys),
        IN_A_WORLD(keys_can_come_from_a_file),
        IN_A_WORLD(a_provider_that_hangs_keeps_nobody_waiting),
        IN_A_WORLD(a_configuration_that_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests_name("oidc", tests, NULL, NULL);
}
