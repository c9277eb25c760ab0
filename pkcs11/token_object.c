/* token_object.c - searching and reading objects. */
#include "pkcs11/token_object.h"

#include <stdlib.h>

enum { BATCH = 256 };

void kv_handles_cleanup(kv_handles *list)
{
    free(*list);
    *list = NULL;
}

kv_status kv_object_bytes(kv_token_visit *visit, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                          void *out, size_t *len, kv_error *err)
{
    CK_ATTRIBUTE attribute = { type, out, *len };
    CK_RV rv = visit->f->C_GetAttributeValue(visit->session, object, &attribute, 1);

    if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE ||
        rv == CKR_BUFFER_TOO_SMALL ||
        (rv == CKR_OK && attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION))
        return kv_fail(err, KV_NOT_FOUND, "the object has no such attribute");
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

/* Takes one batch of a running search. */
static CK_RV next_batch(kv_token_visit *visit, kv_handles *list, size_t *found, CK_ULONG *got)
{
    CK_OBJECT_HANDLE *longer = realloc(*list, (*found + BATCH) * sizeof(**list));
    CK_RV rv;

    if (!longer)
        return CKR_HOST_MEMORY;
    *list = longer;
    rv = visit->f->C_FindObjects(visit->session, longer + *found, BATCH, got);
    if (rv == CKR_OK)
        *found += *got;
    return rv;
}

kv_status kv_objects_find(kv_token_visit *visit, CK_ATTRIBUTE *template, CK_ULONG count,
                          CK_OBJECT_HANDLE **out, size_t *found, kv_error *err)
{
    KV_AUTO(kv_handles) list = NULL;
    size_t total = 0;
    CK_ULONG got = 1;
    CK_RV rv = visit->f->C_FindObjectsInit(visit->session, template, count);
    CK_RV last;

    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_FindObjectsInit", err);
    while (rv == CKR_OK && got)
        rv = next_batch(visit, &list, &total, &got);
    last = visit->f->C_FindObjectsFinal(visit->session);
    if (rv != CKR_OK)
        return kv_token_failed(visit, rv, "C_FindObjects", err);
    if (last != CKR_OK)
        return kv_token_failed(visit, last, "C_FindObjectsFinal", err);
    *out = list;
    *found = total;
    list = NULL;
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
    CK_ATTRIBUTE template[] = {
        { CKA_ID, (void *)(uintptr_t)id, KV_KEY_ID_BYTES },
        { CKA_TOKEN, &yes, sizeof(yes) },
    };

    return kv_objects_find(visit, template, KV_COUNT(template), out, found, err);
}

kv_status kv_objects_with_id_anywhere(kv_token_visit *visit, const uint8_t id[KV_KEY_ID_BYTES],
                                      CK_OBJECT_HANDLE **out, size_t *found, kv_error *err)
{
    CK_ATTRIBUTE template[] = { { CKA_ID, (void *)(uintptr_t)id, KV_KEY_ID_BYTES } };

    return kv_objects_find(visit, template, KV_COUNT(template), out, found, err);
}
