/* run.c - one run: parse, configure, call, print. */
#include "client/cli/run.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/completion.h"
#include "client/cli/glyph.h"
#include "client/cli/render.h"
#include "client/cli/say.h"
#include "client/failure.h"
#include "client/methods.h"

enum { ARENA_BYTES = 64 << 20, MESSAGE_BYTES = 256, POLICY_BYTES = 256 * 1024 };

kv_exit kv_cli_usage(const kv_cli *cli, const char *message, ...)
{
    va_list args;

    kv_say(cli->err, "kvctl: ");
    va_start(args, message);
    kv_say_args(cli->err, message, args);
    va_end(args);
    kv_say(cli->err, "\n  see kvctl %s %s --help\n", cli->args.verb->noun, cli->args.verb->verb);
    return KV_EXIT_USAGE;
}

/* --- the handle --- */

static kv_exit read_roles(const kv_cli *cli, int roles[KV_CLI_ROLES_MAX], size_t *count)
{
    const ProtobufCMessageDescriptor *type;
    const ProtobufCFieldDescriptor *field;
    kv_method method;
    const char *at = cli->config.roles;

    *count = 0;
    (void)kv_method_find("/keyvault.v1.AccessService/IssueRoleToken", &method);
    type = method.input;
    field = kv_field_find(type, "roles");
    while (at && *at) {
        size_t len = strcspn(at, ",");
        char name[64];

        (void)snprintf(name, sizeof(name), "%.*s", (int)len, at);
        if (*count == KV_CLI_ROLES_MAX)
            return kv_cli_usage(cli, "at most %d roles", KV_CLI_ROLES_MAX);
        if (!kv_enum_parse(field->descriptor, name, &roles[(*count)++]))
            return kv_cli_usage(cli, "there is no role '%s'", name);
        at += len + (at[len] == ',');
    }
    return KV_EXIT_OK;
}

kv_exit kv_cli_open(kv_cli *cli)
{
    int roles[KV_CLI_ROLES_MAX];
    keyvault_config config = {
        .endpoint = cli->config.endpoint,
        .server_name = cli->config.server_name,
        .ca_path = cli->config.ca,
        .certificate_path = cli->config.certificate,
        .key_path = cli->config.key,
        .timeout_ms = cli->config.timeout_ms,
        .roles = roles,
        .scope = cli->config.scope,
    };
    keyvault_error err = { 0 };
    kv_exit told;

    if (cli->handle)
        return KV_EXIT_OK;
    if (!config.endpoint)
        return kv_cli_usage(cli, "where is the server? Give --endpoint HOST:PORT, "
                                 "KVCTL_ENDPOINT, or endpoint in kvctl.conf");
    if (!config.ca_path)
        return kv_cli_usage(cli, "which CA vouches for the server? Give --ca FILE, KVCTL_CA, or "
                                 "ca in kvctl.conf");
    config.role_token = kv_cli_session(cli);
    told = read_roles(cli, roles, &config.role_count);
    if (told != KV_EXIT_OK)
        return told;
    if (keyvault_open(&config, &cli->handle, &err))
        return kv_cli_fail(cli, &err);
    return KV_EXIT_OK;
}

/* --- requests --- */

static kv_exit set_json(kv_cli *cli, ProtobufCMessage *message, const kv_cli_value *value)
{
    kv_slice text = kv_slice_text(value->text);
    json_error_t where;
    json_t *json, *inner;
    ProtobufCMessage *into;
    kv_error err = { 0 };
    kv_status status;
    kv_exit told = KV_EXIT_OK;

    if (*value->text != '{')
        told = kv_cli_read(cli, value->text + (*value->text == '@'), POLICY_BYTES, &text);
    if (told != KV_EXIT_OK)
        return told;
    json = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &where);
    if (!json)
        return kv_cli_usage(cli, "--%s: line %d: %s", value->option->name, where.line, where.text);
    /* What `policy show` printed can be given back as it is. */
    inner = json_object_get(json, value->option->field);
    memcpy(&into, kv_field_place(message, kv_field_find(message->descriptor, value->option->field)),
           sizeof(into));
    status = kv_message_read_json(into, json_is_object(inner) ? inner : json, &err);
    json_decref(json);
    return status == KV_OK ? KV_EXIT_OK : kv_cli_fail_local(cli, &err);
}

static kv_exit set_field(kv_cli *cli, ProtobufCMessage *message, const kv_cli_value *value)
{
    const kv_cli_option *option = value->option;
    const char *text = value->text;
    char number[32];
    int64_t seconds;
    kv_error err = { 0 };
    kv_exit told = KV_EXIT_OK;

    if (option->kind == KV_OPTION_PRINCIPAL)
        told = kv_cli_principal(cli, value->text, &text);
    if (told != KV_EXIT_OK)
        return told;
    if (option->kind == KV_OPTION_TIME) {
        if (kv_cli_time(value->text, &seconds, &err) != KV_OK)
            return kv_cli_usage(cli, "--%s %s", option->name, err.message);
        (void)snprintf(number, sizeof(number), "%lld", (long long)seconds);
        text = number;
    }
    if (kv_message_set(message, option->field, text, &err) != KV_OK)
        return err.status == KV_BAD_REQUEST
                   ? kv_cli_usage(cli, "--%s: %s", option->name, err.message)
                   : kv_cli_fail_local(cli, &err);
    return KV_EXIT_OK;
}

