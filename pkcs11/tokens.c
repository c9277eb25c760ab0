/* tokens.c - opens the tokens of a configuration, shares modules between them, closes them. */
#include "pkcs11/tokens.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pkcs11/supervisor.h"
#include "pkcs11/token.h"
#include "pkcs11/token_keep.h"
#include "pkcs11/token_uri.h"

enum { PROBE_MS = 1000, HANG_MS = 30000, NAME_BYTES = 24 };

/* One module with its tokens and their supervisor. */
typedef struct house {
    kv_module *module;
    kv_token **tokens; /* room for all configurations */
    size_t count;
    bool unwatched;
    kv_supervisor *supervisor;
} house;

struct kv_tokens {
    kv_token_keep *keep;
    kv_token *by_duty[KV_DUTY_COUNT]; /* borrowed from houses */
    house *houses;                    /* room for all configurations */
    size_t house_count;
};

static void free_token(kv_token *token)
{
    if (!token)
        return;
    kv_token_sessions_free(token);
    kv_token_index_free(&token->index);
    kv_token_files_cleanup(&token->files);
    kv_secret_buf_cleanup(&token->pin);
    pthread_mutex_destroy(&token->owner_lock);
    pthread_mutex_destroy(&token->anchor_lock);
    if (token->lock_fd >= 0)
        (void)close(token->lock_fd);
    free(token->mechanisms);
    free(token->uri);
    free(token);
}

/* What cannot be copied shows as an error; free_token takes any state after the sessions. */
static kv_status fill_token(kv_token *token, const kv_token_config *config, kv_error *err)
{
    token->exclusive = config->exclusive;
    token->probe_ms = config->probe_ms ? config->probe_ms : PROBE_MS;
    token->hang_ms = config->hang_ms ? config->hang_ms : HANG_MS;
    token->uri = strdup(config->uri);
    if (!token->uri)
        return kv_fail(err, KV_BUSY, "out of memory");
    KV_TRY(kv_secret_buf_copy(kv_secret_buf_slice(config->pin), &token->pin, err));
    KV_TRY(kv_token_files_open(config->files_dir, config->backup_dir, &token->files, err));
    return config->lock_path ? kv_token_lock(config->lock_path, &token->lock_fd, err) : KV_OK;
}

static kv_status new_token(const kv_token_config *config, kv_module *module, kv_log *log,
                           kv_token **out, kv_error *err)
{
    kv_token *token = calloc(1, sizeof(*token));
    kv_status status;

    if (!token)
        return kv_fail(err, KV_BUSY, "out of memory");
    *token = (kv_token){ .module = module,
                         .log = log,
                         .lock_fd = -1,
                         .files = KV_TOKEN_FILES_NONE,
                         .state = KV_TOKEN_UP };
    status = kv_token_sessions_new(token, err);
    if (status != KV_OK) {
        free(token);
        return status;
    }
    pthread_mutex_init(&token->owner_lock, NULL);
    pthread_mutex_init(&token->anchor_lock, NULL);
    kv_token_index_init(&token->index);
    status = fill_token(token, config, err);
    if (status != KV_OK) {
        free_token(token);
        return status;
    }
    *out = token;
    return KV_OK;
}

static house *find_house(const kv_tokens *tokens, const kv_token_config *config)
{
    for (size_t i = 0; i < tokens->house_count; i++) {
        const kv_module *module = tokens->houses[i].module;

        if (config->functions ? module->functions == config->functions
                              : config->module && !strcmp(module->path, config->module))
            return &tokens->houses[i];
    }
    return NULL;
}

/* A slow token must not have its process killed for what a quicker one would not do. */
static unsigned longest_hang_ms(const kv_token_config *configs, size_t count, const char *module)
{
    unsigned longest = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned ms = configs[i].hang_ms ? configs[i].hang_ms : HANG_MS;

        if (configs[i].module && !strcmp(configs[i].module, module) && ms > longest)
            longest = ms;
    }
    return longest;
}

