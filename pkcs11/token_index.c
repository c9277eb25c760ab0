/* token_index.c - CKA_ID to handle, and the proof that a handle is the key it should be. */
#include <stdlib.h>

#include "pkcs11/rv.h"
#include "pkcs11/template.h"
#include "pkcs11/token.h"
#include "pkcs11/token_object.h"
#include "server/base/hash.h"

/* A session copy costs SoftHSM some 8 KiB: 128 MiB in all. Who uses more keys than that by turns
 * signs with objects of the token, at two thirds of the speed. */
enum { MOST_COPIES = 16384, ASK_TRIES = 3 };

typedef struct kv_index_entry {
    uint8_t id[KV_KEY_ID_BYTES];
    CK_OBJECT_HANDLE object;
    CK_OBJECT_HANDLE copy; /* CK_INVALID_HANDLE: none */
    bool ambiguous;        /* several objects claim the id */
    kv_key_class proved;   /* KV_CLASS_NONE: not yet looked at */
    kv_key_kind kind;
    size_t spki_len;
    uint8_t *spki;       /* that it was proved to have */
    atomic_uint holders; /* visits that use the handles, and the index while it has the entry */
    UT_hash_handle hh;
} kv_index_entry;

void kv_token_index_init(kv_token_index *index)
{
    *index = (kv_token_index){ 0 };
    pthread_rwlock_init(&index->lock, NULL);
}

static void free_entry(kv_index_entry *entry)
{
    if (entry)
        free(entry->spki);
    free(entry);
}

/* Is the handle still the copy's? A purge may have destroyed it, and a token may give the same
 * number to another object then. */
static bool still_the_copy(const kv_token_visit *visit, const kv_index_entry *entry)
{
    uint8_t id[KV_KEY_ID_BYTES] = { 0 };
    CK_BBOOL on_token = CK_TRUE;
    CK_ATTRIBUTE asked[] = { { CKA_ID, id, sizeof(id) },
                             { CKA_TOKEN, &on_token, sizeof(on_token) } };

    return visit->f->C_GetAttributeValue(visit->session, entry->copy, asked, KV_COUNT(asked)) ==
               CKR_OK &&
           !on_token && !memcmp(id, entry->id, sizeof(id));
}

/* The copy goes with its last holder: whoever destroys an object that another thread is about to
 * use makes the token refuse that thread for reasons that are none. */
static void let_go(kv_token_visit *visit, kv_index_entry *entry)
{
    if (!entry || atomic_fetch_sub(&entry->holders, 1) > 1)
        return;
    if (entry->copy != CK_INVALID_HANDLE && still_the_copy(visit, entry))
        (void)visit->f->C_DestroyObject(visit->session, entry->copy);
    free_entry(entry);
}

void kv_token_index_let_go(kv_token_visit *visit)
{
    let_go(visit, visit->entry);
    visit->entry = NULL;
}

void kv_token_index_clear(kv_token_index *index)
{
    kv_index_entry *entry, *next;

    pthread_rwlock_wrlock(&index->lock);
    HASH_ITER (hh, index->entries, entry, next) {
        HASH_DEL(index->entries, entry);
        free_entry(entry);
    }
    index->copies = 0;
    pthread_rwlock_unlock(&index->lock);
}

void kv_token_index_free(kv_token_index *index)
{
    kv_token_index_clear(index);
    pthread_rwlock_destroy(&index->lock);
}

static kv_index_entry *look_up(const kv_token_index *index, const uint8_t *id)
{
    kv_index_entry *entry = NULL;

    HASH_FIND(hh, index->entries, id, KV_KEY_ID_BYTES, entry);
    return entry;
}

