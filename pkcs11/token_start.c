/* token_start.c - from an initialised module to a token that is logged in, known and ready. */
#include <stdlib.h>

#include <openssl/err.h>

#include "pkcs11/rv.h"
#include "pkcs11/token.h"
#include "pkcs11/token_survey.h"
#include "pkcs11/token_uri.h"

enum { MOST_MECHANISMS = 4096 };

/* What a start before this one left behind is gone with the module's state. */
static void forget(kv_token *token)
{
    token->guard = token->owner = CK_INVALID_HANDLE;
    token->probe_object = token->probe_key = CK_INVALID_HANDLE;
    token->generation = atomic_load(&token->module->generation);
    kv_token_index_clear(&token->index);
}

static kv_status locate(kv_token *token, kv_error *err)
{
    CK_TOKEN_INFO info;

    KV_TRY(kv_token_uri_slot(token->module->functions, token->uri, &token->slot, &info, err));
    /* What others may read without asking is written once: a token does not change its name. */
    if (!token->label[0]) {
        kv_token_text(info.label, sizeof(info.label), token->label);
        kv_token_text(info.serialNumber, sizeof(info.serialNumber), token->serial);
    }
    if (!(info.flags & CKF_USER_PIN_INITIALIZED))
        return kv_fail(err, KV_PRECONDITION, "token '%s' has no user PIN yet", token->label);
    return kv_token_files_find(&token->files, token->serial, err);
}

static kv_status list_mechanisms(kv_token *token, kv_error *err)
{
    CK_FUNCTION_LIST *f = token->module->functions;
    CK_ULONG room = 0, count;
    CK_RV rv;

    if (token->mechanism_count)
        return KV_OK;
    rv = f->C_GetMechanismList(token->slot, NULL, &room);
    rv = kv_rv_within(rv, room, MOST_MECHANISMS);
    if (rv != CKR_OK)
        return kv_rv_fail(err, rv, "C_GetMechanismList");
    free(token->mechanisms);
    token->mechanisms = calloc(room + 1, sizeof(*token->mechanisms));
    if (!token->mechanisms)
        return kv_fail(err, KV_BUSY, "out of memory");
    count = room;
    rv = f->C_GetMechanismList(token->slot, token->mechanisms, &count);
    rv = kv_rv_within(rv, count, room);
    if (rv != CKR_OK)
        return kv_rv_fail(err, rv, "C_GetMechanismList");
    token->mechanism_count = count;
    for (size_t i = 0; i < KV_MECHANISM_COUNT; i++)
        token->signs[i] = kv_token_supports(token, kv_mechanism_at(i)->ckm);
    return KV_OK;
}

static kv_status open_session(kv_token *token, CK_SESSION_HANDLE *out, kv_error *err)
{
    CK_RV rv = token->module->functions->C_OpenSession(
        token->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, out);

    rv = kv_rv_made(rv, out);
    return rv == CKR_OK ? KV_OK : kv_rv_fail(err, rv, "C_OpenSession");
}

static bool is_about_the_pin(CK_RV rv)
{
    return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE ||
           rv == CKR_PIN_EXPIRED || rv == CKR_PIN_LOCKED;
}

static kv_status log_in(kv_token *token, kv_error *err)
{
    CK_RV rv;

    /* Tokens count wrong PINs: one that was refused is never tried again. */
    if (token->pin_refused)
        return kv_fail(err, KV_PRECONDITION, "the PIN of token '%s' was refused", token->label);
    KV_TRY(kv_token_files_before_login(&token->files, err));
    rv = token->module->functions->C_Login(token->guard, CKU_USER, token->pin.data, token->pin.len);
    if (is_about_the_pin(rv)) {
        token->pin_refused = true;
        kv_fail(err, KV_PRECONDITION, "the PIN of token '%s' was refused", token->label);
        return kv_note(err, "C_Login: %s", kv_rv_of(rv)->name);
    }
    /* The login is the token's, not the session's: somebody of this process may have been first. */
    if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
        return kv_rv_fail(err, rv, "C_Login");
    return kv_token_files_after_login(&token->files, err);
}

/* The index, the probe, and nothing left of what a kill interrupted. */
static kv_status get_to_know(kv_token *token, kv_error *err)
{
    kv_token_visit visit = { .token = token,
                             .f = token->module->functions,
                             .session = token->owner };
    KV_AUTO(kv_token_survey) survey = { 0 };

    KV_TRY(kv_token_survey_take(&visit, &survey, err));
    token->saw_halves = survey.halves > 0;
    return kv_token_probe_make(token, survey.data, survey.data_count, err);
}

static kv_status start(kv_token *token, kv_error *err)
{
    KV_TRY(locate(token, err));
    KV_TRY(list_mechanisms(token, err));
    KV_TRY(open_session(token, &token->guard, err));
    KV_TRY(open_session(token, &token->owner, err));
    KV_TRY(log_in(token, err));
    return get_to_know(token, err);
}

kv_status kv_token_start(kv_token *token, kv_error *err)
{
    kv_status status;

    forget(token);
    status = start(token, err);
    if (status != KV_OK && token->owner != CK_INVALID_HANDLE)
        (void)token->module->functions->C_CloseSession(token->owner);
    if (status != KV_OK && token->guard != CK_INVALID_HANDLE)
        (void)token->module->functions->C_CloseSession(token->guard);
    if (status != KV_OK)
        token->owner = token->guard = CK_INVALID_HANDLE;
    ERR_clear_error();
    return status;
}
