/* token_object.c - searching and reading objects. */
#include "pkcs11/token_object.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11/rv.h"

enum { BATCH = 256, MOST_FOUND = 1 << 20 };

void kv_handles_cleanup(kv_handles *list)
{
    free(*list);
    *list = NULL;
}

CK_RV kv_object_read_sheet(kv_token_visit *visit, CK_OBJECT_HANDLE object,
                           const CK_ATTRIBUTE_TYPE *types, CK_ULONG count, kv_object_sheet *out)
{
    CK_RV rv;

    assert(count <= KV_SHEET_ITEMS);
    out->object = object;
    out->count = 0;
    for (CK_ULONG i = 0; i < count; i++)
        out->items[i] = (CK_ATTRIBUTE){ types[i], out->values[i], sizeof(out->values[i]) };
    rv = visit->f->C_GetAttributeValue(visit->session, object, out->items, count);
    for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++)
        rv = kv_rv_within(rv, out->items[i].ulValueLen, sizeof(out->values[i]));
    if (rv == CKR_OK)
        out->count = count;
    return rv;
}

/* The value is read where it was to be written, wherever the module says that it is. */
static const uint8_t *find_on_sheet(const kv_token_visit *visit, CK_OBJECT_HANDLE object,
                                    CK_ATTRIBUTE_TYPE type, size_t *len)
{
    const kv_object_sheet *sheet = visit->sheet;

    for (CK_ULONG i = 0; sheet && sheet->object == object && i < sheet->count; i++)
        if (sheet->items[i].type == type) {
            *len = sheet->items[i].ulValueLen;
            return sheet->values[i];
        }
    return NULL;
}

kv_status kv_object_bytes(kv_token_visit *visit, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                          void *out, size_t *len, kv_error *err)
{
    CK_ATTRIBUTE attribute = { type, out, *len };
    size_t known_len = 0;
    const uint8_t *known = find_on_sheet(visit, object, type, &known_len);
    CK_RV rv;

    if (known && known_len <= *len) {
        memcpy(out, known, known_len);
        *len = known_len;
        return KV_OK;
    }
    rv = visit->f->C_GetAttributeValue(visit->session, object, &attribute, 1);
    if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE ||
        rv == CKR_BUFFER_TOO_SMALL ||
        (rv == CKR_OK && attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION))
        return kv_fail(err, KV_NOT_FOUND, "the object has no such attribute");
    rv = kv_rv_within(rv, attribute.ulValueLen, *len);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_GetAttributeValue", err);
    *len = attribute.ulValueLen;
    return KV_OK;
}

bool kv_object_has(kv_token_visit *visit, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                   void *out, size_t *len)
{
    kv_error failed = { 0 };
    kv_status status = kv_object_bytes(visit, object, type, out, len, &failed);

    if (status != KV_OK && status != KV_NOT_FOUND)
        visit->unread = failed;
    return status == KV_OK;
}

CK_ULONG kv_object_number(kv_token_visit *visit, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_ULONG value = CK_UNAVAILABLE_INFORMATION;
    size_t len = sizeof(value);

    if (!kv_object_has(visit, object, type, &value, &len) || len != sizeof(value))
        return CK_UNAVAILABLE_INFORMATION;
    return value;
}

kv_flag kv_object_flag(kv_token_visit *visit, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL value = CK_FALSE;
    size_t len = sizeof(value);

    if (!kv_object_has(visit, object, type, &value, &len) || len != sizeof(value))
        return KV_FLAG_UNKNOWN;
    return value ? KV_FLAG_TRUE : KV_FLAG_FALSE;
}

kv_status kv_objects_were_read(kv_token_visit *visit, kv_error *err)
{
    kv_status status = visit->unread.status;

    if (status != KV_OK)
        *err = visit->unread;
    visit->unread = (kv_error){ 0 };
    return status;
}

/* What a search has found so far. */
typedef struct finding {
    CK_OBJECT_HANDLE *list;
    size_t count, room;
} finding;

static void finding_cleanup(finding *search)
{
    free(search->list);
}

/* A batch goes on where the one before it ended: no handle is none, and the search does not begin
 * anew. */