static kv_status new_module(const kv_token_config *configs, size_t count,
                            const kv_token_config *config, kv_log *log, kv_module **out,
                            kv_error *err)
{
    if (!config->isolated || config->functions || !config->module)
        return kv_module_new(config->module, config->functions, out, err);
    return kv_module_new_isolated(
        &(kv_isolated_config){ .module = config->module,
                               .program = config->isolated,
                               .folder = config->isolated_folder,
                               .environment = config->isolated_environment,
                               .hang_ms = longest_hang_ms(configs, count, config->module),
                               .log = log },
        out, err);
}

/* Brings the files in order, then loads and initialises the module of a configuration. */
static kv_status new_house(kv_tokens *tokens, const kv_token_config *configs, size_t count,
                           const kv_token_config *config, kv_log *log, house **out, kv_error *err)
{
    house *h = &tokens->houses[tokens->house_count];

    KV_TRY(new_module(configs, count, config, log, &h->module, err));
    tokens->house_count++;
    h->unwatched = config->unwatched;
    h->tokens = calloc(count, sizeof(*h->tokens));
    if (!h->tokens)
        return kv_fail(err, KV_BUSY, "out of memory");
    KV_TRY(kv_token_keep_restore(tokens->keep, err));
    KV_TRY(kv_module_start(h->module, err));
    *out = h;
    return KV_OK;
}

/* A token of this house that the URI names too; *out stays NULL when it is a new one. */
static kv_status same_token(const house *h, const char *uri, kv_token **out, kv_error *err)
{
    CK_SLOT_ID slot = 0;
    CK_TOKEN_INFO info;

    KV_TRY(kv_token_uri_slot(h->module->functions, uri, &slot, &info, err));
    for (size_t i = 0; i < h->count; i++) {
        assert(h->tokens[i]);
        if (h->tokens[i]->slot == slot)
            *out = h->tokens[i];
    }
    return KV_OK;
}

static kv_status check(const kv_tokens *tokens, const kv_token_config *config, kv_error *err)
{
    if ((unsigned)config->duty >= KV_DUTY_COUNT || tokens->by_duty[config->duty])
        return kv_fail_field(err, "duty", "each duty has one token");
    if (!config->pin)
        return kv_fail_field(err, "pin", "a PIN is needed");
    if (!config->uri)
        return kv_fail_field(err, "uri", "a token is named by a PKCS#11 URI");
    return KV_OK;
}

static kv_status open_one(kv_tokens *tokens, const kv_token_config *configs, size_t count,
                          const kv_token_config *config, kv_log *log, kv_error *err)
{
    house *h = find_house(tokens, config);
    kv_token *token = NULL;

    KV_TRY(check(tokens, config, err));
    if (!h)
        KV_TRY(new_house(tokens, configs, count, config, log, &h, err));
    KV_TRY(same_token(h, config->uri, &token, err));
    if (!token) {
        KV_TRY(new_token(config, h->module, log, &token, err));
        h->tokens[h->count++] = token;
        KV_TRY(kv_token_start(token, err));
    }
    tokens->by_duty[config->duty] = token;
    return KV_OK;
}

static kv_status open_all(kv_tokens *tokens, const kv_token_config *configs, size_t count,
                          kv_log *log, kv_error *err)
{
    KV_TRY(kv_token_keep_new(configs, count, log, &tokens->keep, err));
    for (size_t i = 0; i < count; i++)
        if (!configs[i].files_only)
            KV_TRY(open_one(tokens, configs, count, &configs[i], log, err));
    for (size_t i = 0; i < tokens->house_count; i++) {
        house *h = &tokens->houses[i];

        KV_TRY(kv_supervisor_new(h->module, h->tokens, h->count, tokens->keep, !h->unwatched,
                                 &h->supervisor, err));
    }
    return KV_OK;
}

