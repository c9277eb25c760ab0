/* tls_key.c - the TLS identity on its own token, through libp11. */
#include "pkcs11/tls_key.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libp11.h>
#include <openssl/err.h>

#include "pkcs11/rv.h"
#include "pkcs11/token_files.h"
#include "pkcs11/token_uri.h"
#include "pkcs11/tokens_inside.h"

enum { TRIES = 8 }; /* of one life to find the key */

/* One life of libp11's view of the module; an old one is kept, because unloading it would finalise
 * the module for everybody. */
typedef struct life {
    PKCS11_CTX *context;
    PKCS11_SLOT *slots;
    unsigned slot_count;
    EVP_PKEY *key;
    bool loaded;
    uint_fast64_t generation; /* of the module when it was loaded */
    struct life *before;
} life;

struct kv_tls_key {
    char *path;
    char *uri;
    kv_secret_buf pin;
    bool pin_refused;
    int lock_fd;
    kv_token_files files;
    kv_module *module; /* borrowed from kv_tokens; NULL: nobody else uses it */
    life *now;
    life *vain;                      /* one of those before it that found no key; or NULL */
    unsigned vain_tries;             /* of that one */
    atomic_uint_fast64_t generation; /* of the module when `now` began */
};

static kv_status libp11_failed(kv_error *err, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    kv_fail(err, KV_UNAVAILABLE, "the token of the TLS key does not answer as it should");
    kv_because(err, KV_REASON_TOKEN_UNAVAILABLE);
    kv_note(err, "%s: %s", what, reason ? reason : "no reason given");
    ERR_clear_error();
    return err->status;
}

/* libp11 gives trimmed text; the URI matches Cryptoki's padded text. */
static void pad(const char *text, CK_UTF8CHAR *out, size_t len)
{
    size_t used = text ? strlen(text) : 0;

    memset(out, ' ', len);
    memcpy(out, text ? text : "", used < len ? used : len);
}

static bool matches(P11KitUri *uri, const PKCS11_TOKEN *token)
{
    CK_TOKEN_INFO info = { 0 };

    if (!token || !token->initialized)
        return false;
    pad(token->label, info.label, sizeof(info.label));
    pad(token->manufacturer, info.manufacturerID, sizeof(info.manufacturerID));
    pad(token->model, info.model, sizeof(info.model));
    pad(token->serialnr, info.serialNumber, sizeof(info.serialNumber));
    return p11_kit_uri_match_token_info(uri, &info);
}

static kv_status find_slot(life *l, P11KitUri *uri, PKCS11_SLOT **out, kv_error *err)
{
    unsigned found = 0;

    if (!l->slots && PKCS11_enumerate_slots(l->context, &l->slots, &l->slot_count) != 0)
        return libp11_failed(err, "PKCS11_enumerate_slots");
    for (unsigned i = 0; i < l->slot_count; i++) {
        if (!matches(uri, l->slots[i].token))
            continue;
        *out = &l->slots[i];
        found++;
    }
    if (found == 1)
        return KV_OK;
    return kv_fail_field(err, "uri",
                         found ? "several tokens match the URI" : "no token matches the URI");
}

static bool key_fits(P11KitUri *uri, const PKCS11_KEY *key)
{
    const CK_ATTRIBUTE *id = p11_kit_uri_get_attribute(uri, CKA_ID);
    const CK_ATTRIBUTE *label = p11_kit_uri_get_attribute(uri, CKA_LABEL);

    if (!key->isPrivate)
        return false;
    if (id && (id->ulValueLen != key->id_len || memcmp(id->pValue, key->id, key->id_len) != 0))
        return false;
    return !label || (key->label && strlen(key->label) == label->ulValueLen &&
                      !memcmp(label->pValue, key->label, label->ulValueLen));
}

static kv_status find_key(life *l, P11KitUri *uri, PKCS11_SLOT *slot, kv_error *err)
{
    PKCS11_KEY *keys = NULL, *fits = NULL;
    unsigned count = 0, found = 0;

    if (PKCS11_enumerate_keys(slot->token, &keys, &count) != 0)
        return libp11_failed(err, "PKCS11_enumerate_keys");
    for (unsigned i = 0; i < count; i++)
        if (key_fits(uri, &keys[i])) {
            fits = &keys[i];
            found++;
        }
    if (found != 1)
        return kv_fail(err, KV_NOT_FOUND, "%s key on the TLS token fits the URI",
                       found ? "more than one" : "no");
    l->key = PKCS11_get_private_key(fits);
    return l->key ? KV_OK : libp11_failed(err, "PKCS11_get_private_key");
}

