/* http.c - outgoing HTTP over libcurl. */
#include "server/net/http.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/secret_buf.h"
#include "server/net/drive.h"
#include "server/net/http_impl.h"

enum { IDLE_MOST = 8, CONNECTIONS = 4 };

/* A handle of libcurl with its connections and the roots it has read. */
typedef struct line {
    CURLM *multi;
    CURL *easy;
} line;

struct kv_http {
    char *user_agent;
    char *proxy;
    char *ca_file;
    kv_address_policy addresses;
    atomic_bool stopped;
    pthread_mutex_t mutex; /* guards all that follows */
    line idle[IDLE_MOST];
    unsigned idle_count;
};

static const char *const method_names[KV_HTTP_METHOD_COUNT] = {
    [KV_HTTP_GET] = "GET", [KV_HTTP_HEAD] = "HEAD",     [KV_HTTP_POST] = "POST",
    [KV_HTTP_PUT] = "PUT", [KV_HTTP_DELETE] = "DELETE", [KV_HTTP_OPTIONS] = "OPTIONS",
};

/* One hop of one request. */
typedef struct hop {
    kv_http *http;
    const kv_http_request *request;
    const kv_http_target *target;
    const kv_address_policy *addresses;
    bool with_headers; /* the caller's; not for another origin */
    bool refused;      /* an address was against the policy */
    struct curl_slist *headers;
    kv_http_sink *sink;
    char words[CURL_ERROR_SIZE];
} hop;

/* --- the client --- */

static bool copy_text(const char *from, char **out)
{
    *out = strdup(from ? from : "");
    return *out != NULL;
}

kv_status kv_http_new(const kv_http_config *config, kv_http **out, kv_error *err)
{
    kv_http *http = calloc(1, sizeof(*http));

    if (!http)
        return kv_fail(err, KV_BUSY, "out of memory");
    (void)pthread_mutex_init(&http->mutex, NULL);
    http->addresses = config->addresses;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        !copy_text(config->user_agent, &http->user_agent) ||
        !copy_text(config->proxy, &http->proxy) || !copy_text(config->ca_file, &http->ca_file)) {
        kv_http_free(http);
        return kv_fail(err, KV_BUSY, "out of memory");
    }
    *out = http;
    return KV_OK;
}

void kv_http_stop(kv_http *http)
{
    atomic_store(&http->stopped, true);
}

static void hang_up(line *at)
{
    curl_easy_cleanup(at->easy);
    (void)curl_multi_cleanup(at->multi);
    *at = (line){ 0 };
}

void kv_http_free(kv_http *http)
{
    if (!http)
        return;
    while (http->idle_count)
        hang_up(&http->idle[--http->idle_count]);
    (void)pthread_mutex_destroy(&http->mutex);
    free(http->user_agent);
    free(http->proxy);
    free(http->ca_file);
    free(http);
    curl_global_cleanup();
}

static kv_status pick_up(kv_http *http, line *out, kv_error *err)
{
    line at = { 0 };

    (void)pthread_mutex_lock(&http->mutex);
    if (http->idle_count)
        at = http->idle[--http->idle_count];
    (void)pthread_mutex_unlock(&http->mutex);
    if (!at.easy) {
        at = (line){ .multi = curl_multi_init(), .easy = curl_easy_init() };
        if (!at.easy || !at.multi) {
            hang_up(&at);
            return kv_fail(err, KV_BUSY, "out of memory");
        }
        (void)curl_multi_setopt(at.multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS);
    }
    *out = at;
    return KV_OK;
}

static void put_back(kv_http *http, line *at)
{
    /* Connections and roots stay, every option goes. */
    curl_easy_reset(at->easy);
    (void)pthread_mutex_lock(&http->mutex);
    if (http->idle_count < IDLE_MOST) {
        http->idle[http->idle_count++] = *at;
        *at = (line){ 0 };
    }
    (void)pthread_mutex_unlock(&http->mutex);
    if (at->easy)
        hang_up(at);
}

