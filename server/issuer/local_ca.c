/* local_ca.c - issuer LocalCA: an authority of this server signs on its token, at once.
 *
 * What a certificate may be used for is chosen from a table by the policy's certificate type, so
 * that the people who order certificates choose among what is known. Without one the usages of the
 * policy count, apart from those that would make an authority of its holder.
 */
#include "server/issuer/local_ca.h"

#include <jansson.h>

#include "server/base/text.h"
#include "server/issuer/builtin.h"

#define SERVER_AUTH      "1.3.6.1.5.5.7.3.1"
#define CLIENT_AUTH      "1.3.6.1.5.5.7.3.2"
#define CODE_SIGNING     "1.3.6.1.5.5.7.3.3"
#define EMAIL_PROTECTION "1.3.6.1.5.5.7.3.4"
#define OCSP_SIGNING     "1.3.6.1.5.5.7.3.9"
#define ANY_USAGE        "2.5.29.37.0"
#define TEXT(literal)                                   \
    {                                                   \
        (const uint8_t *)(literal), sizeof(literal) - 1 \
    }

enum { USAGES_MAX = 2 };

typedef struct profile {
    const char *name; /* issuer.cty */
    uint32_t usage;
    bool rsa_enciphers; /* keyEncipherment with RSA keys */
    kv_slice ekus[USAGES_MAX];
    size_t eku_count;
    uint32_t max_months;
} profile;

/* shape: table */
static const profile profiles[] = {
    { "tls-server", KV_X509_DIGITAL_SIGNATURE, true, { TEXT(SERVER_AUTH) }, 1, 12 },
    { "tls-client", KV_X509_DIGITAL_SIGNATURE, false, { TEXT(CLIENT_AUTH) }, 1, 36 },
    { "tls-peer",
      KV_X509_DIGITAL_SIGNATURE,
      true,
      { TEXT(SERVER_AUTH), TEXT(CLIENT_AUTH) },
      2,
      12 },
    { "code-signing", KV_X509_DIGITAL_SIGNATURE, false, { TEXT(CODE_SIGNING) }, 1, 36 },
    { "email",
      KV_X509_DIGITAL_SIGNATURE | KV_X509_NON_REPUDIATION,
      true,
      { TEXT(EMAIL_PROTECTION) },
      1,
      36 },
};

static kv_status refuse(const kv_issuer_order *order, const char *code, kv_issuer_answer *out,
                        kv_error *err, const char *why)
{
    *out = (kv_issuer_answer){ .state = KV_ISSUER_REFUSED, .code = kv_slice_text(code) };
    return kv_arena_print(order->arena, &out->details, err, "%s", why);
}

static const profile *find_profile(kv_slice cty)
{
    for (size_t i = 0; i < KV_COUNT(profiles); i++)
        if (kv_text_equal_nocase(cty, kv_slice_text(profiles[i].name)))
            return &profiles[i];
    return NULL;
}

static void apply(const profile *with, kv_x509_policy *policy)
{
    kv_x509_props *props = &policy->x509_props;
    bool rsa = kv_key_kind_of(kv_x509_policy_key_kind(policy))->family == KV_FAMILY_RSA;

    props->key_usage = with->usage;
    if (with->rsa_enciphers && rsa)
        props->key_usage |= KV_X509_KEY_ENCIPHERMENT;
    props->ekus = (kv_x509_list){ .items = with->ekus, .count = with->eku_count };
    if (props->validity_months > with->max_months)
        props->validity_months = with->max_months;
}

/* What only an authority may do, or what allows everything. */
static bool oversteps(const kv_x509_props *props)
{
    static const kv_slice never[] = { TEXT(OCSP_SIGNING), TEXT(ANY_USAGE) };

    if (props->ca || (props->key_usage & (KV_X509_KEY_CERT_SIGN | KV_X509_CRL_SIGN)))
        return true;
    for (size_t i = 0; i < props->ekus.count; i++)
        for (size_t k = 0; k < KV_COUNT(never); k++)
            if (kv_slice_equal(props->ekus.items[i], never[k]))
                return true;
    return false;
}

static kv_x509_lint_scope scope_of(const kv_issuer_order *order)
{
    return order->account && order->account->trust ? order->account->trust : KV_X509_LINT_PRIVATE;
}

/* A certificate that ends with its authority is shorter than somebody thinks. */
static kv_status tell_cut(const kv_issuer_order *order, const kv_x509_policy *policy,
                          const kv_x509_built *built, kv_issuer_answer *answer, kv_error *err)
{
    int64_t asked = kv_x509_add_months(order->now_ms, policy->x509_props.validity_months);
    kv_slice *warnings = kv_arena_array(order->arena, answer->warnings.count + 1, sizeof(kv_slice));
    size_t count = answer->warnings.count;

    if (built->facts.not_after_ms >= asked - 1000)
        return KV_OK;
    if (!warnings)
        return kv_arena_full(err);
    for (size_t i = 0; i < count; i++)
        warnings[i] = answer->warnings.items[i];
    warnings[count] = KV_SLICE("validity_cut: the certificate ends with its authority, which is to "
                               "be renewed");
    answer->warnings = (kv_x509_list){ .items = warnings, .count = count + 1 };
    return KV_OK;
}

