/* files.c - files of secrets: read without echo, written for the owner alone. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "client/cli/run.h"
#include "client/cli/say.h"
#include "server/base/secret_buf.h"

enum { TEMPORARY_BYTES = 4096, PASSWORD_MAX = 200 };

/* Whether echo was on and has been turned off. */
static bool hide(FILE *in, struct termios *before)
{
    struct termios quiet;
    int fd = fileno(in);

    if (fd < 0 || !isatty(fd) || tcgetattr(fd, before))
        return false;
    quiet = *before;
    /* The key that interrupts ends the line instead: were we ended by it, the echo would stay off.
     */
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    quiet.c_cc[VEOL] = before->c_cc[VINTR];
    quiet.c_cc[VEOL2] = before->c_cc[VQUIT];
    return !tcsetattr(fd, TCSAFLUSH, &quiet);
}

static int interrupts(const struct termios *before, int key)
{
    if (!(before->c_lflag & ISIG) || key == _POSIX_VDISABLE)
        return 0;
    return key == before->c_cc[VINTR] ? SIGINT : key == before->c_cc[VQUIT] ? SIGQUIT : 0;
}

/* False when it was interrupted, and the program does not end by that. */
static bool read_terminal(kv_cli *cli, char *data, size_t max, const struct termios *before,
                          size_t *len)
{
    int c, signal = 0;

    *len = 0;
    kv_say(cli->err, "Value (not shown): ");
    (void)fflush(cli->err);
    while (!signal && *len < max + 1 && (c = getc(cli->in)) != EOF && c != '\n') {
        signal = interrupts(before, c);
        data[(*len)++] = (char)c;
    }
    (void)tcsetattr(fileno(cli->in), TCSAFLUSH, before);
    kv_say(cli->err, "\n");
    if (signal)
        (void)raise(signal);
    return !signal;
}

static kv_exit fail_read(const kv_cli *cli, const char *path)
{
    kv_say(cli->err, "kvctl: %s cannot be read: %s\n", path, strerror(errno));
    return KV_EXIT_GENERAL;
}

kv_exit kv_cli_read(kv_cli *cli, const char *path, size_t max, kv_slice *out)
{
    bool standard = !strcmp(path, "-");
    FILE *file = standard ? cli->in : fopen(path, "rbe");
    char *data = kv_arena_alloc(&cli->arena, max + 2);
    struct termios before;
    bool failed, whole = true;
    size_t len;

    if (!file)
        return fail_read(cli, path);
    if (!data) {
        if (!standard)
            (void)fclose(file);
        return kv_cli_usage(cli, "out of memory");
    }
    if (standard && hide(file, &before))
        whole = read_terminal(cli, data, max, &before, &len);
    else
        len = fread(data, 1, max + 1, file);
    failed = ferror(file);
    if (!standard)
        (void)fclose(file);
    if (failed)
        return fail_read(cli, path);
    if (!whole) {
        kv_say(cli->err, "kvctl: interrupted\n");
        return KV_EXIT_GENERAL;
    }
    if (len > max)
        return kv_cli_usage(cli, "%s is longer than %zu bytes", path, max);
    *out = kv_slice_of(data, len);
    return KV_EXIT_OK;
}

static bool write_all(int fd, kv_slice bytes)
{
    while (bytes.len) {
        ssize_t done = write(fd, bytes.data, bytes.len);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes = kv_slice_of(bytes.data + done, bytes.len - (size_t)done);
    }
    return true;
}

/* What is there is a device, a pipe or a folder; or /dev/stdout, which is a link to what we have
 * open, and special also when that is an ordinary file. */
static bool is_special(const char *path)
{
    static const char ours[] = { '/', 'p', 'r', 'o', 'c', '/' };
    char target[sizeof(ours)];
    struct stat is;

    if (!stat(path, &is) && !S_ISREG(is.st_mode))
        return true;
    return readlink(path, target, sizeof(target)) == (ssize_t)sizeof(target) &&
           !memcmp(target, ours, sizeof(ours));
}

static kv_exit refuse_special(const kv_cli *cli, const char *path)
{
    kv_say(cli->err, "kvctl: %s is no ordinary file; '-' is standard output\n", path);
    return KV_EXIT_USAGE;
}

