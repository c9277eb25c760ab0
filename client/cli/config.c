/* config.c - one table of settings, looked up in three places. */
#include "client/cli/config.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <ini.h>

#include "server/base/text.h"

enum { PLACES = 3, ENV_BYTES = 64, MOST_SECONDS = 3600, MS = 1000 };

typedef struct setting {
    const char *name;
    size_t offset; /* of its text in kv_cli_config; `parsed` ones have none */
    bool path;     /* relative to the file's folder */
    bool parsed;
} setting;

#define AT(member) offsetof(kv_cli_config, member)

/* shape: table */
static const setting settings[] = {
    { "endpoint", AT(endpoint), false, false },
    { "server-name", AT(server_name), false, false },
    { "ca", AT(ca), true, false },
    { "certificate", AT(certificate), true, false },
    { "key", AT(key), true, false },
    { "vault", AT(vault), false, false },
    { "roles", AT(roles), false, false },
    { "scope", AT(scope), false, false },
    { "oidc-issuer", AT(oidc_issuer), false, false },
    { "oidc-client-id", AT(oidc_client_id), false, false },
    { "oidc-ca", AT(oidc_ca), true, false },
    { "output", 0, false, true },
    { "timeout", 0, false, true },
};

typedef struct reader {
    kv_arena *arena;
    const char *file;
    const char *profile; /* the section that is read beside the top; NULL: none */
    bool profile_seen;
    size_t line;
    const char *top[KV_COUNT(settings)];     /* from above the first section */
    const char *section[KV_COUNT(settings)]; /* from the profile */
    kv_error *err;
} reader;

/* "server_name" and "server-name" are one. */
static bool is_setting(const char *name, const char *spelled)
{
    for (; *name && *spelled; name++, spelled++)
        if (*name != *spelled && !(*name == '-' && *spelled == '_'))
            return false;
    return !*name && !*spelled;
}

static kv_status beside_file(reader *in, const char *value, const char **out)
{
    const char *slash = strrchr(in->file, '/');
    kv_slice joined;

    if (*value == '/' || !slash)
        return kv_arena_text(in->arena, kv_slice_text(value), out, in->err);
    KV_TRY(kv_arena_print(in->arena, &joined, in->err, "%.*s/%s", (int)(slash - in->file), in->file,
                          value));
    *out = (const char *)joined.data;
    return KV_OK;
}

static kv_status take_line(reader *in, const char *section, const char *name, const char *value)
{
    bool mine = in->profile && !strcmp(section, in->profile);

    if (mine)
        in->profile_seen = true;
    for (size_t i = 0; i < KV_COUNT(settings); i++) {
        const char **place = *section ? &in->section[i] : &in->top[i];

        if (!is_setting(settings[i].name, name))
            continue;
        if (*section && !mine)
            return KV_OK;
        if (settings[i].path)
            return beside_file(in, value, place);
        return kv_arena_text(in->arena, kv_slice_text(value), place, in->err);
    }
    return kv_fail(in->err, KV_BAD_REQUEST, "%s: there is no setting '%.40s'", in->file, name);
}

static int on_line(void *user, const char *section, const char *name, const char *value)
{
    reader *in = user;

    if (in->err->status != KV_OK)
        return 0;
    return take_line(in, section, name, value ? value : "") == KV_OK;
}

static kv_status read_file(reader *in, bool named)
{
    int line;

    if (!in->file)
        return KV_OK;
    line = ini_parse(in->file, on_line, in);
    if (in->err->status != KV_OK)
        return in->err->status;
    if (line < 0)
        return named ? kv_fail(in->err, KV_UNAVAILABLE, "%s cannot be read: %s", in->file,
                               strerror(errno))
                     : KV_OK;
    if (line > 0)
        return kv_fail(in->err, KV_BAD_REQUEST, "%s, line %d: expected name = value", in->file,
                       line);
    return KV_OK;
}

