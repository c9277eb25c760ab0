/* token_key.c - births, deaths and the roll-call of keys. */
#include "pkcs11/token_key.h"

#include <stdio.h>

#include "pkcs11/rv.h"
#include "pkcs11/template.h"
#include "pkcs11/token_birth.h"
#include "pkcs11/token_object.h"

enum { DESTROY_ROUNDS = 3 };

static kv_status generate(kv_token_birth *b, kv_error *err)
{
    CK_MECHANISM mechanism = { kv_template_generator(b->spec->kind), NULL, 0 };
    kv_template private, public;
    CK_RV rv;

    if (kv_key_kind_of(b->spec->kind)->family == KV_FAMILY_SECRET) {
        kv_template_new_secret(b->spec, &private);
        rv = b->visit->f->C_GenerateKey(b->visit->session, &mechanism, private.items, private.count,
                                        &b->key);
        rv = kv_rv_made(rv, &b->key);
        return rv == CKR_OK ? KV_OK : kv_token_failed(b->visit, rv, "C_GenerateKey", err);
    }
    kv_template_private(b->spec, &private);
    kv_template_public(b->spec, &public);
    rv = b->visit->f->C_GenerateKeyPair(b->visit->session, &mechanism, public.items, public.count,
                                        private.items, private.count, &b->public, &b->key);
    rv = kv_rv_made(kv_rv_made(rv, &b->public), &b->key);
    return rv == CKR_OK ? KV_OK : kv_token_failed(b->visit, rv, "C_GenerateKeyPair", err);
}

static kv_status give_birth(kv_token_visit *visit, void *context, kv_error *err)
{
    kv_token_birth *wanted = context;
    KV_AUTO(kv_token_birth) b = { .visit = visit, .spec = wanted->spec, .arena = wanted->arena };

    KV_TRY(kv_token_birth_check_id(&b, err));
    KV_TRY(generate(&b, err));
    KV_TRY(kv_token_birth_settle(&b, err));
    wanted->born = b.born;
    return KV_OK;
}

kv_status kv_token_key_generate(kv_token *token, const kv_key_spec *spec, kv_arena *arena,
                                kv_key_born *out, kv_error *err)
{
    kv_token_birth wanted = { .spec = spec, .arena = arena };

    KV_TRY(kv_template_check(spec, err));
    KV_TRY(kv_template_supported(token, spec->class, spec->kind, err));
    KV_TRY(kv_token_run(token, give_birth, &wanted, err));
    *out = wanted.born;
    return KV_OK;
}

typedef struct destruction {
    const uint8_t *id;
    kv_key_gone gone; /* in all tries together */
    CK_RV refused;    /* the last C_DestroyObject that failed; CKR_OK: none */
} destruction;

static void count(destruction *at, CK_ULONG class, bool session)
{
    if (session)
        at->gone.copies++;
    else if (class == CKO_PRIVATE_KEY)
        at->gone.private_keys++;
    else if (class == CKO_SECRET_KEY)
        at->gone.secret_keys++;
    else if (class == CKO_PUBLIC_KEY)
        at->gone.public_keys++;
    else
        at->gone.others++;
}

/* Another thread may be destroying the same object, and SoftHSM answers CKR_FUNCTION_FAILED to the
 * one that comes second. So what counts is not this answer but the next search. */
static void destroy_object(kv_token_visit *visit, destruction *at, CK_OBJECT_HANDLE object)
{
    CK_OBJECT_CLASS class = CK_UNAVAILABLE_INFORMATION;
    CK_BBOOL on_token = CK_TRUE;
    CK_ATTRIBUTE asked[] = {
        { CKA_CLASS, &class, sizeof(class) },
        { CKA_TOKEN, &on_token, sizeof(on_token) },
    };
    CK_RV rv;

    /* Only to be told; one that is just going has no answer, and that is nothing to suspect. */
    (void)visit->f->C_GetAttributeValue(visit->session, object, asked, KV_COUNT(asked));
    rv = visit->f->C_DestroyObject(visit->session, object);
    if (rv == CKR_OK)
        count(at, class, !on_token);
    else if (rv != CKR_OBJECT_HANDLE_INVALID)
        at->refused = rv;
}

