/* settings.c - one table of every setting, and the reader that walks it. */
#include "server/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "server/settings_check.h"
#include "server/settings_rows.h"

enum { MAX_FILE_BYTES = 256 * 1024 };

typedef enum setting_kind {
    SETTING_TEXT,
    SETTING_PATH,
    SETTING_NUMBER,
    SETTING_CHOICE
} setting_kind;

typedef struct setting {
    kv_setting_help help;
    setting_kind kind;
    size_t offset;
    int64_t least;
    int64_t most;
    const char *choices; /* "strict|off": the first sets a bool to true; text keeps the word */
} setting;

#define AT(member)                  offsetof(kv_settings, member)
#define NUMBER(member, least, most) SETTING_NUMBER, AT(member), least, most, NULL
#define TEXT(member)                SETTING_TEXT, AT(member), 0, 0, NULL
#define FILE_PATH(member)           SETTING_PATH, AT(member), 0, 0, NULL

#define TOKEN(name, index, purpose)                                                            \
    { { "token." name, "module", "", "path of the PKCS#11 module of the token for " purpose }, \
      FILE_PATH(tokens[index].module) },                                                       \
        { { "token." name, "uri", "", "RFC 7512 URI that names exactly one token" },           \
          TEXT(tokens[index].uri) },                                                           \
        { { "token." name, "pin_file", "",                                                     \
            "file with the user PIN, mode 0600; or credential:NAME" },                         \
          FILE_PATH(tokens[index].pin_file) },                                                 \
        { { "token." name, "workers", "2", "calls that may use this token at once" },          \
          NUMBER(tokens[index].workers, 1, 256) },                                             \
        { { "token." name, "hang_seconds", "30",                                               \
            "a call that takes longer takes the token out of use until it is back" },          \
          NUMBER(tokens[index].hang_seconds, 1, 3600) },                                       \
        { { "token." name, "isolated", "false",                                                \
            "true: the module lives in a process of its own, which can be killed" },           \
          SETTING_CHOICE,                                                                      \
          AT(tokens[index].isolated),                                                          \
          0,                                                                                   \
          0,                                                                                   \
          "true|false" },                                                                      \
    {                                                                                          \
        { "token." name, "environment", "SOFTHSM2_CONF",                                       \
          "names of the variables that this process gets; no others" },                        \
            TEXT(tokens[index].environment)                                                    \
    }

