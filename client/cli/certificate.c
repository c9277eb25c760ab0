/* certificate.c - create and wait, show by thumbprint, download the chain. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <keyvault/v1/certificates.pb-c.h>

#include "client/cli/run.h"
#include "server/base/clock.h"

#define SERVICE "/keyvault.v1.CertificateService/"

enum { FIRST_WAIT_MS = 100, LONGEST_WAIT_MS = 2000, PATIENCE_MS = 60000, SHA1_BYTES = 20 };

/* --- create --- */

static bool in_progress(const Keyvault__V1__CertificateOperation *operation)
{
    return !strcmp(operation->status, "inProgress");
}

/* Nobody but its owner can finish a certificate of issuer Unknown. */
static bool worth_waiting(const kv_cli *cli, const Keyvault__V1__CertificateOperation *operation)
{
    return in_progress(operation) && !kv_cli_given(cli, "no-wait") &&
           !(operation->issuer && !strcmp(operation->issuer->name, "Unknown"));
}

static kv_exit ask_again(kv_cli *cli, Keyvault__V1__CertificateOperation **operation)
{
    Keyvault__V1__GetCertificateOperationRequest request =
        KEYVAULT__V1__GET_CERTIFICATE_OPERATION_REQUEST__INIT;
    Keyvault__V1__CertificateOperation *newer = NULL;
    kv_exit told;

    request.vault = (*operation)->id->vault;
    request.name = (*operation)->id->name;
    told = kv_cli_call(cli, SERVICE "GetCertificateOperation", &request.base,
                       (ProtobufCMessage **)(void *)&newer);
    if (told != KV_EXIT_OK)
        return told;
    keyvault_message_free(*operation);
    *operation = newer;
    return KV_EXIT_OK;
}

static kv_exit wait_for(kv_cli *cli, Keyvault__V1__CertificateOperation **operation)
{
    kv_deadline patience =
        kv_deadline_in_ms(cli->config.timeout_ms ? cli->config.timeout_ms : PATIENCE_MS);
    long ms = FIRST_WAIT_MS;

    while (worth_waiting(cli, *operation)) {
        struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
        kv_exit told;

        if (!(*operation)->id || kv_deadline_passed(patience)) {
            (void)fprintf(cli->err, "kvctl: still in progress; kvctl certificate pending show "
                                    "tells how far it is\n");
            return KV_EXIT_UNAVAILABLE;
        }
        (void)nanosleep(&pause, NULL);
        ms = ms * 2 > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : ms * 2;
        told = ask_again(cli, operation);
        if (told != KV_EXIT_OK)
            return told;
    }
    return KV_EXIT_OK;
}

kv_exit kv_cli_certificate_create(kv_cli *cli)
{
    Keyvault__V1__CertificateOperation *operation = NULL;
    kv_exit told = kv_cli_ask(cli, cli->args.verb->path, (ProtobufCMessage **)(void *)&operation);
    kv_exit shown;

    if (told != KV_EXIT_OK)
        return told;
    told = wait_for(cli, &operation);
    for (size_t i = 0; i < operation->n_warnings; i++)
        (void)fprintf(cli->err, "kvctl: warning: %s\n", operation->warnings[i]);
    if (!strcmp(operation->status, "failed")) {
        (void)fprintf(cli->err, "kvctl: the certificate was not made: %s\n",
                      operation->error ? operation->error->message : operation->status_details);
        told = KV_EXIT_GENERAL;
    } else if (in_progress(operation) && told == KV_EXIT_OK && !kv_cli_given(cli, "no-wait")) {
        (void)fprintf(cli->err, "kvctl: the request (csr) waits to be signed elsewhere\n");
    }
    shown = kv_cli_show(cli, &operation->base);
    return told == KV_EXIT_OK ? shown : told;
}

/* --- show --- */

static kv_exit by_thumbprint(kv_cli *cli, ProtobufCMessage *request, const char *text)
{
    kv_slice bytes;
    kv_error err = { 0 };

    if (kv_cli_given(cli, "name"))
        return kv_cli_usage(cli, "give --name or --thumbprint, not both");
    if (kv_bytes_parse(&cli->arena, text, &bytes, &err) != KV_OK ||
        kv_message_set_bytes(request, bytes.len == SHA1_BYTES ? "x5t" : "x5t_s256", bytes, &err) !=
            KV_OK)
        return kv_cli_usage(cli, "--thumbprint is the SHA-1 or SHA-256 of the certificate, in "
                                 "hexadecimal or base64");
    return KV_EXIT_OK;
}

kv_exit kv_cli_certificate_show(kv_cli *cli)
{
    const char *path = cli->args.verb->path;
    const char *thumbprint = kv_cli_given(cli, "thumbprint");
    ProtobufCMessage *request = NULL, *response = NULL;
    kv_exit told;

    if (!thumbprint && !kv_cli_given(cli, "name"))
        return kv_cli_usage(cli, "which one? --name or --thumbprint");
    told = kv_cli_build(cli, path, &request);
    if (told != KV_EXIT_OK)
        return told;
    if (thumbprint)
        told = by_thumbprint(cli, request, thumbprint);
    if (told == KV_EXIT_OK)
        told = kv_cli_call(cli, path, request, &response);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? kv_cli_show(cli, response) : told;
}

/* --- download --- */

static kv_slice chosen(const Keyvault__V1__CertificateChain *chain)
{
    const ProtobufCBinaryData *bytes = &chain->encoded;

    if (!bytes->len && chain->n_certificates)
        bytes = &chain->certificates[0];
    return kv_slice_of(bytes->data, bytes->len);
}

kv_exit kv_cli_certificate_download(kv_cli *cli)
{
    const char *path = cli->args.verb->path;
    Keyvault__V1__GetCertificateChainRequest *request = NULL;
    Keyvault__V1__CertificateChain *chain = NULL;
    kv_exit told = kv_cli_build(cli, path, (ProtobufCMessage **)(void *)&request);

    if (told != KV_EXIT_OK)
        return told;
    if (!kv_cli_given(cli, "format"))
        request->format = KEYVAULT__V1__CHAIN_FORMAT__CHAIN_FORMAT_PEM;
    told = kv_cli_call(cli, path, &request->base, (ProtobufCMessage **)(void *)&chain);
    keyvault_message_free(request);
    if (told != KV_EXIT_OK)
        return told;
    told = kv_cli_write(cli, kv_cli_given(cli, "file"), chosen(chain));
    keyvault_message_free(chain);
    return told;
}
