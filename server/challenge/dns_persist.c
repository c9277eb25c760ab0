/* dns_persist.c - dns-persist-01: a record that stands for good, which nobody here puts there.
 *
 * Somebody copies what is printed here into a zone, by hand. An authority must not get more by it
 * than certificates of its own: a word that could bring a parameter, or name an account of somebody
 * else at another authority, is not printed.
 */
#include <jansson.h>
#include <openssl/evp.h>

#include "server/base/log.h"
#include "server/base/text.h"
#include "server/challenge/dns.h"

enum {
    SHA256_BYTES = 32,
    MARGIN_S = 10 * 60, /* a proof that ends sooner may be over when it is looked at */
    STRING_MAX = 255,   /* of a TXT record (RFC 1035, 3.3.14) */
    STRINGS_MAX = 20
};

/* --- settings --- */

/* NULL: there are none, or they are no object. */
static json_t *parse(kv_slice settings)
{
    json_t *json = settings.len ? json_loadb((const char *)settings.data, settings.len,
                                             JSON_REJECT_DUPLICATES, NULL)
                                : NULL;

    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

int64_t kv_dns_persist_until(kv_slice settings)
{
    json_t *json = parse(settings);
    int64_t until = json_integer_value(json_object_get(json, "persistUntil"));

    json_decref(json);
    return until;
}

static kv_status check(kv_slice settings, kv_arena *arena, kv_error *err)
{
    json_t *json = parse(settings);
    const json_t *until = json_object_get(json, "persistUntil");
    size_t known = (json_is_string(json_object_get(json, "type")) ? 1u : 0u) +
                   (json_integer_value(until) > 0 ? 1u : 0u);
    bool good = !settings.len || (json && json_object_size(json) == known);

    (void)arena;
    json_decref(json);
    if (!good)
        return kv_fail_field(err, "settings",
                             "dns-persist-01 has \"persistUntil\" alone: seconds since 1970");
    return KV_OK;
}

static kv_status refuse_ended(const kv_challenge_task *task, int64_t until, kv_error *err)
{
    int64_t now_s = task->now_ms / 1000;

    if (!until || now_s + MARGIN_S < until)
        return KV_OK;
    return kv_fail(err, KV_PRECONDITION,
                   "the records %s persistUntil=%lld: put up others, and change the settings",
                   now_s < until ? "end in a moment by" : "have ended by", (long long)until);
}

/* --- the account --- */

/* RFC 8659, 4.2: a value of a parameter; and nothing that ends a text in a zone file. */
static bool good_value(kv_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~' || strchr(";\"\\", text.data[i]))
            return false;
    return text.len > 0;
}

/* "https://host:port/" of a URL; the whole, where there is no path. */
static kv_slice origin_of(kv_slice url)
{
    size_t slashes = 0;

    for (size_t i = 0; i < url.len; i++) {
        slashes += url.data[i] == '/';
        if (slashes == 3)
            return kv_slice_of(url.data, i + 1);
    }
    return url;
}

/* One that lies about its account could name one of its own at an authority that people trust. */
static kv_status refuse_foreign(const kv_challenge_task *task, kv_slice account, kv_error *err)
{
    if (kv_text_equal_nocase(origin_of(account), origin_of(task->directory)))
        return KV_OK;
    return kv_fail(err, KV_PRECONDITION,
                   "the authority calls the account by the name of another host");
}

/* SHA-256 of length, name, thumbprint and URL (draft 02, 4.1); "*" is for every name. */
static kv_status hashed(const kv_challenge_task *task, kv_slice *out, kv_error *err)
{
    kv_slice name = task->name.len ? task->name : KV_SLICE("*");
    uint8_t digest[SHA256_BYTES];
    kv_slice input, text;

    KV_TRY(kv_arena_print(task->arena, &input, err, "%c%.*s%.*s%.*s", (int)name.len,
                          KV_SLICE_ARG(name), KV_SLICE_ARG(task->thumbprint),
                          KV_SLICE_ARG(task->account_uri)));
    if (EVP_Digest(input.data, input.len, digest, NULL, EVP_sha256(), NULL) != 1)
        return kv_fail(err, KV_INTERNAL, "SHA-256 does not work");
    KV_TRY(kv_base64url(task->arena, kv_slice_of(digest, sizeof(digest)), &text, err));
    return kv_arena_print(task->arena, out, err, "%.*ssha-256/%.*s",
                          KV_SLICE_ARG(task->account_hash_prefix), KV_SLICE_ARG(text));
}

static kv_status account_of(const kv_challenge_task *task, kv_slice *out, kv_error *err)
{
    if (!task->account_offered.len && task->account_hash_prefix.len && task->thumbprint.len)
        return hashed(task, out, err);
    *out = task->account_offered.len ? task->account_offered : task->account_uri;
    return refuse_foreign(task, *out, err);
}

/* --- the record --- */

kv_status kv_dns_persist_value(const kv_challenge_task *task, kv_slice *out, kv_error *err)
{
    int64_t until = kv_dns_persist_until(task->settings);
    kv_slice account;

    KV_TRY(refuse_ended(task, until, err));
    if (!task->authority_domain.len || !task->account_uri.len)
        return kv_fail(err, KV_PRECONDITION,
                       "the authority's domain and the account are not known yet");
    if (!kv_dns_name_good(task->authority_domain))
        return kv_fail(err, KV_PRECONDITION, "what the authority calls its domain is none");
    KV_TRY(account_of(task, &account, err));
    if (!good_value(account))
        return kv_fail(err, KV_PRECONDITION, "what the authority calls the account is no URL");
    KV_TRY(kv_arena_print(task->arena, out, err, "%.*s; accounturi=%.*s%s",
                          KV_SLICE_ARG(task->authority_domain), KV_SLICE_ARG(account),
                          task->wildcard ? "; policy=wildcard" : ""));
    return until ? kv_arena_print(task->arena, out, err, "%.*s; persistUntil=%lld",
                                  KV_SLICE_ARG(*out), (long long)until)
                 : KV_OK;
}

kv_status kv_dns_persist_record(const kv_challenge_task *task, kv_dns_record *out, kv_error *err)
{
    kv_dns_record record;
    kv_slice value;

    KV_TRY(kv_dns_record_name(task, "_validation-persist", &record.name, err));
    KV_TRY(kv_dns_persist_value(task, &value, err));
    KV_TRY(kv_arena_text(task->arena, value, &record.value, err));
    *out = record;
    return KV_OK;
}

/* As a zone file has it: in texts of at most 255 characters. */
static kv_status quote(const kv_challenge_task *task, const char *value, kv_slice *out,
                       kv_error *err)
{
    kv_slice rest = kv_slice_text(value);

    *out = KV_SLICE_NONE;
    for (unsigned i = 0; rest.len && i < STRINGS_MAX; i++) {
        size_t len = rest.len < STRING_MAX ? rest.len : STRING_MAX;

        KV_TRY(kv_arena_print(task->arena, out, err, "%.*s%s\"%.*s\"", KV_SLICE_ARG(*out),
                              out->len ? " " : "", (int)len, (const char *)rest.data));
        rest = kv_slice_of(rest.data + len, rest.len - len);
    }
    return KV_OK;
}

/* --- the solver --- */

/* Nobody is to wait for it, and it is the authority that says whether it is right. */
static kv_status tell_record(void *context, const kv_challenge_task *task, kv_error *err)
{
    kv_dns_record record;

    KV_TRY(kv_dns_persist_record(task, &record, err));
    kv_log_write(
        context, KV_LOG_INFO, "challenge.dns_persist",
        (kv_log_field[]){ { "name", record.name, 0 }, { "value", record.value, 0 }, { 0 } });
    return KV_OK;
}

static kv_status instruct(const kv_challenge_task *task, kv_slice *out, kv_error *err)
{
    kv_dns_record record;
    kv_slice quoted;

    KV_TRY(kv_dns_persist_record(task, &record, err));
    KV_TRY(quote(task, record.value, &quoted, err));
    return kv_arena_print(task->arena, out, err, "this record has to stand: %s TXT %.*s",
                          record.name, KV_SLICE_ARG(quoted));
}

static kv_status leave_it(void *context, const kv_challenge_task *task, kv_error *err)
{
    (void)context;
    (void)task;
    (void)err;
    return KV_OK;
}

const kv_challenge kv_challenge_dns_persist = {
    .type = "dns-persist-01",
    .wildcards = true,
    .present = tell_record,
    .clean = leave_it,
    .instruct = instruct,
    .check = check,
};