kv_status kv_tokens_open(const kv_token_config *configs, size_t count, kv_log *log, kv_tokens **out,
                         kv_error *err)
{
    kv_tokens *tokens = calloc(1, sizeof(*tokens));
    kv_status status = KV_OK;

    if (tokens)
        tokens->houses = calloc(count + 1, sizeof(*tokens->houses));
    if (!tokens || !tokens->houses)
        status = kv_fail(err, KV_BUSY, "out of memory");
    else
        status = open_all(tokens, configs, count, log, err);
    if (status != KV_OK) {
        kv_tokens_close(tokens);
        return status;
    }
    *out = tokens;
    return KV_OK;
}

static void close_house(house *h)
{
    kv_supervisor_free(h->supervisor);
    for (size_t i = 0; i < h->count; i++) {
        kv_token *token = h->tokens[i];

        assert(token);
        if (h->module->initialised && token->owner != CK_INVALID_HANDLE)
            (void)h->module->functions->C_CloseSession(token->owner);
        if (h->module->initialised && token->guard != CK_INVALID_HANDLE)
            (void)h->module->functions->C_CloseSession(token->guard);
        free_token(token);
    }
    free(h->tokens);
    kv_module_free(h->module);
}

void kv_tokens_close(kv_tokens *tokens)
{
    if (!tokens)
        return;
    for (size_t i = 0; i < tokens->house_count; i++)
        close_house(&tokens->houses[i]);
    kv_token_keep_free(tokens->keep);
    free(tokens->houses);
    free(tokens);
}

kv_token *kv_tokens_get(const kv_tokens *tokens, kv_duty duty)
{
    return (unsigned)duty < KV_DUTY_COUNT ? tokens->by_duty[duty] : NULL;
}

const char *kv_token_label(const kv_token *token)
{
    return token->label;
}

const char *kv_token_serial(const kv_token *token)
{
    return token->serial;
}

kv_token_state kv_token_state_of(const kv_token *token)
{
    return (kv_token_state)atomic_load(&token->state);
}

kv_status kv_token_recover(kv_token *token, unsigned wait_ms, kv_error *err)
{
    return kv_supervisor_recover(token->watch, wait_ms, err);
}

bool kv_token_supports(const kv_token *token, unsigned long ckm)
{
    for (CK_ULONG i = 0; i < token->mechanism_count; i++)
        if (token->mechanisms[i] == ckm)
            return true;
    return false;
}

static const struct {
    CK_MECHANISM_TYPE type;
    const char *name;
} mechanism_names[] = {
    { CKM_RSA_PKCS_KEY_PAIR_GEN, "CKM_RSA_PKCS_KEY_PAIR_GEN" },
    { CKM_RSA_PKCS, "CKM_RSA_PKCS" },
    { CKM_RSA_PKCS_PSS, "CKM_RSA_PKCS_PSS" },
    { CKM_EC_KEY_PAIR_GEN, "CKM_EC_KEY_PAIR_GEN" },
    { CKM_ECDSA, "CKM_ECDSA" },
    { CKM_AES_KEY_GEN, "CKM_AES_KEY_GEN" },
    { CKM_AES_GCM, "CKM_AES_GCM" },
    { CKM_AES_KEY_WRAP_PAD, "CKM_AES_KEY_WRAP_PAD" },
    { CKM_GENERIC_SECRET_KEY_GEN, "CKM_GENERIC_SECRET_KEY_GEN" },
    { CKM_SHA256_HMAC, "CKM_SHA256_HMAC" },
};

kv_status kv_token_require(const kv_token *token, unsigned long ckm, kv_error *err)
{
    char number[NAME_BYTES];
    const char *name = number;

    if (kv_token_supports(token, ckm))
        return KV_OK;
    (void)snprintf(number, sizeof(number), "mechanism 0x%lx", ckm);
    for (size_t i = 0; i < KV_COUNT(mechanism_names); i++)
        if (mechanism_names[i].type == ckm)
            name = mechanism_names[i].name;
    kv_fail(err, KV_UNSUPPORTED, "%s is not supported by token '%s'", name, token->label);
    return kv_because(err, KV_REASON_NOT_SUPPORTED_BY_TOKEN);
}
