/* pki_door.c - the routes of the plain HTTP listener. To add one, add a row. */
#include "server/pki_door.h"

#include <openssl/evp.h>

#include "server/base/text.h"
#include "server/challenges.h"
#include "server/front/plain.h"
#include "server/server.h"
#include "server/vault/authorities/pki.h"
#include "server/x509/ocsp.h"

static bool split(kv_slice text, uint8_t at, kv_slice *before, kv_slice *after)
{
    const uint8_t *found = text.len ? memchr(text.data, at, text.len) : NULL;

    if (!found)
        return false;
    *before = kv_slice_of(text.data, (size_t)(found - text.data));
    *after = kv_slice_of(found + 1, text.len - before->len - 1);
    return true;
}

/* "shop/root.crl" */
static bool read_name(kv_slice rest, kv_slice suffix, kv_pki_name *out)
{
    kv_slice last;

    if (!split(rest, '/', &out->vault, &out->authority) || out->authority.len <= suffix.len)
        return false;
    out->authority.len -= suffix.len;
    last = kv_slice_of(out->authority.data + out->authority.len, suffix.len);
    return kv_slice_equal(last, suffix);
}

static unsigned status_of(kv_status status)
{
    if (status == KV_OK)
        return 200;
    if (status == KV_BAD_REQUEST || status == KV_NOT_FOUND)
        return 404;
    return status == KV_BUSY || status == KV_UNAVAILABLE ? 503 : 500;
}

static void crl(void *context, const kv_plain_request *request, kv_arena *arena,
                kv_plain_answer *out)
{
    kv_crl_bundle list = { 0 };
    kv_error err = { 0 };
    kv_pki_name name;

    out->status = 404;
    if (!read_name(request->rest, KV_SLICE(".crl"), &name))
        return;
    out->status = status_of(kv_pki_crl(context, &name, arena, &list, &err));
    out->type = "application/pkix-crl";
    out->body = list.crl;
    out->made_ms = list.this_update;
    /* A revocation makes a new list before the old one ends: nobody keeps it for long. */
    out->max_age_s = 60;
}

static void certificate(void *context, const kv_plain_request *request, kv_arena *arena,
                        kv_plain_answer *out)
{
    kv_error err = { 0 };
    kv_pki_name name;

    out->status = 404;
    if (!read_name(request->rest, KV_SLICE(".cer"), &name))
        return;
    out->status = status_of(kv_pki_certificate(context, &name, arena, &out->body, &err));
    out->type = "application/pkix-cert";
    out->max_age_s = 3600;
}

/* The base64 of a request in a path, its special characters as they are or as %XX. */
static bool decode(kv_slice text, kv_arena *arena, kv_slice *out)
{
    uint8_t *base64 = kv_arena_alloc(arena, text.len + 1);
    uint8_t *bytes = kv_arena_alloc(arena, text.len + 4);
    size_t len = 0;
    int got;

    if (!base64 || !bytes || !text.len || text.len > 2 * KV_X509_OCSP_REQUEST_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (c == '%' && (i + 2 >= text.len || !kv_unhex(kv_slice_of(text.data + i + 1, 2), &c, 1)))
            return false;
        i += text.data[i] == '%' ? 2 : 0;
        base64[len++] = c;
    }
    got = len % 4 ? -1 : EVP_DecodeBlock(bytes, base64, (int)len);
    for (size_t i = len; got > 0 && i > 0 && base64[i - 1] == '='; i--)
        got--;
    *out = kv_slice_of(bytes, got > 0 ? (size_t)got : 0);
    return got > 0;
}

static void ocsp(void *context, const kv_plain_request *request, kv_arena *arena,
                 kv_plain_answer *out)
{
    kv_slice question = request->body, text;
    kv_pki_ocsp answer = { 0 };
    kv_pki_name name;
    kv_error err = { 0 };

    out->status = 404;
    if (!split(request->rest, '/', &name.vault, &name.authority))
        return;
    if (split(name.authority, '/', &name.authority, &text) && request->method == KV_PLAIN_GET &&
        !decode(text, arena, &question))
        question = KV_SLICE_NONE;
    out->status = status_of(kv_pki_ocsp_answer(context, &name, question, arena, &answer, &err));
    out->type = "application/ocsp-response";
    out->body = answer.der;
    out->max_age_s = request->method == KV_PLAIN_GET ? answer.max_age_s : 0;
    out->made_ms = answer.this_ms;
    out->until_ms = answer.next_ms;
}

kv_status kv_pki_door_open(kv_server *server, kv_error *err)
{
    kv_plain_config config = { .listen = server->settings->pki_listen,
                               .threads = (unsigned)server->settings->pki_threads,
                               .routes = server->plain_routes,
                               .log = server->log };

    if (!config.listen[0])
        return KV_OK;
    server->plain_routes[config.route_count++] =
        (kv_plain_route){ "/crl/", KV_PLAIN_GET, crl, server->vault };
    server->plain_routes[config.route_count++] =
        (kv_plain_route){ "/ca/", KV_PLAIN_GET, certificate, server->vault };
    server->plain_routes[config.route_count++] =
        (kv_plain_route){ "/ocsp/", KV_PLAIN_GET | KV_PLAIN_POST, ocsp, server->vault };
    if (kv_challenge_find(server->challenges.solvers, server->challenges.solver_count,
                          KV_SLICE("http-01")))
        server->plain_routes[config.route_count++] = kv_challenges_route(server);
    return kv_plain_start(&config, &server->plain, err);
}
