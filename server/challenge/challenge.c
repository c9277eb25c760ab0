/* challenge.c - what all solvers share. */
#include "server/challenge/challenge.h"

#include <jansson.h>
#include <openssl/evp.h>

#include "server/base/text.h"

enum { DIGEST_BYTES = 32 };

const kv_challenge_solver *kv_challenge_find(const kv_challenge_solver *solvers, size_t count,
                                             kv_slice type)
{
    for (size_t i = 0; i < count; i++)
        if (kv_slice_equal(kv_slice_text(solvers[i].challenge->type), type))
            return &solvers[i];
    return NULL;
}

unsigned kv_challenge_settle_ms(const kv_challenge_solver *solver)
{
    return solver->challenge->settle_ms ? solver->challenge->settle_ms(solver->context) : 0;
}

bool kv_challenge_token_good(kv_slice token)
{
    for (size_t i = 0; i < token.len; i++) {
        uint8_t c = token.data[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') &&
            c != '-' && c != '_')
            return false;
    }
    return token.len > 0 && token.len <= KV_CHALLENGE_TOKEN_MAX;
}

kv_status kv_challenge_check_token(const kv_challenge_task *task, kv_error *err)
{
    kv_slice proof = task->key_authorization;

    if (!kv_challenge_token_good(task->token) || !kv_slice_starts_with(proof, task->token) ||
        proof.len < task->token.len + 2 || proof.data[task->token.len] != '.')
        return kv_fail(err, KV_INTERNAL, "a challenge without token and key authorization");
    return KV_OK;
}

kv_status kv_challenge_digest(const kv_challenge_task *task, kv_slice *out, kv_error *err)
{
    uint8_t digest[DIGEST_BYTES];

    if (EVP_Digest(task->key_authorization.data, task->key_authorization.len, digest, NULL,
                   EVP_sha256(), NULL) != 1)
        return kv_fail(err, KV_INTERNAL, "SHA-256 does not work");
    return kv_base64url(task->arena, kv_slice_of(digest, sizeof(digest)), out, err);
}

kv_status kv_challenge_check_plain(kv_slice settings, kv_arena *arena, kv_error *err)
{
    json_t *json;
    bool good;

    (void)arena;
    if (!settings.len)
        return KV_OK;
    json = json_loadb((const char *)settings.data, settings.len, JSON_REJECT_DUPLICATES, NULL);
    good = json_is_object(json) &&
           json_object_size(json) == (json_is_string(json_object_get(json, "type")) ? 1u : 0u);
    json_decref(json);
    if (!good)
        return kv_fail_field(err, "settings", "this challenge has no settings beside \"type\"");
    return KV_OK;
}
