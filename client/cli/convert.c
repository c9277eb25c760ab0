/* convert.c - times, principals and certificates as people give them. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <keyvault/v1/access.pb-c.h>

#include "client/cli/run.h"
#include "client/cli/say.h"
#include "server/base/text.h"

#define LIST_PRINCIPALS "/keyvault.v1.AccessService/ListPrincipals"

enum { ID_DIGITS = 32, ID_BYTES = 16, CERTIFICATE_BYTES = 64 * 1024, MOST_PAGE = 500 };

/* --- times --- */

kv_status kv_cli_time(const char *text, int64_t *seconds, kv_error *err)
{
    struct tm parts = { 0 };
    const char *end = strptime(text, "%Y-%m-%d", &parts);
    uint64_t number;

    if (!strcmp(text, "none")) {
        *seconds = 0;
        return KV_OK;
    }
    if (kv_text_number(kv_slice_text(text), INT64_MAX, &number)) {
        *seconds = (int64_t)number;
        return KV_OK;
    }
    if (end && (*end == 'T' || *end == ' '))
        end = strptime(end + 1, "%H:%M:%S", &parts);
    if (!end || (*end && strcmp(end, "Z") != 0))
        return kv_fail(err, KV_BAD_REQUEST,
                       "is a time in UTC such as 2030-01-31T12:00:00Z or 2030-01-31, a number of "
                       "seconds since 1970, or none; not '%.30s'",
                       text);
    *seconds = timegm(&parts);
    return KV_OK;
}

bool kv_cli_duration(const char *text, int64_t *seconds)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
    size_t len = strlen(text);
    uint64_t number;

    if (len < 2 || !kv_text_number(kv_slice_of(text, len - 1), 1000000, &number))
        return false;
    for (size_t i = 0; i < KV_COUNT(units); i++) {
        if (units[i].unit != text[len - 1])
            continue;
        *seconds = (int64_t)number * units[i].seconds;
        return true;
    }
    return false;
}

/* --- principals --- */

static bool is_id(const char *text)
{
    uint8_t id[ID_BYTES];

    return strlen(text) == ID_DIGITS && kv_unhex(kv_slice_text(text), id, sizeof(id));
}

typedef struct search {
    const char *name;
    char id[ID_DIGITS + 1];
    size_t found;
} search;

static void look_at(search *it, const Keyvault__V1__ListPrincipalsResponse *page)
{
    for (size_t i = 0; i < page->n_principals; i++) {
        if (strcmp(page->principals[i]->display_name, it->name) != 0)
            continue;
        it->found++;
        (void)snprintf(it->id, sizeof(it->id), "%s", page->principals[i]->id);
    }
}

static kv_exit search_pages(kv_cli *cli, search *it, ProtobufCMessage *request)
{
    kv_exit told = KV_EXIT_OK;
    bool more = true;

    while (more && told == KV_EXIT_OK) {
        ProtobufCMessage *page = NULL;

        told = kv_cli_call(cli, LIST_PRINCIPALS, request, &page);
        if (told != KV_EXIT_OK)
            return told;
        look_at(it, (const void *)page);
        told = kv_cli_next_page(cli, page, request, &more);
        keyvault_message_free(page);
    }
    return told;
}

static kv_exit search_all(kv_cli *cli, search *it)
{
    ProtobufCMessage *request = kv_message_new(&keyvault__v1__list_principals_request__descriptor);
    kv_exit told;

    if (!request)
        return kv_cli_usage(cli, "out of memory");
    ((Keyvault__V1__ListPrincipalsRequest *)(void *)request)->page_size = MOST_PAGE;
    told = search_pages(cli, it, request);
    keyvault_message_free(request);
    return told;
}

kv_exit kv_cli_principal(kv_cli *cli, const char *text, const char **id)
{
    search it = { .name = text };
    kv_error err = { 0 };
    kv_exit told;

    if (is_id(text)) {
        *id = text;
        return KV_EXIT_OK;
    }
    told = search_all(cli, &it);
    if (told != KV_EXIT_OK)
        return told;
    if (!it.found) {
        kv_say(cli->err, "kvctl: there is no principal called '%s'\n", text);
        return KV_EXIT_NOT_FOUND;
    }
    if (it.found > 1)
        return kv_cli_usage(cli,
                            "%zu principals are called '%s': give the id (kvctl principal "
                            "list)",
                            it.found, text);
    if (kv_arena_text(&cli->arena, kv_slice_text(it.id), id, &err) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    return KV_EXIT_OK;
}

/* --- certificates --- */

static X509 *parse_certificate(kv_slice bytes)
{
    const unsigned char *der = bytes.data;
    BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.len);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    if (!certificate)
        certificate = d2i_X509(NULL, &der, (long)bytes.len);
    ERR_clear_error();
    return certificate;
}

kv_exit kv_cli_certificate_der(kv_cli *cli, const char *path, kv_slice *out)
{
    unsigned char *der = NULL;
    X509 *certificate;
    kv_slice bytes;
    kv_error err = { 0 };
    kv_exit told = kv_cli_read(cli, path, CERTIFICATE_BYTES, &bytes);
    int len;

    if (told != KV_EXIT_OK)
        return told;
    certificate = parse_certificate(bytes);
    len = certificate ? i2d_X509(certificate, &der) : 0;
    X509_free(certificate);
    if (len <= 0)
        return kv_cli_usage(cli, "%s holds no certificate in PEM or DER", path);
    if (kv_arena_copy(&cli->arena, kv_slice_of(der, (size_t)len), out, &err) != KV_OK)
        told = kv_cli_fail_local(cli, &err);
    OPENSSL_free(der);
    return told;
}
