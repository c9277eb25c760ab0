/* self_check.c - what surrounds the vaults: certificates, files, space, limits. */
#include "server/self_check.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <openssl/x509.h>

#include "server/credentials.h"
#include "server/limits.h"
#include "server/log_list.h"
#include "server/server_parts.h"
#include "server/vault/checks.h"

enum { SOON_DAYS = 30, ARENA_BYTES = 1 << 20, ENOUGH_TIMES = 4, MAIL_MS = 5000 };
static const int64_t day_ms = INT64_C(86400000);
static const uint64_t least_space = UINT64_C(64) << 20;

static kv_status add_expiry(kv_checks *checks, const char *name, const char *next, int64_t until_ms,
                            const char *what, kv_error *err)
{
    int64_t left_ms = until_ms - checks->time_ms;

    if (left_ms <= 0)
        return kv_checks_add(checks, name, KV_CHECK_ERROR, next, err, "%s has expired", what);
    return kv_checks_add(checks, name,
                         left_ms < SOON_DAYS * day_ms ? KV_CHECK_WARNING : KV_CHECK_OK,
                         left_ms < SOON_DAYS * day_ms ? next : "", err, "%s is good for %lld days",
                         what, (long long)(left_ms / day_ms));
}

/* Milliseconds since 1970; 0 when it cannot be read. */
static int64_t not_after_ms(kv_slice der)
{
    const unsigned char *at = der.data;
    X509 *x509 = d2i_X509(NULL, &at, (long)der.len);
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0;
    int seconds = 0;
    int64_t until = 0;

    if (x509 && epoch && ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(x509)) == 1)
        until = ((int64_t)days * 86400 + seconds) * 1000;
    X509_free(x509);
    ASN1_TIME_free(epoch);
    return until;
}

static kv_status check_client_cas(const kv_server *server, kv_checks *checks, kv_error *err)
{
    static const char next[] = "put its successor into [tls] client_ca, then SIGHUP";
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA_BYTES);
    kv_slice cas[KV_CLIENT_CAS];
    unsigned count = 0;
    kv_status status = kv_read_certificates(server->settings->client_ca, &arena, cas, &count, err);

    if (status != KV_OK) {
        *err = (kv_error){ 0 };
        return kv_checks_add(checks, "client CA", KV_CHECK_ERROR, "see [tls] client_ca", err,
                             "the file cannot be read any more");
    }
    for (unsigned i = 0; i < count; i++)
        KV_TRY(add_expiry(checks, "client CA", next, not_after_ms(cas[i]), "a client CA", err));
    return KV_OK;
}

static kv_status check_space(kv_checks *checks, const char *name, const char *folder,
                             uint64_t enough, kv_error *err)
{
    struct statvfs info;
    uint64_t left;

    if (statvfs(folder, &info))
        return kv_checks_add(checks, name, KV_CHECK_ERROR, "is it mounted?", err,
                             "%s cannot be looked at", folder);
    left = (uint64_t)info.f_bavail * info.f_frsize;
    return kv_checks_add(checks, name,
                         left < enough                  ? KV_CHECK_ERROR
                         : left < ENOUGH_TIMES * enough ? KV_CHECK_WARNING
                                                        : KV_CHECK_OK,
                         left < ENOUGH_TIMES * enough ? "make room" : "", err,
                         "%llu MiB are free on the disk of %s", (unsigned long long)(left >> 20),
                         folder);
}

static kv_status check_spaces(const kv_server *server, kv_checks *checks, kv_error *err)
{
    const kv_settings *settings = server->settings;
    uint64_t low = (uint64_t)settings->audit_low_water_bytes;
    kv_token_paths paths;

    KV_TRY(check_space(checks, "space", settings->home, least_space, err));
    KV_TRY(check_space(checks, "space", settings->audit_folder,
                       low > least_space ? low : least_space, err));
    KV_TRY(kv_token_paths_of(settings, KV_SETTING_TOKEN_KEYS, &paths, err));
    return paths.files[0] ? check_space(checks, "space", paths.files, least_space, err) : KV_OK;
}

/* Nobody else may read or change it. */
static kv_status check_private(kv_checks *checks, const char *what, const char *path, kv_error *err)
{
    struct stat info;

    if (stat(path, &info))
        return kv_checks_add(checks, "files", KV_CHECK_ERROR, "see the configuration", err,
                             "%s: %s is not there", what, path);
    if (info.st_mode & (S_IRWXG | S_IRWXO))
        return kv_checks_add(checks, "files", KV_CHECK_ERROR, "chmod go= it, and change the PIN",
                             err, "%s: others may use %s", what, path);
    return KV_OK;
}