static kv_status log_in(kv_tls_key *key, PKCS11_SLOT *slot, kv_error *err)
{
    assert(slot && slot->token);
    if (key->pin_refused)
        return kv_fail(err, KV_PRECONDITION, "the PIN of the TLS token was refused");
    KV_TRY(kv_token_files_find(&key->files, slot->token->serialnr, err));
    KV_TRY(kv_token_files_before_login(&key->files, err));
    /* Read-write and before the login: opening it later closes every session and with them the
     * login, which libp11 does not notice. */
    if (PKCS11_open_session(slot, 1) != 0)
        return libp11_failed(err, "PKCS11_open_session");
    if (PKCS11_login(slot, 0, (const char *)key->pin.data) != 0) {
        key->pin_refused = ERR_GET_REASON(ERR_peek_last_error()) == CKR_PIN_INCORRECT;
        if (!key->pin_refused)
            return libp11_failed(err, "PKCS11_login");
        ERR_clear_error();
        return kv_fail(err, KV_PRECONDITION, "the PIN of the TLS token was refused");
    }
    return kv_token_files_after_login(&key->files, err);
}

/* Our layer has initialised the module already; libp11 takes that as it is. Of an isolated module
 * it loads p11-kit's client, which makes a connection of its own to the same process. */
static kv_status load(kv_tls_key *key, life *l, kv_error *err)
{
    kv_isolated *isolated = key->module ? key->module->isolated : NULL;

    if (isolated)
        kv_isolated_address_begin(isolated);
    l->loaded = PKCS11_CTX_load(l->context, isolated ? kv_isolated_library() : key->path) == 0;
    if (isolated)
        kv_isolated_address_end();
    return l->loaded ? KV_OK : libp11_failed(err, "PKCS11_CTX_load");
}

static kv_status begin_life(kv_tls_key *key, life *l, kv_error *err)
{
    P11KitUri *uri = NULL;
    PKCS11_SLOT *slot = NULL;
    kv_status status;

    if (!l->context)
        l->context = PKCS11_CTX_new();
    if (!l->context)
        return kv_fail(err, KV_BUSY, "out of memory");
    if (!l->loaded)
        KV_TRY(load(key, l, err));
    KV_TRY(kv_token_uri_parse(key->uri, &uri, err));
    status = find_slot(l, uri, &slot, err);
    if (status == KV_OK)
        status = log_in(key, slot, err);
    if (status == KV_OK)
        status = find_key(l, uri, slot, err);
    p11_kit_uri_free(uri);
    return status;
}

/* Releasing slots closes everybody's sessions and unloading finalises the module, so this is for
 * when the module has been finalised or is nobody else's. */
static void end_lives(void *lives)
{
    life *l = lives;
    life *before;

    for (; l; l = before) {
        before = l->before;
        EVP_PKEY_free(l->key);
        if (l->slots)
            PKCS11_release_all_slots(l->context, l->slots, l->slot_count);
        if (l->loaded)
            PKCS11_CTX_unload(l->context);
        if (l->context)
            PKCS11_CTX_free(l->context);
        free(l);
    }
    ERR_clear_error();
}

/* The process of an isolated module has ended, and each life has a connection to it that is of no
 * use any more. Keys may still be held by contexts of connections, so lives that have one stay. */
static void hang_up(void *context)
{
    kv_tls_key *key = context;

    key->vain = NULL;
    for (life **at = &key->now; *at;) {
        life *l = *at;

        if (l->loaded)
            PKCS11_CTX_unload(l->context);
        l->loaded = false;
        if (l->key || l == key->now) {
            at = &l->before;
            continue;
        }
        *at = l->before;
        l->before = NULL;
        end_lives(l);
    }
    ERR_clear_error();
}

/* A life that found no key is tried again while the module goes on: each new one would keep another
 * connection to it. Not for ever, for it may be the connection that is broken. */
static life *next_life(kv_tls_key *key)
{
    uint_fast64_t generation = key->module ? atomic_load(&key->module->generation) : 0;
    life *l;

    if (key->vain && key->vain->loaded && key->vain->generation == generation &&
        key->vain_tries++ < TRIES)
        return key->vain;
    l = calloc(1, sizeof(*l));
    if (l)
        l->generation = generation;
    return l;
}

static void unlink_vain(kv_tls_key *key)
{
    for (life *at = key->now; at; at = at->before)
        if (at->before == key->vain)
            at->before = key->vain->before;
    key->vain = NULL;
}