static const char *environment_of(const kv_cli_sources *sources, const char *name)
{
    char variable[ENV_BYTES];
    const char *value;

    (void)snprintf(variable, sizeof(variable), "KVCTL_%s", name);
    for (char *c = variable; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    value = sources->environment(variable);
    return value && *value ? value : NULL;
}

static const char *given(const kv_cli_sources *sources, const char *name)
{
    const char *value = sources->flag(sources->flags, name);

    return value ? value : environment_of(sources, name);
}

/* The file that was named, or the usual one. */
static kv_status find_file(const kv_cli_sources *sources, reader *in, bool *named)
{
    const char *folder = sources->environment("XDG_CONFIG_HOME");
    const char *home = sources->environment("HOME");
    kv_slice path;

    in->file = given(sources, "config");
    *named = in->file != NULL;
    if (in->file)
        return KV_OK;
    if (folder && *folder)
        KV_TRY(kv_arena_print(in->arena, &path, in->err, "%s/keyvault/kvctl.conf", folder));
    else if (home && *home)
        KV_TRY(kv_arena_print(in->arena, &path, in->err, "%s/.config/keyvault/kvctl.conf", home));
    else
        return KV_OK;
    in->file = (const char *)path.data;
    return KV_OK;
}

static kv_status find_cache(const kv_cli_sources *sources, kv_arena *arena, const char **out,
                            kv_error *err)
{
    const char *folder = sources->environment("XDG_CACHE_HOME");
    const char *home = sources->environment("HOME");
    kv_slice path;

    if (folder && *folder)
        KV_TRY(kv_arena_print(arena, &path, err, "%s/keyvault", folder));
    else if (home && *home)
        KV_TRY(kv_arena_print(arena, &path, err, "%s/.cache/keyvault", home));
    else
        return KV_OK;
    *out = (const char *)path.data;
    return KV_OK;
}

static kv_status set_output(const char *value, kv_output *out, kv_error *err)
{
    static const char *const names[] = { "json", "table", "tsv", "csv" };

    for (size_t i = 0; i < KV_COUNT(names); i++) {
        if (strcmp(names[i], value) != 0)
            continue;
        *out = (kv_output)i;
        return KV_OK;
    }
    return kv_fail_field(err, "output", "output is json, table, tsv or csv, not '%.20s'", value);
}

static kv_status set_timeout(const char *value, uint32_t *out, kv_error *err)
{
    uint64_t seconds;

    if (!kv_text_number(kv_slice_text(value), MOST_SECONDS, &seconds) || !seconds)
        return kv_fail_field(err, "timeout", "timeout is 1 to %d seconds, not '%.20s'",
                             MOST_SECONDS, value);
    *out = (uint32_t)seconds * MS;
    return KV_OK;
}

static kv_status set(const setting *row, const char *value, kv_cli_config *out, kv_error *err)
{
    if (!row->parsed)
        memcpy((char *)out + row->offset, &value, sizeof(value));
    else if (!strcmp(row->name, "output"))
        return set_output(value, &out->output, err);
    else
        return set_timeout(value, &out->timeout_ms, err);
    return KV_OK;
}

kv_status kv_cli_config_read(const kv_cli_sources *sources, kv_arena *arena, kv_cli_config *out,
                             kv_error *err)
{
    reader in = { .arena = arena, .profile = given(sources, "profile"), .err = err };
    kv_cli_config config = { 0 };
    bool named;

    err->status = KV_OK;
    KV_TRY(find_file(sources, &in, &named));
    KV_TRY(read_file(&in, named));
    KV_TRY(find_cache(sources, arena, &config.cache, err));
    if (in.profile && !in.profile_seen)
        return kv_fail(err, KV_BAD_REQUEST, "there is no [%.40s] in %s", in.profile,
                       in.file ? in.file : "kvctl.conf");
    for (size_t i = 0; i < KV_COUNT(settings); i++) {
        const char *value = given(sources, settings[i].name);

        value = value ? value : in.section[i];
        value = value ? value : in.top[i];
        if (value)
            KV_TRY(set(&settings[i], value, &config, err));
    }
    *out = config;
    return KV_OK;
}
