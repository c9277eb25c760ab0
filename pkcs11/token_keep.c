/* token_keep.c - the files of all tokens of a configuration, whole and with room for a login. */
#include "pkcs11/token_keep.h"

#include <stdlib.h>

#include "pkcs11/token_files.h"

struct kv_token_keep {
    kv_log *log; /* borrowed */
    size_t count;
    struct {
        kv_duty duty;
        kv_token_files files;
    } tokens[];
};

static const char *const duty_names[KV_DUTY_COUNT] = {
    [KV_DUTY_KEYS] = "keys",
    [KV_DUTY_CA] = "ca",
    [KV_DUTY_SYSTEM] = "system",
    [KV_DUTY_TLS] = "tls",
};

kv_status kv_token_keep_new(const kv_token_config *configs, size_t count, kv_log *log,
                            kv_token_keep **out, kv_error *err)
{
    kv_token_keep *keep = calloc(1, sizeof(*keep) + count * sizeof(keep->tokens[0]));
    kv_status status = KV_OK;

    if (!keep)
        return kv_fail(err, KV_BUSY, "out of memory");
    keep->log = log;
    for (; status == KV_OK && keep->count < count; keep->count++) {
        const kv_token_config *config = &configs[keep->count];

        keep->tokens[keep->count].duty = config->duty;
        keep->tokens[keep->count].files = KV_TOKEN_FILES_NONE;
        status = kv_token_files_open(config->files_dir, config->backup_dir,
                                     &keep->tokens[keep->count].files, err);
    }
    if (status == KV_OK)
        *out = keep;
    else
        kv_token_keep_free(keep);
    return status;
}

void kv_token_keep_free(kv_token_keep *keep)
{
    if (!keep)
        return;
    for (size_t i = 0; i < keep->count; i++)
        kv_token_files_cleanup(&keep->tokens[i].files);
    free(keep);
}

kv_status kv_token_keep_restore(kv_token_keep *keep, kv_error *err)
{
    kv_status first = KV_OK;

    for (size_t i = 0; i < keep->count; i++) {
        unsigned restored = 0;
        kv_error why = { 0 };
        kv_status status = kv_token_files_restore(&keep->tokens[i].files, &restored, &why);

        if (status != KV_OK || restored)
            kv_log_write(keep->log, KV_LOG_WARNING, "token.restored",
                         (kv_log_field[]){ { "token", duty_names[keep->tokens[i].duty], 0 },
                                           { "files", NULL, restored },
                                           { "detail", why.detail, 0 },
                                           { 0 } });
        if (first == KV_OK && status != KV_OK) {
            first = status;
            *err = why;
        }
    }
    return first;
}

bool kv_token_keep_has_room(const kv_token_keep *keep)
{
    for (size_t i = 0; i < keep->count; i++) {
        kv_error ignored = { 0 };

        if (kv_token_files_have_room(&keep->tokens[i].files, &ignored) != KV_OK)
            return false;
    }
    return true;
}