static kv_exit set_fields(kv_cli *cli, ProtobufCMessage *message, bool json)
{
    for (size_t i = 0; i < cli->args.count; i++) {
        const kv_cli_value *value = &cli->args.values[i];
        kv_exit told;

        if (!value->option->field || json != (value->option->kind == KV_OPTION_JSON))
            continue;
        told = json ? set_json(cli, message, value) : set_field(cli, message, value);
        if (told != KV_EXIT_OK)
            return told;
    }
    return KV_EXIT_OK;
}

/* The vault of the configuration, where the verb wants one and none was named. */
static kv_exit set_vault(kv_cli *cli, ProtobufCMessage *message)
{
    for (const kv_cli_option *row = cli->args.verb->options; row && row->name; row++) {
        if (!(row->flags & KV_OPTION_VAULT) || kv_cli_given(cli, row->name) || !cli->config.vault)
            continue;
        return set_field(cli, message, &(kv_cli_value){ row, cli->config.vault });
    }
    return KV_EXIT_OK;
}

kv_exit kv_cli_build(kv_cli *cli, const char *path, ProtobufCMessage **out)
{
    kv_method method;
    ProtobufCMessage *message;
    kv_exit told;

    if (!kv_method_find(path, &method)) {
        (void)kv_cli_usage(cli, "there is no method %s", path);
        return KV_EXIT_USAGE;
    }
    message = kv_message_new(method.input);
    if (!message) {
        (void)kv_cli_usage(cli, "out of memory");
        return KV_EXIT_USAGE;
    }
    told = set_fields(cli, message, true);
    if (told == KV_EXIT_OK)
        told = set_fields(cli, message, false);
    if (told == KV_EXIT_OK)
        told = set_vault(cli, message);
    if (told != KV_EXIT_OK)
        keyvault_message_free(message);
    else
        *out = message;
    return told;
}

kv_exit kv_cli_call(kv_cli *cli, const char *path, const ProtobufCMessage *request,
                    ProtobufCMessage **response)
{
    keyvault_options options = { 0 };
    keyvault_error err = { 0 };
    kv_exit told = kv_cli_open(cli);

    if (told != KV_EXIT_OK)
        return told;
    options.idempotency_key = kv_cli_given(cli, "idempotency-key");
    if (keyvault_call(cli->handle, path, request, response, &options, &err))
        return kv_cli_fail(cli, &err);
    return KV_EXIT_OK;
}

kv_exit kv_cli_ask(kv_cli *cli, const char *path, ProtobufCMessage **response)
{
    ProtobufCMessage *request = NULL;
    kv_exit told = kv_cli_build(cli, path, &request);

    if (told != KV_EXIT_OK)
        return told;
    told = kv_cli_call(cli, path, request, response);
    keyvault_message_free(request);
    return told;
}

/* --- answers --- */

kv_exit kv_cli_print(kv_cli *cli, json_t *value)
{
    const char *query = kv_cli_given(cli, "query");
    const json_t *shown = query ? kv_json_at(value, query) : value;
    kv_output output = cli->config.output;

    if (query && !shown) {
        json_decref(value);
        kv_say(cli->err, "kvctl: the answer has no %s\n", query);
        return KV_EXIT_GENERAL;
    }
    kv_render(cli->out, output, query ? NULL : cli->args.verb->columns, shown);
    json_decref(value);
    return KV_EXIT_OK;
}

kv_exit kv_cli_show(kv_cli *cli, KV_TAKES ProtobufCMessage *message)
{
    json_t *json = kv_message_json(message);

    keyvault_message_free(message);
    if (!json)
        return kv_cli_usage(cli, "out of memory");
    if (!json_object_size(json)) { /* an answer that says no more than that it is done */
        json_decref(json);
        return KV_EXIT_OK;
    }
    return kv_cli_print(cli, json);
}

kv_exit kv_cli_run_call(kv_cli *cli)
{
    ProtobufCMessage *response = NULL;
    kv_exit told = kv_cli_ask(cli, cli->args.verb->path, &response);

    return told == KV_EXIT_OK ? kv_cli_show(cli, response) : told;
}

/* --- pages --- */

