/* mail.c - SMTP over libcurl. */
#include "server/net/mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/net/drive.h"

enum { LAST_REPLY = 120, CONNECT_SECONDS = 15, REPLY_SECONDS = 60, SOCKETS = 8 };

struct kv_mailer {
    char *url;
    char *host;
    char *ca_file;
    char *user;
    kv_secret_buf password;
    kv_mail_tls tls;
    kv_address_policy addresses;
    atomic_bool stopped;
};

/* One message on its way. */
typedef struct letter {
    kv_mailer *mailer;
    kv_slice left;
    kv_deadline deadline;
    curl_socket_t sockets[SOCKETS];
    unsigned socket_count;
    bool refused;   /* an address was against the policy */
    bool only_look; /* whether the server is there */
    struct curl_slist *to;
    const char *from;
    char last[LAST_REPLY]; /* line of the server that refuses */
    char words[CURL_ERROR_SIZE];
} letter;

/* --- the mailer --- */

static char *copy_of(const char *text)
{
    return strdup(text ? text : "");
}

static kv_status fill(kv_mailer *mailer, const kv_mailer_config *config, kv_error *err)
{
    bool bare_v6 = strchr(config->host, ':') && config->host[0] != '[';

    mailer->tls = config->tls;
    mailer->addresses = config->addresses;
    mailer->host = copy_of(config->host);
    mailer->ca_file = copy_of(config->ca_file);
    mailer->user = copy_of(config->user);
    if (asprintf(&mailer->url, "%s://%s%s%s:%u/%s",
                 config->tls == KV_MAIL_IMPLICIT ? "smtps" : "smtp", bare_v6 ? "[" : "",
                 config->host, bare_v6 ? "]" : "", config->port, config->helo) < 0)
        mailer->url = NULL;
    if (!mailer->host || !mailer->ca_file || !mailer->user || !mailer->url)
        return kv_fail(err, KV_BUSY, "out of memory");
    if (mailer->user[0] && config->tls == KV_MAIL_PLAIN)
        return kv_fail_field(err, "user", "a password is not sent without TLS");
    return mailer->user[0] && config->password
               ? kv_secret_buf_copy(kv_secret_buf_slice(config->password), &mailer->password, err)
               : KV_OK;
}

kv_status kv_mailer_new(const kv_mailer_config *config, kv_mailer **out, kv_error *err)
{
    kv_mailer *mailer;
    kv_status status;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return kv_fail(err, KV_BUSY, "out of memory");
    mailer = calloc(1, sizeof(*mailer));
    if (!mailer) {
        curl_global_cleanup();
        return kv_fail(err, KV_BUSY, "out of memory");
    }
    status = fill(mailer, config, err);
    if (status != KV_OK)
        kv_mailer_free(mailer);
    else
        *out = mailer;
    return status;
}

void kv_mailer_stop(kv_mailer *mailer)
{
    if (mailer)
        atomic_store(&mailer->stopped, true);
}

void kv_mailer_free(kv_mailer *mailer)
{
    if (!mailer)
        return;
    kv_secret_buf_cleanup(&mailer->password);
    free(mailer->url);
    free(mailer->host);
    free(mailer->ca_file);
    free(mailer->user);
    free(mailer);
    curl_global_cleanup();
}

/* --- callbacks --- */

static curl_socket_t on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    letter *at = context;
    curl_socket_t fd;
    kv_address to;

    (void)purpose;
    if (!kv_address_of(&address->addr, &to) || !kv_address_allowed(&at->mailer->addresses, &to)) {
        at->refused = true;
        return CURL_SOCKET_BAD;
    }
    if (at->socket_count == SOCKETS)
        return CURL_SOCKET_BAD;
    fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd != CURL_SOCKET_BAD)
        at->sockets[at->socket_count++] = fd;
    return fd;
}

static int on_close(void *context, curl_socket_t fd)
{
    letter *at = context;

    for (unsigned i = 0; i < at->socket_count; i++)
        if (at->sockets[i] == fd)
            at->sockets[i] = at->sockets[--at->socket_count];
    return close(fd);
}