static kv_status issue(const kv_issuer_order *order, const kv_x509_policy *policy,
                       kv_issuer_answer *out, kv_error *err)
{
    const kv_issuer_local *local = order->local;
    size_t above = local->chain.count - 1;
    kv_x509_list served = local->served.count ? local->served : local->chain;
    kv_slice *chain = kv_arena_array(order->arena, served.count + 1, sizeof(kv_slice));
    kv_x509_build in = { .policy = policy,
                         .spki = order->spki,
                         .signer = local->signer,
                         .issuer = local->chain.items[0],
                         .above = { .items = local->chain.items + 1, .count = above },
                         .authority = &local->authority,
                         .now_ms = order->now_ms,
                         .scope = scope_of(order) };
    kv_issuer_answer answer = { .state = KV_ISSUER_ISSUED };
    kv_x509_built built;

    if (!chain)
        return kv_arena_full(err);
    KV_TRY(local->reserve(local->context, &in.serial, err));
    KV_TRY(kv_x509_certificate_build(order->arena, &in, &built, err));
    KV_TRY(kv_issuer_tell_findings(order->arena, &built.findings, &answer.warnings, err));
    chain[0] = built.der;
    memcpy(chain + 1, served.items, served.count * sizeof(*chain));
    answer.chain = (kv_x509_list){ .items = chain, .count = served.count + 1 };
    KV_TRY(tell_cut(order, policy, &built, &answer, err));
    *out = answer;
    return KV_OK;
}

/* What the issuer is for, unless the policy asks for something else. */
static bool take_profile(const kv_issuer_order *order, kv_x509_policy *policy)
{
    kv_slice only = order->local->profile;

    if (!only.len)
        return true;
    if (policy->issuer.cty.len && !kv_text_equal_nocase(policy->issuer.cty, only))
        return false;
    policy->issuer.cty = only;
    return true;
}

static kv_status submit(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    kv_x509_policy policy = *order->policy;
    const profile *with = NULL;

    if (!order->local)
        return kv_fail(err, KV_INTERNAL, "issuer LocalCA needs an authority");
    if (!take_profile(order, &policy))
        return refuse(order, "notAllowed", out, err,
                      "This issuer is for another certificate type.");
    if (policy.issuer.cty.len) {
        with = find_profile(policy.issuer.cty);
        if (!with)
            return refuse(order, "unknownProfile", out, err,
                          "This authority has no such certificate type: tls-server, tls-client, "
                          "tls-peer, code-signing, email.");
        apply(with, &policy);
    }
    if (oversteps(&policy.x509_props))
        return refuse(order, "notAllowed", out, err,
                      "A certificate may not have the usages of an authority.");
    if (policy.x509_props.validity_months > order->local->max_months)
        policy.x509_props.validity_months = order->local->max_months;
    return issue(order, &policy, out, err);
}

/* --- the issuer object --- */

static kv_status not_settings(const char *why, kv_error *err)
{
    return kv_fail_field(err, "settings", "%s", why);
}

static kv_status take_member(const char *key, const json_t *value, kv_arena *arena,
                             kv_local_ca_settings *out, kv_error *err)
{
    kv_slice *to = !strcmp(key, "vault")       ? &out->vault
                   : !strcmp(key, "authority") ? &out->authority
                   : !strcmp(key, "profile")   ? &out->profile
                                               : NULL;

    if (!to)
        return not_settings("LocalCA takes vault, authority and profile", err);
    if (!json_is_string(value) || !json_string_length(value))
        return not_settings("vault, authority and profile are texts", err);
    return kv_arena_copy(arena, kv_slice_of(json_string_value(value), json_string_length(value)),
                         to, err);
}

static kv_status take_members(json_t *root, kv_arena *arena, kv_local_ca_settings *out,
                              kv_error *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(root))
        return not_settings("must be one JSON object that names nothing twice", err);
    json_object_foreach(root, key, value) KV_TRY(take_member(key, value, arena, out, err));
    if (out->profile.len && !find_profile(out->profile))
        return not_settings("profile is tls-server, tls-client, tls-peer, code-signing or email",
                            err);
    return KV_OK;
}

kv_status kv_local_ca_settings_read(kv_slice settings, kv_arena *arena, kv_local_ca_settings *out,
                                    kv_error *err)
{
    kv_local_ca_settings read = { 0 };
    json_t *root;
    kv_status status;

    *out = read;
    if (!settings.len)
        return KV_OK;
    root = json_loadb((const char *)settings.data, settings.len, JSON_REJECT_DUPLICATES, NULL);
    status = take_members(root, arena, &read, err);
    json_decref(root);
    if (status == KV_OK)
        *out = read;
    return status;
}

static kv_status check_account(const kv_issuer_account *account, kv_arena *arena, kv_error *err)
{
    kv_local_ca_settings settings;

    if (account->account_id.len)
        return kv_fail_field(err, "credentials.account_id", "issuer LocalCA has no account");
    if (account->credential)
        return kv_fail_field(err, "credentials.pwd", "issuer LocalCA has no account");
    return kv_local_ca_settings_read(account->settings, arena, &settings, err);
}

const kv_issuer kv_issuer_local_ca = {
    .provider = KV_X509_ISSUER_LOCAL_CA,
    .auto_renew = true,
    .needs_account = true,
    .submit = submit,
    .poll = kv_issuer_never_pending,
    .cancel = kv_issuer_nothing_to_cancel,
    .check_account = check_account,
};