kv_status kv_token_index_add(kv_token_visit *visit, const uint8_t id[KV_KEY_ID_BYTES],
                             CK_OBJECT_HANDLE object, kv_error *err)
{
    kv_token_index *index = &visit->token->index;
    kv_index_entry *entry = calloc(1, sizeof(*entry)), *old;
    bool added = true;

    if (!entry)
        return kv_fail(err, KV_BUSY, "out of memory");
    memcpy(entry->id, id, KV_KEY_ID_BYTES);
    entry->object = object;
    atomic_init(&entry->holders, 1);
    pthread_rwlock_wrlock(&index->lock);
    old = look_up(index, id);
    if (old) {
        old->ambiguous = old->ambiguous || old->object != object;
        free_entry(entry);
    } else {
        HASH_ADD_KEYPTR(hh, index->entries, entry->id, KV_KEY_ID_BYTES, entry);
        added = KV_HASH_HAS(entry);
    }
    pthread_rwlock_unlock(&index->lock);
    if (added)
        return KV_OK;
    free_entry(entry);
    return kv_fail(err, KV_BUSY, "out of memory");
}

bool kv_token_index_has(kv_token *token, const uint8_t id[KV_KEY_ID_BYTES])
{
    bool has;

    pthread_rwlock_rdlock(&token->index.lock);
    has = look_up(&token->index, id) != NULL;
    pthread_rwlock_unlock(&token->index.lock);
    return has;
}

/* `only`: if that is the entry of this id; NULL: whichever is. */
static void drop(kv_token_visit *visit, const uint8_t *id, const kv_index_entry *only)
{
    kv_token_index *index = &visit->token->index;
    kv_index_entry *entry;

    pthread_rwlock_wrlock(&index->lock);
    entry = look_up(index, id);
    if (entry && only && entry != only)
        entry = NULL;
    if (entry) {
        HASH_DEL(index->entries, entry);
        index->copies -= entry->copy != CK_INVALID_HANDLE;
    }
    pthread_rwlock_unlock(&index->lock);
    let_go(visit, entry);
}

void kv_token_index_drop(kv_token_visit *visit, const uint8_t id[KV_KEY_ID_BYTES])
{
    drop(visit, id, NULL);
}

void kv_token_index_drop_held(kv_token_visit *visit)
{
    if (visit->entry)
        drop(visit, visit->entry->id, visit->entry);
}

/* The key is not in the index: one precise question to the token. */
static kv_status ask_token(kv_token_visit *visit, const uint8_t *id, kv_error *err)
{
    KV_AUTO(kv_handles) objects = NULL;
    size_t count = 0, keys = 0;

    KV_TRY(kv_objects_with_id(visit, id, &objects, &count, err));
    for (size_t i = 0; i < count; i++) {
        CK_OBJECT_CLASS class = kv_object_number(visit, objects[i], CKA_CLASS);

        KV_TRY(kv_objects_were_read(visit, err));
        if (class != CKO_PRIVATE_KEY && class != CKO_SECRET_KEY)
            continue;
        KV_TRY(kv_token_index_add(visit, id, objects[i], err));
        keys++;
    }
    if (keys)
        return KV_OK;
    /* A wedged SoftHSM finds nothing and says so cheerfully. */
    if (!kv_token_probe_inside(visit)) {
        kv_token_suspect(visit->token);
        return kv_module_unavailable(err);
    }
    return kv_fail(err, KV_NOT_FOUND, "the key is not on the token");
}

typedef enum looked_up { ABSENT, UNPROVED, PROVED, AMBIGUOUS } looked_up;

static looked_up look(kv_token_visit *visit, const kv_key_ref *ref, kv_found_key *out)
{
    kv_token_index *index = &visit->token->index;
    looked_up result = ABSENT;
    kv_index_entry *entry;

    kv_token_index_let_go(visit);
    pthread_rwlock_rdlock(&index->lock);
    entry = look_up(index, ref->id);
    if (entry && entry->ambiguous) {
        result = AMBIGUOUS;
    } else if (entry) {
        atomic_fetch_add_explicit(&entry->holders, 1, memory_order_relaxed);
        visit->entry = entry;
        out->object = entry->object;
        out->use = entry->copy != CK_INVALID_HANDLE ? entry->copy : entry->object;
        out->kind = entry->kind;
        result = entry->proved == ref->class && entry->spki_len == ref->spki.len &&
                         (ref->spki.len == 0 || !memcmp(entry->spki, ref->spki.data, ref->spki.len))
                     ? PROVED
                     : UNPROVED;
    }
    pthread_rwlock_unlock(&index->lock);
    return result;
}