static const ProtobufCFieldDescriptor *list_field(const ProtobufCMessageDescriptor *type)
{
    for (unsigned i = 0; i < type->n_fields; i++)
        if (type->fields[i].label == PROTOBUF_C_LABEL_REPEATED &&
            type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            return &type->fields[i];
    return NULL;
}

static void add_page(json_t *all, const ProtobufCMessage *page)
{
    const ProtobufCFieldDescriptor *field = list_field(page->descriptor);

    for (size_t i = 0; field && i < kv_field_count(page, field); i++) {
        const ProtobufCMessage *item;

        memcpy(&item, kv_field_value(page, field, i), sizeof(item));
        (void)json_array_append_new(all, kv_message_json(item));
    }
}

static kv_slice bytes_of(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field = kv_field_find(message->descriptor, name);
    const ProtobufCBinaryData *bytes = field ? kv_field_value(message, field, 0) : NULL;

    return bytes ? kv_slice_of(bytes->data, bytes->len) : KV_SLICE_NONE;
}

kv_exit kv_cli_next_page(const kv_cli *cli, const ProtobufCMessage *page, ProtobufCMessage *request,
                         bool *more)
{
    kv_slice token = bytes_of(page, "next_page_token");
    kv_error err = { 0 };

    *more = token.len > 0;
    if (*more && kv_slice_equal(token, bytes_of(request, "page_token"))) {
        kv_say(cli->err, "kvctl: the server gives the same page of the list again and again\n");
        return KV_EXIT_GENERAL;
    }
    if (*more && kv_message_set_bytes(request, "page_token", token, &err) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    return KV_EXIT_OK;
}

kv_exit kv_cli_list(kv_cli *cli, ProtobufCMessage *request)
{
    const char *path = cli->args.verb->path;
    json_t *all = json_array();
    ProtobufCMessage *page;
    kv_exit told = KV_EXIT_OK;
    bool more = true;

    while (more && told == KV_EXIT_OK) {
        told = kv_cli_call(cli, path, request, &page);
        if (told != KV_EXIT_OK)
            break;
        add_page(all, page);
        told = kv_cli_next_page(cli, page, request, &more);
        keyvault_message_free(page);
    }
    keyvault_message_free(request);
    if (told == KV_EXIT_OK)
        return kv_cli_print(cli, all);
    json_decref(all);
    return told;
}

kv_exit kv_cli_run_list(kv_cli *cli)
{
    ProtobufCMessage *request = NULL;
    kv_exit told = kv_cli_build(cli, cli->args.verb->path, &request);

    return told == KV_EXIT_OK ? kv_cli_list(cli, request) : told;
}

/* --- the whole run --- */

/* Only of options that every verb takes, since `role assign --scope` is something else, and of
 * those of `login`. */
static const char *flag(void *context, const char *name)
{
    const kv_cli_args *args = context;

    for (const kv_cli_option *row = kv_cli_global_options(); row->name; row++)
        for (size_t i = 0; i < args->count && !strcmp(row->name, name); i++)
            if (args->values[i].option == row)
                return args->values[i].text;
    return strncmp(name, "oidc-", 5) ? NULL : kv_cli_value_of(args, name);
}

static kv_exit run(kv_cli *cli, const char *(*environment)(const char *name))
{
    const kv_cli_sources sources = { flag, &cli->args, environment };
    kv_error err = { 0 };
    kv_exit told;

    if (kv_cli_config_read(&sources, &cli->arena, &cli->config, &err) != KV_OK ||
        kv_cli_check(&cli->args, &cli->config, &err) != KV_OK) {
        err.field[0] = '\0';
        (void)kv_cli_fail_local(cli, &err);
        return KV_EXIT_USAGE;
    }
    told = cli->args.verb->run(cli);
    if (told == KV_EXIT_OK && (fflush(cli->out) || ferror(cli->out))) {
        kv_say(cli->err, "kvctl: the answer could not be written\n");
        told = KV_EXIT_GENERAL;
    }
    return told;
}

/* What the build makes files of; see completion.h. */
static bool print_file(int argc, char **argv, FILE *out)
{
    if (argc == 3 && !strcmp(argv[1], "completion"))
        return kv_cli_completion(argv[2], out);
    if (argc != 2 || strcmp(argv[1], "manual") != 0)
        return false;
    kv_cli_manual(KV_VERSION, KV_RELEASE_DATE, out);
    return true;
}

kv_exit kv_cli_main(int argc, char **argv, const char *(*environment)(const char *name), FILE *in,
                    FILE *out, FILE *err)
{
    kv_cli cli = { .in = in, .out = out, .err = err, .arena = KV_ARENA(ARENA_BYTES) };
    kv_error failed = { 0 };
    kv_exit told = KV_EXIT_OK;

    kv_glyph_begin();
    if (print_file(argc, argv, out))
        return KV_EXIT_OK;
    if (kv_cli_parse(argc, argv, &cli.args, &failed) != KV_OK) {
        (void)kv_cli_fail_local(&cli, &failed);
        return KV_EXIT_USAGE;
    }
    if (cli.args.help || !cli.args.verb) {
        told = cli.args.help ? KV_EXIT_OK : KV_EXIT_USAGE;
        kv_cli_help(&cli.args, cli.args.help ? out : err);
    } else {
        told = run(&cli, environment);
    }
    keyvault_close(cli.handle);
    kv_arena_cleanup(&cli.arena);
    return told;
}
