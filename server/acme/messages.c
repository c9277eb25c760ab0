/* messages.c - what an ACME server says, read with bounds. */
#include "server/acme/messages.h"

#include "server/acme/parse.h"
#include "server/acme/when.h"
#include "server/base/text.h"

enum { NAME_MOST = 255, DOMAIN_MOST = 253, PROFILE_MOST = 64 };

static kv_status malformed(kv_error *err, const char *what)
{
    return kv_fail(err, KV_UNAVAILABLE, "the authority's answer is not %s", what);
}

bool kv_acme_url_good(kv_slice url)
{
    static const kv_slice scheme = { (const uint8_t *)"https://", 8 };
    bool authority = true;

    if (url.len > KV_ACME_URL_MOST || !kv_slice_starts_with(url, scheme) || url.len == scheme.len ||
        url.data[scheme.len] == '/' || url.data[scheme.len] == ':')
        return false;
    for (size_t i = scheme.len; i < url.len; i++) {
        uint8_t c = url.data[i];

        if (c <= 0x20 || c >= 0x7f || strchr("\"<>\\^`{|}#", c))
            return false;
        authority = authority && c != '/' && c != '?';
        if (authority && c == '@')
            return false;
    }
    return true;
}

/* --- states --- */

/* shape: table */
static const char *const words[] = {
    [KV_ACME_UNKNOWN] = "unknown",
    [KV_ACME_PENDING] = "pending",
    [KV_ACME_READY] = "ready",
    [KV_ACME_PROCESSING] = "processing",
    [KV_ACME_VALID] = "valid",
    [KV_ACME_INVALID] = "invalid",
    [KV_ACME_DEACTIVATED] = "deactivated",
    [KV_ACME_EXPIRED] = "expired",
    [KV_ACME_REVOKED] = "revoked",
};

kv_acme_state kv_acme_state_of(kv_slice word)
{
    for (size_t i = KV_ACME_PENDING; i < KV_COUNT(words); i++)
        if (kv_slice_equal(word, kv_slice_text(words[i])))
            return (kv_acme_state)i;
    return KV_ACME_UNKNOWN;
}

const char *kv_acme_state_name(kv_acme_state state)
{
    return words[state];
}

static kv_acme_state state_in(const json_t *json)
{
    return kv_acme_state_of(kv_acme_text_of(json, "status"));
}

static kv_status problem_in(kv_arena *arena, const json_t *json, bool *failed, kv_acme_problem *out,
                            kv_error *err)
{
    const json_t *problem = json_object_get(json, "error");

    *failed = json_is_object(problem);
    return *failed ? kv_acme_problem_of(arena, problem, out, err) : KV_OK;
}

static kv_status domain_in(kv_arena *arena, const json_t *item, kv_slice *out, kv_error *err)
{
    kv_slice text = kv_slice_of(json_string_value(item), json_string_length(item));

    if (!text.len || text.len > DOMAIN_MOST || !kv_text_printable(text))
        return malformed(err, "a list of domains");
    return kv_text_lower(arena, text, out, err);
}

/* No list at all where one of it makes no sense, which concerns one kind of proof alone. */
static kv_status domains_in(kv_arena *arena, const json_t *list, size_t most, kv_acme_domains *out,
                            kv_error *err)
{
    size_t count = json_array_size(list);
    kv_slice *names = kv_arena_array(arena, count < most ? count : most, sizeof(*names));

    *out = (kv_acme_domains){ 0 };
    if (!names)
        return kv_arena_full(err);
    if (count > most)
        return KV_OK;
    for (size_t i = 0; i < count; i++) {
        kv_status status = domain_in(arena, json_array_get(list, i), &names[i], err);

        if (status == KV_UNAVAILABLE) {
            *err = (kv_error){ 0 };
            return KV_OK;
        }
        KV_TRY(status);
    }
    *out = (kv_acme_domains){ .names = names, .count = count };
    return KV_OK;
}

/* A URL that is only told on; empty for what is none. */
static kv_status told_url_in(kv_arena *arena, const json_t *json, const char *member, kv_slice *out,
                             kv_error *err)
{
    kv_slice url = kv_acme_text_of(json, member);

    return kv_arena_copy(arena, kv_acme_url_good(url) ? url : KV_SLICE_NONE, out, err);
}

static bool has(const kv_acme_domains *domains, kv_slice name)
{
    for (size_t i = 0; i < domains->count; i++)
        if (kv_slice_equal(domains->names[i], name))
            return true;
    return false;
}

static bool has_all(const kv_acme_domains *domains, const kv_acme_domains *of)
{
    for (size_t i = 0; i < of->count; i++)
        if (!has(domains, of->names[i]))
            return false;
    return true;
}

