/* token_create.c - C_InitToken and C_InitPIN on a free slot. */
#include "pkcs11/token_create.h"

#include <string.h>

#include "pkcs11/module.h"
#include "pkcs11/rv.h"

enum { MOST_SLOTS = 256, LABEL_BYTES = 32 };

typedef kv_module *module_ptr;

static void module_ptr_cleanup(module_ptr *module)
{
    kv_module_free(*module);
}

static void pad_label(const char *label, CK_UTF8CHAR out[LABEL_BYTES])
{
    memset(out, ' ', LABEL_BYTES);
    memcpy(out, label, strlen(label));
}

/* The first slot with an uninitialised token; no token may have the label yet. But one that never
 * got a user PIN is what an interrupted creation left: it is finished (`*begun`). */
static kv_status free_slot(CK_FUNCTION_LIST *f, const CK_UTF8CHAR label[LABEL_BYTES],
                           CK_SLOT_ID *out, bool *begun, kv_error *err)
{
    CK_SLOT_ID slots[MOST_SLOTS];
    CK_ULONG count = MOST_SLOTS;
    CK_RV rv = f->C_GetSlotList(CK_TRUE, slots, &count);
    CK_TOKEN_INFO info;
    bool found = false;

    rv = kv_rv_within(rv, count, MOST_SLOTS);
    if (rv != CKR_OK)
        return kv_rv_fail(err, rv, "C_GetSlotList");
    for (CK_ULONG i = 0; i < count; i++) {
        if (f->C_GetTokenInfo(slots[i], &info) != CKR_OK)
            continue;
        if (info.flags & CKF_TOKEN_INITIALIZED) {
            if (memcmp(info.label, label, LABEL_BYTES) != 0)
                continue;
            if (info.flags & CKF_USER_PIN_INITIALIZED)
                return kv_fail(err, KV_EXISTS, "there is already a token of this label");
            *out = slots[i];
            *begun = true;
            return KV_OK;
        } else if (!found) {
            *out = slots[i];
            found = true;
        }
    }
    if (!found)
        return kv_fail(err, KV_PRECONDITION, "the PKCS#11 module has no free slot");
    return KV_OK;
}

static kv_status refused(kv_error *err, CK_RV rv, const char *function)
{
    kv_status status = kv_rv_fail(err, rv, function);

    if (status != KV_PRECONDITION)
        return status;
    kv_fail(err, KV_BAD_REQUEST, "the token refuses the label or a PIN");
    return kv_note(err, "%s: %s", function, kv_rv_of(rv)->name);
}

static kv_status set_user_pin(CK_FUNCTION_LIST *f, CK_SLOT_ID slot,
                              const kv_token_create_spec *spec, kv_error *err)
{
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    const char *step = "C_Login";
    CK_RV rv = f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);

    rv = kv_rv_made(rv, &session);
    if (rv != CKR_OK)
        return kv_rv_fail(err, rv, "C_OpenSession");
    rv = f->C_Login(session, CKU_SO, spec->so_pin->data, spec->so_pin->len);
    if (rv == CKR_OK) {
        step = "C_InitPIN";
        rv = f->C_InitPIN(session, spec->pin->data, spec->pin->len);
        (void)f->C_Logout(session);
    }
    (void)f->C_CloseSession(session);
    return rv == CKR_OK ? KV_OK : refused(err, rv, step);
}

kv_status kv_token_create(const kv_token_create_spec *spec, kv_error *err)
{
    KV_AUTO(module_ptr) module = NULL;
    CK_UTF8CHAR label[LABEL_BYTES];
    CK_FUNCTION_LIST *f;
    CK_SLOT_ID slot = 0;
    bool begun = false;
    CK_RV rv;

    if (!spec->label || !*spec->label || strlen(spec->label) > LABEL_BYTES)
        return kv_fail_field(err, "label", "a token's label has 1 to %d bytes", LABEL_BYTES);
    pad_label(spec->label, label);
    KV_TRY(kv_module_new(spec->module, NULL, &module, err));
    KV_TRY(kv_module_start(module, err));
    f = module->functions;
    KV_TRY(free_slot(f, label, &slot, &begun, err));
    if (!begun) {
        rv = f->C_InitToken(slot, spec->so_pin->data, spec->so_pin->len, label);
        if (rv != CKR_OK)
            return refused(err, rv, "C_InitToken");
    }
    return set_user_pin(f, slot, spec, err);
}