/* shape: table */
static const setting settings_table[] = {
    { { "server", "home", "", "folder of everything the server writes" }, TEXT(home) },
    { { "server", "listen", "127.0.0.1:8443", "host and port of the gRPC endpoint" },
      TEXT(listen) },
    { { "server", "loops", "1", "threads that own connections" }, NUMBER(loops, 1, 64) },
    { { "server", "quick_workers", "2", "threads for reads of the store" },
      NUMBER(quick_workers, 1, 256) },
    { { "server", "slow_workers", "2", "threads for key generation, issuance and changes" },
      NUMBER(slow_workers, 1, 256) },
    { { "server", "locked_memory", "4194304",
        "bytes of locked memory for secrets, a power of two" },
      NUMBER(locked_memory, 1 << 16, 1 << 30) },
    { { "server", "log_level", "info", "debug, info, warning or error" },
      SETTING_CHOICE,
      AT(log_level),
      0,
      0,
      "debug|info|warning|error" },
    { { "tls", "certificate", "tls/server.pem",
        "PEM file: the server's certificate, then its chain" },
      FILE_PATH(tls_certificate) },
    { { "tls", "key", "", "its private key: a pkcs11: URI on [token.tls], or a PEM file" },
      FILE_PATH(tls_key) },
    { { "tls", "min_version", "1.3", "1.3, or 1.2 for clients that need it: ECDHE and AEAD only" },
      SETTING_CHOICE,
      AT(tls_min_version),
      0,
      0,
      "1.2|1.3" },
    { { "tls", "client_ca", "",
        "PEM file: the CAs whose client certificates are mapped; may be empty" },
      FILE_PATH(client_ca) },
    { { "store", "url", "sqlite:keyvault.db", "the database" }, TEXT(store_url) },
    TOKEN("keys", KV_SETTING_TOKEN_KEYS, "application keys"),
    TOKEN("ca", KV_SETTING_TOKEN_CA, "keys of the local CA"),
    TOKEN("system", KV_SETTING_TOKEN_SYSTEM, "the server's own keys"),
    TOKEN("tls", KV_SETTING_TOKEN_TLS, "the server's TLS identity"),
    { { "audit", "folder", "audit", "folder of the audit segments" }, FILE_PATH(audit_folder) },
    { { "audit", "segment_bytes", "268435456", "size of a segment, preallocated" },
      NUMBER(audit_segment_bytes, 65536, 1LL << 40) },
    { { "audit", "checkpoint_records", "10000", "a signed checkpoint after so many records" },
      NUMBER(audit_checkpoint_records, 1, 1 << 30) },
    { { "audit", "checkpoint_seconds", "60", "or after so many seconds" },
      NUMBER(audit_checkpoint_seconds, 1, 86400) },
    { { "audit", "low_water_bytes", "67108864", "with less free space than this, changes stop" },
      NUMBER(audit_low_water_bytes, 0, 1LL << 50) },
    { { "outgoing", "proxy", "",
        "URL of the proxy for what the server fetches and sends: http, https or socks5h" },
      TEXT(outgoing_proxy) },
    { { "outgoing", "ca_file", "",
        "PEM file of the CAs that peers are trusted by, instead of the system's" },
      FILE_PATH(outgoing_ca_file) },
    { { "outgoing", "networks", "",
        "networks that are not public and may be connected to, such as 10.0.0.0/8, fd00::/8" },
      TEXT(outgoing_networks) },
    { { "orders", "workers", "4", "threads that renew certificates and ask their issuers" },
      NUMBER(order_workers, 1, 16) },
    { { "orders", "per_issuer", "2", "of them at once with one issuer, which may hang" },
      NUMBER(order_per_issuer, 1, 16) },
    { { "orders", "per_vault", "3",
        "with the issuers of one vault; fewer than workers, or all wait for one" },
      NUMBER(order_per_vault, 1, 16) },
    { { "events", "days", "30", "how long events are kept for who reads them late" },
      NUMBER(event_days, 1, 3650) },
    { { "events", "count", "100000", "and how many at most" }, NUMBER(event_count, 100, 10000000) },
    { { "events", "watches", "4096", "streams of events at once" },
      NUMBER(max_watches, 1, 100000) },
    { { "events", "watches_per_principal", "256", "of them of one principal" },
      NUMBER(max_watches_per_principal, 1, 100000) },
    { { "events", "slow_watch_ms", "20000", "a stream that is not read for so long ends" },
      NUMBER(slow_watch_ms, 100, 3600000) },
    { { "smtp", "host", "", "mail server that takes mail to the contacts; empty: no mail" },
      TEXT(smtp_host) },
    { { "smtp", "port", "587", "its port" }, NUMBER(smtp_port, 1, 65535) },
    { { "smtp", "tls", "starttls", "starttls (required), implicit, or none" },
      SETTING_CHOICE,
      AT(smtp_tls),
      0,
      0,
      "starttls|implicit|none" },
    { { "smtp", "ca_file", "", "PEM file of the CAs it is trusted by, instead of the system's" },
      FILE_PATH(smtp_ca_file) },
    { { "smtp", "user", "", "to log in with; empty: no login" }, TEXT(smtp_user) },
    { { "smtp", "password_file", "", "file with the password, mode 0600; or credential:NAME" },
      FILE_PATH(smtp_password_file) },
    { { "smtp", "from", "", "address that mail comes from" }, TEXT(smtp_from) },
    { { "smtp", "from_name", "Key vault", "and its name" }, TEXT(smtp_from_name) },
    { { "notification", "origin", "",
        "DNS name of this server in mail and to webhooks; empty: the host's" },
      TEXT(notification_origin) },
    { { "notification", "webhook_threads", "16", "webhooks that are called at once" },
      NUMBER(webhook_threads, 1, 64) },
    { { "notification", "tries", "10", "attempts before something is a dead letter" },
      NUMBER(notification_tries, 1, 10) },
    { { "notification", "retry_percent", "100",
        "of the waits between attempts: 5 s, 5 min, 30 min, 2, 5, 10, 14, 20, 24 h" },
      NUMBER(retry_percent, 1, 100) },
    { { "notification", "mail_interval_seconds", "60", "between two mails to one contact" },
      NUMBER(mail_interval_seconds, 0, 86400) },
    { { "notification", "digest_hour", "6", "of the daily mail, UTC" },
      NUMBER(digest_hour, 0, 23) },
    { { "pki", "listen", "",
        "host and port for revocation lists and OCSP, plain HTTP; empty: none" },
      TEXT(pki_listen) },
    { { "pki", "base_url", "",
        "where clients reach it: http://pki.example.org; new authorities write URLs below it" },
      TEXT(pki_base_url) },
    { { "pki", "threads", "8", "requests to it at once" }, NUMBER(pki_threads, 1, 64) },
    { { "acme", "http_listen", "",
        "host and port that answer http-01 challenges, plain HTTP; empty: [pki] listen alone" },
      TEXT(acme_http_listen) },
    { { "acme", "http_threads", "16", "requests to it at once" },
      NUMBER(acme_http_threads, 1, 64) },
    { { "acme", "tls_alpn_listen", "",
        "host and port that answer tls-alpn-01 challenges; empty: none" },
      TEXT(acme_tls_alpn_listen) },
    { { "acme", "dns_hook", "", "program that puts TXT records for dns-01; empty: none" },
      FILE_PATH(acme_dns_hook) },
    { { "acme", "dns_server", "",
        "host, or host:port, that takes updates (RFC 2136) for dns-01; empty: none" },
      TEXT(acme_dns_server) },
    { { "acme", "dns_zone", "", "the zone that is updated; empty: the server is asked for it" },
      TEXT(acme_dns_zone) },
    { { "acme", "dns_key_name", "", "name of the TSIG key that signs updates" },
      TEXT(acme_dns_key_name) },
    { { "acme", "dns_key_algorithm", "hmac-sha256", "hmac-sha256, hmac-sha384 or hmac-sha512" },
      SETTING_CHOICE,
      AT(acme_dns_key_algorithm),
      0,
      0,
      "hmac-sha256|hmac-sha384|hmac-sha512" },
    { { "acme", "dns_key_file", "", "file with its secret in base64, mode 0600" },
      FILE_PATH(acme_dns_key_file) },
    { { "acme", "dns_seconds", "60", "the hook or the update must be done by then" },
      NUMBER(acme_dns_seconds, 1, 600) },
    { { "acme", "dns_wait_seconds", "30",
        "from then until every server of the zone has the record" },
      NUMBER(acme_dns_wait_seconds, 0, 3600) },
    { { "access", "separation_of_duty", "strict", "strict, warn, or off for development" },
      SETTING_CHOICE,
      AT(separation),
      0,
      0,
      "strict|warn|off" },
    { { "limits", "message_bytes", "4194304", "largest request or answer" },
      NUMBER(max_message_bytes, 1024, 64 << 20) },
    { { "limits", "request_bytes", "536870912",
        "of unfinished requests in memory; half of them of unknown callers" },
      NUMBER(max_request_bytes, 1 << 20, 1LL << 40) },
    { { "limits", "connections", "4096", "open connections" },
      NUMBER(max_connections, 1, 1 << 20) },
    { { "limits", "connections_per_peer", "1024", "open connections from one address" },
      NUMBER(max_connections_per_peer, 1, 1 << 20) },
    { { "limits", "streams", "128", "calls at once on one connection" },
      NUMBER(max_streams, 1, 10000) },
    { { "limits", "queue", "4096", "calls that may wait in one lane" },
      NUMBER(max_queue, 1, 1 << 20) },
    { { "limits", "calls", "8192", "calls running at once; half of them of unknown callers" },
      NUMBER(max_calls, 2, 1 << 20) },
    { { "limits", "calls_per_principal", "2048", "of them of one principal" },
      NUMBER(max_calls_per_principal, 1, 1 << 20) },
    { { "limits", "rate", "0", "calls a second; 0: no limit" }, NUMBER(max_rate, 0, 1000000) },
    { { "limits", "rate_per_principal", "0", "of them of one principal; 0: no limit" },
      NUMBER(max_rate_per_principal, 0, 1000000) },
    { { "limits", "burst_seconds", "2", "a rate that was not used is saved for so long" },
      NUMBER(burst_seconds, 1, 60) },
    { { "limits", "failures_per_peer", "100",
        "calls a second from one address whose caller cannot be identified; saved for 10 s" },
      NUMBER(failures_per_peer, 1, 100000) },
    { { "limits", "default_deadline_ms", "30000", "for calls that name none" },
      NUMBER(default_deadline_ms, 1, 3600000) },
    { { "limits", "max_deadline_ms", "300000", "no call lasts longer" },
      NUMBER(max_deadline_ms, 1, 3600000) },
    { { "limits", "handshake_ms", "5000", "a TLS handshake must be done by then" },
      NUMBER(handshake_ms, 100, 600000) },
    { { "limits", "idle_seconds", "300", "a connection without calls is closed" },
      NUMBER(idle_seconds, 1, 86400) },
    { { "limits", "drain_seconds", "10", "how long a shutdown waits for running calls" },
      NUMBER(drain_seconds, 0, 3600) },
};

