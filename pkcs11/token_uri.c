/* token_uri.c - from a URI to a slot, with p11-kit's parser. */
#include "pkcs11/token_uri.h"

#include <stdbool.h>
#include <string.h>

#include "pkcs11/rv.h"

enum { MOST_SLOTS = 256 };

typedef P11KitUri *uri_ptr;

static void uri_ptr_cleanup(uri_ptr *uri)
{
    p11_kit_uri_free(*uri);
}

static kv_status check(P11KitUri *uri, kv_error *err)
{
    const CK_TOKEN_INFO *token = p11_kit_uri_get_token_info(uri);

    if (p11_kit_uri_any_unrecognized(uri))
        return kv_fail_field(err, "uri", "the URI has a part that is not known");
    if (p11_kit_uri_get_pin_value(uri) || p11_kit_uri_get_pin_source(uri))
        return kv_fail_field(err, "uri", "the PIN does not belong in the URI");
    if (p11_kit_uri_get_slot_id(uri) != (CK_SLOT_ID)-1)
        return kv_fail_field(err, "uri", "slot numbers change: name the token or its serial");
    if (!token->label[0] && !token->serialNumber[0])
        return kv_fail_field(err, "uri", "the URI must name the token or its serial");
    return KV_OK;
}

kv_status kv_token_uri_parse(const char *text, P11KitUri **out, kv_error *err)
{
    KV_AUTO(uri_ptr) uri = p11_kit_uri_new();
    int result;

    if (!uri)
        return kv_fail(err, KV_BUSY, "out of memory");
    result = text ? p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri) : P11_KIT_URI_BAD_SCHEME;
    if (result != P11_KIT_URI_OK)
        return kv_fail_field(err, "uri", "not a PKCS#11 URI: %s", p11_kit_uri_message(result));
    KV_TRY(check(uri, err));
    *out = uri;
    uri = NULL;
    return KV_OK;
}

kv_status kv_token_uri_slot(CK_FUNCTION_LIST *f, const char *text, CK_SLOT_ID *slot,
                            CK_TOKEN_INFO *info, kv_error *err)
{
    KV_AUTO(uri_ptr) uri = NULL;
    CK_SLOT_ID slots[MOST_SLOTS];
    CK_ULONG count = MOST_SLOTS;
    unsigned matches = 0;
    CK_TOKEN_INFO seen;
    CK_RV rv;

    KV_TRY(kv_token_uri_parse(text, &uri, err));
    rv = f->C_GetSlotList(CK_TRUE, slots, &count);
    rv = kv_rv_within(rv, count, MOST_SLOTS);
    if (rv != CKR_OK)
        return kv_rv_fail(err, rv, "C_GetSlotList");
    for (CK_ULONG i = 0; i < count; i++) {
        rv = f->C_GetTokenInfo(slots[i], &seen);
        if (rv != CKR_OK || !(seen.flags & CKF_TOKEN_INITIALIZED) ||
            !p11_kit_uri_match_token_info(uri, &seen))
            continue;
        *slot = slots[i];
        *info = seen;
        matches++;
    }
    if (matches == 1)
        return KV_OK;
    return kv_fail_field(err, "uri",
                         matches ? "several tokens match the URI" : "no token matches the URI");
}

void kv_token_text(const CK_UTF8CHAR *padded, size_t len, char *out)
{
    while (len && (padded[len - 1] == ' ' || padded[len - 1] == '\0'))
        len--;
    memcpy(out, padded, len);
    out[len] = '\0';
}
