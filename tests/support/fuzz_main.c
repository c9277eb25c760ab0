/* fuzz_main.c - runs a fuzz target once over files, for the builds that have no libFuzzer.
 *
 * Arguments are files or folders (not searched deeper). At least one input must be found, so that
 * an empty corpus is a failing test and not a silent one.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LARGEST_INPUT = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* False when the file cannot be read or is too large to be a seed. */
static bool read_file(const char *path, uint8_t *data, size_t *size)
{
    FILE *file = fopen(path, "rbe");
    bool good = false;

    if (file) {
        *size = fread(data, 1, LARGEST_INPUT, file);
        good = !ferror(file) && *size < LARGEST_INPUT;
        (void)fclose(file);
    }
    return good;
}

/* How many inputs ran: 1, or -1 on failure. */
static int run_file(const char *path)
{
    uint8_t *data = malloc(LARGEST_INPUT);
    uint8_t *exact = NULL;
    size_t size = 0;

    /* Shrunk to its size, so that the address sanitizer sees a read past the end. */
    if (data && read_file(path, data, &size))
        exact = realloc(data, size ? size : 1);
    if (!exact) {
        free(data);
        return -1;
    }
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 1;
}

/* How many inputs ran, or -1. */
static int run_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    int count = 0;

    if (!folder)
        return -1;
    while (count >= 0 && (entry = readdir(folder))) {
        char name[PATH_MAX];
        int len = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);

        if (entry->d_name[0] == '.')
            continue;
        if (len < 0 || (size_t)len >= sizeof(name) || run_file(name) < 0)
            count = -1;
        else
            count++;
    }
    (void)closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        struct stat info = { 0 };
        int ran = -1;

        if (stat(argv[i], &info) == 0)
            ran = S_ISDIR(info.st_mode) ? run_folder(argv[i]) : run_file(argv[i]);
        if (ran < 0) {
            (void)fprintf(stderr, "%s: not read: %s\n", argv[i], strerror(errno));
            return EXIT_FAILURE;
        }
        total += ran;
    }
    (void)printf("%d inputs\n", total);
    return total ? EXIT_SUCCESS : EXIT_FAILURE;
}
