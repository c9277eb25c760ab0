/* main.c - kv_bench raw|served OPTIONS: one measurement, one line. scripts/bench.sh makes the
 * table.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/speed/bench.h"

static const char usage[] =
    "Usage: kv_bench raw --what p256|rsa2048|secret --parallel N --seconds S\n"
    "                    --module FILE --token LABEL --pin-file FILE\n"
    "       kv_bench served --what p256|rsa2048|secret|certificate --parallel N --seconds S\n"
    "                    --endpoint HOST:PORT --ca FILE --certificate FILE --key FILE\n"
    "                    --vault NAME --name NAME\n"
    "Prints: operations a second, p50 and p99 in microseconds\n";

static bench_what what_of(const char *word)
{
    static const char *const words[] = { "p256", "rsa2048", "secret", "certificate" };

    for (int i = 0; i < 4; i++)
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

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "what", required_argument, NULL, 'w' },
        { "parallel", required_argument, NULL, 'p' },
        { "seconds", required_argument, NULL, 's' },
        { "module", required_argument, NULL, 'm' },
        { "token", required_argument, NULL, 't' },
        { "pin-file", required_argument, NULL, 'i' },
        { "endpoint", required_argument, NULL, 'e' },
        { "ca", required_argument, NULL, 'a' },
        { "certificate", required_argument, NULL, 'c' },
        { "key", required_argument, NULL, 'k' },
        { "vault", required_argument, NULL, 'v' },
        { "name", required_argument, NULL, 'n' },
        { 0 },
    };
    static char pin[256];
    bench_options options = { .parallel = 1, .seconds = 1 };
    bench_series series = { 0 };
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        const char **text = option == 'm'   ? &options.module
                            : option == 't' ? &options.label
                            : option == 'e' ? &options.endpoint
                            : option == 'a' ? &options.ca
                            : option == 'c' ? &options.certificate
                            : option == 'k' ? &options.key
                            : option == 'v' ? &options.vault
                            : option == 'n' ? &options.name
                                            : NULL;

        if (text)
            *text = optarg;
        else if (option == 'w')
            options.what = what_of(optarg);
        else if (option == 'p')
            options.parallel = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 's')
            options.seconds = strtod(optarg, NULL);
        else if (option == 'i')
            options.pin = read_pin(optarg, pin);
        else
            return fputs(usage, stderr) < 0 ? 1 : 2;
    }
    if (optind + 1 == argc && !strcmp(argv[optind], "raw") && options.module && options.label &&
        options.pin)
        bench_raw(&options, &series);
    else if (optind + 1 == argc && !strcmp(argv[optind], "served") && options.endpoint &&
             options.vault && options.name)
        bench_served(&options, &series);
    else
        return fputs(usage, stderr) < 0 ? 1 : 2;
    bench_print(&series);
    return 0;
}
