/* main.c - the command line of keyvaultd. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pkcs11/isolated_host.h"
#include "server/base/text.h"
#include "server/front/front.h"
#include "server/init.h"
#include "server/limits.h"
#include "server/server.h"
#include "server/settings_rows.h"

enum { EXIT_USAGE = 2, EXIT_CONFIG = 3 };

static const char usage[] =
    "Usage: keyvaultd COMMAND --config FILE [OPTIONS]\n"
    "\n"
    "Commands:\n"
    "  run            serve until SIGTERM; SIGHUP reads the configuration again\n"
    "  init           make the server's keys, database and audit log, once\n"
    "  check-config   read the configuration and print every setting in force\n"
    "  version        print the version\n"
    "\n"
    "Options of init:\n"
    "  --administrator NAME=FILE   the first access administrator and their certificate (PEM)\n"
    "  --create-tokens             make missing tokens and PIN files with random PINs\n"
    "  --tls-name NAME             DNS name or address for the TLS certificate; repeatable\n"
    "\n"
    "Exit status: 0 success, 1 failure, 2 wrong usage, 3 wrong configuration\n";

typedef struct arguments {
    const char *command;
    const char *config;
    kv_init_request init;
} arguments;

/* Names in it are those of a file, a token or a row: nothing of them speaks to the terminal. */
static int complain(kv_error *err)
{
    kv_text_clean(err->message);
    kv_text_clean(err->detail);
    (void)fprintf(stderr, "keyvaultd: %s\n", err->message);
    if (err->detail[0])
        (void)fprintf(stderr, "keyvaultd: %s\n", err->detail);
    return EXIT_FAILURE;
}

/* NAME=FILE in place: the text is this process's own. */
static bool take_administrator(char *text, kv_init_request *init)
{
    char *equals = strchr(text, '=');

    if (!equals || equals == text || !equals[1] ||
        init->administrator_count == KV_INIT_ADMINISTRATORS)
        return false;
    *equals = '\0';
    init->administrators[init->administrator_count++] =
        (kv_init_administrator){ .name = text, .certificate_path = equals + 1 };
    return true;
}

static bool take_name(const char *text, kv_init_request *init)
{
    if (!*text || init->tls_name_count == KV_INIT_NAMES)
        return false;
    init->tls_names[init->tls_name_count++] = text;
    return true;
}

static bool parse(int argc, char **argv, arguments *out)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "administrator", required_argument, NULL, 'a' },
        { "create-tokens", no_argument, NULL, 't' },
        { "tls-name", required_argument, NULL, 'n' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
    };
    bool good = true;
    int option;

    while (good && (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            out->config = optarg;
            break;
        case 'a':
            good = take_administrator(optarg, &out->init);
            break;
        case 't':
            out->init.create_tokens = true;
            break;
        case 'n':
            good = take_name(optarg, &out->init);
            break;
        case 'h':
            out->command = "help";
            return true;
        default:
            good = false;
        }
    }
    if (!good || optind + 1 != argc)
        return false;
    out->command = argv[optind];
    return true;
}

static int run(const kv_settings *settings, kv_log *log)
{
    kv_signals *signals = NULL;
    kv_server *server = NULL;
    kv_error err = { 0 };
    kv_status status;

    kv_front_wipe_memory();
    status = kv_signals_start(log, &signals, &err);
    if (status == KV_OK)
        status = kv_server_new(settings, log, &server, &err);
    if (status == KV_OK)
        status = kv_server_run(server, signals, &err);
    kv_server_free(server);
    kv_signals_free(signals);
    return status == KV_OK ? EXIT_SUCCESS : complain(&err);
}

static int init(const kv_settings *settings, const kv_init_request *request, kv_log *log)
{
    kv_error err = { 0 };

    if (kv_init(settings, request, log, &err) != KV_OK)
        return complain(&err);
    (void)printf("keyvault is initialised in %s; the first access administrator is '%s'\n",
                 settings->home, request->administrators[0].name);
    return EXIT_SUCCESS;
}

static int check_config(const kv_settings *settings)
{
    const kv_setting_help *row;
    const char *section = "";
    char value[4096];

    for (unsigned i = 0; (row = kv_settings_help(i)); i++) {
        if (strcmp(section, row->section) != 0)
            (void)printf("%s[%s]\n", i ? "\n" : "", row->section);
        section = row->section;
        kv_settings_value(settings, i, value, sizeof(value));
        (void)printf("; %s\n%s = %s\n", row->meaning, row->key, value);
    }
    for (unsigned i = 0; i < settings->oidc_count; i++) {
        (void)printf("\n[oidc.%s]\n", settings->oidc[i].name);
        for (unsigned k = 0; (row = kv_settings_provider_help(k)); k++) {
            kv_settings_provider_value(&settings->oidc[i], k, value, sizeof(value));
            (void)printf("; %s\n%s = %s\n", row->meaning, row->key, value);
        }
    }
    return EXIT_SUCCESS;
}

/* For the manual page, which the build writes: section, name, default and meaning by tabs. */
static int print_settings(void)
{
    const kv_setting_help *row;

    for (unsigned i = 0; (row = kv_settings_help(i)); i++)
        (void)printf("%s\t%s\t%s\t%s\n", row->section, row->key, row->value, row->meaning);
    for (unsigned i = 0; (row = kv_settings_provider_help(i)); i++)
        (void)printf("%s\t%s\t%s\t%s\n", row->section, row->key, row->value, row->meaning);
    return EXIT_SUCCESS;
}

static int with_settings(const arguments *given)
{
    KV_AUTO(kv_settings) settings = { 0 };
    kv_error err = { 0 };
    kv_log *log;
    int result;

    if (kv_settings_read(given->config, &settings, &err) != KV_OK) {
        (void)complain(&err);
        return EXIT_CONFIG;
    }
    if (!strcmp(given->command, "check-config"))
        return check_config(&settings);
    log = kv_log_new(STDERR_FILENO, kv_settings_log_level(&settings));
    if (!strcmp(given->command, "init"))
        result = init(&settings, &given->init, log);
    else
        result = run(&settings, log);
    kv_log_free(log);
    return result;
}

int main(int argc, char **argv)
{
    static const char *const commands[] = { "run", "init", "check-config" };
    arguments given = { 0 };

    /* Not for people: see isolated_host.h. */
    if (argc > 1 && !strcmp(argv[1], "host-module"))
        return kv_isolated_host(argc, argv);
    if (!parse(argc, argv, &given)) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(given.command, "help"))
        return fputs(usage, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    if (!strcmp(given.command, "version"))
        return puts("keyvaultd " KV_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    if (!strcmp(given.command, "settings"))
        return print_settings();
    for (size_t i = 0; i < KV_COUNT(commands); i++) {
        if (strcmp(commands[i], given.command) != 0)
            continue;
        if (!given.config) {
            (void)fputs("keyvaultd: --config FILE is missing\n", stderr);
            return EXIT_USAGE;
        }
        return with_settings(&given);
    }
    (void)fprintf(stderr, "keyvaultd: there is no command '%s'\n\n%s", given.command, usage);
    return EXIT_USAGE;
}
