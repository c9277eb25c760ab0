/* grants.c - the tables in memory, and how they follow the store. */
#include "server/auth/grants.h"

#include <pthread.h>
#include <stdlib.h>

#include "server/auth/policy.h"
#include "server/base/clock.h"
#include "server/base/hash.h"
#include "server/base/text.h"

enum {
    PRINCIPAL_ARENA_BYTES = 16 << 20, /* 128 certificates of 16 KiB, read up to five times */
    LOAD_PAGE = 200,
    HEAL_US = 1000 * 1000
};

/* One principal with the memory of all its rows. */
typedef struct kv_entry {
    uint8_t id[KV_PRINCIPAL_ID_BYTES]; /* key */
    UT_hash_handle hh;
    kv_arena arena;
    kv_principal_rows rows;
    kv_held held;
    struct kv_known *known; /* one per credential */
    int64_t tried_us;       /* when a broken one was last read again */
} kv_entry;

/* Which principal a credential belongs to. */
typedef struct kv_known {
    const kv_credential_row *row; /* key: row->match */
    kv_entry *entry;              /* borrowed; NULL: not in the table */
    UT_hash_handle hh;
} kv_known;

typedef struct kv_revoked {
    uint8_t jti[16]; /* key */
    UT_hash_handle hh;
} kv_revoked;

struct kv_grants {
    kv_records *records; /* borrowed */
    kv_log *log;         /* borrowed */
    /* Makes "read the rows, then replace" one step, so that what was read last is what stays. */
    pthread_mutex_t reload;
    pthread_rwlock_t lock; /* guards all that follows */
    kv_entry *principals;
    kv_known *credentials;
    kv_revoked *revoked;
};

kv_status kv_grants_new(kv_records *records, kv_log *log, kv_grants **out, kv_error *err)
{
    kv_grants *grants = calloc(1, sizeof(*grants));
    pthread_rwlockattr_t attributes;

    if (!grants)
        return kv_fail(err, KV_BUSY, "out of memory");
    grants->records = records;
    grants->log = log;
    pthread_mutex_init(&grants->reload, NULL);
    pthread_rwlockattr_init(&attributes);
    /* A removal must not wait for a pause in the calls. Nobody takes the lock twice. */
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&grants->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    *out = grants;
    return KV_OK;
}

static void free_entry(kv_entry *entry)
{
    if (!entry)
        return;
    free(entry->known);
    kv_arena_cleanup(&entry->arena);
    free(entry);
}

/* Under the write lock. */
static void take_out(kv_grants *grants, kv_entry *entry)
{
    for (unsigned i = 0; i < entry->rows.credential_count; i++) {
        if (entry->known[i].entry)
            HASH_DEL(grants->credentials, &entry->known[i]);
    }
    HASH_DEL(grants->principals, entry);
}

/* Going on without what says who may what could let somebody in who may not, or nobody any more:
 * a process that is started again knows everything. */
static void must_be_in(bool in)
{
    if (!in)
        abort();
}

/* Under the write lock. A match is unique in the store; when it moved from one principal to another
 * and the other is read again only after this, the newer reading wins. */
static void put_in(kv_grants *grants, kv_entry *entry)
{
    HASH_ADD(hh, grants->principals, id, sizeof(entry->id), entry);
    must_be_in(KV_HASH_HAS(entry));
    for (unsigned i = 0; i < entry->rows.credential_count; i++) {
        const kv_credential_row *row = &entry->rows.credentials[i];
        kv_known *known = &entry->known[i];
        kv_known *other;

        HASH_FIND(hh, grants->credentials, row->match.data, row->match.len, other);
        if (other) {
            HASH_DEL(grants->credentials, other);
            other->entry = NULL;
        }
        known->row = row;
        known->entry = entry;
        HASH_ADD_KEYPTR(hh, grants->credentials, row->match.data, row->match.len, known);
        must_be_in(KV_HASH_HAS(known));
    }
}

static kv_entry *find_entry(kv_grants *grants, kv_slice id)
{
    kv_entry *entry = NULL;

    if (id.len == KV_PRINCIPAL_ID_BYTES)
        HASH_FIND(hh, grants->principals, id.data, id.len, entry);
    return entry;
}

void kv_grants_free(kv_grants *grants)
{
    kv_entry *entry, *next_entry;
    kv_revoked *revoked, *next_revoked;

    if (!grants)
        return;
    HASH_CLEAR(hh, grants->credentials);
    HASH_ITER (hh, grants->principals, entry, next_entry) {
        HASH_DEL(grants->principals, entry);
        free_entry(entry);
    }
    HASH_ITER (hh, grants->revoked, revoked, next_revoked) {
        HASH_DEL(grants->revoked, revoked);
        free(revoked);
    }
    pthread_rwlock_destroy(&grants->lock);
    pthread_mutex_destroy(&grants->reload);
    free(grants);
}

/* --- reading from the store --- */