#define PROVIDER(member) offsetof(kv_oidc_settings, member)

/* shape: table */
static const setting provider_table[] = {
    { { "oidc.NAME", "issuer", "", "https URL of the identity provider, as its tokens say it" },
      SETTING_TEXT,
      PROVIDER(issuer),
      0,
      0,
      NULL },
    { { "oidc.NAME", "audience", "", "what its tokens must be for: the client id" },
      SETTING_TEXT,
      PROVIDER(audience),
      0,
      0,
      NULL },
    { { "oidc.NAME", "jwks", "", "where its keys are: https URL or file; default: by discovery" },
      SETTING_PATH,
      PROVIDER(jwks),
      0,
      0,
      NULL },
    { { "oidc.NAME", "algorithms", "RS256, PS256, ES256, EdDSA",
        "signature algorithms that are trusted" },
      SETTING_TEXT,
      PROVIDER(algorithms),
      0,
      0,
      NULL },
    { { "oidc.NAME", "claims", "sub",
        "claims that credentials may name, the one looked at first comes first: sub, groups" },
      SETTING_TEXT,
      PROVIDER(claims),
      0,
      0,
      NULL },
    { { "oidc.NAME", "ca_file", "", "PEM file of the CAs it is trusted by, instead of [outgoing]" },
      SETTING_PATH,
      PROVIDER(ca_file),
      0,
      0,
      NULL },
    { { "oidc.NAME", "leeway_seconds", "60", "how far its clock may be from ours" },
      SETTING_NUMBER,
      PROVIDER(leeway_seconds),
      0,
      300,
      NULL },
    { { "oidc.NAME", "token_seconds", "3600", "longest life of a role token that is got by it" },
      SETTING_NUMBER,
      PROVIDER(token_seconds),
      60,
      28800,
      NULL },
};

