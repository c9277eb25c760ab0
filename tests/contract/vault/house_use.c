/* house_use.c - calls on a house, and what can be seen of it from outside. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "pkcs11/token_key.h"
#include "server/audit/search.h"
#include "server/base/text.h"
#include "server/core/dispatch.h"
#include "tests/contract/vault/house_call.h"

enum { CALL_MS = 20000, HOME_MS = 20000 };

/* --- calls through the dispatcher --- */

typedef struct home {
    house_answer *answer;
    kv_arena *arena;
} home;

static void deliver(kv_mail *mail, void *owner)
{
    kv_call *call = (kv_call *)(void *)((char *)mail - offsetof(kv_call, mail));
    home *to = owner;
    kv_error err = { 0 };

    to->answer->error = call->error;
    to->answer->identified = call->identified;
    assert_kv_ok(kv_arena_copy(to->arena, call->answer, &to->answer->body, &err));
    kv_call_free(call);
}

static const kv_route *find_route(const char *path)
{
    for (size_t i = 0; i < kv_routes_count; i++) {
        const char *pattern = kv_routes[i].at[KV_DOOR_GRPC].pattern;

        if (pattern && !strcmp(pattern, path))
            return &kv_routes[i];
    }
    fail_msg("there is no method %s", path);
    return NULL;
}

void house_call(house *h, const house_ask *ask, kv_arena *arena, house_answer *out)
{
    const made_certificate *who = ask->who;
    kv_peer peer = { .has_certificate = who != NULL, .address = "127.0.0.1:5555" };
    kv_call_start start = { .services = &h->services,
                            .route = find_route(ask->path),
                            .door = KV_DOOR_GRPC,
                            .ticket = { .home = h->box, .serial = 1 },
                            .peer = &peer,
                            .request_id = out->request_id,
                            .credential = ask->role_token,
                            .idempotency_key = ask->idempotency_key,
                            .body = ask->body,
                            .deadline = kv_deadline_in_ms(CALL_MS),
                            .memory_bytes = HOUSE_MEMORY };
    home to = { .answer = out, .arena = arena };
    kv_worker worker = { .lane = start.route->lane };
    struct pollfd wait = { .fd = kv_mailbox_fd(h->box), .events = POLLIN };
    kv_error err = { 0 };
    kv_call *call;
    kv_mail *mail;

    *out = (house_answer){ 0 };
    assert_true(kv_random_id(out->request_id, sizeof(out->request_id)));
    if (who) {
        memcpy(peer.thumbprint, who->sha256, sizeof(peer.thumbprint));
        peer.certificate = der_of(who);
    }
    assert_kv_ok(kv_call_make(&start, &call, &err));
    call->mail.deliver = deliver;
    kv_dispatch(&call->task, &worker);
    kv_dispatch_flush(&worker);
    assert_int_equal(poll(&wait, 1, HOME_MS), 1);
    mail = kv_mailbox_take_all(h->box);
    assert_non_null(mail);
    assert_null(mail->next);
    mail->deliver(mail, &to);
}

/* --- operations without the dispatcher --- */

void house_begin(house *h, house_job *job)
{
    kv_arena *arena = &h->jobs[h->next_job++ % HOUSE_JOBS];

    kv_arena_cleanup(arena);
    *arena = KV_ARENA(HOUSE_MEMORY);
    job->caller = (kv_caller){ .known = true,
                               .tokened = true,
                               .principal_name = KV_SLICE("root"),
                               .scope = KV_SLICE("/"),
                               .role_count = 1,
                               .roles = { KV_ROLE_ACCESS_ADMINISTRATOR },
                               .expires_ms = h->now_ms + 3600000,
                               .certificate_not_after_ms = h->now_ms + 3600000 };
    memcpy(job->caller.principal_id, h->admin_principal.id.data, KV_PRINCIPAL_ID_BYTES);
    job->entry = (kv_audit_entry){ .time_ms = h->now_ms,
                                   .has_principal = true,
                                   .principal_name = KV_SLICE("root"),
                                   .operation = "Test",
                                   .count = 1 };
    assert_true(kv_random_id(job->entry.request_id, sizeof(job->entry.request_id)));
    job->work = (kv_work){ .arena = arena,
                           .deadline = kv_deadline_in_ms(CALL_MS),
                           .now_ms = h->now_ms,
                           .caller = &job->caller,
                           .entry = &job->entry };
}

typedef struct record {
    kv_audit_ticket ticket; /* first */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done;
} record;

