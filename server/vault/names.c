/* names.c - what names, versions and ids look like. */
#include "server/base/text.h"
#include "server/vault/vault_impl.h"

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name_byte(uint8_t c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-';
}

static bool all_name_bytes(kv_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!is_name_byte(name.data[i]))
            return false;
    return true;
}

kv_status kv_check_name(kv_slice name, const char *field, kv_error *err)
{
    if (!name.len)
        return kv_fail_field(err, field, "a name is required");
    if (name.len > KV_NAME_MAX || !all_name_bytes(name))
        return kv_fail_field(err, field, "a name is 1 to %d letters, digits and hyphens",
                             KV_NAME_MAX);
    return KV_OK;
}

static bool good_vault_hyphens(kv_slice name)
{
    for (size_t i = 0; i + 1 < name.len; i++)
        if (name.data[i] == '-' && name.data[i + 1] == '-')
            return false;
    return name.data[name.len - 1] != '-';
}

kv_status kv_check_vault_name(kv_slice name, kv_error *err)
{
    if (!name.len)
        return kv_fail_field(err, "vault", "the name of a vault is required");
    if (name.len < KV_VAULT_NAME_MIN || name.len > KV_VAULT_NAME_MAX || !all_name_bytes(name) ||
        !is_letter(name.data[0]) || !good_vault_hyphens(name))
        return kv_fail_field(
            err, "vault",
            "a vault's name is %d to %d letters, digits and single hyphens, starts "
            "with a letter and does not end with a hyphen",
            KV_VAULT_NAME_MIN, KV_VAULT_NAME_MAX);
    return KV_OK;
}

kv_status kv_check_version(kv_slice version, kv_error *err)
{
    bool good = version.len == KV_VERSION_DIGITS;

    for (size_t i = 0; good && i < version.len; i++) {
        uint8_t c = version.data[i];

        good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    }
    if (!good)
        return kv_fail_field(err, "version", "a version is %d lower-case hexadecimal digits",
                             KV_VERSION_DIGITS);
    return KV_OK;
}

kv_status kv_new_uid(kv_work *work, kv_slice *out, kv_error *err)
{
    uint8_t *uid = kv_arena_alloc(work->arena, KV_UID_BYTES);

    if (!uid)
        return kv_arena_full(err);
    if (!kv_random_id(uid, KV_UID_BYTES))
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    *out = kv_slice_of(uid, KV_UID_BYTES);
    return KV_OK;
}

kv_status kv_new_version(kv_work *work, kv_slice *out, kv_error *err)
{
    char *digits = kv_arena_alloc(work->arena, KV_VERSION_DIGITS + 1);
    kv_slice bytes;

    if (!digits)
        return kv_arena_full(err);
    KV_TRY(kv_new_uid(work, &bytes, err));
    kv_hex(bytes, digits);
    *out = kv_slice_of(digits, KV_VERSION_DIGITS);
    return KV_OK;
}

const char *kv_collection_name(kv_collection collection)
{
    static const char *const names[KV_COLLECTION_COUNT] = {
        [KV_COLLECTION_NONE] = "",
        [KV_COLLECTION_CERTIFICATES] = "certificates",
        [KV_COLLECTION_KEYS] = "keys",
        [KV_COLLECTION_SECRETS] = "secrets",
    };

    return collection < KV_COLLECTION_COUNT ? names[collection] : "";
}

const char *kv_collection_noun(kv_collection collection)
{
    static const char *const nouns[KV_COLLECTION_COUNT] = {
        [KV_COLLECTION_NONE] = "vault",
        [KV_COLLECTION_CERTIFICATES] = "certificate",
        [KV_COLLECTION_KEYS] = "key",
        [KV_COLLECTION_SECRETS] = "secret",
    };

    return collection < KV_COLLECTION_COUNT ? nouns[collection] : "object";
}