typedef struct reader {
    kv_settings *settings;
    bool seen[KV_COUNT(settings_table)];
    bool provider_seen[KV_SETTING_PROVIDERS][KV_COUNT(provider_table)];
    kv_error *err;
} reader;

static char **text_at(void *base, const setting *row)
{
    return (char **)(void *)((char *)base + row->offset);
}

static int64_t *number_at(void *base, const setting *row)
{
    return (int64_t *)(void *)((char *)base + row->offset);
}

static kv_status out_of_memory(kv_error *err)
{
    return kv_fail(err, KV_BUSY, "out of memory");
}

static kv_status set_number(void *settings, const setting *row, const char *value, kv_error *err)
{
    char *end = NULL;
    long long number;

    errno = 0;
    number = strtoll(value, &end, 10);
    if (errno || end == value || *end || number < row->least || number > row->most)
        return kv_fail_field(err, row->help.key, "[%s] %s must be a number from %lld to %lld",
                             row->help.section, row->help.key, (long long)row->least,
                             (long long)row->most);
    *number_at(settings, row) = number;
    return KV_OK;
}

static bool is_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);

    for (const char *at = choices; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (!strncmp(at, value, len) && (at[len] == '|' || !at[len]) && len)
            return true;
    }
    return false;
}

static kv_status set_text(void *settings, const setting *row, const char *value, kv_error *err)
{
    char *copy = strdup(value);

    if (!copy)
        return out_of_memory(err);
    free(*text_at(settings, row));
    *text_at(settings, row) = copy;
    return KV_OK;
}