static void recorded(kv_audit_ticket *ticket, kv_status status)
{
    record *of = (record *)(void *)ticket;

    (void)status;
    pthread_mutex_lock(&of->mutex);
    of->done = true;
    pthread_cond_signal(&of->changed);
    pthread_mutex_unlock(&of->mutex);
}

void house_end(house *h, house_job *job, kv_status status)
{
    record of = { .ticket = { .entry = &job->entry,
                              .pending = job->entry.store_version > 0,
                              .done = recorded },
                  .mutex = PTHREAD_MUTEX_INITIALIZER,
                  .changed = PTHREAD_COND_INITIALIZER };

    job->entry.status = status;
    kv_audit_post(h->audit, &of.ticket);
    pthread_mutex_lock(&of.mutex);
    while (!of.done)
        (void)pthread_cond_wait(&of.changed, &of.mutex);
    pthread_mutex_unlock(&of.mutex);
}

/* --- what is there --- */

static kv_status count_key(void *context, const kv_key_seen *key, kv_error *err)
{
    unsigned *count = context;

    (void)key;
    (void)err;
    (*count)++;
    return KV_OK;
}

unsigned house_keys_on_token(house *h, kv_duty duty)
{
    enum { OWN_KEYS = 4 }; /* seal, audit, role tokens, pending records */
    unsigned count = 0;
    kv_error err = { 0 };

    assert_kv_ok(kv_token_key_list(kv_tokens_get(h->tokens, duty), count_key, &count, &err));
    return duty == KV_DUTY_SYSTEM ? count - OWN_KEYS : count;
}

static sqlite3 *open_database(house *h)
{
    sqlite3 *database;

    assert_int_equal(sqlite3_open(h->database, &database), SQLITE_OK);
    sqlite3_busy_timeout(database, 5000);
    return database;
}

/* Each connection reads the whole schema, which costs more than what is asked; a house is one at a
 * time. NULL: it has not been looked at since its last start. */
static sqlite3 *onlooker;

unsigned house_count(house *h, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    unsigned count;

    if (!onlooker)
        onlooker = open_database(h);
    if (sqlite3_prepare_v2(onlooker, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(onlooker));
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    count = (unsigned)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

void house_look_away(void)
{
    assert_int_equal(sqlite3_close(onlooker), SQLITE_OK);
    onlooker = NULL;
}

int house_attack(house *h, const char *sql)
{
    sqlite3 *database = open_database(h);
    char *message = NULL;
    int changed;

    if (sqlite3_exec(database, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    changed = sqlite3_changes(database);
    sqlite3_close(database);
    return changed;
}

void house_assert_tidy(house *h)
{
    kv_error err = { 0 };
    unsigned keys = house_count(h, "SELECT count(*) FROM token_objects WHERE duty = 0");
    unsigned system = house_count(h, "SELECT count(*) FROM token_objects WHERE duty = 2");

    assert_int_equal(house_count(h, "SELECT count(*) FROM token_objects WHERE state <> 'ready'"),
                     0);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_KEYS), keys);
    assert_int_equal(house_keys_on_token(h, KV_DUTY_SYSTEM), system);
    assert_int_equal(house_count(h, "SELECT count(*) FROM operations WHERE state = 'working'"), 0);
    assert_int_equal(house_count(h, "SELECT count(*) FROM objects WHERE purging <> 0"), 0);
    assert_int_equal(house_count(h, "SELECT count(*) FROM vaults WHERE purging <> 0"), 0);
    /* A ready key belongs to a version, to an operation that waits, to a vault, or to backups. */
    assert_int_equal(
        house_count(h, "SELECT count(*) FROM token_objects t WHERE"
                       " NOT EXISTS (SELECT 1 FROM key_versions k WHERE k.key_id = t.key_id) AND"
                       " NOT EXISTS (SELECT 1 FROM operations o WHERE o.key_id = t.key_id"
                       "             AND o.state IN ('pending', 'ordering', 'issued')) AND"
                       " NOT EXISTS (SELECT 1 FROM authorities a WHERE a.key_id = t.key_id) AND"
                       " NOT EXISTS (SELECT 1 FROM signers s WHERE s.key_id = t.key_id) AND"
                       " NOT EXISTS (SELECT 1 FROM vaults v WHERE v.uid = t.owner_uid)"),
        0);
    assert_kv_ok(kv_records_sweep(h->records, NULL, &err));
}
