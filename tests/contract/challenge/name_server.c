/* name_server.c - BIND on loopback, in a temporary folder. */
#include "tests/contract/challenge/name_server.h"

#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/challenge/program.h"

#define NAMED "/usr/sbin/named"
#define DIG   "/usr/bin/dig"

enum { START_TRIES = 600, TRY_US = 50000, WAIT_MS = 20000, PORT_LEAST = 10000, PORTS = 22000 };

struct name_server {
    char folder[32];
    uint16_t port;
    pid_t pid;
};

static void need(bool good, const char *what)
{
    if (good)
        return;
    perror(what);
    abort();
}

/* A socket that has the port; -1: somebody else has. */
static int bound(int type, uint32_t host, uint16_t port)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_addr.s_addr = htonl(host),
                                         .sin_port = htons(port) };
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    need(fd >= 0, "a socket");
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static bool is_free(uint16_t port)
{
    int tcp = bound(SOCK_STREAM, INADDR_LOOPBACK, port);
    int udp = bound(SOCK_DGRAM, INADDR_LOOPBACK, port);

    if (tcp >= 0)
        (void)close(tcp);
    if (udp >= 0)
        (void)close(udp);
    return tcp >= 0 && udp >= 0;
}

/* Outside of what the kernel gives to those who ask for any port, and kept from other tests until
 * this program ends: see tests/live/support/ports.mjs. */
static uint16_t free_port(void)
{
    const uint32_t taken_at = INADDR_LOOPBACK + (83 << 16 | 80 << 8 | 83);

    for (unsigned i = 0; i < PORTS; i++) {
        uint16_t port = (uint16_t)(PORT_LEAST + ((unsigned)getpid() + i) % PORTS);
        int taken = bound(SOCK_STREAM, taken_at, port);

        if (taken >= 0 && is_free(port))
            return port;
        if (taken >= 0)
            (void)close(taken);
    }
    need(false, "a free port");
    return 0;
}

static FILE *file_in(const name_server *server, const char *name)
{
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", server->folder, name);
    file = fopen(path, "we");
    need(file != NULL, path);
    return file;
}

static void write_files(const name_server *server)
{
    FILE *conf = file_in(server, "named.conf");
    FILE *zone = file_in(server, "zone");

    need(fprintf(conf,
                 "options { directory \"%s\"; listen-on port %u { 127.0.0.1; };"
                 " listen-on-v6 { none; }; recursion no; pid-file none; session-keyfile none;"
                 " dnssec-validation no; };\n"
                 "controls { };\n"
                 "key \"" NAME_SERVER_KEY "\" { algorithm hmac-sha256; secret \"" NAME_SERVER_SECRET
                 "\"; };\n"
                 "zone \"example.test\" { type primary; file \"zone\";"
                 " update-policy { grant " NAME_SERVER_KEY " zonesub TXT; }; };\n",
                 server->folder, server->port) > 0,
         "named.conf");
    need(fprintf(zone, "$TTL 60\n"
                       "@ SOA ns.example.test. root.example.test. 1 60 60 60 60\n"
                       "@ NS ns.example.test.\n"
                       "ns A 127.0.0.1\n"
                       "_acme-challenge.alias CNAME elsewhere.example.test.\n") > 0,
         "zone");
    need(fclose(conf) == 0 && fclose(zone) == 0, "files");
}

static void spawn(name_server *server)
{
    char conf[64], log[64];
    char *const argv[] = { (char *)NAMED, (char *)"-4", (char *)"-g", (char *)"-n",
                           (char *)"1",   (char *)"-c", conf,         NULL };
    char *const none[] = { NULL };
    posix_spawn_file_actions_t files;

    (void)snprintf(conf, sizeof(conf), "%s/named.conf", server->folder);
    (void)snprintf(log, sizeof(log), "%s/log", server->folder);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_addopen(&files, STDERR_FILENO, log, O_WRONLY | O_CREAT, 0600);
    need(posix_spawn(&server->pid, NAMED, &files, NULL, argv, none) == 0, NAMED);
    (void)posix_spawn_file_actions_destroy(&files);
}

static int dig(const name_server *server, const char *name, const char *type, char out[128])
{
    char port[8];
    kv_program program = {
        .argv = (const char *const[]){ DIG, "+short", "+tries=1", "+time=2", "-p", port,
                                       "@127.0.0.1", name, type, NULL },
        .deadline = kv_deadline_in_ms(WAIT_MS),
    };
    kv_program_end end = { 0 };
    kv_error err = { 0 };

    (void)snprintf(port, sizeof(port), "%u", server->port);
    need(kv_program_run(&program, &end, &err) == KV_OK, DIG);
    (void)snprintf(out, 128, "%s", end.said);
    return end.status;
}

static bool serves(const name_server *server)
{
    char said[128];

    return dig(server, "example.test", "NS", said) == 0 && !strcmp(said, "ns.example.test.");
}

name_server *name_server_start(void)
{
    name_server *server = calloc(1, sizeof(*server));

    need(server != NULL, "memory");
    (void)snprintf(server->folder, sizeof(server->folder), "/tmp/kv-named-XXXXXX");
    need(mkdtemp(server->folder) != NULL, "a folder");
    server->port = free_port();
    write_files(server);
    spawn(server);
    for (int i = 0; !serves(server); i++) {
        need(i < START_TRIES, "named does not answer");
        (void)usleep(TRY_US);
    }
    return server;
}

uint16_t name_server_port(const name_server *server)
{
    return server->port;
}

const char *name_server_folder(const name_server *server)
{
    return server->folder;
}

void name_server_text(const name_server *server, const char *name, char out[128])
{
    need(dig(server, name, "TXT", out) == 0, "an answer");
}

static int forget(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

void name_server_stop(name_server *server)
{
    (void)kill(server->pid, SIGKILL);
    (void)waitpid(server->pid, NULL, 0);
    (void)nftw(server->folder, forget, 8, FTW_DEPTH | FTW_PHYS);
    free(server);
}