static kv_status set_choice(void *settings, const setting *row, const char *value, kv_error *err)
{
    if (!is_choice(row->choices, value))
        return kv_fail_field(err, row->help.key, "[%s] %s must be one of %s", row->help.section,
                             row->help.key, row->choices);
    return set_text(settings, row, value, err);
}

static kv_status set(void *settings, const setting *row, const char *value, kv_error *err)
{
    switch (row->kind) {
    case SETTING_NUMBER:
        return set_number(settings, row, value, err);
    case SETTING_CHOICE:
        return set_choice(settings, row, value, err);
    case SETTING_TEXT:
    case SETTING_PATH:
        break;
    }
    return set_text(settings, row, value, err);
}

static kv_oidc_settings *find_provider(kv_settings *settings, const char *name)
{
    for (unsigned i = 0; i < settings->oidc_count; i++)
        if (!strcmp(name, settings->oidc[i].name))
            return &settings->oidc[i];
    return NULL;
}

/* The provider of that name, which begins with the defaults. */
static kv_status take_provider(reader *in, const char *name, kv_oidc_settings **out)
{
    kv_settings *settings = in->settings;
    kv_oidc_settings *provider = find_provider(settings, name);

    *out = provider;
    if (provider)
        return KV_OK;
    if (settings->oidc_count == KV_SETTING_PROVIDERS)
        return kv_fail(in->err, KV_BAD_REQUEST, "there are more than %d sections [oidc.NAME]",
                       KV_SETTING_PROVIDERS);
    if (!*name || strlen(name) >= sizeof(provider->name) ||
        strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz-") != strlen(name))
        return kv_fail(in->err, KV_BAD_REQUEST,
                       "the NAME of [oidc.NAME] must be 1 to 32 of [0-9a-z-]");
    provider = &settings->oidc[settings->oidc_count++];
    (void)snprintf(provider->name, sizeof(provider->name), "%s", name);
    for (unsigned i = 0; i < KV_COUNT(provider_table); i++)
        KV_TRY(set(provider, &provider_table[i], provider_table[i].help.value, in->err));
    *out = provider;
    return KV_OK;
}

static kv_status take_provider_line(reader *in, const char *section, const char *key,
                                    const char *value)
{
    kv_oidc_settings *provider;
    bool *seen;

    KV_TRY(take_provider(in, strchr(section, '.') + 1, &provider));
    seen = in->provider_seen[provider - in->settings->oidc];
    for (unsigned i = 0; i < KV_COUNT(provider_table); i++) {
        const setting *row = &provider_table[i];

        if (strcmp(row->help.key, key) != 0)
            continue;
        if (seen[i])
            return kv_fail_field(in->err, row->help.key, "[%s] %s is given twice", section, key);
        seen[i] = true;
        return set(provider, row, value ? value : "", in->err);
    }
    return kv_fail(in->err, KV_BAD_REQUEST, "there is no setting '%.40s' in [%.40s]", key, section);
}

static kv_status take_line(reader *in, const char *section, const char *key, const char *value)
{
    for (unsigned i = 0; i < KV_COUNT(settings_table); i++) {
        const setting *row = &settings_table[i];

        if (strcmp(row->help.section, section) != 0 || strcmp(row->help.key, key) != 0)
            continue;
        if (in->seen[i])
            return kv_fail_field(in->err, row->help.key, "[%s] %s is given twice", section, key);
        in->seen[i] = true;
        return set(in->settings, row, value ? value : "", in->err);
    }
    if (!strncmp(section, "oidc.", 5))
        return take_provider_line(in, section, key, value);
    return kv_fail(in->err, KV_BAD_REQUEST, "there is no setting '%.40s' in [%.40s]", key, section);
}

static int on_line(void *user, const char *section, const char *key, const char *value)
{
    reader *in = user;

    /* The first error stands; inih goes on reading. */
    if (in->err->status != KV_OK)
        return 0;
    return take_line(in, section, key, value) == KV_OK;
}

static kv_status set_defaults(kv_settings *settings, kv_error *err)
{
    for (unsigned i = 0; i < KV_COUNT(settings_table); i++)
        KV_TRY(set(settings, &settings_table[i], settings_table[i].help.value, err));
    return KV_OK;
}

/* Paths are made absolute here, so nobody depends on the working folder. */
static kv_status resolve(kv_settings *settings, char **path, kv_error *err)
{
    char *full = NULL;

    if (!**path || **path == '/' || !strncmp(*path, "pkcs11:", 7) ||
        !strncmp(*path, "https://", 8) || !strncmp(*path, "credential:", 11))
        return KV_OK;
    if (asprintf(&full, "%s/%s", settings->home, *path) < 0)
        return out_of_memory(err);
    free(*path);
    *path = full;
    return KV_OK;
}

static kv_status resolve_store(kv_settings *settings, kv_error *err)
{
    static const char scheme[] = "sqlite:";
    char *full = NULL;

    if (strncmp(settings->store_url, scheme, strlen(scheme)) != 0 ||
        settings->store_url[strlen(scheme)] == '/')
        return KV_OK;
    if (asprintf(&full, "%s%s/%s", scheme, settings->home, settings->store_url + strlen(scheme)) <
        0)
        return out_of_memory(err);
    free(settings->store_url);
    settings->store_url = full;
    return KV_OK;
}

static kv_status check_providers(kv_settings *settings, kv_error *err)
{
    for (unsigned i = 0; i < settings->oidc_count; i++) {
        kv_oidc_settings *provider = &settings->oidc[i];

        if (!provider->issuer[0] || !provider->audience[0])
            return kv_fail_field(err, "issuer", "[oidc.%s] needs issuer and audience",
                                 provider->name);
        KV_TRY(resolve(settings, &provider->jwks, err));
        KV_TRY(resolve(settings, &provider->ca_file, err));
    }
    return KV_OK;
}

static kv_status check_whole(kv_settings *settings, kv_error *err)
{
    if (settings->home[0] != '/')
        return kv_fail_field(err, "home", "[server] home must be an absolute path");
    for (unsigned i = 0; i < KV_COUNT(settings_table); i++)
        if (settings_table[i].kind == SETTING_PATH)
            KV_TRY(resolve(settings, text_at(settings, &settings_table[i]), err));
    KV_TRY(resolve_store(settings, err));
    KV_TRY(check_providers(settings, err));
    if (settings->locked_memory & (settings->locked_memory - 1))
        return kv_fail_field(err, "locked_memory", "[server] locked_memory must be a power of two");
    KV_TRY(kv_settings_check(settings, err));
    for (int i = 0; i < KV_SETTING_TOKEN_TLS; i++) {
        const kv_token_settings *token = &settings->tokens[i];

        if (!token->module[0] || !token->uri[0] || !token->pin_file[0])
            return kv_fail_field(err, "token",
                                 "[token.keys], [token.ca] and [token.system] each "
                                 "need module, uri and pin_file");
    }
    if (!settings->tls_key[0])
        return kv_fail_field(err, "key", "[tls] key is missing");
    return KV_OK;
}

/* inih tells the line of the first error only afterwards. */
static kv_status name_line(int line, kv_error *err)
{
    kv_error first = *err;

    (void)snprintf(err->message, sizeof(err->message), "line %d: %.150s", line, first.message);
    return err->status;
}

kv_status kv_settings_parse(const char *text, kv_settings *out, kv_error *err)
{
    KV_AUTO(kv_settings) settings = { 0 };
    reader in = { .settings = &settings, .err = err };
    int line;

    *err = (kv_error){ 0 };
    KV_TRY(set_defaults(&settings, err));
    line = ini_parse_string(text, on_line, &in);
    if (err->status != KV_OK)
        return name_line(line, err);
    if (line != 0)
        return kv_fail(err, KV_BAD_REQUEST, "line %d is not 'key = value' in a section", line);
    KV_TRY(check_whole(&settings, err));

    *out = settings;
    settings = (kv_settings){ 0 };
    return KV_OK;
}

kv_status kv_settings_read(const char *path, kv_settings *out, kv_error *err)
{
    FILE *file = fopen(path, "re");
    kv_status status;
    char *text;
    size_t len;

    if (!file) {
        kv_fail(err, KV_UNAVAILABLE, "the configuration '%.100s' cannot be opened", path);
        return kv_note(err, "%s", strerror(errno));
    }
    text = calloc(1, MAX_FILE_BYTES + 1);
    len = text ? fread(text, 1, MAX_FILE_BYTES, file) : 0;
    if (!text)
        status = out_of_memory(err);
    else if (ferror(file) || len == MAX_FILE_BYTES)
        status = kv_fail(err, KV_UNAVAILABLE, "the configuration cannot be read, or is too long");
    else
        status = kv_settings_parse(text, out, err);
    free(text);
    (void)fclose(file);
    KV_TRY(status);
    out->file = strdup(path);
    if (out->file)
        return KV_OK;
    kv_settings_cleanup(out);
    return out_of_memory(err);
}

static void free_texts(void *base, const setting *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].kind != SETTING_NUMBER)
            free(*text_at(base, &rows[i]));
}

