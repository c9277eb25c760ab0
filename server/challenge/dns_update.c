/* dns_update.c - dns-01 by an update of the zone (RFC 2136), which nsupdate sends. */
#include "server/challenge/dns.h"

#include <stdio.h>
#include <string.h>

#include "server/base/secret_buf.h"

enum { SECRET_MAX = 512, ARENA_BYTES = 16 * 1024 };

typedef struct place {
    char host[KV_CHALLENGE_NAME_MAX + 1];
    char port[8];
} place;

/* "[2001:db8::1]:53", "192.0.2.1:53", "ns.example.org" */
static kv_status split(const char *server, place *out, kv_error *err)
{
    bool bracketed = server[0] == '[';
    const char *host = server + bracketed;
    const char *end = bracketed ? strchr(host, ']') : strchrnul(host, ':');
    const char *port = end && *end == ']' ? end + 1 : end;
    size_t len = end ? (size_t)(end - host) : 0;

    if (!len || len >= sizeof(out->host) || (*port && (*port != ':' || strlen(port) > 6)))
        return kv_fail(err, KV_PRECONDITION, "[acme] dns_server is no host or host:port");
    memcpy(out->host, host, len);
    out->host[len] = '\0';
    (void)snprintf(out->port, sizeof(out->port), "%s", *port ? port + 1 : "53");
    return KV_OK;
}

static bool base64(kv_slice text)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

    for (size_t i = 0; i < text.len; i++)
        if (!memchr(alphabet, text.data[i], sizeof(alphabet) - 1))
            return false;
    return text.len > 0;
}

/* What nsupdate is to do. A name that is an alias would take no record, and say nothing of it: that
 * is asked for first. */
static kv_status write_script(const kv_dns_update *update, bool add, const kv_dns_record *record,
                              kv_arena *arena, kv_slice *out, kv_error *err)
{
    KV_AUTO(kv_secret_buf) secret = KV_SECRET_NONE;
    kv_slice key, what;
    place at;

    KV_TRY(split(update->server, &at, err));
    KV_TRY(kv_secret_buf_read_file(update->key_file, SECRET_MAX, &secret, err));
    key = kv_secret_buf_slice(&secret);
    if (!base64(key))
        return kv_fail(err, KV_PRECONDITION, "[acme] dns_key_file holds no secret in base64");
    if (add)
        KV_TRY(kv_arena_print(arena, &what, err,
                              "prereq nxrrset %s CNAME\nupdate add %s %d TXT \"%s\"\n",
                              record->name, record->name, KV_DNS_TTL, record->value));
    else
        KV_TRY(kv_arena_print(arena, &what, err, "update delete %s TXT \"%s\"\n", record->name,
                              record->value));
    return kv_arena_print(arena, out, err, "server %s %s\n%s%s%skey %s:%s %.*s\n%.*ssend\n",
                          at.host, at.port, update->zone[0] ? "zone " : "", update->zone,
                          update->zone[0] ? "\n" : "", update->algorithm, update->key_name,
                          KV_SLICE_ARG(key), KV_SLICE_ARG(what));
}

/* By TCP, which says so when nobody listens. */
static kv_status send_update(kv_dns_update *update, bool add, const kv_challenge_task *task,
                             kv_error *err)
{
    KV_AUTO(kv_arena) arena = KV_ARENA_SECRET(ARENA_BYTES);
    char seconds[16];
    kv_program program = {
        .argv = (const char *const[]){ KV_DNS_NSUPDATE, "-v", "-t", seconds, NULL },
    };
    kv_dns_record record;

    KV_TRY(kv_dns_record_of(task, &record, err));
    KV_TRY(write_script(update, add, &record, &arena, &program.input, err));
    (void)snprintf(seconds, sizeof(seconds), "%u",
                   update->run.seconds > 1 ? update->run.seconds - 1 : 1);
    return kv_dns_run_program(&update->run, task, "the DNS update", &program, err);
}

static kv_status present(void *context, const kv_challenge_task *task, kv_error *err)
{
    return send_update(context, true, task, err);
}

static kv_status clean(void *context, const kv_challenge_task *task, kv_error *err)
{
    return send_update(context, false, task, err);
}

const kv_challenge kv_challenge_dns_update = {
    .type = "dns-01",
    .wildcards = true,
    .present = present,
    .settle_ms = kv_dns_settle_ms,
    .clean = clean,
    .check = kv_challenge_check_plain,
};
