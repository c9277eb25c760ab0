/* device.c - signing in at an identity provider from a terminal (RFC 8628). */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "client/cli/run.h"
#include "client/cli/say.h"
#include "server/base/text.h"
#include "server/net/http.h"

#define GRANT "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code"

enum {
    ANSWER_BYTES = 256 * 1024,
    REQUEST_MS = 30000,
    SHOWN_BYTES = 512,
    FIRST_S = 1,
    INTERVAL_S = 5, /* RFC 8628: where the provider names none, and added when it is asked to */
    INTERVAL_MOST_S = 60,
    LIFE_S = 1800
};

/* One sign-in. */
typedef struct device {
    kv_cli *cli;
    kv_http *http;
    const char *issuer;
    const char *client_id;
    char *device_endpoint; /* arena */
    char *token_endpoint;
    char *code;
    int64_t interval_s;
    int64_t life_s;
} device;

static kv_exit fail(const device *at, const char *what, const char *why)
{
    kv_say(at->cli->err, "kvctl: %s%s%s\n", what, *why ? ": " : "", why);
    return KV_EXIT_UNAUTHENTICATED;
}

/* The answer's JSON, whatever its status; NULL when it is none, with *err saying why. */
static json_t *ask(device *at, const char *url, const char *form, int *status, kv_error *err)
{
    kv_http_request request = { .method = form ? KV_HTTP_POST : KV_HTTP_GET,
                                .url = url,
                                .body = kv_slice_text(form),
                                .content_type = form ? "application/x-www-form-urlencoded" : NULL,
                                .deadline = kv_deadline_in_ms(REQUEST_MS),
                                .body_most = ANSWER_BYTES };
    KV_AUTO(kv_arena) arena = KV_ARENA(ANSWER_BYTES + 2 * KV_HTTP_HEADER_BYTES);
    kv_http_answer answer;
    json_error_t where;
    json_t *json;

    if (kv_http_send(at->http, &request, &arena, &answer, err) != KV_OK)
        return NULL;
    json =
        json_loadb((const char *)answer.body.data, answer.body.len, JSON_REJECT_DUPLICATES, &where);
    *status = answer.status;
    if (json_is_object(json))
        return json;
    json_decref(json);
    (void)kv_fail(err, KV_UNAVAILABLE, "the identity provider answers %d and no JSON",
                  answer.status);
    return NULL;
}

/* RFC 3986: everything but the unreserved characters. */
static bool encoded(kv_arena *arena, const char *text, const char **out)
{
    static const char digits[] = "0123456789ABCDEF";
    char *to = kv_arena_alloc(arena, 3 * strlen(text) + 1), *end = to;

    if (!to)
        return false;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            strchr("-._~", c)) {
            *end++ = (char)c;
            continue;
        }
        *end++ = '%';
        *end++ = digits[c >> 4];
        *end++ = digits[c & 15];
    }
    *end = '\0';
    *out = to;
    return true;
}

static bool copy(device *at, const json_t *from, const char *name, char **out)
{
    const char *text = json_string_value(json_object_get(from, name));
    const char *copied = NULL;
    kv_error err;

    if (!text || !*text ||
        kv_arena_text(&at->cli->arena, kv_slice_text(text), &copied, &err) != KV_OK)
        return false;
    *out = (char *)(uintptr_t)copied;
    return true;
}

static kv_exit discover(device *at)
{
    size_t len = strlen(at->issuer);
    kv_slice url;
    kv_error err = { 0 };
    json_t *document;
    const char *issuer;
    int status = 0;
    bool whole;

    while (len && at->issuer[len - 1] == '/')
        len--;
    if (kv_arena_print(&at->cli->arena, &url, &err, "%.*s/.well-known/openid-configuration",
                       (int)len, at->issuer) != KV_OK)
        return kv_cli_fail_local(at->cli, &err);
    document = ask(at, (const char *)url.data, NULL, &status, &err);
    if (!document)
        return kv_cli_fail_local(at->cli, &err);
    issuer = json_string_value(json_object_get(document, "issuer"));
    whole = issuer && !strcmp(issuer, at->issuer) &&
            copy(at, document, "device_authorization_endpoint", &at->device_endpoint) &&
            copy(at, document, "token_endpoint", &at->token_endpoint);
    json_decref(document);
    return whole ? KV_EXIT_OK
                 : fail(at, "the identity provider has another name, or no device sign-in",
                        at->issuer);
}

static int64_t number_of(const json_t *from, const char *name, int64_t usual, int64_t most)
{
    const json_t *value = json_object_get(from, name);
    int64_t number = json_is_integer(value) ? json_integer_value(value) : usual;

    return number < 1 ? 1 : number > most ? most : number;
}

/* A place or a code that cannot be shown as it is leads nowhere. */
static bool is_shown(const char *text)
{
    kv_slice slice = kv_slice_text(text);

    return slice.len > 0 && slice.len <= SHOWN_BYTES && kv_text_printable(slice);
}

