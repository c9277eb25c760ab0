/* dns.h - dns-01 (RFC 8555 section 8.4): a TXT record of the name, put by one of several ways.
 *
 * A hook is a program of the operator's, run as `HOOK present|clean NAME VALUE` with the record's
 * name ("_acme-challenge.www.example.org.") and what it is to say. One at a time: such programs
 * edit files. An update (RFC 2136) is sent by nsupdate and signed with a key (TSIG, RFC 8945),
 * which it reads from its standard input; the record is made with a time to live of KV_DNS_TTL
 * seconds.
 *
 * Both put a value beside those that stand at the name (www.example.org and *.example.org may
 * be proved at the same time) and take away that value alone.
 */
#pragma once

#include <pthread.h>

#include "server/base/log.h"
#include "server/challenge/challenge.h"
#include "server/challenge/program.h"

enum { KV_DNS_TTL = 60 };

#define KV_DNS_NSUPDATE "/usr/bin/nsupdate"

/* How both are run. */
typedef struct kv_dns_run {
    unsigned seconds;     /* the program's time */
    unsigned settle_ms;   /* until all servers of the zone and all caches have it */
    atomic_bool stopping; /* from now on nothing is run, and what runs is killed */
    kv_log *log;
} kv_dns_run;

typedef struct kv_dns_hook {
    kv_dns_run run;
    const char *path;      /* see kv_program_check() */
    pthread_mutex_t mutex; /* guards `taken` */
    pthread_cond_t freed;  /* CLOCK_MONOTONIC */
    bool taken;            /* one is running */
} kv_dns_hook;

/* Before the first proof and after the last one. */
void kv_dns_hook_open(kv_dns_hook *hook);
void kv_dns_hook_close(kv_dns_hook *hook);

typedef struct kv_dns_update {
    kv_dns_run run;
    const char *server;    /* "ns.example.org", "192.0.2.1:53", "[2001:db8::1]:53" */
    const char *zone;      /* "" asks the server for it (SOA) */
    const char *key_name;  /* of the TSIG key */
    const char *algorithm; /* "hmac-sha256" */
    const char *key_file;  /* its secret in base64; nobody else may read the file */
} kv_dns_update;

/* Rows for "dns-01"; their contexts are a kv_dns_hook and a kv_dns_update. */
extern const kv_challenge kv_challenge_dns_hook;
extern const kv_challenge kv_challenge_dns_update;

/* What stands in the zone; both in the arena. KV_BAD_REQUEST for a name that is none. */
typedef struct kv_dns_record {
    const char *name; /* with a final dot */
    const char *value;
} kv_dns_record;
kv_status kv_dns_record_of(const kv_challenge_task *task, kv_dns_record *out,
                           kv_error *err) KV_MUST_USE;

/* 1 to 253 of [0-9a-z_-] in labels of at most 63 that do not begin or end with '-'. */
bool kv_dns_name_good(kv_slice name);

/* dns-persist-01: the record that has to stand, which nobody here puts there. For every name, once,
 * by the operator; only the account's key makes a proof of it.
 *   _validation-persist.example.org. TXT "ca.example; accounturi=https://...; policy=wildcard"
 * How the account is called there has changed from draft to draft
 * (draft-ietf-acme-dns-persist-00 to -02): by its URL; as the challenge says; by a hash that is of
 * one name, or of all. */
extern const kv_challenge kv_challenge_dns_persist; /* its context is a kv_log that tells it */
kv_status kv_dns_persist_record(const kv_challenge_task *task, kv_dns_record *out,
                                kv_error *err) KV_MUST_USE;
/* Its value alone; without a name of the task one that is good for all of them. KV_PRECONDITION
 * while authority or account are not known, or are called what must not get into a zone, and when
 * the records were to stand until a time that is over, or about to be. */
kv_status kv_dns_persist_value(const kv_challenge_task *task, kv_slice *out,
                               kv_error *err) KV_MUST_USE;
/* The time in the settings of the challenge, seconds since 1970; 0: there is none. */
int64_t kv_dns_persist_until(kv_slice settings);

/* A name in the zone, with a final dot: `label`, then the task's. KV_BAD_REQUEST as above. */
kv_status kv_dns_record_name(const kv_challenge_task *task, const char *label, const char **out,
                             kv_error *err) KV_MUST_USE;

/* --- between the files of dns-01 --- */

/* For contexts whose first member is a kv_dns_run. */
unsigned kv_dns_settle_ms(const void *context);

/* Runs it in the time that both task and settings leave, and logs how it went. A status other than
 * 0 of the program is KV_UNAVAILABLE with the end of what it said; `what`: "the DNS hook". */
kv_status kv_dns_run_program(kv_dns_run *run, const kv_challenge_task *task, const char *what,
                             kv_program *program, kv_error *err) KV_MUST_USE;