static kv_status read_grant(const kv_assignment_row *row, kv_grant *out, kv_error *err)
{
    kv_grant grant = { .role = kv_role_find(row->role), .ends_ms = row->ends_at, .row = row };

    if (grant.role == KV_ROLE_NONE || !kv_scope_read(row->scope, &grant.scope)) {
        kv_fail(err, KV_INTERNAL, "an assignment cannot be read");
        return kv_because(err, KV_REASON_INTEGRITY);
    }
    *out = grant;
    return KV_OK;
}

/* Seals prove who wrote a row, not that it is what this code expects. */
static kv_status check_rows(const kv_principal_rows *rows, kv_error *err)
{
    bool sound = true;

    for (unsigned i = 0; i < rows->assignment_count; i++)
        sound = sound && rows->assignments[i].id.len == 16;
    for (unsigned i = 0; i < rows->credential_count; i++)
        sound = sound && rows->credentials[i].id.len == 16;
    if (sound)
        return KV_OK;
    kv_fail(err, KV_INTERNAL, "the grants of a principal cannot be read");
    return kv_because(err, KV_REASON_INTEGRITY);
}

static kv_status fill_entry(kv_grants *grants, kv_slice id, kv_entry *entry, kv_error *err)
{
    kv_principal_rows *rows = &entry->rows;
    kv_grant *list;

    KV_TRY(kv_principal_rows_read(grants->records, id, &entry->arena, rows, err));
    KV_TRY(check_rows(rows, err));
    list = kv_arena_array(&entry->arena, rows->assignment_count, sizeof(*list));
    entry->known = calloc(rows->credential_count + 1, sizeof(*entry->known));
    if (!list || !entry->known)
        return kv_fail(err, KV_BUSY, "out of memory");
    for (unsigned i = 0; i < rows->assignment_count; i++)
        KV_TRY(read_grant(&rows->assignments[i], &list[i], err));
    entry->held = (kv_held){ .rows = rows, .grants = list, .grant_count = rows->assignment_count };
    return KV_OK;
}

static kv_status new_entry(kv_grants *grants, kv_slice id, kv_entry **out, kv_error *err)
{
    kv_entry *entry = calloc(1, sizeof(*entry));
    kv_status status;

    if (!entry)
        return kv_fail(err, KV_BUSY, "out of memory");
    entry->arena = KV_ARENA(PRINCIPAL_ARENA_BYTES);
    memcpy(entry->id, id.data, sizeof(entry->id));
    status = fill_entry(grants, kv_slice_of(entry->id, sizeof(entry->id)), entry, err);
    if (status != KV_OK) {
        free_entry(entry);
        return status;
    }
    *out = entry;
    return KV_OK;
}

static void alarm_of(kv_grants *grants, kv_slice id, const kv_error *err)
{
    char text[2 * KV_PRINCIPAL_ID_BYTES + 1];

    kv_hex(id, text);
    kv_log_write(grants->log, KV_LOG_ERROR, "auth.principal_refused",
                 (kv_log_field[]){ { "principal", text, 0 }, { "detail", err->detail, 0 }, { 0 } });
}

/* Called with `reload` held. A principal that cannot be read stays, refused. */
static void reload_principal(kv_grants *grants, kv_slice id)
{
    kv_entry *fresh = NULL;
    kv_error err = { 0 };
    kv_status status = new_entry(grants, id, &fresh, &err);
    kv_entry *old;

    pthread_rwlock_wrlock(&grants->lock);
    old = find_entry(grants, id);
    if (status != KV_OK && status != KV_NOT_FOUND) {
        if (old) {
            old->held.broken = true;
            old->tried_us = kv_monotonic_us();
        }
        old = NULL;
    } else if (old) {
        take_out(grants, old);
    }
    if (fresh)
        put_in(grants, fresh);
    pthread_rwlock_unlock(&grants->lock);

    if (status != KV_OK && status != KV_NOT_FOUND)
        alarm_of(grants, id, &err);
    free_entry(old);
}

void kv_grants_heal(kv_grants *grants, const uint8_t id[KV_PRINCIPAL_ID_BYTES])
{
    kv_slice key = kv_slice_of(id, KV_PRINCIPAL_ID_BYTES);
    kv_entry *entry;
    bool due;

    pthread_mutex_lock(&grants->reload);
    pthread_rwlock_rdlock(&grants->lock);
    entry = find_entry(grants, key);
    due = entry && entry->held.broken && kv_monotonic_us() - entry->tried_us >= HEAL_US;
    pthread_rwlock_unlock(&grants->lock);
    if (due)
        reload_principal(grants, key);
    pthread_mutex_unlock(&grants->reload);
}

static void add_revoked(kv_grants *grants, kv_slice jti)
{
    kv_revoked *revoked, *other = NULL;

    if (jti.len != sizeof(revoked->jti))
        return;
    revoked = calloc(1, sizeof(*revoked));
    must_be_in(revoked != NULL);
    memcpy(revoked->jti, jti.data, jti.len);
    pthread_rwlock_wrlock(&grants->lock);
    HASH_FIND(hh, grants->revoked, revoked->jti, sizeof(revoked->jti), other);
    if (!other) {
        HASH_ADD(hh, grants->revoked, jti, sizeof(revoked->jti), revoked);
        must_be_in(KV_HASH_HAS(revoked));
    }
    pthread_rwlock_unlock(&grants->lock);
    if (other)
        free(revoked);
}

