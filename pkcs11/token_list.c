/* token_list.c - what keys the token says it has, and getting rid of halves. */
#include <stdlib.h>

#include "pkcs11/rv.h"
#include "pkcs11/template.h"
#include "pkcs11/token_object.h"

typedef struct listing {
    kv_token_visit *visit;
    kv_key_seen *keys;
    size_t count, room;
} listing;

static void listing_cleanup(listing *list)
{
    free(list->keys);
}

static kv_status make_room(listing *list, kv_error *err)
{
    size_t room = list->room ? 2 * list->room : 64;
    kv_key_seen *longer;

    if (list->count < list->room)
        return KV_OK;
    longer = realloc(list->keys, room * sizeof(*longer));
    if (!longer)
        return kv_fail(err, KV_BUSY, "out of memory");
    list->keys = longer;
    list->room = room;
    return KV_OK;
}

static kv_status describe(listing *list, CK_OBJECT_HANDLE object, kv_error *err)
{
    kv_token_visit *visit = list->visit;
    kv_key_seen key = { 0 };
    CK_RV rv;
    size_t id_len = sizeof(key.id), label_len = sizeof(key.label) - 1;

    KV_TRY(make_room(list, err));
    key.has_id = kv_object_has(visit, object, CKA_ID, key.id, &id_len) && id_len == sizeof(key.id);
    if (kv_object_has(visit, object, CKA_LABEL, key.label, &label_len))
        key.label[label_len] = '\0';
    key.class = kv_template_class_of(visit, object);
    key.kind = kv_template_kind_of(visit, object);
    key.local = kv_object_flag(visit, object, CKA_LOCAL) == KV_FLAG_TRUE;
    key.sensitive = kv_object_flag(visit, object, CKA_SENSITIVE) == KV_FLAG_TRUE;
    key.extractable = kv_object_flag(visit, object, CKA_EXTRACTABLE) != KV_FLAG_FALSE;
    key.never_extractable = kv_object_flag(visit, object, CKA_NEVER_EXTRACTABLE) == KV_FLAG_TRUE;
    rv = kv_template_differs(visit, object, key.class, key.kind, &key.differs);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_GetAttributeValue", err);
    KV_TRY(kv_objects_were_read(visit, err));
    list->keys[list->count++] = key;
    return KV_OK;
}

/* SoftHSM answers so when it is, but also CKR_GENERAL_ERROR while it is just going. */
static bool is_gone(kv_token_visit *visit, CK_OBJECT_HANDLE object)
{
    CK_OBJECT_CLASS class = 0;
    CK_ATTRIBUTE asked = { CKA_CLASS, &class, sizeof(class) };

    return visit->f->C_GetAttributeValue(visit->session, object, &asked, 1) ==
           CKR_OBJECT_HANDLE_INVALID;
}

/* Most of it in one question: there are many keys, and each question costs a token the same. Keys
 * are destroyed meanwhile, which is no trouble of the token's: one that is wedged and denies all of
 * them is found out by the probe. */
static kv_status list_key(void *context, CK_OBJECT_HANDLE object, kv_error *err)
{
    static const CK_ATTRIBUTE_TYPE asked[] = {
        CKA_ID,    CKA_LABEL,     CKA_KEY_TYPE,    CKA_ALLOWED_MECHANISMS,
        CKA_LOCAL, CKA_SENSITIVE, CKA_EXTRACTABLE, CKA_NEVER_EXTRACTABLE,
    };
    listing *list = context;
    kv_object_sheet sheet;
    kv_status status;

    if (kv_object_read_sheet(list->visit, object, asked, KV_COUNT(asked), &sheet) ==
        CKR_OBJECT_HANDLE_INVALID)
        return KV_OK;
    list->visit->sheet = &sheet;
    status = describe(list, object, err);
    list->visit->sheet = NULL;
    if (status != KV_UNAVAILABLE || !is_gone(list->visit, object))
        return status;
    list->visit->unread = *err = (kv_error){ 0 };
    return KV_OK;
}

static kv_status list_keys(kv_token_visit *visit, void *context, kv_error *err)
{
    listing *list = context;

    list->visit = visit;
    list->count = 0;
    KV_TRY(kv_objects_of_class(visit, CKO_PRIVATE_KEY, list_key, list, err));
    KV_TRY(kv_objects_of_class(visit, CKO_SECRET_KEY, list_key, list, err));
    if (kv_token_probe_inside(visit))
        return KV_OK;
    kv_token_suspect(visit->token);
    return kv_module_unavailable(err);
}

kv_status kv_token_key_list(kv_token *token, kv_key_visit *visit, void *context, kv_error *err)
{
    KV_AUTO(listing) list = { 0 };

    /* The caller's function may use the token, so it runs outside the module. */
    KV_TRY(kv_token_run(token, list_keys, &list, err));
    for (size_t i = 0; i < list.count; i++)
        KV_TRY(visit(context, &list.keys[i], err));
    return KV_OK;
}

typedef struct halving {
    kv_token_visit *visit;
    size_t destroyed;
} halving;

static kv_status destroy_half(void *context, CK_OBJECT_HANDLE object, kv_error *err)
{
    halving *work = context;
    uint8_t id[KV_KEY_ID_BYTES];
    size_t len = sizeof(id);
    kv_status status = kv_object_bytes(work->visit, object, CKA_ID, id, &len, err);
    CK_RV rv;

    /* "Cannot say" is no reason to destroy anything. */
    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    if (status == KV_OK && len == KV_KEY_ID_BYTES)
        return KV_OK;
    rv = work->visit->f->C_DestroyObject(work->visit->session, object);
    if (rv != CKR_OK)
        return kv_token_failed(work->visit, rv, "C_DestroyObject", err);
    work->destroyed++;
    return KV_OK;
}

static kv_status destroy_halves(kv_token_visit *visit, void *context, kv_error *err)
{
    halving *work = context;

    work->visit = visit;
    KV_TRY(kv_objects_of_class(visit, CKO_PRIVATE_KEY, destroy_half, work, err));
    KV_TRY(kv_objects_of_class(visit, CKO_SECRET_KEY, destroy_half, work, err));
    KV_TRY(kv_objects_of_class(visit, CKO_PUBLIC_KEY, destroy_half, work, err));
    return kv_token_files_sync(&visit->token->files, err);
}

bool kv_token_key_saw_halves(const kv_token *token)
{
    return token->saw_halves;
}

kv_status kv_token_key_destroy_halves(kv_token *token, size_t *destroyed, kv_error *err)
{
    halving work = { 0 };

    if (!token->exclusive)
        return kv_fail(err, KV_PRECONDITION,
                       "token '%s' is shared: nothing is destroyed on suspicion", token->label);
    KV_TRY(kv_token_run(token, destroy_halves, &work, err));
    *destroyed = work.destroyed;
    return KV_OK;
}