static bool goes_on(const finding *search, const CK_OBJECT_HANDLE *batch, CK_ULONG got)
{
    for (CK_ULONG i = 0; i < got; i++)
        if (batch[i] == CK_INVALID_HANDLE || (search->count && batch[i] == search->list[0]))
            return false;
    return true;
}

/* Takes one batch of a running search. */
static CK_RV next_batch(kv_token_visit *visit, finding *search, CK_ULONG *got)
{
    size_t room = search->room ? 2 * search->room : BATCH;
    CK_OBJECT_HANDLE *longer, *batch;
    CK_RV rv;

    if (search->room - search->count < BATCH) {
        longer = realloc(search->list, room * sizeof(*longer));
        if (!longer)
            return CKR_HOST_MEMORY;
        search->list = longer;
        search->room = room;
    }
    batch = search->list + search->count;
    memset(batch, 0, BATCH * sizeof(*batch));
    *got = 0;
    rv = visit->f->C_FindObjects(visit->session, batch, BATCH, got);
    rv = kv_rv_within(rv, *got, BATCH);
    if (rv != CKR_OK)
        return rv;
    if (!goes_on(search, batch, *got))
        return CKR_DEVICE_ERROR;
    search->count += *got;
    return kv_rv_within(rv, search->count, MOST_FOUND);
}

kv_status kv_objects_find(kv_token_visit *visit, CK_ATTRIBUTE *template, CK_ULONG count,
                          CK_OBJECT_HANDLE **out, size_t *found, kv_error *err)
{
    KV_AUTO(finding) search = { 0 };
    CK_ULONG got = 1;
    CK_RV rv, last;

    pthread_mutex_lock(&visit->token->owner_lock);
    rv = visit->f->C_FindObjectsInit(visit->session, template, count);
    pthread_mutex_unlock(&visit->token->owner_lock);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_FindObjectsInit", err);
    while (rv == CKR_OK && got)
        rv = next_batch(visit, &search, &got);
    last = visit->f->C_FindObjectsFinal(visit->session);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_FindObjects", err);
    if (last != CKR_OK)
        return kv_token_failed(visit, last, "C_FindObjectsFinal", err);
    *out = search.list;
    *found = search.count;
    search.list = NULL;
    return KV_OK;
}

kv_status kv_objects_of_class(kv_token_visit *visit, CK_OBJECT_CLASS class, kv_object_each *each,
                              void *context, kv_error *err)
{
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[] = {
        { CKA_CLASS, &class, sizeof(class) },
        { CKA_TOKEN, &yes, sizeof(yes) },
    };
    KV_AUTO(kv_handles) list = NULL;
    size_t found = 0;

    KV_TRY(kv_objects_find(visit, template, KV_COUNT(template), &list, &found, err));
    for (size_t i = 0; i < found; i++) {
        kv_token_visit_goes_on(visit);
        KV_TRY(each(context, list[i], err));
    }
    return KV_OK;
}

kv_status kv_objects_with_id(kv_token_visit *visit, const uint8_t id[KV_KEY_ID_BYTES],
                             CK_OBJECT_HANDLE **out, size_t *found, kv_error *err)
{
    CK_BBOOL yes = CK_TRUE;
    /* In this order: SoftHSM takes a public session object that is being made for a private one,
     * and fails the search when it cannot decrypt the id. */
    CK_ATTRIBUTE template[] = {
        { CKA_TOKEN, &yes, sizeof(yes) },
        { CKA_ID, (void *)(uintptr_t)id, KV_KEY_ID_BYTES },
    };

    return kv_objects_find(visit, template, KV_COUNT(template), out, found, err);
}

kv_status kv_objects_with_id_anywhere(kv_token_visit *visit, const uint8_t id[KV_KEY_ID_BYTES],
                                      CK_OBJECT_HANDLE **out, size_t *found, kv_error *err)
{
    CK_ATTRIBUTE template[] = { { CKA_ID, (void *)(uintptr_t)id, KV_KEY_ID_BYTES } };

    return kv_objects_find(visit, template, KV_COUNT(template), out, found, err);
}