static void drop_revoked(kv_grants *grants, kv_slice jti)
{
    kv_revoked *revoked = NULL;

    if (jti.len != sizeof(revoked->jti))
        return;
    pthread_rwlock_wrlock(&grants->lock);
    HASH_FIND(hh, grants->revoked, jti.data, jti.len, revoked);
    if (revoked)
        HASH_DEL(grants->revoked, revoked);
    pthread_rwlock_unlock(&grants->lock);
    free(revoked);
}

static kv_status load_principals(kv_grants *grants, kv_error *err)
{
    kv_principal_row from = { 0 };
    kv_scan scan = { .table = &kv_table_principals, .from = &from, .limit = LOAD_PAGE };
    KV_AUTO(kv_arena) arena = KV_ARENA(SIZE_MAX / 2);
    kv_rows page = { .more = true };

    while (page.more) {
        const kv_principal_row *rows;

        KV_TRY(kv_records_scan(grants->records, &scan, &arena, &page, err));
        rows = page.rows;
        for (unsigned i = 0; i < page.count; i++) {
            kv_entry *entry;

            KV_TRY(new_entry(grants, rows[i].id, &entry, err));
            put_in(grants, entry);
            from = rows[i];
        }
        scan.after = true;
    }
    return KV_OK;
}

static kv_status load_revocations(kv_grants *grants, kv_error *err)
{
    kv_revocation_row from = { 0 };
    kv_scan scan = { .table = &kv_table_revocations, .from = &from, .limit = KV_SCAN_LIMIT };
    KV_AUTO(kv_arena) arena = KV_ARENA(SIZE_MAX / 2);
    kv_rows page = { .more = true };

    while (page.more) {
        const kv_revocation_row *rows;

        KV_TRY(kv_records_scan(grants->records, &scan, &arena, &page, err));
        rows = page.rows;
        for (unsigned i = 0; i < page.count; i++) {
            add_revoked(grants, rows[i].jti);
            from = rows[i];
        }
        scan.after = true;
    }
    return KV_OK;
}

kv_status kv_grants_load(kv_grants *grants, kv_error *err)
{
    KV_TRY(load_principals(grants, err));
    return load_revocations(grants, err);
}

/* The principal whose grants an operation touches; empty when it touches none. */
static kv_slice principal_of(const kv_change_op *op)
{
    if (op->table == &kv_table_principals)
        return ((const kv_principal_row *)op->row)->id;
    if (op->table == &kv_table_assignments)
        return ((const kv_assignment_row *)op->row)->principal_id;
    if (op->table == &kv_table_credentials)
        return ((const kv_credential_row *)op->row)->principal_id;
    return KV_SLICE_NONE;
}

static bool seen_before(const kv_change *change, unsigned index, kv_slice id)
{
    for (unsigned i = 0; i < index; i++) {
        if (kv_slice_equal(principal_of(&kv_change_ops(change)[i]), id))
            return true;
    }
    return false;
}

void kv_grants_watch(void *context, const kv_change *change)
{
    kv_grants *grants = context;

    for (unsigned i = 0; i < change->count; i++) {
        const kv_change_op *op = &kv_change_ops(change)[i];
        kv_slice id = principal_of(op);

        if (op->table == &kv_table_revocations) {
            kv_slice jti = ((const kv_revocation_row *)op->row)->jti;

            if (op->kind == KV_CHANGE_DELETE)
                drop_revoked(grants, jti);
            else
                add_revoked(grants, jti);
        } else if (id.len == KV_PRINCIPAL_ID_BYTES && !seen_before(change, i, id)) {
            pthread_mutex_lock(&grants->reload);
            reload_principal(grants, id);
            pthread_mutex_unlock(&grants->reload);
        }
    }
}

/* --- asking --- */

void kv_grants_lock(kv_grants *grants)
{
    pthread_rwlock_rdlock(&grants->lock);
}

void kv_grants_unlock(kv_grants *grants)
{
    pthread_rwlock_unlock(&grants->lock);
}

const kv_held *kv_grants_principal(kv_grants *grants, kv_slice id)
{
    const kv_entry *entry = find_entry(grants, id);

    return entry ? &entry->held : NULL;
}

const kv_held *kv_grants_credential(kv_grants *grants, kv_slice match,
                                    const kv_credential_row **credential)
{
    kv_known *known = NULL;

    HASH_FIND(hh, grants->credentials, match.data, match.len, known);
    if (!known)
        return NULL;
    *credential = known->row;
    return &known->entry->held;
}

bool kv_grants_revoked(kv_grants *grants, const uint8_t jti[16])
{
    kv_revoked *revoked = NULL;

    HASH_FIND(hh, grants->revoked, jti, 16, revoked);
    return revoked != NULL;
}

void kv_grants_each(kv_grants *grants, kv_grants_visitor *visit, void *context)
{
    for (const kv_entry *entry = grants->principals; entry; entry = entry->hh.next) {
        if (!visit(context, &entry->held))
            return;
    }
}