/* --- one hop --- */

static curl_socket_t on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    hop *at = context;
    kv_address to;
    bool allowed = at->http->proxy[0] ||
                   (kv_address_of(&address->addr, &to) && kv_address_allowed(at->addresses, &to));

    (void)purpose;
    if (!allowed) {
        at->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* A connection that is used again was opened for another request, perhaps by another policy. */
static int on_request(void *context, char *peer, char *own, int peer_port, int own_port)
{
    hop *at = context;
    kv_address to;

    (void)own;
    (void)peer_port;
    (void)own_port;
    if (at->http->proxy[0] ||
        (kv_address_parse(kv_slice_text(peer), &to) && kv_address_allowed(at->addresses, &to)))
        return CURL_PREREQFUNC_OK;
    at->refused = true;
    return CURL_PREREQFUNC_ABORT;
}

static void free_headers(struct curl_slist *list)
{
    for (struct curl_slist *at = list; at; at = at->next)
        kv_wipe(at->data, strlen(at->data));
    curl_slist_free_all(list);
}

static kv_status add_line(hop *at, kv_slice name, const char *between, kv_slice value,
                          kv_error *err)
{
    const char *rest = value.len ? (const char *)value.data : "";
    char *text = NULL;
    int len = asprintf(&text, "%.*s%s%.*s", KV_SLICE_ARG(name), between, (int)value.len, rest);
    struct curl_slist *longer = len < 0 ? NULL : curl_slist_append(at->headers, text);

    if (len >= 0) {
        kv_wipe(text, (size_t)len);
        free(text);
    }
    if (!longer)
        return kv_fail(err, KV_BUSY, "out of memory");
    at->headers = longer;
    return KV_OK;
}

/* "Name:" takes a header away that libcurl would send, "Name;" sends an empty one. */
static kv_status add_headers(hop *at, kv_error *err)
{
    const kv_http_request *request = at->request;
    const char *type = request->content_type;

    KV_TRY(add_line(at, KV_SLICE("Expect"), ":", KV_SLICE_NONE, err));
    KV_TRY(add_line(at, KV_SLICE("Content-Type"), type ? ": " : ":", kv_slice_text(type), err));
    for (size_t i = 0; at->with_headers && i < request->header_count; i++) {
        const kv_http_header *header = &request->headers[i];

        KV_TRY(add_line(at, header->name, header->value.len ? ": " : ";", header->value, err));
    }
    return KV_OK;
}

/* What is the same for all. */
static bool set_habits(const hop *at, CURL *easy)
{
    /* shape: table */
    const kv_curl_option options[] = {
        { CURLOPT_PROTOCOLS_STR, 0, at->request->allow_http ? "http,https" : "https" },
        { CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2, NULL },
        { CURLOPT_SSL_VERIFYPEER, 1, NULL },
        { CURLOPT_SSL_VERIFYHOST, 2, NULL },
        { CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1, NULL },
        { CURLOPT_FOLLOWLOCATION, 0, NULL },
        { CURLOPT_HTTP_CONTENT_DECODING, 0, NULL },
        { CURLOPT_SUPPRESS_CONNECT_HEADERS, 1, NULL },
        { CURLOPT_NOSIGNAL, 1, NULL },
        { CURLOPT_QUICK_EXIT, 1, NULL },       /* never wait for a name that is being looked up */
        { CURLOPT_PROXY, 0, at->http->proxy }, /* "" and not NULL: not the environment's */
        { CURLOPT_NOPROXY, 0, "" },
        { CURLOPT_USERAGENT, 0, at->http->user_agent },
    };

    return kv_curl_set(easy, options, KV_COUNT(options));
}

static bool set_trust(const hop *at, CURL *easy)
{
    const char *given = at->request->ca_file;
    const char *ca_file = given && given[0] ? given : at->http->ca_file;

    if (!ca_file[0])
        return true;
    /* A file of roots is all there is: not the folder that the distribution has built in. */
    return curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, ca_file) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL) == CURLE_OK;
}