/* All objects with the id, copies for use among them; a use that was on its way may have made one
 * more meanwhile, which the second round finds. `*left`: what the last search found. */
static kv_status destroy_all(kv_token_visit *visit, destruction *at, size_t *left, kv_error *err)
{
    *left = 1;
    for (unsigned round = 0; round < DESTROY_ROUNDS && *left; round++) {
        KV_AUTO(kv_handles) list = NULL;

        kv_token_index_drop(visit, at->id);
        KV_TRY(kv_objects_with_id_anywhere(visit, at->id, &list, left, err));
        for (size_t i = 0; i < *left; i++)
            destroy_object(visit, at, list[i]);
    }
    return KV_OK;
}

static kv_status destroy_key(kv_token_visit *visit, void *context, kv_error *err)
{
    destruction *at = context;
    size_t left = 0;

    at->refused = CKR_OK;
    /* SoftHSM's search fails now and then while another thread makes a session object. */
    if (destroy_all(visit, at, &left, err) != KV_OK) {
        visit->again = true;
        return err->status;
    }
    if (left && at->refused != CKR_OK)
        return kv_token_failed(visit, at->refused, "C_DestroyObject", err);
    /* A wedged token finds nothing, which is not the same as being rid of the key. */
    if (left || !kv_token_probe_inside(visit)) {
        kv_token_suspect(visit->token);
        return kv_module_unavailable(err);
    }
    return kv_token_files_sync(&visit->token->files, err);
}

kv_status kv_token_key_destroy_told(kv_token *token, const uint8_t id[KV_KEY_ID_BYTES],
                                    kv_key_gone *out, kv_error *err)
{
    destruction at = { .id = id };

    KV_TRY(kv_token_run(token, destroy_key, &at, err));
    *out = at.gone;
    (void)snprintf(out->label, sizeof(out->label), "%s", kv_token_label(token));
    (void)snprintf(out->serial, sizeof(out->serial), "%s", kv_token_serial(token));
    return KV_OK;
}

kv_status kv_token_key_destroy(kv_token *token, const uint8_t id[KV_KEY_ID_BYTES], kv_error *err)
{
    kv_key_gone ignored;

    return kv_token_key_destroy_told(token, id, &ignored, err);
}

static kv_status check_key(kv_token_visit *visit, void *context, kv_error *err)
{
    kv_found_key found;

    return kv_token_index_find(visit, context, &found, err);
}

kv_status kv_token_key_check(kv_token *token, const kv_key_ref *key, kv_error *err)
{
    return kv_token_run(token, check_key, (void *)(uintptr_t)key, err);
}

/* A list of mechanisms does not tell which curves they know. */
static kv_status make_for_a_moment(kv_token_visit *visit, void *context, kv_error *err)
{
    kv_token_birth *wanted = context;
    KV_AUTO(kv_token_birth) b = { .visit = visit, .spec = wanted->spec };
    kv_status status = generate(&b, err);

    if (status != KV_PRECONDITION && status != KV_BAD_REQUEST)
        return status;
    kv_fail(err, KV_UNSUPPORTED, "keys of kind %s are not supported by token '%s'",
            kv_key_kind_of(wanted->spec->kind)->name, visit->token->label);
    return kv_because(err, KV_REASON_NOT_SUPPORTED_BY_TOKEN);
}

kv_status kv_token_key_can(kv_token *token, kv_key_class class, kv_key_kind kind, kv_error *err)
{
    kv_key_spec spec = { .class = class, .kind = kind };
    kv_token_birth wanted = { .spec = &spec };

    KV_TRY(kv_template_check(&spec, err));
    KV_TRY(kv_template_supported(token, class, kind, err));
    if (!kv_key_kind_of(kind)->curve)
        return KV_OK;
    return kv_token_run(token, make_for_a_moment, &wanted, err);
}
