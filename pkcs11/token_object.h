/* token_object.h - objects on a token and their attributes, for the jobs of this folder.
 *
 * Every failure has been through kv_token_failed().
 */
#pragma once

#include "pkcs11/token.h"

typedef enum kv_flag { KV_FLAG_UNKNOWN, KV_FLAG_FALSE, KV_FLAG_TRUE } kv_flag;

/* Reads an attribute into `out`; `*len` holds the room before and the length after.
 * KV_NOT_FOUND when the object has no such attribute, or it is longer than the room. */
kv_status kv_object_bytes(kv_token_visit *visit, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                          void *out, size_t *len, kv_error *err) KV_MUST_USE;
/* False, CK_UNAVAILABLE_INFORMATION and KV_FLAG_UNKNOWN when it has none: a fact about the object.
 * When the token failed to tell, too: then kv_objects_were_read() fails, and has to be asked before
 * anything is concluded. */
bool kv_object_has(kv_token_visit *visit, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                   void *out, size_t *len);
CK_ULONG kv_object_number(kv_token_visit *visit, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
kv_flag kv_object_flag(kv_token_visit *visit, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
/* What kv_token_failed() made of the last attribute that could not be read since it was asked. */
kv_status kv_objects_were_read(kv_token_visit *visit, kv_error *err) KV_MUST_USE;

/* What an object answered to one question. While visit->sheet points to it, the functions above
 * read from it what is in it and ask the token for the rest. */
enum { KV_SHEET_ITEMS = 8, KV_SHEET_BYTES = 256 };

typedef struct kv_object_sheet {
    CK_OBJECT_HANDLE object;
    CK_ULONG count;
    CK_ATTRIBUTE items[KV_SHEET_ITEMS];
    uint8_t values[KV_SHEET_ITEMS][KV_SHEET_BYTES];
} kv_object_sheet;

/* Asks for at most KV_SHEET_ITEMS attributes. The sheet is empty unless the object has all of them,
 * none of them longer than KV_SHEET_BYTES; it must not move afterwards. Returns what the token
 * answered, which is not taken for trouble. */
CK_RV kv_object_read_sheet(kv_token_visit *visit, CK_OBJECT_HANDLE object,
                           const CK_ATTRIBUTE_TYPE *types, CK_ULONG count, kv_object_sheet *out);

/* Every object that fits; the caller frees `*out`. A token that finds more than 2^20 objects is
 * taken for one that does not answer as it should. */
kv_status kv_objects_find(kv_token_visit *visit, CK_ATTRIBUTE *template, CK_ULONG count,
                          CK_OBJECT_HANDLE **out, size_t *found, kv_error *err) KV_MUST_USE;

/* Calls `each` for every token object of a class, after the search is over. */
typedef kv_status kv_object_each(void *context, CK_OBJECT_HANDLE object, kv_error *err);
kv_status kv_objects_of_class(kv_token_visit *visit, CK_OBJECT_CLASS class, kv_object_each *each,
                              void *context, kv_error *err) KV_MUST_USE;

/* Token objects of any class with this CKA_ID; the caller frees `*out`. */
kv_status kv_objects_with_id(kv_token_visit *visit, const uint8_t id[KV_KEY_ID_BYTES],
                             CK_OBJECT_HANDLE **out, size_t *found, kv_error *err) KV_MUST_USE;

/* The same, session objects among them: copies that are used instead of a key. */
kv_status kv_objects_with_id_anywhere(kv_token_visit *visit, const uint8_t id[KV_KEY_ID_BYTES],
                                      CK_OBJECT_HANDLE **out, size_t *found,
                                      kv_error *err) KV_MUST_USE;

/* A list of handles that frees itself: KV_AUTO(kv_handles) list = NULL; */
typedef CK_OBJECT_HANDLE *kv_handles;
void kv_handles_cleanup(kv_handles *list);
