/* acme_settings.c - what an issuer object says about an ACME authority. */
#include <jansson.h>

#include "server/base/text.h"
#include "server/issuer/acme_visit.h"

enum { PROFILE_MOST = 64, CHAIN_MOST = 200, CONTACT_MOST = 254, EAB_ID_MOST = 256 };

typedef json_t *settings_json;

static void settings_json_cleanup(settings_json *json)
{
    json_decref(*json);
}

static kv_status bad(kv_error *err, const char *name, const char *rule)
{
    return kv_fail_field(err, "settings", "\"%s\" %s", name, rule);
}

/* shape: table */
static const char *const known[] = { "directory",  "contacts", "terms_agreed",
                                     "challenges", "profile",  "preferred_chain" };

static kv_status refuse_unknown(json_t *json, kv_error *err)
{
    const char *name;
    json_t *value;

    json_object_foreach(json, name, value)
    {
        bool found = false;

        for (size_t i = 0; i < KV_COUNT(known); i++)
            found = found || !strcmp(name, known[i]);
        if (!found)
            return kv_fail_field(err, "settings",
                                 "has a member \"%.60s\": there are \"directory\", \"contacts\", "
                                 "\"terms_agreed\", \"challenges\", \"profile\", "
                                 "\"preferred_chain\"",
                                 kv_text_printable(kv_slice_text(name)) ? name : "?");
    }
    return KV_OK;
}

static kv_status text_in(kv_arena *arena, const json_t *json, const char *name, size_t most,
                         kv_slice *out, kv_error *err)
{
    const json_t *value = json_object_get(json, name);
    kv_slice text = kv_slice_of(json_string_value(value), json_string_length(value));

    *out = KV_SLICE_NONE;
    if (!value)
        return KV_OK;
    if (!text.len || text.len > most || !kv_text_printable(text))
        return bad(err, name, "must be a text that is not too long");
    return kv_arena_copy(arena, text, out, err);
}

static kv_status directory_in(kv_arena *arena, const json_t *json, kv_acme_settings *out,
                              kv_error *err)
{
    const json_t *value = json_object_get(json, "directory");
    kv_slice url = kv_slice_of(json_string_value(value), json_string_length(value));

    if (!json_is_string(value) || !kv_acme_url_good(url))
        return bad(err, "directory", "must be the https URL of the authority's ACME directory");
    return kv_arena_text(arena, url, &out->directory, err);
}

static kv_status contacts_in(kv_arena *arena, const json_t *json, kv_acme_settings *out,
                             kv_error *err)
{
    const json_t *list = json_object_get(json, "contacts");

    if (!list)
        return KV_OK;
    if (!json_is_array(list) || json_array_size(list) > KV_ACME_CONTACTS_MOST)
        return bad(err, "contacts", "must be a list of at most 10 texts");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        kv_slice url = kv_slice_of(json_string_value(item), json_string_length(item));

        if (!kv_slice_starts_with(url, KV_SLICE("mailto:")) || url.len > CONTACT_MOST ||
            !kv_text_printable(url) || memchr(url.data, '?', url.len) ||
            memchr(url.data, ',', url.len))
            return bad(err, "contacts", "must be of the form \"mailto:somebody@example.com\"");
        KV_TRY(kv_arena_copy(arena, url, &out->contacts[out->contact_count++], err));
    }
    return KV_OK;
}

/* --- proofs --- */

static bool is_type(kv_slice type)
{
    static const char *const types[] = { "http-01", "dns-01", "tls-alpn-01", "dns-persist-01" };

    for (size_t i = 0; i < KV_COUNT(types); i++)
        if (kv_slice_equal(type, kv_slice_text(types[i])))
            return true;
    return false;
}

