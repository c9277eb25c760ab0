/* main.c - kv_bench COMMAND OPTIONS: one measurement, one line. scripts/bench.sh makes the table.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/compiler.h"
#include "tests/bench/speed/bench.h"

static const char usage[] =
    "Usage: kv_bench COMMAND [OPTIONS]\n"
    "\n"
    "  served    through libkeyvault: --endpoint HOST:PORT --ca FILE --certificate FILE --key "
    "FILE\n"
    "            --vault NAME --name NAME [--names N] [--connections N] [--server PID]\n"
    "  fill      makes the keys NAME-1 to NAME-N of --names; the options of served\n"
    "  connect   connections to a server: [--resume], the options of served\n"
    "  raw       the token itself: --module FILE --token LABEL --pin-file FILE --name LABEL\n"
    "            [--copies] [--processes N]\n"
    "  prepare   makes the key that raw uses; its options\n"
    "  start     C_Initialize and C_Login in microseconds, resident memory in KiB; its options\n"
    "  software  OpenSSL alone\n"
    "  sync      fdatasync of small appends in --folder DIR\n"
    "\n"
    "All: --what p256|p384|rsa2048|rsa4096|ed25519|gcm|secret|certificate|create --parallel N\n"
    "     --seconds S\n"
    "Prints: operations a second; p50, p99 and p99.9 in microseconds; processor time an operation\n"
    "of this program and of the server in microseconds\n";

static bench_what what_of(const char *word)
{
    static const char *const words[BENCH_WHAT_COUNT] = { "p256",    "p384",        "rsa2048",
                                                         "rsa4096", "ed25519",     "gcm",
                                                         "secret",  "certificate", "create" };

    for (int i = 0; i < BENCH_WHAT_COUNT; i++)
        if (!strcmp(words[i], word))
            return (bench_what)i;
    bench_die("--what", word);
}

static const char *read_pin(const char *path, char out[256])
{
    FILE *file = fopen(path, "r");

    if (!file || !fgets(out, 256, file))
        bench_die("--pin-file", path);
    (void)fclose(file);
    out[strcspn(out, "\n")] = '\0';
    return out;
}

enum { WHAT = 1, PARALLEL, SECONDS, PIN_FILE, PROCESSES, CONNECTIONS, NAMES, SERVER, TEXT = 100 };

static const char **text_of(bench_options *options, int option)
{
    const char **const texts[] = { &options->module, &options->label,       &options->endpoint,
                                   &options->ca,     &options->certificate, &options->key,
                                   &options->vault,  &options->name,        &options->folder };

    return option >= TEXT && option < TEXT + (int)KV_COUNT(texts) ? texts[option - TEXT] : NULL;
}

static void take(bench_options *options, int option, char pin[256])
{
    unsigned number = (unsigned)strtoul(optarg, NULL, 10);

    switch (option) {
    case WHAT:
        options->what = what_of(optarg);
        break;
    case PARALLEL:
        options->parallel = number;
        break;
    case SECONDS:
        options->seconds = strtod(optarg, NULL);
        break;
    case PIN_FILE:
        options->pin = read_pin(optarg, pin);
        break;
    case PROCESSES:
        options->processes = number;
        break;
    case CONNECTIONS:
        options->connections = number;
        break;
    case NAMES:
        options->names = number;
        break;
    case SERVER:
        options->server = (int)number;
        break;
    default:
        *text_of(options, option) = optarg;
        break;
    }
}

static bool parse(int argc, char **argv, bench_options *options, char pin[256])
{
    const struct option long_options[] = {
        { "what", required_argument, NULL, WHAT },
        { "parallel", required_argument, NULL, PARALLEL },
        { "seconds", required_argument, NULL, SECONDS },
        { "pin-file", required_argument, NULL, PIN_FILE },
        { "processes", required_argument, NULL, PROCESSES },
        { "connections", required_argument, NULL, CONNECTIONS },
        { "names", required_argument, NULL, NAMES },
        { "server", required_argument, NULL, SERVER },
        { "copies", no_argument, &options->copies, 1 },
        { "resume", no_argument, &options->resume, 1 },
        { "module", required_argument, NULL, TEXT },
        { "token", required_argument, NULL, TEXT + 1 },
        { "endpoint", required_argument, NULL, TEXT + 2 },
        { "ca", required_argument, NULL, TEXT + 3 },
        { "certificate", required_argument, NULL, TEXT + 4 },
        { "key", required_argument, NULL, TEXT + 5 },
        { "vault", required_argument, NULL, TEXT + 6 },
        { "name", required_argument, NULL, TEXT + 7 },
        { "folder", required_argument, NULL, TEXT + 8 },
        { 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == '?')
            return false;
        if (option != 0)
            take(options, option, pin);
    }
    return optind + 1 == argc && options->parallel && options->connections;
}

/* What a command needs beyond --what, --parallel and --seconds. */
typedef enum need { NEEDS_NOTHING, NEEDS_TOKEN, NEEDS_SERVER, NEEDS_FOLDER } need;

static bool has(const bench_options *options, need needs)
{
    switch (needs) {
    case NEEDS_TOKEN:
        return options->module && options->label && options->pin;
    case NEEDS_SERVER:
        return options->endpoint && options->ca && options->certificate && options->key;
    case NEEDS_FOLDER:
        return options->folder;
    case NEEDS_NOTHING:
        break;
    }
    return true;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        need needs;
        void (*measure)(const bench_options *options, bench_series *out);
        void (*other)(const bench_options *options);
    } commands[] = {
        { "served", NEEDS_SERVER, bench_served, NULL },
        { "fill", NEEDS_SERVER, bench_fill, NULL },
        { "connect", NEEDS_SERVER, bench_connect, NULL },
        { "raw", NEEDS_TOKEN, bench_raw, NULL },
        { "prepare", NEEDS_TOKEN, NULL, bench_raw_prepare },
        { "start", NEEDS_TOKEN, NULL, bench_raw_start },
        { "software", NEEDS_NOTHING, bench_software, NULL },
        { "sync", NEEDS_FOLDER, bench_sync, NULL },
    };
    bench_options options = {
        .parallel = 1, .seconds = 1, .connections = 1, .processes = 1, .name = "", .vault = ""
    };
    bench_series series = { 0 };
    char pin[256];

    if (!parse(argc, argv, &options, pin))
        return fputs(usage, stderr) < 0 ? 1 : 2;
    for (size_t i = 0; i < KV_COUNT(commands); i++) {
        if (strcmp(argv[optind], commands[i].name) != 0 || !has(&options, commands[i].needs))
            continue;
        if (commands[i].other) {
            commands[i].other(&options);
            return 0;
        }
        commands[i].measure(&options, &series);
        bench_print(&series);
        return 0;
    }
    return fputs(usage, stderr) < 0 ? 1 : 2;
}