void kv_settings_cleanup(kv_settings *settings)
{
    free(settings->file);
    free_texts(settings, settings_table, KV_COUNT(settings_table));
    for (unsigned i = 0; i < settings->oidc_count; i++)
        free_texts(&settings->oidc[i], provider_table, KV_COUNT(provider_table));
    *settings = (kv_settings){ 0 };
}

const kv_setting_help *kv_settings_help(unsigned row)
{
    return row < KV_COUNT(settings_table) ? &settings_table[row].help : NULL;
}

const kv_setting_help *kv_settings_provider_help(unsigned row)
{
    return row < KV_COUNT(provider_table) ? &provider_table[row].help : NULL;
}

static void print_value(const void *base, const setting *at, char *out, size_t size)
{
    void *readable = (void *)(uintptr_t)base;

    if (at->kind == SETTING_NUMBER)
        (void)snprintf(out, size, "%lld", (long long)*number_at(readable, at));
    else
        (void)snprintf(out, size, "%s", *text_at(readable, at));
}

void kv_settings_value(const kv_settings *settings, unsigned row, char *out, size_t size)
{
    print_value(settings, &settings_table[row], out, size);
}

void kv_settings_provider_value(const kv_oidc_settings *provider, unsigned row, char *out,
                                size_t size)
{
    print_value(provider, &provider_table[row], out, size);
}

