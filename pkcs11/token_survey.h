/* token_survey.h - one look at every object of a token when it starts.
 *
 * A token with many keys makes each search and each question expensive, so all that a start has to
 * know is found out in one search, with one question to an object.
 */
#pragma once

#include "pkcs11/token.h"

typedef struct kv_token_survey {
    CK_OBJECT_HANDLE *data; /* data objects */
    size_t data_count, data_room;
    size_t halves;     /* private, secret and public keys without an id of KV_KEY_ID_BYTES */
    size_t unfinished; /* objects that were being written: destroyed */
} kv_token_survey;

/* Adds private and secret keys to the token's index, which is empty. On a token that is ours alone
 * destroys what a kill left of objects that were being written; so right after a login, before
 * this process makes session objects. */
kv_status kv_token_survey_take(kv_token_visit *visit, kv_token_survey *out,
                               kv_error *err) KV_MUST_USE;
void kv_token_survey_cleanup(kv_token_survey *survey);