/* libcurl takes leave of a server politely, and waits for its answer, even when it is given up. */
static void cut(const letter *at)
{
    for (unsigned i = 0; i < at->socket_count; i++)
        (void)shutdown(at->sockets[i], SHUT_RDWR);
}

static size_t on_read(char *out, size_t size, size_t count, void *context)
{
    letter *at = context;
    size_t len = size * count < at->left.len ? size * count : at->left.len;

    if (len)
        memcpy(out, at->left.data, len);
    at->left = kv_slice_of(at->left.data + len, at->left.len - len);
    return len;
}

/* The server's replies come as headers; the last that refuses says why. */
static size_t on_reply(char *data, size_t size, size_t count, void *context)
{
    letter *at = context;
    size_t len = size * count;
    size_t kept = 0;

    if (!len || (data[0] != '4' && data[0] != '5'))
        return len;

    for (size_t i = 0; i < len && kept + 1 < sizeof(at->last); i++)
        if (data[i] >= ' ' && data[i] <= '~')
            at->last[kept++] = data[i];
    at->last[kept] = '\0';
    return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    (void)data;
    (void)context;
    return size * count;
}

/* --- one message --- */

static bool set_up(letter *at, CURL *easy)
{
    const kv_mailer *mailer = at->mailer;
    /* shape: table */
    const kv_curl_option options[] = {
        { CURLOPT_URL, 0, mailer->url },
        { CURLOPT_PROTOCOLS_STR, 0, "smtp,smtps" },
        { CURLOPT_USE_SSL,
          mailer->tls == KV_MAIL_PLAIN ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL, NULL },
        { CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2, NULL },
        { CURLOPT_SSL_VERIFYPEER, 1, NULL },
        { CURLOPT_SSL_VERIFYHOST, 2, NULL },
        { CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS, NULL },
        { CURLOPT_NOSIGNAL, 1, NULL },
        { CURLOPT_QUICK_EXIT, 1, NULL },
        { CURLOPT_PROXY, 0, "" },
        { CURLOPT_HEADERDATA, 0, at },
        { CURLOPT_READDATA, 0, at },
        { CURLOPT_OPENSOCKETDATA, 0, at },
        { CURLOPT_CLOSESOCKETDATA, 0, at },
        { CURLOPT_SERVER_RESPONSE_TIMEOUT, REPLY_SECONDS, NULL },
        { CURLOPT_ERRORBUFFER, 0, at->words },
    };

    return kv_curl_set(easy, options, KV_COUNT(options)) &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_reply) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read) == CURLE_OK;
}

static bool set_trust(const kv_mailer *mailer, CURL *easy)
{
    if (mailer->user[0] &&
        (curl_easy_setopt(easy, CURLOPT_USERNAME, mailer->user) != CURLE_OK ||
         curl_easy_setopt(easy, CURLOPT_PASSWORD,
                          mailer->password.data ? (const char *)mailer->password.data : "") !=
             CURLE_OK))
        return false;
    if (!mailer->ca_file[0])
        return true;
    return curl_easy_setopt(easy, CURLOPT_CAINFO, mailer->ca_file) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
}

static bool set_message(const letter *at, CURL *easy)
{
    if (at->only_look)
        return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "NOOP") == CURLE_OK &&
               curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    return curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAIL_FROM, at->from) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, at->to) == CURLE_OK;
}

/* libcurl's verdict in our words: what the server said last decides whether to try again. */
static kv_status translate(const letter *at, CURLcode code, long reply, kv_error *err)
{
    const char *host = at->mailer->host;

    if (code == CURLE_OK)
        return KV_OK;
    if (at->refused && code == CURLE_COULDNT_CONNECT)
        (void)kv_fail(err, KV_PRECONDITION,
                      "the address of %.100s is none that this server may connect to", host);
    else if (code == CURLE_OUT_OF_MEMORY)
        (void)kv_fail(err, KV_BUSY, "out of memory");
    else if (code == CURLE_LOGIN_DENIED)
        (void)kv_fail(err, KV_DENIED, "%.80s refuses the login: %.90s", host, at->last);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        (void)kv_fail(err, KV_TIMEOUT, "%.100s did not answer in time", host);
    else if (code == CURLE_USE_SSL_FAILED)
        (void)kv_fail(err, KV_UNAVAILABLE, "%.100s offers no STARTTLS", host);
    else if (reply >= 500 && reply < 600)
        (void)kv_fail(err, KV_BAD_REQUEST, "%.60s refuses: %.100s", host, at->last);
    else if (reply >= 400 && reply < 500)
        (void)kv_fail(err, KV_UNAVAILABLE, "%.60s refuses for now: %.90s", host, at->last);
    else
        (void)kv_fail(err, KV_UNAVAILABLE, "mail to %.80s failed: %.80s", host,
                      curl_easy_strerror(code));
    return kv_note(err, "%.180s", at->words);
}

