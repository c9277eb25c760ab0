/* settings.c - the file is read by the table of its settings (settings_table.c). */
#include "server/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "server/settings_check.h"
#include "server/settings_table.h"

enum { MAX_FILE_BYTES = 256 * 1024, MAX_LINE_BYTES = 198 /* inih takes what is over for a line */ };

typedef struct reader {
    kv_settings *settings;
    bool seen[KV_SETTING_ROWS_MAX];
    bool provider_seen[KV_SETTING_PROVIDERS][KV_PROVIDER_ROWS_MAX];
    kv_error *err;
} reader;

static kv_status out_of_memory(kv_error *err)
{
    return kv_fail(err, KV_BUSY, "out of memory");
}

static kv_status set_number(void *settings, const kv_setting_row *row, const char *value,
                            kv_error *err)
{
    char *end = NULL;
    long long number;

    errno = 0;
    number = strtoll(value, &end, 10);
    if (errno || end == value || *end || number < row->least || number > row->most)
        return kv_fail_field(err, row->help.key, "[%s] %s must be a number from %lld to %lld",
                             row->help.section, row->help.key, (long long)row->least,
                             (long long)row->most);
    *kv_setting_number(settings, row) = number;
    return KV_OK;
}

static bool is_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);

    for (const char *at = choices; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (!strncmp(at, value, len) && (at[len] == '|' || !at[len]) && len)
            return true;
    }
    return false;
}

static kv_status set_choice(void *settings, const kv_setting_row *row, const char *value,
                            kv_error *err)
{
    if (!is_choice(row->choices, value))
        return kv_fail_field(err, row->help.key, "[%s] %s must be one of %s", row->help.section,
                             row->help.key, row->choices);
    return kv_setting_set_text(settings, row, value, err);
}

static kv_status set(void *settings, const kv_setting_row *row, const char *value, kv_error *err)
{
    switch (row->kind) {
    case KV_SETTING_NUMBER:
        return set_number(settings, row, value, err);
    case KV_SETTING_CHOICE:
        return set_choice(settings, row, value, err);
    case KV_SETTING_TEXT:
    case KV_SETTING_PATH:
        break;
    }
    return kv_setting_set_text(settings, row, value, err);
}

static kv_oidc_settings *find_provider(kv_settings *settings, const char *name)
{
    for (unsigned i = 0; i < settings->oidc_count; i++)
        if (!strcmp(name, settings->oidc[i].name))
            return &settings->oidc[i];
    return NULL;
}