kv_slice kv_acme_authority_domain(const kv_acme_directory *directory,
                                  const kv_acme_challenge *challenge)
{
    const kv_acme_domains *said =
        directory->domains.count ? &directory->domains : &directory->identities;

    if (!challenge)
        return said->count ? said->names[0] : KV_SLICE_NONE;
    if (challenge->strict &&
        (!has_all(&challenge->domains, &directory->domains) ||
         (directory->identities.count && !has_all(&directory->identities, &challenge->domains))))
        return KV_SLICE_NONE;
    for (size_t i = 0; i < said->count; i++)
        if (has(&challenge->domains, said->names[i]))
            return said->names[i];
    return challenge->domains.count ? challenge->domains.names[0] : KV_SLICE_NONE;
}

/* --- directory --- */

static kv_status profiles_in(kv_arena *arena, json_t *meta, kv_acme_directory *out, kv_error *err)
{
    json_t *profiles = json_object_get(meta, "profiles");
    kv_slice *names = kv_arena_array(arena, KV_ACME_PROFILES_MOST, sizeof(*names));
    const char *name;
    json_t *value;

    if (!names)
        return kv_arena_full(err);
    json_object_foreach(profiles, name, value)
    {
        kv_slice text = kv_slice_text(name);

        if (out->profile_count == KV_ACME_PROFILES_MOST)
            break;
        if (text.len <= PROFILE_MOST && kv_text_printable(text))
            KV_TRY(kv_arena_copy(arena, text, &names[out->profile_count++], err));
    }
    out->profiles = names;
    return KV_OK;
}

kv_status kv_acme_directory_read(kv_arena *arena, kv_slice body, kv_acme_directory *out,
                                 kv_error *err)
{
    KV_AUTO(kv_acme_json) json = kv_acme_parse(body);
    json_t *meta = json_object_get(json, "meta");
    kv_acme_directory read = { 0 };

    if (!json)
        return malformed(err, "an ACME directory");
    KV_TRY(kv_acme_url_of(arena, json, "newNonce", &read.new_nonce, err));
    KV_TRY(kv_acme_url_of(arena, json, "newAccount", &read.new_account, err));
    KV_TRY(kv_acme_url_of(arena, json, "newOrder", &read.new_order, err));
    KV_TRY(kv_acme_url_of(arena, json, "revokeCert", &read.revoke_cert, err));
    KV_TRY(kv_acme_url_of(arena, json, "keyChange", &read.key_change, err));
    KV_TRY(kv_acme_url_of(arena, json, "renewalInfo", &read.renewal_info, err));
    if (!read.new_nonce || !read.new_account || !read.new_order)
        return malformed(err, "an ACME directory");
    KV_TRY(kv_acme_words_of(arena, meta, "termsOfService", KV_ACME_DETAIL_MOST, &read.terms, err));
    read.binding_required = json_is_true(json_object_get(meta, "externalAccountRequired"));
    KV_TRY(domains_in(arena, json_object_get(meta, "caaIdentities"), KV_ACME_IDENTITIES_MOST,
                      &read.identities, err));
    KV_TRY(domains_in(arena, json_object_get(meta, "issuerDomainNames"), KV_ACME_DOMAINS_MOST,
                      &read.domains, err));
    KV_TRY(told_url_in(arena, meta, "accountHashPrefix", &read.account_hash_prefix, err));
    KV_TRY(profiles_in(arena, meta, &read, err));
    *out = read;
    return KV_OK;
}

/* --- order --- */

static kv_status authorizations_in(kv_arena *arena, const json_t *json, kv_acme_order *out,
                                   kv_error *err)
{
    const json_t *items = json_object_get(json, "authorizations");
    size_t count = json_array_size(items);
    const char **urls = kv_arena_array(arena, count, sizeof(*urls));

    if (!urls)
        return kv_arena_full(err);
    if (!count || count > KV_ACME_NAMES_MOST)
        return malformed(err, "an order");
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(items, i);
        kv_slice url = kv_slice_of(json_string_value(item), json_string_length(item));

        if (!kv_acme_url_good(url))
            return malformed(err, "an order");
        KV_TRY(kv_arena_text(arena, url, &urls[i], err));
    }
    out->authorizations = urls;
    out->count = count;
    return KV_OK;
}

