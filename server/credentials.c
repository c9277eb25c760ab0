/* credentials.c - PINs, token folders and client CAs. */
#include "server/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "server/front/tls.h"

enum { PIN_MAX = 255, LINE_MAX_BYTES = 1024 };

static const char *const token_names[KV_SETTING_TOKENS] = { "token.keys", "token.ca",
                                                            "token.system", "token.tls" };

/* "directories.tokendir = PATH" of SoftHSM's configuration; "" when this is not SoftHSM. */
static void find_softhsm_folder(const char *module, char *out, size_t size)
{
    const char *path = getenv("SOFTHSM2_CONF");
    char line[LINE_MAX_BYTES];
    FILE *file;

    out[0] = '\0';
    if (!strstr(module, "softhsm"))
        return;
    file = fopen(path ? path : "/etc/softhsm/softhsm2.conf", "re");
    while (file && fgets(line, sizeof(line), file)) {
        char *value = strchr(line, '=');

        if (strncmp(line, "directories.tokendir", 20) != 0 || !value)
            continue;
        value += 1 + strspn(value + 1, " \t");
        value[strcspn(value, "\r\n \t")] = '\0';
        (void)snprintf(out, size, "%s", value);
    }
    if (file)
        (void)fclose(file);
}

static kv_status print_path(char out[PATH_MAX], const char *home, const char *name,
                            const char *ending, kv_error *err)
{
    int len = snprintf(out, PATH_MAX, "%s/%s%s", home, name, ending);

    if (len < 0 || len >= PATH_MAX)
        return kv_fail(err, KV_BAD_REQUEST, "[server] home is too long");
    return KV_OK;
}

kv_status kv_token_paths_of(const kv_settings *settings, kv_setting_token which,
                            kv_token_paths *out, kv_error *err)
{
    find_softhsm_folder(settings->tokens[which].module, out->files, sizeof(out->files));
    KV_TRY(print_path(out->lock, settings->home, token_names[which], ".lock", err));
    KV_TRY(print_path(out->isolated, settings->home, "isolated", "", err));
    return print_path(out->backup, settings->home, token_names[which], ".backup", err);
}

/* A token counts attempts, so one that cannot be right is not made. */
static kv_status read_file(const char *path, const char *what, size_t max, kv_secret_buf *out,
                           kv_error *err)
{
    KV_AUTO(kv_secret_buf) secret = KV_SECRET_NONE;

    KV_TRY(kv_secret_buf_read_file(path, max, &secret, err));
    if (!secret.len)
        return kv_fail(err, KV_PRECONDITION, "the %s file '%.120s' is empty", what, path);
    *out = kv_secret_buf_move(&secret);
    return KV_OK;
}

kv_status kv_read_credential(const char *from, const char *what, size_t max, kv_secret_buf *out,
                             kv_error *err)
{
    static const char prefix[] = "credential:";
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char path[PATH_MAX];

    if (strncmp(from, prefix, strlen(prefix)) != 0)
        return read_file(from, what, max, out, err);
    if (!folder)
        return kv_fail(err, KV_PRECONDITION, "'%.60s' needs $CREDENTIALS_DIRECTORY (systemd)",
                       from);
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, from + strlen(prefix)) >=
        sizeof(path))
        return kv_fail(err, KV_BAD_REQUEST, "the path of a credential is too long");
    return read_file(path, what, max, out, err);
}

kv_status kv_read_pin(const kv_token_settings *token, kv_secret_buf *out, kv_error *err)
{
    return kv_read_credential(token->pin_file, "PIN", PIN_MAX, out, err);
}

bool kv_tls_key_on_token(const kv_settings *settings)
{
    return !strncmp(settings->tls_key, "pkcs11:", 7);
}

kv_status kv_open_tokens(const kv_settings *settings, kv_log *log, kv_tokens **out, kv_error *err)
{
    static const kv_duty duties[KV_SETTING_TOKENS] = { KV_DUTY_KEYS, KV_DUTY_CA, KV_DUTY_SYSTEM,
                                                       KV_DUTY_TLS };
    kv_token_config configs[KV_SETTING_TOKENS] = { 0 };
    kv_token_paths paths[KV_SETTING_TOKENS] = { 0 };
    kv_secret_buf pins[KV_SETTING_TOKENS] = { 0 };
    kv_status status = KV_OK;

    for (size_t i = 0; status == KV_OK && i < KV_SETTING_TOKENS; i++) {
        const kv_token_settings *token = &settings->tokens[i];
        bool isolated = !strcmp(token->isolated, "true");
        bool beside = duties[i] == KV_DUTY_TLS && !kv_tls_key_on_token(settings);

        status = kv_token_paths_of(settings, (kv_setting_token)i, &paths[i], err);
        if (status == KV_OK && !beside)
            status = kv_read_pin(token, &pins[i], err);
        configs[i] = (kv_token_config){ .duty = duties[i],
                                        .module = token->module,
                                        .uri = token->uri,
                                        .pin = &pins[i],
                                        .lock_path = paths[i].lock,
                                        .files_dir = paths[i].files[0] ? paths[i].files : NULL,
                                        .backup_dir = paths[i].files[0] ? paths[i].backup : NULL,
                                        .files_only = beside,
                                        .exclusive = paths[i].files[0] && duties[i] != KV_DUTY_TLS,
                                        .hang_ms = (unsigned)token->hang_seconds * 1000,
                                        .isolated = isolated ? "/proc/self/exe" : NULL,
                                        .isolated_folder = paths[i].isolated,
                                        .isolated_environment = token->environment };
    }
    if (status == KV_OK)
        status = kv_tokens_open(configs, KV_SETTING_TOKENS, log, out, err);
    for (size_t i = 0; i < KV_SETTING_TOKENS; i++)
        kv_secret_buf_cleanup(&pins[i]);
    return status;
}

static kv_status add_der(X509 *certificate, kv_arena *arena, kv_slice *out, kv_error *err)
{
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    kv_status status;

    if (len <= 0)
        return kv_fail(err, KV_BAD_REQUEST, "a certificate cannot be encoded");
    status = kv_arena_copy(arena, kv_slice_of(der, (size_t)len), out, err);
    OPENSSL_free(der);
    return status;
}

static kv_status add_all(const char *path, STACK_OF(X509) *from, kv_arena *arena,
                         kv_slice out[KV_CLIENT_CAS], unsigned *count, kv_error *err)
{
    if (sk_X509_num(from) > KV_CLIENT_CAS)
        return kv_fail(err, KV_BAD_REQUEST, "'%.120s' has more than %d certificates", path,
                       KV_CLIENT_CAS);
    for (int i = 0; i < sk_X509_num(from); i++)
        KV_TRY(add_der(sk_X509_value(from, i), arena, &out[(*count)++], err));
    return KV_OK;
}

kv_status kv_read_certificates(const char *path, kv_arena *arena, kv_slice out[KV_CLIENT_CAS],
                               unsigned *count, kv_error *err)
{
    STACK_OF(X509) *read;
    kv_status status;
    BIO *file;

    *count = 0;
    if (!path[0])
        return KV_OK;
    file = BIO_new_file(path, "r");
    if (!file)
        return kv_fail(err, KV_UNAVAILABLE, "the certificates '%.120s' cannot be read", path);
    read = sk_X509_new_null();
    if (read && kv_tls_read_chain(file, read))
        status = add_all(path, read, arena, out, count, err);
    else
        status = kv_fail(err, KV_BAD_REQUEST,
                         "'%.120s' has no certificate, or one that cannot be read", path);
    ERR_clear_error();
    sk_X509_pop_free(read, X509_free);
    BIO_free(file);
    return status;
}
