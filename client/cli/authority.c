/* authority.c - files of certificate authorities: requests, certificates, revocation lists. */
#include <string.h>

#include <openssl/pem.h>

#include <keyvault/v1/authorities.pb-c.h>

#include "client/cli/run.h"

enum { FILE_MAX = 256 * 1024 };

static kv_exit write_pem(kv_cli *cli, const char *label, const ProtobufCBinaryData *pieces,
                         size_t count)
{
    BIO *out = BIO_new(BIO_s_mem());
    bool good = out != NULL;
    char *text = NULL;
    kv_exit told;
    long len;

    for (size_t i = 0; good && i < count; i++)
        good = PEM_write_bio(out, label, "", pieces[i].data, (long)pieces[i].len) > 0;
    len = good ? BIO_get_mem_data(out, &text) : 0;
    told = len > 0 ? kv_cli_write(cli, kv_cli_given(cli, "file"), kv_slice_of(text, (size_t)len))
                   : kv_cli_usage(cli, "there is nothing to write");
    BIO_free(out);
    return told;
}

/* What a GetCertificateAuthority answers, for those that write a part of it. */
static kv_exit ask(kv_cli *cli, Keyvault__V1__CertificateAuthority **out)
{
    kv_exit told = kv_cli_may_write(cli, kv_cli_given(cli, "file"));

    if (told != KV_EXIT_OK)
        return told;
    return kv_cli_ask(cli, cli->args.verb->path, (ProtobufCMessage **)(void *)out);
}

kv_exit kv_cli_ca_csr(kv_cli *cli)
{
    Keyvault__V1__CertificateAuthority *authority = NULL;
    kv_exit told = ask(cli, &authority);

    if (told != KV_EXIT_OK)
        return told;
    if (authority->csr.len)
        told = write_pem(cli, "CERTIFICATE REQUEST", &authority->csr, 1);
    else
        told = kv_cli_usage(cli, "this authority does not wait for a certificate");
    keyvault_message_free(authority);
    return told;
}

kv_exit kv_cli_ca_download(kv_cli *cli)
{
    Keyvault__V1__CertificateAuthority *authority = NULL;
    ProtobufCBinaryData all[32];
    size_t count = 1;
    kv_exit told = ask(cli, &authority);

    if (told != KV_EXIT_OK)
        return told;
    all[0] = authority->certificate;
    for (size_t i = 0; i < authority->n_chain && count < 32; i++)
        all[count++] = authority->chain[i];
    if (authority->certificate.len)
        told = write_pem(cli, "CERTIFICATE", all, count);
    else
        told = kv_cli_usage(cli, "this authority has no certificate yet");
    keyvault_message_free(authority);
    return told;
}

kv_exit kv_cli_ca_crl(kv_cli *cli)
{
    const char *format = kv_cli_given(cli, "format");
    Keyvault__V1__CertificateRevocationList *list = NULL;
    kv_exit told;

    if (format && strcmp(format, "pem") != 0 && strcmp(format, "der") != 0)
        return kv_cli_usage(cli, "--format is pem or der");
    told = kv_cli_may_write(cli, kv_cli_given(cli, "file"));
    if (told == KV_EXIT_OK)
        told = kv_cli_ask(cli, cli->args.verb->path, (ProtobufCMessage **)(void *)&list);
    if (told != KV_EXIT_OK)
        return told;
    if (format && !strcmp(format, "der"))
        told = kv_cli_write(cli, kv_cli_given(cli, "file"),
                            kv_slice_of(list->crl.data, list->crl.len));
    else
        told = write_pem(cli, "X509 CRL", &list->crl, 1);
    keyvault_message_free(list);
    return told;
}

kv_exit kv_cli_ca_import(kv_cli *cli)
{
    const char *path = cli->args.verb->path;
    Keyvault__V1__ImportCertificateAuthorityCertificateRequest *request = NULL;
    ProtobufCMessage *answer = NULL;
    ProtobufCBinaryData piece;
    kv_slice bytes;
    kv_exit told = kv_cli_read(cli, kv_cli_given(cli, "file"), FILE_MAX, &bytes);

    if (told == KV_EXIT_OK)
        told = kv_cli_build(cli, path, (ProtobufCMessage **)(void *)&request);
    if (told != KV_EXIT_OK)
        return told;
    piece = (ProtobufCBinaryData){ .data = (uint8_t *)bytes.data, .len = bytes.len };
    request->n_x5c = 1;
    request->x5c = &piece;
    told = kv_cli_call(cli, path, &request->base, &answer);
    request->n_x5c = 0;
    request->x5c = NULL;
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? kv_cli_show(cli, answer) : told;
}