/* A session copy, or the object itself when there can be none. */
static CK_OBJECT_HANDLE copy_of(kv_token_visit *visit, CK_OBJECT_HANDLE object)
{
    kv_token *token = visit->token;
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE change = { CKA_TOKEN, &no, sizeof(no) };
    CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
    bool room;
    CK_RV rv;

    pthread_rwlock_rdlock(&token->index.lock);
    room = token->index.copies < MOST_COPIES;
    pthread_rwlock_unlock(&token->index.lock);
    /* A key that can still be exported has no copies that would stay so. */
    if (!room || kv_object_flag(visit, object, CKA_EXTRACTABLE) != KV_FLAG_FALSE)
        return CK_INVALID_HANDLE;
    pthread_mutex_lock(&token->owner_lock);
    rv = visit->f->C_CopyObject(token->owner, object, &change, 1, &copy);
    pthread_mutex_unlock(&token->owner_lock);
    return rv == CKR_OK ? copy : CK_INVALID_HANDLE;
}

/* Writes what was proved into the entry of the visit; false when another thread was first or it is
 * gone, though there may be a newer one. */
static bool settle(kv_token_visit *visit, const kv_key_ref *ref, const kv_found_key *found,
                   CK_OBJECT_HANDLE copy)
{
    uint8_t *spki = ref->spki.len ? malloc(ref->spki.len) : NULL;
    kv_token *token = visit->token;
    bool taken = false;
    kv_index_entry *entry;

    if (spki)
        memcpy(spki, ref->spki.data, ref->spki.len);
    pthread_rwlock_wrlock(&token->index.lock);
    entry = look_up(&token->index, ref->id);
    if (entry && entry == visit->entry && entry->copy == CK_INVALID_HANDLE &&
        (spki || !ref->spki.len)) {
        free(entry->spki);
        entry->spki = spki;
        entry->spki_len = ref->spki.len;
        entry->proved = ref->class;
        entry->kind = found->kind;
        entry->copy = copy;
        token->index.copies += copy != CK_INVALID_HANDLE;
        spki = NULL;
        taken = true;
    }
    pthread_rwlock_unlock(&token->index.lock);
    free(spki);
    return taken;
}

static kv_status prove(kv_token_visit *visit, const kv_key_ref *ref, kv_found_key *found,
                       kv_error *err)
{
    CK_OBJECT_HANDLE copy;

    KV_TRY(kv_template_prove(visit, ref, found->object, &found->kind, err));
    copy = copy_of(visit, found->object);
    if (settle(visit, ref, found, copy)) {
        found->use = copy != CK_INVALID_HANDLE ? copy : found->object;
    } else {
        if (copy != CK_INVALID_HANDLE)
            (void)visit->f->C_DestroyObject(visit->session, copy);
        found->use = found->object;
    }
    return KV_OK;
}

kv_status kv_token_index_find(kv_token_visit *visit, const kv_key_ref *ref, kv_found_key *out,
                              kv_error *err)
{
    looked_up result = look(visit, ref, out);

    visit->key_id = ref->id;
    /* Another thread may have dropped it since it was added. */
    for (unsigned tries = 0; tries < ASK_TRIES && result == ABSENT; tries++) {
        KV_TRY(ask_token(visit, ref->id, err));
        result = look(visit, ref, out);
    }
    switch (result) {
    case PROVED:
        return KV_OK;
    case UNPROVED:
        return prove(visit, ref, out, err);
    case AMBIGUOUS:
        kv_fail(err, KV_INTERNAL, "several keys on the token have this id");
        return kv_because(err, KV_REASON_INTEGRITY);
    case ABSENT:
        break;
    }
    return kv_module_unavailable(err);
}