static bool set_method(const hop *at, CURL *easy)
{
    kv_http_method method = at->request->method;
    const void *body = at->request->body.len ? (const void *)at->request->body.data : "";

    if (method == KV_HTTP_HEAD)
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    if ((method == KV_HTTP_POST || method == KV_HTTP_PUT) &&
        (curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)at->request->body.len) !=
             CURLE_OK ||
         curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body) != CURLE_OK))
        return false;
    return method == KV_HTTP_GET ||
           curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method_names[method]) == CURLE_OK;
}

static bool set_callbacks(hop *at, CURL *easy)
{
    return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, at) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQDATA, at) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, kv_http_on_header) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, at->sink) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, kv_http_on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, at->sink) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, at->words) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTPHEADER, at->headers) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CURLU, at->target->url) == CURLE_OK;
}

/* libcurl's verdict in our words. The sink has spoken already where a bound was broken. */
static kv_status translate(const hop *at, CURLcode code, kv_error *err)
{
    bool callback = code == CURLE_WRITE_ERROR || code == CURLE_ABORTED_BY_CALLBACK;

    if (code == CURLE_OK)
        return KV_OK;
    if (at->refused && (code == CURLE_COULDNT_CONNECT || callback)) {
        (void)kv_fail(err, KV_PRECONDITION,
                      "the address of %.100s is none that this server may connect to",
                      at->target->host);
    } else if (callback && err->status != KV_OK) {
        return err->status;
    } else if (code == CURLE_OUT_OF_MEMORY) {
        (void)kv_fail(err, KV_BUSY, "out of memory");
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        (void)kv_fail(err, KV_TIMEOUT, "%.100s did not answer in time", at->target->host);
    } else {
        (void)kv_fail(err, KV_UNAVAILABLE, "the request to %.80s failed: %.80s", at->target->host,
                      curl_easy_strerror(code));
    }
    return kv_note(err, "%.180s", at->words);
}

static kv_status run(hop *at, const line *on, long *status, kv_error *err)
{
    CURLcode code = CURLE_FAILED_INIT;
    kv_status driven;

    KV_TRY(add_headers(at, err));
    if (!set_habits(at, on->easy) || !set_trust(at, on->easy) || !set_method(at, on->easy) ||
        !set_callbacks(at, on->easy) || curl_multi_add_handle(on->multi, on->easy) != CURLM_OK)
        return kv_fail(err, KV_BUSY, "out of memory");
    driven = kv_curl_drive(&(kv_drive){ .multi = on->multi,
                                        .deadline = at->request->deadline,
                                        .host = at->target->host,
                                        .stops = { &at->http->stopped, at->request->stop } },
                           &code, err);
    (void)curl_easy_getinfo(on->easy, CURLINFO_RESPONSE_CODE, status);
    (void)curl_multi_remove_handle(on->multi, on->easy);
    KV_TRY(driven);
    return translate(at, code, err);
}

static kv_status one_hop(hop *at, long *status, kv_error *err)
{
    line on = { 0 };
    kv_status done;

    kv_http_sink_rewind(at->sink);
    at->sink->err = err;
    *err = (kv_error){ 0 };
    KV_TRY(pick_up(at->http, &on, err));
    done = run(at, &on, status, err);
    /* What was cut off in the middle is in no known state. */
    if (done == KV_OK)
        put_back(at->http, &on);
    else
        hang_up(&on);
    free_headers(at->headers);
    at->headers = NULL;
    return done;
}

/* --- the request --- */

