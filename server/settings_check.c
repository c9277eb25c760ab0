/* settings_check.c - what the texts of settings must look like, and which go together. */
#include "server/settings_check.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_DIGITS = 5, BASE_URL_MAX = 200 };

/* It goes into certificates: plain HTTP, a host, perhaps a path. */
static kv_status check_base_url(const char *url, kv_error *err)
{
    static const char scheme[] = "http://";
    size_t len = strlen(url);

    if (!len)
        return KV_OK;
    if (len < sizeof(scheme) || len > BASE_URL_MAX ||
        strncmp(url, scheme, sizeof(scheme) - 1) != 0 || strcspn(url, "?#@ \"<>\\^`{|}") != len)
        return kv_fail_field(err, "base_url",
                             "[pki] base_url must be an http:// URL of at most %d bytes, without a "
                             "query",
                             BASE_URL_MAX);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)url[i] <= 0x20 || (unsigned char)url[i] >= 0x7f)
            return kv_fail_field(err, "base_url", "[pki] base_url must be ASCII");
    return KV_OK;
}

/* An IPv6 address stands in brackets, so that its last part is not taken for the port. */
static kv_status check_listen(const char *section, const char *key, const char *listen,
                              kv_error *err)
{
    const char *colon = strrchr(listen, ':');
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    bool good = colon && colon > listen && digits && digits <= PORT_DIGITS && !colon[1 + digits] &&
                strtol(colon + 1, NULL, 10) <= UINT16_MAX;

    if (good && memchr(listen, ':', (size_t)(colon - listen)))
        good = listen[0] == '[' && colon[-1] == ']';
    if (!good)
        return kv_fail_field(err, key, "[%s] %s must be host:port or [IPv6 address]:port", section,
                             key);
    return KV_OK;
}

static kv_status check_listens(const kv_settings *settings, kv_error *err)
{
    KV_TRY(check_listen("server", "listen", settings->listen, err));
    if (settings->pki_listen[0])
        KV_TRY(check_listen("pki", "listen", settings->pki_listen, err));
    if (settings->acme_http_listen[0])
        KV_TRY(check_listen("acme", "http_listen", settings->acme_http_listen, err));
    if (settings->acme_tls_alpn_listen[0])
        KV_TRY(check_listen("acme", "tls_alpn_listen", settings->acme_tls_alpn_listen, err));
    return KV_OK;
}

/* What nsupdate is told by lines must not hold any, nor blanks. */
static bool is_word(const char *text, const char *more)
{
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr(more, *text))
            return false;
    return true;
}

static kv_status check_acme(const kv_settings *settings, kv_error *err)
{
    if (settings->acme_dns_hook[0] && settings->acme_dns_server[0])
        return kv_fail_field(err, "dns_server", "[acme] has dns_hook or dns_server, not both");
    if (settings->acme_dns_server[0] &&
        (!settings->acme_dns_key_name[0] || !settings->acme_dns_key_file[0]))
        return kv_fail_field(err, "dns_key_name",
                             "[acme] dns_server needs dns_key_name and dns_key_file");
    if (!is_word(settings->acme_dns_server, ".-:[]"))
        return kv_fail_field(err, "dns_server", "[acme] dns_server must be host or host:port");
    if (!is_word(settings->acme_dns_zone, "._-") || !is_word(settings->acme_dns_key_name, "._-"))
        return kv_fail_field(err, "dns_zone",
                             "[acme] dns_zone and dns_key_name must be names of DNS");
    return KV_OK;
}

/* Hosts become part of URLs, and of commands. */
static bool is_host(const char *text)
{
    return strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:") ==
           strlen(text);
}

static kv_status check_mail(const kv_settings *settings, kv_error *err)
{
    bool user = settings->smtp_user[0], password = settings->smtp_password_file[0];

    if (!is_host(settings->notification_origin))
        return kv_fail_field(err, "origin", "[notification] origin must be a DNS name");
    if (!settings->smtp_host[0])
        return KV_OK;
    if (!is_host(settings->smtp_host))
        return kv_fail_field(err, "host", "[smtp] host must be a DNS name or an address");
    if (!settings->smtp_from[0])
        return kv_fail_field(err, "from", "[smtp] host needs from");
    if (user != password)
        return kv_fail_field(err, "user", "[smtp] user and password_file go together");
    if (user && !strcmp(settings->smtp_tls, "none"))
        return kv_fail_field(err, "tls", "[smtp] a password is not sent without TLS");
    return KV_OK;
}

/* One module is loaded once, here or there. */
static kv_status check_isolated(const kv_settings *settings, kv_error *err)
{
    const kv_token_settings *tokens = settings->tokens;

    for (int i = 0; i < KV_SETTING_TOKENS; i++) {
        for (int k = 0; k < i; k++) {
            if (!tokens[i].module[0] || strcmp(tokens[i].module, tokens[k].module) != 0)
                continue;
            if (strcmp(tokens[i].isolated, tokens[k].isolated) != 0)
                return kv_fail_field(err, "isolated",
                                     "tokens of one module are all isolated, or none is");
        }
    }
    return KV_OK;
}

kv_status kv_settings_check(const kv_settings *settings, kv_error *err)
{
    KV_TRY(check_listens(settings, err));
    KV_TRY(check_acme(settings, err));
    KV_TRY(check_mail(settings, err));
    KV_TRY(check_isolated(settings, err));
    return check_base_url(settings->pki_base_url, err);
}
