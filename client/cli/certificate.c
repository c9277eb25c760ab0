/* certificate.c - show by thumbprint, download the chain. */
#include <stdlib.h>

#include <keyvault/v1/certificates.pb-c.h>

#include "client/cli/run.h"

enum { SHA1_BYTES = 20 };

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
