/* http_request.c - what a request may say, and where it goes. */
#include "server/net/http_impl.h"

#include <stdlib.h>

#include "server/base/text.h"

/* libcurl sets these; a second one would let two readers see two requests. */
/* shape: table */
static const char *const ours[] = {
    "Host",       "Content-Length", "Content-Type", "Transfer-Encoding", "Expect",
    "User-Agent", "Connection",     "Cookie",       "Accept-Encoding"
};

void kv_http_target_cleanup(kv_http_target *target)
{
    curl_free(target->scheme);
    curl_free(target->host);
    curl_free(target->port);
    curl_url_cleanup(target->url);
    *target = KV_HTTP_NO_TARGET;
}

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;

    curl_free(text);
    return has;
}

static kv_status no_url(kv_error *err, const char *rule)
{
    return kv_fail_field(err, "url", "%s", rule);
}

static kv_status take_parts(kv_http_target *target, bool allow_http, kv_error *err)
{
    if (curl_url_get(target->url, CURLUPART_SCHEME, &target->scheme, 0) != CURLUE_OK ||
        curl_url_get(target->url, CURLUPART_HOST, &target->host, 0) != CURLUE_OK)
        return no_url(err, "must be an absolute URL");
    if (strcmp(target->scheme, "https") != 0 && !(allow_http && !strcmp(target->scheme, "http")))
        return no_url(err, allow_http ? "must be an https or http URL" : "must be an https URL");
    if (curl_url_get(target->url, CURLUPART_PORT, &target->port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return no_url(err, "must have a port from 1 to 65535");
    if (has_part(target->url, CURLUPART_USER) || has_part(target->url, CURLUPART_PASSWORD))
        return no_url(err, "must not hold a user name or password");
    return KV_OK;
}

kv_status kv_http_target_parse(const kv_http_target *base, const char *location, bool allow_http,
                               kv_http_target *out, kv_error *err)
{
    KV_AUTO(kv_http_target) target = KV_HTTP_NO_TARGET;
    size_t len = strlen(location);

    if (len == 0 || len > KV_HTTP_URL_BYTES)
        return no_url(err, "must have 1 to 8192 bytes");
    for (size_t i = 0; i < len; i++)
        if (location[i] <= ' ' || location[i] > '~')
            return no_url(err, "must be of printable ASCII without blanks");
    target.url = base ? curl_url_dup(base->url) : curl_url();
    if (!target.url)
        return kv_fail(err, KV_BUSY, "out of memory");
    if (curl_url_set(target.url, CURLUPART_URL, location, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        return no_url(err, "must be an absolute URL");
    (void)curl_url_set(target.url, CURLUPART_FRAGMENT, NULL, 0);
    KV_TRY(take_parts(&target, allow_http, err));
    *out = target;
    target = KV_HTTP_NO_TARGET;
    return KV_OK;
}

bool kv_http_target_same_origin(const kv_http_target *a, const kv_http_target *b)
{
    return !strcmp(a->scheme, b->scheme) && !strcmp(a->port, b->port) &&
           kv_text_equal_nocase(kv_slice_text(a->host), kv_slice_text(b->host));
}

static bool is_token(kv_slice name)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool letter = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        if (!letter && (c == 0 || !strchr(others, c)))
            return false;
    }
    return name.len > 0 && name.len <= 256;
}

static bool is_value(kv_slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((value.data[i] < ' ' && value.data[i] != '\t') || value.data[i] == 0x7f)
            return false;
    return value.len <= KV_HTTP_HEADER_BYTES;
}

static kv_status check_header(const kv_http_header *header, kv_error *err)
{
    if (!is_token(header->name))
        return kv_fail_field(err, "headers", "a header's name must be a token of RFC 9110");
    if (!is_value(header->value))
        return kv_fail_field(err, "headers", "a header's value must not hold control characters");
    for (size_t i = 0; i < KV_COUNT(ours); i++)
        if (kv_text_equal_nocase(header->name, kv_slice_text(ours[i])))
            return kv_fail_field(err, "headers", "%s is not the caller's to set", ours[i]);
    return KV_OK;
}

kv_status kv_http_check(const kv_http_request *request, kv_error *err)
{
    bool may_follow = request->method == KV_HTTP_GET || request->method == KV_HTTP_HEAD;
    bool may_bring = request->method == KV_HTTP_POST || request->method == KV_HTTP_PUT;

    if (request->redirects > KV_HTTP_REDIRECTS || (request->redirects && !may_follow))
        return kv_fail_field(err, "redirects", "must be at most 10, with GET and HEAD only");
    if (request->body.len && !may_bring)
        return kv_fail_field(err, "body", "must be empty but with POST and PUT");
    if (request->content_type && !is_value(kv_slice_text(request->content_type)))
        return kv_fail_field(err, "headers", "a header's value must not hold control characters");
    for (size_t i = 0; i < request->header_count; i++)
        KV_TRY(check_header(&request->headers[i], err));
    return KV_OK;
}
