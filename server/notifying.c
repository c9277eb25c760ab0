/* notifying.c - the mail server, what this server is called, and the threads that tell others. */
#include "server/notifying.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/credentials.h"
#include "server/vault/events/events.h"

enum {
    PASSWORD_MAX = 1024,
    THREADS_MAX = 64 + 2, /* those of webhooks, one for mail, one that plans */
    LOOK_MS = 60 * 1000,
    TROUBLE_MS = 5000
};

struct kv_notifying {
    kv_server *server;
    unsigned count;
    pthread_t threads[THREADS_MAX];
};

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

kv_vault_notify kv_notifying_of(const kv_server *server)
{
    const kv_settings *settings = server->settings;

    return (kv_vault_notify){ .http = server->http,
                              .postman = server->mailer ? &server->postman : NULL,
                              .origin = server->origin,
                              .threads = (unsigned)settings->webhook_threads,
                              .tries = (unsigned)settings->notification_tries,
                              .retry_percent = (unsigned)settings->retry_percent,
                              .digest_hour = (unsigned)settings->digest_hour,
                              .mail_interval_ms = settings->mail_interval_seconds * 1000 };
}

/* --- threads --- */

/* Nothing can be written down: nothing is sent. */
static int64_t after_trouble(kv_server *server, const kv_error *err)
{
    if (err->status != KV_CANCELLED)
        kv_log_write(
            server->log, KV_LOG_ERROR, "notification.trouble",
            (kv_log_field[]){ { "why", err->message, 0 }, { "detail", err->detail, 0 }, { 0 } });
    return kv_clock_now_ms(NULL) + TROUBLE_MS;
}

static void *plan(void *argument)
{
    kv_server *server = argument;
    kv_planned planned = { 0 };
    bool going = true;

    while (going) {
        bool more = false;
        kv_error err = { 0 };

        if (kv_vault_plan_deliveries(server->vault, &planned, &more, &err) != KV_OK)
            going = kv_vault_wait_for_deliveries(server->vault, after_trouble(server, &err));
        else if (!more &&
                 !kv_events_wait(server->vault, planned.cursor, kv_deadline_in_ms(LOOK_MS)))
            going = kv_vault_running(server->vault);
    }
    return NULL;
}

static void *work(kv_server *server,
                  kv_status (*step)(kv_vault *vault, int64_t *next_at, kv_error *err))
{
    int64_t next_at = 0;

    do {
        kv_error err = { 0 };

        if (step(server->vault, &next_at, &err) != KV_OK)
            next_at = after_trouble(server, &err);
    } while (kv_vault_wait_for_deliveries(server->vault, next_at));
    return NULL;
}

static void *call(void *argument)
{
    return work(argument, kv_vault_step_webhook);
}

static void *mail(void *argument)
{
    return work(argument, kv_vault_step_mail);
}

static bool begin(kv_notifying *notifying, void *(*run)(void *argument))
{
    pthread_t *thread = &notifying->threads[notifying->count];

    if (pthread_create(thread, NULL, run, notifying->server) != 0)
        return false;
    notifying->count++;
    return true;
}

kv_status kv_notifying_start(kv_server *server, kv_notifying **out, kv_error *err)
{
    kv_notifying *notifying;
    bool started;

    KV_TRY(kv_vault_open_postbox(server->vault, err));
    notifying = calloc(1, sizeof(*notifying));
    if (!notifying)
        return kv_fail(err, KV_BUSY, "out of memory");
    notifying->server = server;
    started = begin(notifying, plan) && begin(notifying, mail);
    for (int64_t i = 0; started && i < server->settings->webhook_threads; i++)
        started = begin(notifying, call);
    *out = notifying; /* what was started is stopped with the rest */
    return started ? KV_OK : kv_fail(err, KV_UNAVAILABLE, "a thread cannot be started");
}

void kv_notifying_stop(kv_notifying *notifying)
{
    if (!notifying)
        return;
    for (unsigned i = 0; i < notifying->count; i++)
        (void)pthread_join(notifying->threads[i], NULL);
    free(notifying);
}
