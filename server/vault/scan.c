/* scan.c - the tokens' view of our keys against ours.
 *
 * Keys come and go meanwhile, so what looks wrong is looked at again before it is told: a row whose
 * key was not seen is asked for, and has to be there still; a key without a row, or not as its row
 * says, has to be so at a second reading.
 */
#include "server/vault/scan.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/base/hash.h"
#include "server/base/text.h"
#include "server/vault/own_step.h"

/* A key that some token of ours has. */
typedef struct seen_key {
    UT_hash_handle hh;
    uint8_t id[KV_KEY_ID_BYTES];
    kv_duty duty;
    kv_key_class class;
    char label[KV_KEY_LABEL_MAX + 1];
    bool extractable;
    bool known; /* a row names it */
    bool ready; /* and says that it is whole, and of this class: */
    kv_key_class row_class;
    bool still; /* at the second reading */
} seen_key;

typedef struct scan {
    kv_vault *vault;
    const kv_work *work;
    kv_scan_how *how;
    seen_key *keys;
    kv_duty duty;
    bool doubts; /* something looks wrong */
    bool again;  /* this is the second reading */
} scan;

static const char *const words[KV_FINDING_KINDS] = {
    [KV_FINDING_UNKNOWN] = "unknown",
    [KV_FINDING_MISSING] = "missing",
    [KV_FINDING_DIFFERS] = "differs",
    [KV_FINDING_EXTRACTABLE] = "extractable",
    [KV_FINDING_OTHER_CLASS] = "other_class",
    [KV_FINDING_OTHER_KEY] = "other_key",
    [KV_FINDING_TWICE] = "twice",
    [KV_FINDING_NO_ID] = "no_id",
};

const char *kv_finding_word(kv_finding_kind kind)
{
    return words[kind];
}

static void tell(const scan *at, kv_finding_kind kind, const uint8_t *id, const char *label,
                 const char *attribute)
{
    kv_finding found = { .kind = kind, .duty = at->duty, .attribute = attribute };
    char event[32];

    if (id)
        kv_hex(kv_slice_of(id, KV_KEY_ID_BYTES), found.id);
    (void)snprintf(found.label, sizeof(found.label), "%s", label);
    (void)snprintf(event, sizeof(event), "token.key.%s", words[kind]);
    kv_log_write(at->vault->config.log, kind == KV_FINDING_UNKNOWN ? KV_LOG_WARNING : KV_LOG_ERROR,
                 event,
                 (kv_log_field[]){ { "id", found.id, 0 },
                                   { "label", found.label, 0 },
                                   { "attribute", attribute, 0 },
                                   { 0 } });
    at->how->found[kind]++;
    if (at->how->visit)
        at->how->visit(at->how->context, &found);
}

static kv_status go_on(const scan *at, kv_error *err)
{
    if (atomic_load(&at->vault->stopping))
        return kv_fail(err, KV_CANCELLED, "the server stops");
    if (kv_deadline_passed(at->work->deadline))
        return kv_fail(err, KV_TIMEOUT, "not all keys could be looked at in time");
    return KV_OK;
}

static seen_key *find(const scan *at, const uint8_t *id)
{
    seen_key *seen = NULL;

    HASH_FIND(hh, at->keys, id, KV_KEY_ID_BYTES, seen);
    return seen;
}

static kv_status add(scan *at, const kv_key_seen *key, kv_error *err)
{
    seen_key *seen = calloc(1, sizeof(*seen));

    if (!seen)
        return kv_fail(err, KV_BUSY, "out of memory");
    memcpy(seen->id, key->id, sizeof(seen->id));
    memcpy(seen->label, key->label, sizeof(seen->label));
    seen->duty = at->duty;
    seen->class = key->class;
    seen->extractable = key->extractable;
    HASH_ADD(hh, at->keys, id, KV_KEY_ID_BYTES, seen);
    if (KV_HASH_HAS(seen))
        return KV_OK;
    free(seen);
    return kv_fail(err, KV_BUSY, "out of memory");
}

static kv_status see(void *context, const kv_key_seen *key, kv_error *err)
{
    scan *at = context;
    seen_key *before;

    KV_TRY(go_on(at, err));
    at->how->seen += !at->again;
    before = key->has_id ? find(at, key->id) : NULL;
    if (at->again) {
        if (before && before->duty == at->duty) {
            before->still = true;
            before->extractable = key->extractable;
            before->class = key->class;
        }
        return KV_OK;
    }
    if (!key->has_id) {
        tell(at, KV_FINDING_NO_ID, NULL, key->label, "");
        return KV_OK;
    }
    if (*key->differs)
        tell(at, KV_FINDING_DIFFERS, key->id, key->label, key->differs);
    /* Two duties may share one token. */
    if (before && before->duty == at->duty)
        tell(at, KV_FINDING_TWICE, key->id, key->label, "");
    return before ? KV_OK : add(at, key, err);
}

static kv_status read_tokens(scan *at, kv_error *err)
{
    for (int duty = KV_DUTY_KEYS; duty <= KV_DUTY_SYSTEM; duty++) {
        kv_token *token = kv_tokens_get(at->vault->config.tokens, (kv_duty)duty);

        at->duty = (kv_duty)duty;
        if (token)
            KV_TRY(kv_token_key_list(token, see, at, err));
    }
    return KV_OK;
}