static bool same(const void *a, const void *b, const setting *row)
{
    void *one = (void *)(uintptr_t)a, *other = (void *)(uintptr_t)b;

    if (row->kind == SETTING_NUMBER)
        return *number_at(one, row) == *number_at(other, row);
    return !strcmp(*text_at(one, row), *text_at(other, row));
}

bool kv_settings_same(const kv_settings *a, const kv_settings *b, unsigned row)
{
    return same(a, b, &settings_table[row]);
}

kv_status kv_settings_keep(kv_settings *settings, const kv_settings *from, unsigned row,
                           kv_error *err)
{
    const setting *at = &settings_table[row];
    void *readable = (void *)(uintptr_t)from;

    if (at->kind != SETTING_NUMBER)
        return set_text(settings, at, *text_at(readable, at), err);
    *number_at(settings, at) = *number_at(readable, at);
    return KV_OK;
}

bool kv_settings_same_providers(const kv_settings *a, const kv_settings *b)
{
    bool equal = a->oidc_count == b->oidc_count;

    for (unsigned i = 0; equal && i < a->oidc_count; i++) {
        equal = !strcmp(a->oidc[i].name, b->oidc[i].name);
        for (unsigned k = 0; equal && k < KV_COUNT(provider_table); k++)
            equal = same(&a->oidc[i], &b->oidc[i], &provider_table[k]);
    }
    return equal;
}