kv_status kv_acme_order_read(kv_arena *arena, kv_slice body, kv_acme_order *out, kv_error *err)
{
    KV_AUTO(kv_acme_json) json = kv_acme_parse(body);
    kv_acme_order read = { 0 };

    if (!json)
        return malformed(err, "an order");
    read.state = state_in(json);
    KV_TRY(authorizations_in(arena, json, &read, err));
    KV_TRY(kv_acme_url_of(arena, json, "finalize", &read.finalize, err));
    KV_TRY(kv_acme_url_of(arena, json, "certificate", &read.certificate, err));
    if (!read.state || !read.finalize || (read.state == KV_ACME_VALID && !read.certificate))
        return malformed(err, "an order");
    KV_TRY(problem_in(arena, json, &read.failed, &read.problem, err));
    *out = read;
    return KV_OK;
}

/* --- authorization --- */

static kv_status token_in(kv_arena *arena, const json_t *json, kv_slice *out, kv_error *err)
{
    kv_slice text = kv_acme_text_of(json, "token");

    for (size_t i = 0; i < text.len; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
                    text.data[i] ? text.data[i] : '.'))
            return malformed(err, "a challenge");
    if (text.len > KV_ACME_TOKEN_MOST)
        return malformed(err, "a challenge");
    return kv_arena_copy(arena, text, out, err);
}

/* Of dns-persist-01, whose members have changed their names. */
static kv_status standing_in(kv_arena *arena, const json_t *json, kv_acme_challenge *out,
                             kv_error *err)
{
    const json_t *list = json_object_get(json, "issuerDomainNames");

    out->strict = list != NULL;
    KV_TRY(domains_in(arena, list ? list : json_object_get(json, "issuer-domain-names"),
                      KV_ACME_DOMAINS_MOST, &out->domains, err));
    return told_url_in(arena, json, "accounturi", &out->account, err);
}

static kv_status challenge_in(kv_arena *arena, const json_t *json, kv_acme_challenge *out,
                              kv_error *err)
{
    KV_TRY(kv_acme_words_of(arena, json, "type", PROFILE_MOST, &out->type, err));
    KV_TRY(kv_acme_url_of(arena, json, "url", &out->url, err));
    KV_TRY(token_in(arena, json, &out->token, err));
    KV_TRY(standing_in(arena, json, out, err));
    out->state = state_in(json);
    if (!out->url || !out->type.len)
        return malformed(err, "a challenge");
    return problem_in(arena, json, &out->failed, &out->problem, err);
}

static kv_status challenges_in(kv_arena *arena, const json_t *json, kv_acme_authorization *out,
                               kv_error *err)
{
    const json_t *items = json_object_get(json, "challenges");
    size_t count = json_array_size(items);
    kv_acme_challenge *challenges;

    if (count > KV_ACME_CHALLENGES_MOST)
        return malformed(err, "an authorization");
    challenges = kv_arena_array(arena, count, sizeof(*challenges));
    if (!challenges)
        return kv_arena_full(err);
    for (size_t i = 0; i < count; i++)
        KV_TRY(challenge_in(arena, json_array_get(items, i), &challenges[i], err));
    out->challenges = challenges;
    out->count = count;
    return KV_OK;
}

kv_status kv_acme_authorization_read(kv_arena *arena, kv_slice body, kv_acme_authorization *out,
                                     kv_error *err)
{
    KV_AUTO(kv_acme_json) json = kv_acme_parse(body);
    const json_t *identifier = json_object_get(json, "identifier");
    kv_slice type = kv_acme_text_of(identifier, "type");
    kv_slice name = kv_acme_text_of(identifier, "value");
    kv_acme_authorization read = { .state = state_in(json) };

    read.address = kv_slice_equal(type, KV_SLICE("ip"));
    read.wildcard = json_is_true(json_object_get(json, "wildcard"));
    if (!json || !read.state || !name.len || name.len > NAME_MOST || !kv_text_printable(name) ||
        (!read.address && !kv_slice_equal(type, KV_SLICE("dns"))))
        return malformed(err, "an authorization");
    KV_TRY(kv_text_lower(arena, name, &read.name, err));
    KV_TRY(challenges_in(arena, json, &read, err));
    *out = read;
    return KV_OK;
}

/* --- renewal information --- */

kv_status kv_acme_window_read(kv_arena *arena, kv_slice body, kv_acme_window *out, kv_error *err)
{
    KV_AUTO(kv_acme_json) json = kv_acme_parse(body);
    const json_t *window = json_object_get(json, "suggestedWindow");
    kv_acme_window read = { 0 };

    if (!kv_acme_time(kv_acme_text_of(window, "start"), &read.start_ms) ||
        !kv_acme_time(kv_acme_text_of(window, "end"), &read.end_ms) || read.end_ms <= read.start_ms)
        return malformed(err, "renewal information");
    KV_TRY(kv_acme_words_of(arena, json, "explanationURL", KV_ACME_DETAIL_MOST, &read.explanation,
                            err));
    *out = read;
    return KV_OK;
}