static kv_exit tell_user(device *at, const json_t *answer)
{
    const char *place = json_string_value(json_object_get(answer, "verification_uri"));
    const char *whole = json_string_value(json_object_get(answer, "verification_uri_complete"));
    const char *code = json_string_value(json_object_get(answer, "user_code"));

    if (!is_shown(place) || !is_shown(code) || strncmp(place, "https://", 8) != 0)
        return fail(at, "the identity provider's answer cannot be shown", "");
    kv_say(at->cli->err, "To sign in, open\n    %s\nand enter the code\n    %s\n", place, code);
    if (is_shown(whole) && !strncmp(whole, "https://", 8))
        kv_say(at->cli->err, "or open\n    %s\n", whole);
    (void)fflush(at->cli->err);
    return KV_EXIT_OK;
}

/* The provider's word for what went wrong. */
static const char *error_of(const json_t *answer)
{
    const char *error = json_string_value(json_object_get(answer, "error"));

    return is_shown(error) ? error : "";
}

static kv_exit begin(device *at)
{
    const char *scope = kv_cli_given(at->cli, "oidc-scope");
    const char *id, *wanted;
    kv_slice form;
    kv_error err = { 0 };
    json_t *answer;
    int status = 0;
    kv_exit told;

    if (!encoded(&at->cli->arena, at->client_id, &id) ||
        !encoded(&at->cli->arena, scope ? scope : "openid", &wanted) ||
        kv_arena_print(&at->cli->arena, &form, &err, "client_id=%s&scope=%s", id, wanted) != KV_OK)
        return fail(at, "out of memory", "");
    answer = ask(at, at->device_endpoint, (const char *)form.data, &status, &err);
    if (!answer)
        return kv_cli_fail_local(at->cli, &err);
    at->interval_s = number_of(answer, "interval", INTERVAL_S, INTERVAL_MOST_S);
    at->life_s = number_of(answer, "expires_in", LIFE_S, LIFE_S);
    if (status != 200 || !copy(at, answer, "device_code", &at->code))
        told = fail(at, "the identity provider refuses", error_of(answer));
    else
        told = tell_user(at, answer);
    json_decref(answer);
    return told;
}

/* Whether to ask again; otherwise *told is how it ended. */
static bool take_answer(device *at, json_t *answer, int status, kv_slice *out, kv_exit *told)
{
    const char *error = error_of(answer);
    char *token = NULL;

    if (status == 200) {
        *told = copy(at, answer, "id_token", &token)
                    ? KV_EXIT_OK
                    : fail(at, "the identity provider gave no ID token: ask for openid", "");
        *out = kv_slice_text(token);
        return false;
    }
    if (!strcmp(error, "slow_down"))
        at->interval_s += INTERVAL_S;
    else if (strcmp(error, "authorization_pending") != 0) {
        *told = fail(at, "signing in failed", error);
        return false;
    }
    return true;
}

static kv_exit wait_for_user(device *at, kv_slice *out)
{
    kv_deadline end = kv_deadline_in_ms(at->life_s * 1000);
    const char *id, *code;
    kv_slice form;
    kv_error err = { 0 };
    kv_exit told = KV_EXIT_OK;
    int64_t wait_s = FIRST_S; /* the interval is between two questions */

    if (!encoded(&at->cli->arena, at->client_id, &id) ||
        !encoded(&at->cli->arena, at->code, &code) ||
        kv_arena_print(&at->cli->arena, &form, &err, "grant_type=%s&device_code=%s&client_id=%s",
                       GRANT, code, id) != KV_OK)
        return fail(at, "out of memory", "");
    while (!kv_deadline_passed(end)) {
        json_t *answer;
        int status = 0;
        bool again = true;

        (void)nanosleep(&(struct timespec){ .tv_sec = wait_s }, NULL);
        answer = ask(at, at->token_endpoint, (const char *)form.data, &status, &err);
        /* A provider that is out of reach for a moment is asked more rarely (RFC 8628, 3.5). */
        if (answer)
            again = take_answer(at, answer, status, out, &told);
        else if (at->interval_s < INTERVAL_MOST_S)
            at->interval_s *= 2;
        wait_s = at->interval_s;
        json_decref(answer);
        if (!again)
            return told;
    }
    return fail(at, "nobody signed in in time", "");
}

kv_exit kv_cli_device_login(kv_cli *cli, const char *issuer, const char *client_id,
                            kv_slice *id_token)
{
    device at = { .cli = cli, .issuer = issuer, .client_id = client_id };
    kv_http_config config = { .user_agent = "kvctl", .ca_file = cli->config.oidc_ca };
    kv_error err = { 0 };
    kv_exit told;

    /* The user chose the provider: it may be anywhere. */
    if (kv_networks_parse(KV_SLICE("0.0.0.0/0 ::/0"), "networks", &config.addresses, &err) !=
            KV_OK ||
        kv_http_new(&config, &at.http, &err) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    told = discover(&at);
    if (told == KV_EXIT_OK)
        told = begin(&at);
    if (told == KV_EXIT_OK)
        told = wait_for_user(&at, id_token);
    kv_http_free(at.http);
    return told;
}
