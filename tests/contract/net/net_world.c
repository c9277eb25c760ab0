/* net_world.c - a client, a peer on loopback that means no good, and a CA that both know. */
#include "tests/contract/net/net_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void nap(long ms)
{
    (void)nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 },
                    NULL);
}

/* --- what the peer says --- */

static bool says_what_it_heard(http_peer_link *link, kv_slice request)
{
    return http_peer_answer(link, "200 OK",
                            "Content-Type: message/http; charset=utf-8\r\nReplay-Nonce: abc\r\n"
                            "Link: <https://a>;rel=\"up\"\r\nlink:   <https://b>\t\r\n"
                            "Retry-After: 7\r\nX-Empty:\r\n",
                            request);
}

static bool floods(http_peer_link *link, bool headers)
{
    static const char body[8192];

    if (!http_peer_say(link, headers ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 200 OK\r\n\r\n"))
        return false;
    while (headers ? http_peer_say(link, "X-More: of the same, without an end\r\n")
                   : http_peer_write(link, body, sizeof(body)))
        continue;
    return false;
}

static bool drips(http_peer_link *link, const char *first)
{
    (void)http_peer_say(link, first);
    while (http_peer_say(link, "x"))
        nap(20);
    return false;
}

static bool interims(http_peer_link *link)
{
    while (http_peer_say(link, "HTTP/1.1 103 Early Hints\r\nLink: <https://a>\r\n\r\n"))
        continue;
    return false;
}

static bool redirects(http_peer_link *link, const char *to)
{
    char headers[512];

    (void)snprintf(headers, sizeof(headers), "Location: %s\r\n", to);
    return http_peer_answer(link, "302 Found", headers, KV_SLICE("elsewhere"));
}

#define NUL_HEADER "HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n"
#define TRAILERS                                                                          \
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: first\r\n\r\n2\r\nok\r\n0\r\n" \
    "X-A: second\r\nX-B: late\r\n\r\n"

/* shape: table */
static const struct said {
    const char *path;
    const char *text;
} said[] = {
    { "/twice", "HTTP/1.1 100 Continue\r\nX-A: early\r\n\r\n"
                "HTTP/1.1 200 OK\r\nX-A: late\r\nContent-Length: 2\r\n\r\nok" },
    { "/trailers", TRAILERS },
    { "/folded", "HTTP/1.1 200 OK\r\nX-A: a\r\n  b\r\nContent-Length: 0\r\n\r\n" },
    { "/nameless", "HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n" },
    { "/bell", "HTTP/1.1 200 OK\r\nX-A: \a\r\nContent-Length: 0\r\n\r\n" },
    { "/old", "hello, this is HTTP 0.9\r\n" },
    { "/two-lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: -1\r\n\r\nok" },
    { "/short", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok" },
    { "/gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok" },
    { "/empty", "HTTP/1.1 204 No Content\r\n\r\n" },
    { "/nowhere", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n" },
    { "/busy", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n" },
    { "/cookie", "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n" },
};

bool serve(void *context, http_peer_link *link, const char *path, kv_slice request)
{
    const world *at = context;
    char text[256];
    int len = 0;
    unsigned number = 0;

    if (kv_slice_starts_with(request, KV_SLICE("HEAD ")))
        return http_peer_say(link, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
    for (size_t i = 0; i < KV_COUNT(said); i++)
        if (!strcmp(path, said[i].path))
            return http_peer_say(link, said[i].text) && !strstr("/old /short", path);
    if (!strcmp(path, "/nul"))
        return http_peer_write(link, NUL_HEADER, sizeof(NUL_HEADER) - 1);
    if (!strcmp(path, "/flood"))
        return floods(link, false);
    if (!strcmp(path, "/headers"))
        return floods(link, true);
    if (!strcmp(path, "/interims"))
        return interims(link);
    if (!strcmp(path, "/slow-body"))
        return drips(link, "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n");
    if (!strcmp(path, "/slow-head"))
        return drips(link, "HTTP/1.1 200 OK\r\nX-");
    if (sscanf(path, "/loop/%u", &number) == 1)
        len = snprintf(text, sizeof(text), "/loop/%u", number + 1);
    else if (sscanf(path, "/hops/%u", &number) == 1)
        len = snprintf(text, sizeof(text), number ? "/hops/%u" : "/echo", number - 1);
    else if (!strncmp(path, "/to?", 4))
        len = snprintf(text, sizeof(text), "%.200s", path + 4);
    else if (!strcmp(path, "/other-origin"))
        len = snprintf(text, sizeof(text), "https://127.0.0.1:%u/echo", http_peer_port(at->peer));
    return len ? redirects(link, text) : says_what_it_heard(link, request);
}

/* --- the world --- */

static void write_ca(world *at)
{
    int fd;
    BIO *file = BIO_new(BIO_s_mem());
    char *pem;
    long len;

    (void)snprintf(at->ca_file, sizeof(at->ca_file), "/tmp/kv-net-XXXXXX");
    fd = mkstemp(at->ca_file);
    assert_true(fd >= 0 && file && PEM_write_bio_X509(file, at->ca->x509) == 1);
    len = BIO_get_mem_data(file, &pem);
    assert_true(write(fd, pem, (size_t)len) == len);
    (void)close(fd);
    BIO_free(file);
}

kv_http *client(world *at, const char *networks, const char *proxy)
{
    kv_http_config config = { .user_agent = "kv/test", .ca_file = at->ca_file, .proxy = proxy };
    kv_http *http = NULL;

    assert_kv_ok_with(kv_networks_parse(kv_slice_text(networks), "n", &config.addresses, &at->err),
                      &at->err);
    assert_kv_ok_with(kv_http_new(&config, &http, &at->err), &at->err);
    return http;
}

int set_up(void **state)
{
    world *at = calloc(1, sizeof(*at));
    int64_t now = time(NULL);

    at->ca = make_certificate(&(certificate_shape){
        .name = "test CA", .ca = true, .from_s = now - 60, .until_s = now + 3600 });
    at->leaf =
        make_certificate(&(certificate_shape){ .name = "peer",
                                               .alternative = "DNS:localhost,IP:127.0.0.1,IP:::1",
                                               .from_s = now - 60,
                                               .until_s = now + 3600,
                                               .issuer = at->ca });
    write_ca(at);
    at->arena = KV_ARENA(ARENA_BYTES);
    at->peer = http_peer_start(at->leaf->key, at->leaf->x509, false, serve, at);
    at->http = client(at, "127.0.0.0/8 ::1", NULL);
    *state = at;
    return 0;
}

int take_down(void **state)
{
    world *at = *state;

    kv_http_free(at->http);
    http_peer_stop(at->peer);
    kv_arena_cleanup(&at->arena);
    (void)unlink(at->ca_file);
    free_certificate(at->leaf);
    free_certificate(at->ca);
    free(at);
    return 0;
}

const char *url_on(world *at, const http_peer *peer, const char *host, const char *path)
{
    (void)snprintf(at->url, sizeof(at->url), "https://%s:%u%s", host, http_peer_port(peer), path);
    return at->url;
}

kv_http_request get(world *at, const char *path)
{
    return (kv_http_request){ .url = url_on(at, at->peer, "localhost", path),
                              .deadline = kv_deadline_in_ms(LONG_MS),
                              .body_most = BODY_MOST };
}

kv_status send_it(world *at, kv_http_request request, kv_http_answer *out)
{
    at->err = (kv_error){ 0 };
    return kv_http_send(at->http, &request, &at->arena, out, &at->err);
}

bool holds(const kv_http_answer *answer, const char *part)
{
    return memmem(answer->body.data, answer->body.len, part, strlen(part)) != NULL;
}