static kv_key_class class_of(kv_slice name)
{
    for (int class = KV_CLASS_NONE; class < KV_CLASS_COUNT; class ++)
        if (kv_slice_equal(name, kv_class_name((kv_key_class) class)))
            return (kv_key_class) class;
    return KV_CLASS_NONE;
}

/* A key goes only after its row says so. */
static kv_status still_ready(const scan *at, const kv_token_object_row *row, kv_arena *arena,
                             bool *ready, kv_error *err)
{
    kv_token_object_row now = { .key_id = row->key_id };
    kv_status status =
        kv_records_get(at->vault->config.records, &kv_table_token_objects, &now, arena, err);

    if (status != KV_OK && status != KV_NOT_FOUND)
        return status;
    *err = (kv_error){ 0 };
    *ready = status == KV_OK && kv_slice_equal(now.state, KV_SLICE("ready"));
    return KV_OK;
}

/* The key itself is asked: is it there, and is it the one? */
static kv_status prove(scan *at, const kv_token_object_row *row, const char *label, kv_arena *arena,
                       kv_error *err)
{
    kv_token *token = kv_tokens_get(at->vault->config.tokens, (kv_duty)row->duty);
    kv_key_ref ref = { .class = class_of(row->class), .spki = row->spki };
    kv_finding_kind kind = KV_FINDING_MISSING;
    bool ready = false;
    kv_status status;

    if (!token)
        return KV_OK;
    memcpy(ref.id, row->key_id.data, sizeof(ref.id));
    status = kv_token_key_check(token, &ref, err);
    if (status == KV_INTERNAL && err->reason == KV_REASON_INTEGRITY)
        kind = KV_FINDING_OTHER_KEY;
    else if (status != KV_NOT_FOUND)
        return status;
    KV_TRY(still_ready(at, row, arena, &ready, err));
    if (ready)
        tell(at, kind, ref.id, label, "");
    return KV_OK;
}

static kv_status match_key(kv_vault *vault, kv_own_step *step, void *row, void *context,
                           kv_error *err)
{
    const kv_token_object_row *key = row;
    scan *at = context;
    seen_key *seen;

    (void)vault;
    KV_TRY(go_on(at, err));
    if (key->key_id.len != KV_KEY_ID_BYTES)
        return KV_OK;
    at->duty = (kv_duty)key->duty;
    seen = find(at, key->key_id.data);
    if (seen)
        seen->known = true;
    if (!kv_slice_equal(key->state, KV_SLICE("ready")))
        return KV_OK;
    if (seen) {
        seen->ready = true;
        seen->row_class = class_of(key->class);
        at->doubts = at->doubts || seen->extractable || seen->class != seen->row_class;
    }
    if (!seen || (at->how->prove && key->spki.len))
        return prove(at, key, seen ? seen->label : "", &step->arena, err);
    return KV_OK;
}

static kv_status match_signer(kv_vault *vault, kv_own_step *step, void *row, void *context,
                              kv_error *err)
{
    const kv_signer_row *signer = row;
    scan *at = context;
    seen_key *seen = signer->key_id.len == KV_KEY_ID_BYTES ? find(at, signer->key_id.data) : NULL;

    (void)vault;
    (void)step;
    (void)err;
    at->duty = KV_DUTY_SYSTEM;
    if (seen)
        seen->known = true;
    if (seen && seen->extractable)
        tell(at, KV_FINDING_EXTRACTABLE, seen->id, seen->label, "CKA_EXTRACTABLE");
    if (!seen && signer->key_id.len == KV_KEY_ID_BYTES)
        tell(at, KV_FINDING_MISSING, signer->key_id.data, "", "");
    return KV_OK;
}

static void tell_doubts(scan *at, const seen_key *key)
{
    at->duty = key->duty;
    if (!key->known)
        tell(at, KV_FINDING_UNKNOWN, key->id, key->label, "");
    if (key->ready && key->extractable)
        tell(at, KV_FINDING_EXTRACTABLE, key->id, key->label, "CKA_EXTRACTABLE");
    if (key->ready && key->class != key->row_class)
        tell(at, KV_FINDING_OTHER_CLASS, key->id, key->label, "CKA_ALLOWED_MECHANISMS");
}

static kv_status look_again(scan *at, kv_error *err)
{
    seen_key *key;
    seen_key *next;

    HASH_ITER (hh, at->keys, key, next)
        at->doubts = at->doubts || !key->known;
    if (!at->doubts)
        return KV_OK;
    at->again = true;
    KV_TRY(read_tokens(at, err));
    HASH_ITER (hh, at->keys, key, next)
        if (key->still)
            tell_doubts(at, key);
    return KV_OK;
}

static kv_status run(scan *at, kv_error *err)
{
    KV_TRY(read_tokens(at, err));
    KV_TRY(kv_each_row(at->vault, &kv_table_token_objects, match_key, at, err));
    KV_TRY(kv_each_row(at->vault, &kv_table_signers, match_signer, at, err));
    return look_again(at, err);
}

kv_status kv_vault_scan(kv_vault *vault, kv_work *work, kv_scan_how *how, kv_error *err)
{
    scan at = { .vault = vault, .work = work, .how = how };
    kv_status status;
    seen_key *key;
    seen_key *next;

    how->seen = 0;
    memset(how->found, 0, sizeof(how->found));
    status = run(&at, err);
    HASH_ITER (hh, at.keys, key, next) {
        HASH_DEL(at.keys, key);
        free(key);
    }
    return status;
}