/* The provider of that name, which begins with the defaults. */
static kv_status take_provider(reader *in, const char *name, kv_oidc_settings **out)
{
    kv_settings *settings = in->settings;
    kv_oidc_settings *provider = find_provider(settings, name);

    *out = provider;
    if (provider)
        return KV_OK;
    if (settings->oidc_count == KV_SETTING_PROVIDERS)
        return kv_fail(in->err, KV_BAD_REQUEST, "there are more than %d sections [oidc.NAME]",
                       KV_SETTING_PROVIDERS);
    if (!*name || strlen(name) >= sizeof(provider->name) ||
        strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz-") != strlen(name))
        return kv_fail(in->err, KV_BAD_REQUEST,
                       "the NAME of [oidc.NAME] must be 1 to 32 of [0-9a-z-]");
    provider = &settings->oidc[settings->oidc_count++];
    (void)snprintf(provider->name, sizeof(provider->name), "%s", name);
    for (unsigned i = 0; i < kv_provider_row_count; i++)
        KV_TRY(set(provider, &kv_provider_rows[i], kv_provider_rows[i].help.value, in->err));
    *out = provider;
    return KV_OK;
}

static kv_status take_provider_line(reader *in, const char *section, const char *key,
                                    const char *value)
{
    kv_oidc_settings *provider;
    bool *seen;

    KV_TRY(take_provider(in, strchr(section, '.') + 1, &provider));
    seen = in->provider_seen[provider - in->settings->oidc];
    for (unsigned i = 0; i < kv_provider_row_count; i++) {
        const kv_setting_row *row = &kv_provider_rows[i];

        if (strcmp(row->help.key, key) != 0)
            continue;
        if (seen[i])
            return kv_fail_field(in->err, row->help.key, "[%s] %s is given twice", section, key);
        seen[i] = true;
        return set(provider, row, value ? value : "", in->err);
    }
    return kv_fail(in->err, KV_BAD_REQUEST, "there is no setting '%.40s' in [%.40s]", key, section);
}

static kv_status take_line(reader *in, const char *section, const char *key, const char *value)
{
    for (unsigned i = 0; i < kv_setting_row_count; i++) {
        const kv_setting_row *row = &kv_setting_rows[i];

        if (strcmp(row->help.section, section) != 0 || strcmp(row->help.key, key) != 0)
            continue;
        if (in->seen[i])
            return kv_fail_field(in->err, row->help.key, "[%s] %s is given twice", section, key);
        in->seen[i] = true;
        return set(in->settings, row, value ? value : "", in->err);
    }
    if (!strncmp(section, "oidc.", 5))
        return take_provider_line(in, section, key, value);
    return kv_fail(in->err, KV_BAD_REQUEST, "there is no setting '%.40s' in [%.40s]", key, section);
}

static int on_line(void *user, const char *section, const char *key, const char *value)
{
    reader *in = user;

    /* The first error stands; inih goes on reading. */
    if (in->err->status != KV_OK)
        return 0;
    return take_line(in, section, key, value) == KV_OK;
}

static kv_status set_defaults(kv_settings *settings, kv_error *err)
{
    for (unsigned i = 0; i < kv_setting_row_count; i++)
        KV_TRY(set(settings, &kv_setting_rows[i], kv_setting_rows[i].help.value, err));
    return KV_OK;
}

/* Paths are made absolute here, so nobody depends on the working folder. */
static kv_status resolve(kv_settings *settings, char **path, kv_error *err)
{
    char *full = NULL;

    if (!**path || **path == '/' || !strncmp(*path, "pkcs11:", 7) ||
        !strncmp(*path, "https://", 8) || !strncmp(*path, "credential:", 11))
        return KV_OK;
    if (asprintf(&full, "%s/%s", settings->home, *path) < 0)
        return out_of_memory(err);
    free(*path);
    *path = full;
    return KV_OK;
}

static kv_status resolve_store(kv_settings *settings, kv_error *err)
{
    static const char scheme[] = "sqlite:";
    char *full = NULL;

    if (strncmp(settings->store_url, scheme, strlen(scheme)) != 0 ||
        settings->store_url[strlen(scheme)] == '/')
        return KV_OK;
    if (asprintf(&full, "%s%s/%s", scheme, settings->home, settings->store_url + strlen(scheme)) <
        0)
        return out_of_memory(err);
    free(settings->store_url);
    settings->store_url = full;
    return KV_OK;
}

static kv_status check_providers(kv_settings *settings, kv_error *err)
{
    for (unsigned i = 0; i < settings->oidc_count; i++) {
        kv_oidc_settings *provider = &settings->oidc[i];

        if (!provider->issuer[0] || !provider->audience[0])
            return kv_fail_field(err, "issuer", "[oidc.%s] needs issuer and audience",
                                 provider->name);
        KV_TRY(resolve(settings, &provider->jwks, err));
        KV_TRY(resolve(settings, &provider->ca_file, err));
    }
    return KV_OK;
}

static kv_status check_whole(kv_settings *settings, kv_error *err)
{
    if (settings->home[0] != '/')
        return kv_fail_field(err, "home", "[server] home must be an absolute path");
    for (unsigned i = 0; i < kv_setting_row_count; i++)
        if (kv_setting_rows[i].kind == KV_SETTING_PATH)
            KV_TRY(resolve(settings, kv_setting_text(settings, &kv_setting_rows[i]), err));
    KV_TRY(resolve_store(settings, err));
    KV_TRY(check_providers(settings, err));
    if (settings->locked_memory & (settings->locked_memory - 1))
        return kv_fail_field(err, "locked_memory", "[server] locked_memory must be a power of two");
    KV_TRY(kv_settings_check(settings, err));
    for (int i = 0; i < KV_SETTING_TOKEN_TLS; i++) {
        const kv_token_settings *token = &settings->tokens[i];

        if (!token->module[0] || !token->uri[0] || !token->pin_file[0])
            return kv_fail_field(err, "token",
                                 "[token.keys], [token.ca] and [token.system] each "
                                 "need module, uri and pin_file");
    }
    if (!settings->tls_key[0])
        return kv_fail_field(err, "key", "[tls] key is missing");
    return KV_OK;
}

/* inih tells the line of the first error only afterwards. */
static kv_status name_line(int line, kv_error *err)
{
    kv_error first = *err;

    (void)snprintf(err->message, sizeof(err->message), "line %d: %.150s", line, first.message);
    return err->status;
}

static kv_status check_lines(const char *text, kv_error *err)
{
    for (int line = 1; *text; line++) {
        size_t len = strcspn(text, "\n");

        if (len > MAX_LINE_BYTES)
            return kv_fail(err, KV_BAD_REQUEST, "line %d is longer than %d bytes", line,
                           MAX_LINE_BYTES);
        text += len + (text[len] == '\n');
    }
    return KV_OK;
}

kv_status kv_settings_parse(const char *text, kv_settings *out, kv_error *err)
{
    KV_AUTO(kv_settings) settings = { 0 };
    reader in = { .settings = &settings, .err = err };
    int line;

    *err = (kv_error){ 0 };
    KV_TRY(check_lines(text, err));
    KV_TRY(set_defaults(&settings, err));
    line = ini_parse_string(text, on_line, &in);
    if (err->status != KV_OK)
        return name_line(line, err);
    if (line != 0)
        return kv_fail(err, KV_BAD_REQUEST, "line %d is not 'key = value' in a section", line);
    KV_TRY(check_whole(&settings, err));

    *out = settings;
    settings = (kv_settings){ 0 };
    return KV_OK;
}

kv_status kv_settings_read(const char *path, kv_settings *out, kv_error *err)
{
    FILE *file = fopen(path, "re");
    kv_status status;
    char *text;
    size_t len;

    if (!file) {
        kv_fail(err, KV_UNAVAILABLE, "the configuration '%.100s' cannot be opened", path);
        return kv_note(err, "%s", strerror(errno));
    }
    text = calloc(1, MAX_FILE_BYTES + 1);
    len = text ? fread(text, 1, MAX_FILE_BYTES, file) : 0;
    if (!text)
        status = out_of_memory(err);
    else if (ferror(file) || len == MAX_FILE_BYTES)
        status = kv_fail(err, KV_UNAVAILABLE, "the configuration cannot be read, or is too long");
    else if (memchr(text, 0, len)) /* as a crash of the machine leaves files */
        status = kv_fail(err, KV_BAD_REQUEST, "the configuration has a NUL byte: it is no text");
    else
        status = kv_settings_parse(text, out, err);
    free(text);
    (void)fclose(file);
    KV_TRY(status);
    out->file = strdup(path);
    if (out->file)
        return KV_OK;
    kv_settings_cleanup(out);
    return out_of_memory(err);
}

static void free_texts(void *base, const kv_setting_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].kind != KV_SETTING_NUMBER)
            free(*kv_setting_text(base, &rows[i]));
}

void kv_settings_cleanup(kv_settings *settings)
{
    free(settings->file);
    free_texts(settings, kv_setting_rows, kv_setting_row_count);
    for (unsigned i = 0; i < settings->oidc_count; i++)
        free_texts(&settings->oidc[i], kv_provider_rows, kv_provider_row_count);
    *settings = (kv_settings){ 0 };
}