static kv_status check_files(const kv_server *server, kv_checks *checks, kv_error *err)
{
    unsigned before = checks->count;

    KV_TRY(check_private(checks, "home", server->settings->home, err));
    KV_TRY(check_private(checks, "audit folder", server->settings->audit_folder, err));
    for (int i = 0; i < KV_SETTING_TOKENS; i++) {
        const kv_token_settings *token = &server->settings->tokens[i];
        kv_token_paths paths;

        if (!token->module || !token->module[0])
            continue;
        if (token->pin_file[0] == '/')
            KV_TRY(check_private(checks, "PIN file", token->pin_file, err));
        KV_TRY(kv_token_paths_of(server->settings, (kv_setting_token)i, &paths, err));
        if (paths.files[0] && (i != KV_SETTING_TOKEN_TLS || kv_tls_key_on_token(server->settings)))
            KV_TRY(check_private(checks, "copy of a token file", paths.backup, err));
    }
    if (checks->count > before)
        return KV_OK;
    return kv_checks_add(checks, "files", KV_CHECK_OK, "", err,
                         "home, audit folder, PIN files and copies of token files are the "
                         "server's alone");
}

/* What puts records for dns-01. */
static kv_status check_dns(const kv_server *server, kv_checks *checks, kv_error *err)
{
    const kv_settings *settings = server->settings;
    bool updates = settings->acme_dns_server[0];
    const char *program = updates ? KV_DNS_NSUPDATE : settings->acme_dns_hook;
    KV_AUTO(kv_arena) arena = KV_ARENA(ARENA_BYTES);
    kv_error why = { 0 };
    const char *path;

    if (!program[0])
        return KV_OK;
    if (updates)
        KV_TRY(check_private(checks, "TSIG key", settings->acme_dns_key_file, err));
    if (kv_program_check(program, &arena, &path, &why) != KV_OK)
        return kv_checks_add(checks, "challenges", KV_CHECK_ERROR,
                             updates ? "install bind9-dnsutils" : "see [acme] dns_hook", err, "%s",
                             why.message);
    return kv_checks_add(checks, "challenges", KV_CHECK_OK, "", err, "dns-01 is done by %s", path);
}

static kv_status check_limits(const kv_server *server, kv_checks *checks, kv_error *err)
{
    struct rlimit files = { 0 };
    struct rlimit core = { 0 };
    uint64_t needed = (uint64_t)server->settings->max_connections + KV_DESCRIPTORS_BESIDE;

    (void)getrlimit(RLIMIT_NOFILE, &files);
    (void)getrlimit(RLIMIT_CORE, &core);
    if (core.rlim_cur)
        KV_TRY(kv_checks_add(checks, "limits", KV_CHECK_ERROR, "LimitCORE=0 in the unit file", err,
                             "core dumps are on: they hold secrets"));
    if (files.rlim_cur < needed)
        return kv_checks_add(checks, "limits", KV_CHECK_WARNING,
                             "LimitNOFILE= in the unit file, or a smaller [limits] connections",
                             err, "%llu files may be open, but %llu connections are allowed",
                             (unsigned long long)files.rlim_cur,
                             (unsigned long long)server->settings->max_connections);
    return kv_checks_add(checks, "limits", KV_CHECK_OK, "", err,
                         "%llu files may be open; no core dumps",
                         (unsigned long long)files.rlim_cur);
}

static kv_status add_mail_trouble(kv_checks *checks, kv_error *err)
{
    kv_error why = *err;

    *err = (kv_error){ 0 };
    return kv_checks_add(checks, "mail", KV_CHECK_ERROR, "see [smtp], and the mail server", err,
                         "%s", why.message);
}

static kv_status check_mail(const kv_server *server, kv_checks *checks, kv_error *err)
{
    kv_status status;

    if (!server->mailer)
        return KV_OK;
    status = kv_postman_check(&server->postman, kv_deadline_in_ms(MAIL_MS), err);
    if (status == KV_OK)
        return kv_checks_add(checks, "mail", KV_CHECK_OK, "", err, "%s takes mail",
                             server->settings->smtp_host);
    return add_mail_trouble(checks, err);
}

kv_status kv_server_self_check(void *context, kv_checks *checks, kv_error *err)
{
    const kv_server *server = context;

    KV_TRY(add_expiry(checks, "TLS certificate", "replace [tls] certificate, then SIGHUP",
                      server->tls.not_after_ms, "the server's certificate", err));
    KV_TRY(check_client_cas(server, checks, err));
    KV_TRY(kv_server_log_list_check(server, checks, err));
    KV_TRY(check_spaces(server, checks, err));
    KV_TRY(check_files(server, checks, err));
    KV_TRY(check_dns(server, checks, err));
    KV_TRY(check_mail(server, checks, err));
    return check_limits(server, checks, err);
}