static kv_status proof_in(kv_arena *arena, const json_t *item, kv_acme_proof *out, kv_error *err)
{
    const json_t *type = json_is_object(item) ? json_object_get(item, "type") : item;
    kv_slice name = kv_slice_of(json_string_value(type), json_string_length(type));
    size_t len = json_is_object(item) ? json_dumpb(item, NULL, 0, JSON_COMPACT) : 0;
    char *text = kv_arena_alloc(arena, len);

    if (!text)
        return kv_arena_full(err);
    if (!json_is_string(type) || !is_type(name))
        return bad(err, "challenges",
                   "must be of \"http-01\", \"dns-01\", \"tls-alpn-01\" and \"dns-persist-01\"");
    if (len)
        (void)json_dumpb(item, text, len, JSON_COMPACT);
    out->settings = kv_slice_of(text, len);
    return kv_arena_copy(arena, name, &out->type, err);
}

static kv_status proofs_in(kv_arena *arena, const json_t *json, kv_acme_settings *out,
                           kv_error *err)
{
    const json_t *list = json_object_get(json, "challenges");

    if (!list) {
        out->proofs[0].type = KV_SLICE("http-01");
        out->proofs[1].type = KV_SLICE("dns-01");
        out->proofs[2].type = KV_SLICE("tls-alpn-01");
        out->proof_count = 3;
        return KV_OK;
    }
    if (!json_array_size(list) || json_array_size(list) > KV_ACME_PROOFS_MOST)
        return bad(err, "challenges", "must be a list of 1 to 4 types");
    for (size_t i = 0; i < json_array_size(list); i++) {
        kv_acme_proof *proof = &out->proofs[i];

        KV_TRY(proof_in(arena, json_array_get(list, i), proof, err));
        for (size_t k = 0; k < i; k++)
            if (kv_slice_equal(out->proofs[k].type, proof->type))
                return bad(err, "challenges", "has a type twice");
        out->proof_count++;
    }
    return KV_OK;
}

kv_status kv_acme_settings_read(kv_arena *arena, kv_slice text, kv_acme_settings *out,
                                kv_error *err)
{
    KV_AUTO(settings_json)
    json = text.len ? json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL)
                    : NULL;

    *out = (kv_acme_settings){ 0 };
    if (!json_is_object(json))
        return kv_fail_field(err, "settings",
                             "must be a JSON object with \"directory\" and \"terms_agreed\"");
    KV_TRY(refuse_unknown(json, err));
    KV_TRY(directory_in(arena, json, out, err));
    if (!json_is_true(json_object_get(json, "terms_agreed")))
        return bad(err, "terms_agreed",
                   "must be true: somebody has read the authority's terms of service");
    KV_TRY(contacts_in(arena, json, out, err));
    KV_TRY(proofs_in(arena, json, out, err));
    KV_TRY(text_in(arena, json, "profile", PROFILE_MOST, &out->profile, err));
    return text_in(arena, json, "preferred_chain", CHAIN_MOST, &out->preferred_chain, err);
}

/* --- the whole object --- */

static kv_status judge_proofs(const kv_issuer_account *account, const kv_acme_settings *settings,
                              kv_arena *arena, kv_error *err)
{
    const kv_issuer_world *world = account->world;

    for (size_t i = 0; world && i < settings->proof_count; i++) {
        const kv_acme_proof *proof = &settings->proofs[i];
        const kv_challenge_solver *solver =
            kv_challenge_find(world->solvers, world->solver_count, proof->type);

        if (solver && solver->challenge->check)
            KV_TRY(solver->challenge->check(proof->settings, arena, err));
    }
    return KV_OK;
}

kv_status kv_acme_account_judge(const kv_issuer_account *account, kv_arena *arena, kv_error *err)
{
    kv_acme_settings settings;

    if (account->account_id.len && !account->credential)
        return kv_fail_field(err, "credentials.pwd",
                             "is the MAC key of the external account that account_id names");
    if (!account->account_id.len && account->credential)
        return kv_fail_field(err, "credentials.account_id",
                             "is the name of the external account that the MAC key is of");
    if (account->account_id.len > EAB_ID_MOST || !kv_text_printable(account->account_id))
        return kv_fail_field(err, "credentials.account_id", "must be printable");
    KV_TRY(kv_acme_settings_read(arena, account->settings, &settings, err));
    return judge_proofs(account, &settings, arena, err);
}