static kv_status check_literal(const kv_http *http, const hop *at, kv_error *err)
{
    kv_slice host = kv_slice_text(at->target->host);
    kv_address to;

    if (host.len > 2 && host.data[0] == '[')
        host = kv_slice_of(host.data + 1, host.len - 2);
    if (!http->proxy[0] || !kv_address_parse(host, &to) || kv_address_allowed(at->addresses, &to))
        return KV_OK;
    return kv_fail(err, KV_PRECONDITION,
                   "the address of %.100s is none that this server may connect to",
                   at->target->host);
}

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static kv_status answer_of(const kv_http_sink *sink, long status, kv_http_answer *out,
                           kv_error *err)
{
    kv_http_answer answer = { .status = (int)status,
                              .headers = sink->headers,
                              .header_count = sink->header_count };
    kv_slice coding;

    if (kv_http_header_of(&answer, "Content-Encoding", 0, &coding))
        return kv_fail(err, KV_UNAVAILABLE,
                       "the peer's answer has a content coding that was not asked for");
    KV_TRY(kv_arena_copy(sink->arena, kv_slice_of(sink->body, sink->body_len), &answer.body, err));
    *out = answer;
    return KV_OK;
}

/* The next target, when there is one to follow. */
static kv_status follow(const hop *at, const kv_http_answer *answer, kv_http_target *next,
                        kv_error *err)
{
    kv_slice location;
    const char *text;

    if (!kv_http_header_of(answer, "Location", 0, &location))
        return kv_fail(err, KV_UNAVAILABLE, "the peer redirects to nowhere");
    KV_TRY(kv_arena_text(at->sink->arena, location, &text, err));
    if (kv_http_target_parse(at->target, text, at->request->allow_http, next, err) == KV_OK)
        return KV_OK;
    err->field[0] = 0;
    return kv_fail(err, KV_UNAVAILABLE, "%.100s redirects to where this server does not go",
                   at->target->host);
}

static kv_status send_hops(hop *at, const kv_http_target *first, kv_http_target *here,
                           kv_http_answer *out, kv_error *err)
{
    long status = 0;

    for (unsigned hops = 0;; hops++) {
        kv_http_target next = KV_HTTP_NO_TARGET;
        kv_http_answer answer;

        at->target = hops ? here : first;
        at->with_headers = kv_http_target_same_origin(first, at->target);
        KV_TRY(check_literal(at->http, at, err));
        KV_TRY(one_hop(at, &status, err));
        KV_TRY(answer_of(at->sink, status, &answer, err));
        if (!at->request->redirects || !is_redirect(status)) {
            *out = answer;
            return KV_OK;
        }
        if (hops == at->request->redirects)
            return kv_fail(err, KV_UNAVAILABLE, "%.100s redirects more than %u times",
                           at->target->host, hops);
        KV_TRY(follow(at, &answer, &next, err));
        kv_http_target_cleanup(here);
        *here = next;
    }
}

static kv_status send_from(hop *at, const kv_http_target *first, kv_http_answer *out, kv_error *err)
{
    KV_AUTO(kv_http_target) here = KV_HTTP_NO_TARGET;
    kv_status status = send_hops(at, first, &here, out, err);

    at->target = NULL;
    return status;
}

kv_status kv_http_send(kv_http *http, const kv_http_request *request, kv_arena *arena,
                       kv_http_answer *out, kv_error *err)
{
    KV_AUTO(kv_http_target) target = KV_HTTP_NO_TARGET;
    KV_AUTO(kv_http_sink) sink = { .arena = arena, .body_most = request->body_most };
    hop at = { .http = http,
               .request = request,
               .addresses = request->addresses ? request->addresses : &http->addresses,
               .sink = &sink };

    KV_TRY(kv_http_check(request, err));
    KV_TRY(kv_http_target_parse(NULL, request->url, request->allow_http, &target, err));
    sink.headers = kv_arena_array(arena, KV_HTTP_HEADERS, sizeof(*sink.headers));
    if (!sink.headers)
        return kv_arena_full(err);
    return send_from(&at, &target, out, err);
}
