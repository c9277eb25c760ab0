/* oidc_fetch.c - the keys of an identity provider, from where it says they are. */
#include "server/auth/oidc_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

enum { FETCH_MS = 10000, DISCOVERY_BYTES = 128 * 1024, ARENA_BYTES = 2 * 1024 * 1024 };

static void json_cleanup(json_t **json)
{
    json_decref(*json);
}

static kv_status get(const kv_oidc_source *source, kv_http *http, const char *url, size_t most,
                     kv_arena *arena, kv_slice *out, kv_error *err)
{
    const kv_http_header accept = { KV_SLICE("Accept"), KV_SLICE("application/json") };
    kv_http_request request = { .method = KV_HTTP_GET,
                                .url = url,
                                .headers = &accept,
                                .header_count = 1,
                                .deadline = kv_deadline_in_ms(FETCH_MS),
                                .body_most = most,
                                .ca_file = source->ca_file };
    kv_http_answer answer;

    KV_TRY(kv_http_send(http, &request, arena, &answer, err));
    if (answer.status != 200)
        return kv_fail(err, KV_UNAVAILABLE, "the identity provider answers %d", answer.status);
    *out = answer.body;
    return KV_OK;
}

/* OpenID Connect Discovery, 4.3: the issuer that is told must be the one that was asked. */
static kv_status read_discovery(const kv_oidc_source *source, kv_slice body, kv_arena *arena,
                                const char **out, kv_error *err)
{
    json_error_t where;
    __attribute__((cleanup(json_cleanup))) json_t *document =
        json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, &where);
    const char *issuer = json_string_value(json_object_get(document, "issuer"));
    const char *place = json_string_value(json_object_get(document, "jwks_uri"));

    if (!issuer || strcmp(issuer, source->issuer) != 0)
        return kv_fail(err, KV_UNAVAILABLE, "the discovery document is of another issuer");
    if (!place)
        return kv_fail(err, KV_UNAVAILABLE, "the discovery document names no jwks_uri");
    return kv_arena_text(arena, kv_slice_text(place), out, err);
}

static kv_status discover(const kv_oidc_source *source, kv_http *http, kv_arena *arena,
                          const char **out, kv_error *err)
{
    size_t len = strlen(source->issuer);
    kv_slice url, body;

    KV_TRY(kv_arena_print(arena, &url, err, "%.*s/.well-known/openid-configuration",
                          (int)(source->issuer[len - 1] == '/' ? len - 1 : len), source->issuer));
    KV_TRY(get(source, http, (const char *)url.data, DISCOVERY_BYTES, arena, &body, err));
    return read_discovery(source, body, arena, out, err);
}

static kv_status read_file(const char *path, kv_arena *arena, kv_slice *out, kv_error *err)
{
    FILE *file = fopen(path, "re");
    uint8_t *bytes = kv_arena_alloc(arena, KV_JWKS_BYTES + 1);
    size_t len;
    bool failed;

    if (!file || !bytes) {
        (void)kv_fail(err, KV_UNAVAILABLE, "the identity provider's keys cannot be read");
        if (file)
            (void)fclose(file);
        return kv_note(err, "%.100s: %s", path, strerror(errno));
    }
    len = fread(bytes, 1, KV_JWKS_BYTES + 1, file);
    failed = ferror(file) != 0;
    (void)fclose(file);
    if (failed || len > KV_JWKS_BYTES)
        return kv_fail(err, KV_UNAVAILABLE, "the identity provider's keys cannot be read");
    *out = kv_slice_of(bytes, len);
    return KV_OK;
}

kv_status kv_oidc_fetch(const kv_oidc_source *source, kv_http *http, kv_jwks **out, kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA_BYTES);
    const char *place = source->jwks;
    kv_slice json;

    /* A file is the operator's to name, not the provider's. */
    if (place[0] == '/') {
        KV_TRY(read_file(place, &arena, &json, err));
    } else {
        if (!place[0])
            KV_TRY(discover(source, http, &arena, &place, err));
        KV_TRY(get(source, http, place, KV_JWKS_BYTES, &arena, &json, err));
    }
    return kv_jwks_parse(json, out, err);
}
