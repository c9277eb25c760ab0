/* notifying.c - the mail server, and what this server is called. */
#include "server/notifying.h"

#include <stdio.h>
#include <unistd.h>

#include "server/credentials.h"

enum { PASSWORD_MAX = 1024 };

static kv_mail_tls tls_of(const char *name)
{
    if (!strcmp(name, "none"))
        return KV_MAIL_PLAIN;
    return strcmp(name, "implicit") ? KV_MAIL_STARTTLS : KV_MAIL_IMPLICIT;
}

/* The setting, else the host's name as far as it is one that others take. */
static void find_origin(kv_server *server)
{
    static const char letters[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-";
    const char *set = server->settings->notification_origin;
    char host[sizeof(server->origin)] = "";

    if (!set[0] && gethostname(host, sizeof(host) - 1) == 0)
        host[strspn(host, letters)] = '\0';
    (void)snprintf(server->origin, sizeof(server->origin), "%s",
                   set[0]    ? set
                   : host[0] ? host
                             : "localhost");
}

kv_status kv_notifying_open(kv_server *server, const kv_address_policy *addresses, kv_error *err)
{
    const kv_settings *settings = server->settings;
    KV_AUTO(kv_secret_buf) password = KV_SECRET_NONE;
    kv_mailer_config config = { .host = settings->smtp_host,
                                .port = (unsigned)settings->smtp_port,
                                .tls = tls_of(settings->smtp_tls),
                                .ca_file = settings->smtp_ca_file,
                                .user = settings->smtp_user,
                                .password = &password,
                                .helo = server->origin,
                                .addresses = *addresses };

    find_origin(server);
    if (!settings->smtp_host[0])
        return KV_OK;
    KV_TRY(kv_mail_address_check(kv_slice_text(settings->smtp_from), "from", err));
    if (settings->smtp_user[0])
        KV_TRY(kv_read_credential(settings->smtp_password_file, "password", PASSWORD_MAX, &password,
                                  err));
    KV_TRY(kv_mailer_new(&config, &server->mailer, err));
    server->postman = (kv_postman){ .mailer = server->mailer,
                                    .from = settings->smtp_from,
                                    .from_name = settings->smtp_from_name,
                                    .domain = server->origin };
    return KV_OK;
}

void kv_notifying_close(kv_server *server)
{
    kv_mailer_free(server->mailer);
    server->mailer = NULL;
}