static kv_status run(letter *at, CURLM *multi, CURL *easy, kv_error *err)
{
    CURLcode code = CURLE_FAILED_INIT;
    long reply = 0;
    kv_status driven;

    if (!set_up(at, easy) || !set_trust(at->mailer, easy) || !set_message(at, easy) ||
        curl_multi_add_handle(multi, easy) != CURLM_OK)
        return kv_fail(err, KV_BUSY, "out of memory");
    driven = kv_curl_drive(&(kv_drive){ .multi = multi,
                                        .deadline = at->deadline,
                                        .host = at->mailer->host,
                                        .stops = { &at->mailer->stopped } },
                           &code, err);
    if (driven != KV_OK || code != CURLE_OK)
        cut(at);
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply);
    (void)curl_multi_remove_handle(multi, easy);
    KV_TRY(driven);
    return translate(at, code, reply, err);
}

static kv_status post(letter *at, kv_error *err)
{
    CURLM *multi = curl_multi_init();
    CURL *easy = curl_easy_init();
    kv_status status =
        easy && multi ? run(at, multi, easy, err) : kv_fail(err, KV_BUSY, "out of memory");

    curl_easy_cleanup(easy);
    (void)curl_multi_cleanup(multi);
    return status;
}

/* libcurl writes them into commands as they are. */
static kv_status check_address(const char *address, const char *field, kv_error *err)
{
    size_t len = strlen(address);

    if (!len || len > KV_MAIL_ADDRESS_BYTES || !strchr(address, '@'))
        return kv_fail_field(err, field, "must be a mail address");
    for (size_t i = 0; i < len; i++)
        if (address[i] <= ' ' || address[i] > '~' || address[i] == '<' || address[i] == '>')
            return kv_fail_field(err, field, "must be a mail address");
    return KV_OK;
}

static kv_status check(const kv_mail_send *send, kv_error *err)
{
    if (!send->to_count || send->to_count > KV_MAIL_RECIPIENTS)
        return kv_fail_field(err, "to", "must be 1 to %d addresses", KV_MAIL_RECIPIENTS);
    if (!send->message.len || send->message.len > KV_MAIL_BYTES)
        return kv_fail_field(err, "message", "must have 1 to %d bytes", KV_MAIL_BYTES);
    KV_TRY(check_address(send->from, "from", err));
    for (size_t i = 0; i < send->to_count; i++)
        KV_TRY(check_address(send->to[i], "to", err));
    return KV_OK;
}

kv_status kv_mailer_send(kv_mailer *mailer, const kv_mail_send *send, kv_error *err)
{
    letter at = {
        .mailer = mailer, .left = send->message, .deadline = send->deadline, .from = send->from
    };
    kv_status status = KV_OK;

    *err = (kv_error){ 0 };
    KV_TRY(check(send, err));
    for (size_t i = 0; status == KV_OK && i < send->to_count; i++) {
        struct curl_slist *longer = curl_slist_append(at.to, send->to[i]);

        if (longer)
            at.to = longer;
        else
            status = kv_fail(err, KV_BUSY, "out of memory");
    }
    if (status == KV_OK)
        status = post(&at, err);
    curl_slist_free_all(at.to);
    return status;
}

kv_status kv_mailer_check(kv_mailer *mailer, kv_deadline deadline, kv_error *err)
{
    letter at = { .mailer = mailer, .deadline = deadline, .only_look = true };

    *err = (kv_error){ 0 };
    return post(&at, err);
}