static kv_exit fail_write(const kv_cli *cli, const char *path)
{
    bool exists = errno == EEXIST;

    if (exists && is_special(path))
        return refuse_special(cli, path);
    if (exists)
        kv_say(cli->err, "kvctl: %s exists already; --overwrite replaces it\n", path);
    else
        kv_say(cli->err, "kvctl: %s cannot be written: %s\n", path, strerror(errno));
    return exists ? KV_EXIT_USAGE : KV_EXIT_GENERAL;
}

bool kv_cli_keep(int fd)
{
    int before = errno;
    int why = fsync(fd) ? errno : 0;

    if (close(fd) && !why)
        why = errno;
    errno = why ? why : before;
    return !why;
}

/* A new file beside it takes the old one's place whole, so a failure loses nothing. */
kv_exit kv_cli_replace(const kv_cli *cli, const char *path, kv_slice bytes)
{
    char temporary[TEMPORARY_BYTES];
    int len = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    bool good;
    int fd;

    if (is_special(path))
        return refuse_special(cli, path);
    fd = len < TEMPORARY_BYTES ? mkostemp(temporary, O_CLOEXEC) : -1; /* mode 0600 */
    if (fd < 0)
        return fail_write(cli, path);
    good = write_all(fd, bytes);
    good = kv_cli_keep(fd) && good;
    if (good && !rename(temporary, path))
        return KV_EXIT_OK;
    (void)unlink(temporary);
    return fail_write(cli, path);
}

kv_exit kv_cli_may_write(const kv_cli *cli, const char *path)
{
    if (!strcmp(path, "-") || access(path, F_OK))
        return KV_EXIT_OK;
    if (is_special(path))
        return refuse_special(cli, path);
    if (kv_cli_given(cli, "overwrite"))
        return KV_EXIT_OK;
    errno = EEXIST;
    return fail_write(cli, path);
}

kv_exit kv_cli_write(kv_cli *cli, const char *path, kv_slice bytes)
{
    int fd;
    bool good;

    if (!strcmp(path, "-")) {
        if (!kv_say_bytes(cli->out, bytes))
            return kv_cli_usage(cli, "a terminal would obey some of these bytes instead of showing "
                                     "them: name a file, or pipe them to another program");
        return ferror(cli->out) ? fail_write(cli, "standard output") : KV_EXIT_OK;
    }
    if (kv_cli_given(cli, "overwrite"))
        return kv_cli_replace(cli, path, bytes);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return fail_write(cli, path);
    good = write_all(fd, bytes);
    good = kv_cli_keep(fd) && good;
    if (good)
        return KV_EXIT_OK;
    (void)unlink(path);
    return fail_write(cli, path);
}

kv_exit kv_cli_password(kv_cli *cli, ProtobufCMessage *request, const char *field)
{
    return kv_cli_secret_option(cli, "password-file", PASSWORD_MAX, request, field);
}

kv_exit kv_cli_secret_option(kv_cli *cli, const char *option, size_t max, ProtobufCMessage *request,
                             const char *field)
{
    const char *path = kv_cli_given(cli, option);
    KV_AUTO(kv_secret_buf) password = KV_SECRET_NONE;
    kv_slice bytes = KV_SLICE_NONE;
    kv_error err = { 0 };
    kv_exit told;

    if (!path)
        return KV_EXIT_OK;
    if (!strcmp(path, "-")) {
        told = kv_cli_read(cli, path, max + 1, &bytes);
        if (told != KV_EXIT_OK)
            return told;
        if (bytes.len && bytes.data[bytes.len - 1] == '\n')
            bytes.len--;
    } else {
        if (kv_secret_buf_read_file(path, max, &password, &err) != KV_OK)
            return kv_cli_fail_local(cli, &err);
        bytes = kv_secret_buf_slice(&password);
    }
    if (kv_message_set_bytes(request, field, bytes, &err) != KV_OK)
        return kv_cli_fail_local(cli, &err);
    return KV_EXIT_OK;
}

kv_exit kv_cli_set_with_secret(kv_cli *cli, const char *option, size_t max, const char *field)
{
    ProtobufCMessage *request = NULL, *response = NULL;
    kv_exit told = kv_cli_build(cli, cli->args.verb->path, &request);

    if (told != KV_EXIT_OK)
        return told;
    told = kv_cli_secret_option(cli, option, max, request, field);
    if (told == KV_EXIT_OK)
        told = kv_cli_call(cli, cli->args.verb->path, request, &response);
    keyvault_message_free(request);
    return told == KV_EXIT_OK ? kv_cli_show(cli, response) : told;
}