static kv_status live_again(kv_tls_key *key, kv_error *err)
{
    life *l = next_life(key);
    kv_status status;

    if (!l)
        return kv_fail(err, KV_BUSY, "out of memory");
    status = begin_life(key, l, err);
    if (l == key->vain) {
        if (status != KV_OK)
            return status;
        unlink_vain(key);
    }
    if (!l->loaded && key->now) {
        end_lives(l);
        return status;
    }
    if (status == KV_OK || !key->now) {
        l->before = key->now;
        key->now = l;
    } else {
        l->before = key->now->before;
        key->now->before = l;
        key->vain = l;
        key->vain_tries = 1;
    }
    if (status == KV_OK && key->module)
        atomic_store(&key->generation, atomic_load(&key->module->generation));
    return status;
}

/* Our layer does not see libp11's calls. */
static kv_status enter(kv_tls_key *key, kv_error *err)
{
    if (!key->module)
        return KV_OK;
    KV_TRY(kv_module_enter(key->module, err));
    if (key->module->isolated)
        kv_isolated_call_begin(key->module->isolated);
    return KV_OK;
}

static void leave(kv_tls_key *key)
{
    if (!key->module)
        return;
    if (key->module->isolated)
        kv_isolated_call_end(key->module->isolated);
    kv_module_leave(key->module);
}

static kv_status in_module(kv_tls_key *key, kv_error *err)
{
    kv_status status;

    KV_TRY(enter(key, err));
    status = live_again(key, err);
    if (status == KV_OK && key->module) {
        key->module->stopped_context = key;
        key->module->stopped = hang_up;
    }
    leave(key);
    return status;
}

static kv_status fill(kv_tls_key *key, const kv_tls_key_config *config, kv_error *err)
{
    unsigned restored = 0;

    if (!config->module || !config->uri || !config->pin)
        return kv_fail_field(err, "token.tls", "module, uri and PIN are needed");
    key->path = strdup(config->module);
    key->uri = strdup(config->uri);
    if (!key->path || !key->uri)
        return kv_fail(err, KV_BUSY, "out of memory");
    KV_TRY(kv_secret_buf_copy(kv_secret_buf_slice(config->pin), &key->pin, err));
    KV_TRY(kv_token_files_open(config->files_dir, config->backup_dir, &key->files, err));
    if (config->lock_path)
        KV_TRY(kv_token_lock(config->lock_path, &key->lock_fd, err));
    /* SoftHSM reads its folders when it is initialised, which our tokens may have done already. */
    return key->module ? KV_OK : kv_token_files_restore(&key->files, &restored, err);
}

static void free_key(kv_tls_key *key)
{
    end_lives(key->now);
    kv_token_files_cleanup(&key->files);
    kv_secret_buf_cleanup(&key->pin);
    if (key->lock_fd >= 0)
        (void)close(key->lock_fd);
    free(key->path);
    free(key->uri);
    free(key);
}

kv_status kv_tls_key_open(const kv_tls_key_config *config, kv_tokens *tokens, kv_tls_key **out,
                          kv_error *err)
{
    kv_tls_key *key = calloc(1, sizeof(*key));
    kv_status status;

    if (!key)
        return kv_fail(err, KV_BUSY, "out of memory");
    key->lock_fd = -1;
    key->files = KV_TOKEN_FILES_NONE;
    key->module = tokens && config->module ? kv_tokens_module(tokens, config->module) : NULL;
    status = fill(key, config, err);
    if (status == KV_OK)
        status = in_module(key, err);
    if (status != KV_OK) {
        if (key->module) {
            kv_tokens_bury(tokens, end_lives, key->now);
            key->now = NULL;
        }
        free_key(key);
        return status;
    }
    *out = key;
    return KV_OK;
}

void kv_tls_key_close(kv_tls_key *key)
{
    if (key)
        free_key(key);
}

EVP_PKEY *kv_tls_key_get(kv_tls_key *key)
{
    return key->now->key;
}

bool kv_tls_key_stale(const kv_tls_key *key)
{
    return key->module && atomic_load(&key->generation) != atomic_load(&key->module->generation);
}

kv_status kv_tls_key_reload(kv_tls_key *key, kv_error *err)
{
    return in_module(key, err);
}

kv_status kv_tls_key_enter(kv_tls_key *key, kv_error *err)
{
    KV_TRY(enter(key, err));
    if (!kv_tls_key_stale(key))
        return KV_OK;
    leave(key);
    return kv_module_unavailable(err);
}

void kv_tls_key_leave(kv_tls_key *key)
{
    leave(key);
}
