/* certificate_wait.c - create, and wait until it is there: how far it is, is told meanwhile. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <keyvault/v1/certificates.pb-c.h>

#include "client/cli/run.h"
#include "client/cli/say.h"
#include "server/base/clock.h"

#define SERVICE "/keyvault.v1.CertificateService/"

enum { FIRST_WAIT_MS = 100, LONGEST_WAIT_MS = 2000, PATIENCE_MS = 60000, LINE_BYTES = 1024 };

typedef Keyvault__V1__CertificateOperation operation;

static bool in_progress(const operation *it)
{
    return !strcmp(it->status, "inProgress");
}

static bool is_left_to_others(const operation *it)
{
    return it->issuer && !strcmp(it->issuer->name, "Unknown");
}

/* --- how far it is --- */

static void add(char line[LINE_BYTES], const char *before, const char *text)
{
    size_t len = strlen(line);

    if (text && *text)
        (void)snprintf(line + len, LINE_BYTES - len, "%s%s", before, text);
}

/* What is known of it beyond that it is in progress. */
static void describe(const operation *it, char line[LINE_BYTES])
{
    line[0] = '\0';
    for (size_t i = 0; i < it->n_names; i++) {
        add(line, i ? ", " : ": ", it->names[i]->name);
        add(line, " ", it->names[i]->status);
    }
    add(line, ": ", it->error ? it->error->message : it->status_details);
}

/* Each news once. */
static void tell_progress(const kv_cli *cli, const operation *it, char told[LINE_BYTES])
{
    char line[LINE_BYTES];

    describe(it, line);
    if (!strcmp(line, told))
        return;
    (void)memcpy(told, line, sizeof(line));
    kv_say(cli->err, "kvctl: %s is in progress%s\n", it->id->name, line);
}

/* --- waiting --- */

static kv_exit ask_again(kv_cli *cli, operation **it)
{
    Keyvault__V1__GetCertificateOperationRequest request =
        KEYVAULT__V1__GET_CERTIFICATE_OPERATION_REQUEST__INIT;
    operation *newer = NULL;
    kv_exit told;

    request.vault = (*it)->id->vault;
    request.name = (*it)->id->name;
    told = kv_cli_call(cli, SERVICE "GetCertificateOperation", &request.base,
                       (ProtobufCMessage **)(void *)&newer);
    if (told != KV_EXIT_OK)
        return told;
    keyvault_message_free(*it);
    *it = newer;
    return KV_EXIT_OK;
}

static kv_exit wait_for(kv_cli *cli, operation **it)
{
    kv_deadline patience =
        kv_deadline_in_ms(cli->config.timeout_ms ? cli->config.timeout_ms : PATIENCE_MS);
    char line[LINE_BYTES] = "nothing yet";
    long ms = FIRST_WAIT_MS;

    while (in_progress(*it)) {
        struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
        kv_exit told;

        if (!(*it)->id || kv_deadline_passed(patience)) {
            kv_say(cli->err, "kvctl: still in progress; kvctl certificate pending show "
                             "--wait goes on\n");
            return KV_EXIT_UNAVAILABLE;
        }
        (void)nanosleep(&pause, NULL);
        ms = ms * 2 > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : ms * 2;
        told = ask_again(cli, it);
        if (told != KV_EXIT_OK)
            return told;
        if (in_progress(*it) && (*it)->id)
            tell_progress(cli, *it, line);
    }
    return KV_EXIT_OK;
}

static const char *why_not(const operation *it)
{
    if (it->error)
        return it->error->message;
    return it->status_details && *it->status_details ? it->status_details : it->status;
}

static kv_exit tell_end(kv_cli *cli, operation *it, kv_exit told)
{
    bool failed = !strcmp(it->status, "failed") || !strcmp(it->status, "cancelled");
    kv_exit shown;

    for (size_t i = 0; i < it->n_warnings; i++)
        kv_say(cli->err, "kvctl: warning: %s\n", it->warnings[i]);
    if (failed) {
        kv_say(cli->err, "kvctl: the certificate was not made: %s\n", why_not(it));
        told = KV_EXIT_GENERAL;
    }
    shown = kv_cli_show(cli, &it->base);
    return told == KV_EXIT_OK ? shown : told;
}

/* Nobody but its owner can finish a certificate of issuer Unknown. */
kv_exit kv_cli_certificate_create(kv_cli *cli)
{
    operation *it = NULL;
    kv_exit told = kv_cli_ask(cli, cli->args.verb->path, (ProtobufCMessage **)(void *)&it);

    if (told != KV_EXIT_OK)
        return told;
    if (kv_cli_given(cli, "no-wait"))
        return tell_end(cli, it, KV_EXIT_OK);
    if (!is_left_to_others(it))
        told = wait_for(cli, &it);
    else if (in_progress(it))
        kv_say(cli->err, "kvctl: the request (csr) waits to be signed elsewhere\n");
    return tell_end(cli, it, told);
}

kv_exit kv_cli_pending_show(kv_cli *cli)
{
    operation *it = NULL;
    kv_exit told = kv_cli_ask(cli, cli->args.verb->path, (ProtobufCMessage **)(void *)&it);

    if (told != KV_EXIT_OK)
        return told;
    if (!kv_cli_given(cli, "wait"))
        return kv_cli_show(cli, &it->base);
    told = wait_for(cli, &it);
    return tell_end(cli, it, told);
}
