/* values.c - tags, attributes, ids and pages. */
#include "server/vault/values.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "server/vault/vault_impl.h"

enum { TOKEN_MAX = KV_NAME_MAX };

static const int64_t latest_ms = INT64_C(253402300799) * 1000;

static kv_status check_tag(const kv_tags *tags, size_t at, kv_error *err)
{
    const kv_tag *tag = &tags->items[at];
    char field[64];

    (void)snprintf(field, sizeof(field), "tags[%zu].name", at);
    if (!tag->name.len || tag->name.len > KV_TAG_NAME_MAX)
        return kv_fail_field(err, field, "a tag's name has 1 to %d bytes", KV_TAG_NAME_MAX);
    for (size_t i = 0; i < at; i++)
        if (kv_slice_equal(tags->items[i].name, tag->name))
            return kv_fail_field(err, field, "this tag is given twice");
    (void)snprintf(field, sizeof(field), "tags[%zu].value", at);
    if (tag->value.len > KV_TAG_VALUE_MAX)
        return kv_fail_field(err, field, "a tag's value has at most %d bytes", KV_TAG_VALUE_MAX);
    return KV_OK;
}

kv_status kv_tags_check(const kv_tags *tags, kv_error *err)
{
    if (tags->count > KV_TAGS_MAX)
        return kv_fail_field(err, "tags", "an object has at most %d tags", KV_TAGS_MAX);
    for (size_t i = 0; i < tags->count; i++)
        KV_TRY(check_tag(tags, i, err));
    return KV_OK;
}

kv_status kv_tags_store(kv_work *work, const kv_tags *tags, kv_slice *out, kv_error *err)
{
    json_t *object = json_object();
    char name[KV_TAG_NAME_MAX + 1];
    char *text = NULL;
    kv_status status;
    bool built = object != NULL;

    for (size_t i = 0; built && i < tags->count; i++) {
        const kv_tag *tag = &tags->items[i];

        memcpy(name, tag->name.data, tag->name.len);
        name[tag->name.len] = '\0';
        built = json_object_set_new(
                    object, name, json_stringn((const char *)tag->value.data, tag->value.len)) == 0;
    }
    if (built)
        text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    status = text ? kv_arena_copy(work->arena, kv_slice_text(text), out, err)
                  : kv_fail(err, KV_BUSY, "out of memory");
    free(text);
    json_decref(object);
    return status;
}

static kv_status copy_tag(kv_work *work, const char *name, json_t *value, kv_tag *out,
                          kv_error *err)
{
    KV_TRY(kv_arena_copy(work->arena, kv_slice_text(name), &out->name, err));
    return kv_arena_copy(work->arena,
                         kv_slice_of(json_string_value(value), json_string_length(value)),
                         &out->value, err);
}

static kv_status copy_tags(kv_work *work, json_t *object, kv_tags *out, kv_error *err)
{
    kv_tag *items = kv_arena_array(work->arena, json_object_size(object), sizeof(*items));
    const char *name;
    json_t *value;
    size_t count = 0;

    if (!items)
        return kv_arena_full(err);
    json_object_foreach(object, name, value)
        KV_TRY(copy_tag(work, name, value, &items[count++], err));
    *out = (kv_tags){ .given = true, .items = items, .count = count };
    return KV_OK;
}

kv_status kv_tags_load(kv_work *work, kv_slice stored, kv_tags *out, kv_error *err)
{
    json_t *object;
    kv_status status;

    *out = (kv_tags){ 0 };
    if (!stored.len)
        return KV_OK;
    object = json_loadb((const char *)stored.data, stored.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return kv_fail(err, KV_INTERNAL, "stored tags are not a JSON object");
    }
    status = copy_tags(work, object, out, err);
    json_decref(object);
    return status;
}

static kv_status check_time(int64_t at, const char *field, kv_error *err)
{
    if (at < 0 || at > latest_ms)
        return kv_fail_field(err, field, "a time is between 1970 and the end of the year 9999");
    return KV_OK;
}

kv_status kv_life_take(const kv_attributes_in *in, kv_life *life, kv_error *err)
{
    kv_life taken = *life;

    if (in->has_enabled)
        taken.enabled = in->enabled;
    if (in->has_not_before)
        taken.not_before = in->not_before;
    if (in->has_expires)
        taken.expires = in->expires;
    KV_TRY(check_time(taken.not_before, "attributes.not_before", err));
    KV_TRY(check_time(taken.expires, "attributes.expires", err));
    if (taken.expires && taken.expires <= taken.not_before)
        return kv_fail_field(err, "attributes.expires", "expires must be after not_before");
    *life = taken;
    return KV_OK;
}

static kv_slice recovery_level(const kv_vault_row *vault)
{
    bool custom = vault->retention_days != KV_RETENTION_MAX_DAYS;

    if (vault->purge_protection)
        return custom ? KV_SLICE("CustomizedRecoverable") : KV_SLICE("Recoverable");
    return custom ? KV_SLICE("CustomizedRecoverable+Purgeable") : KV_SLICE("Recoverable+Purgeable");
}

kv_attributes kv_attributes_of(const kv_vault_row *vault, const kv_life *life, int64_t created,
                               int64_t updated)
{
    return (kv_attributes){
        .enabled = life->enabled != 0,
        .not_before = life->not_before,
        .expires = life->expires,
        .created = created,
        .updated = updated,
        .recovery_level = recovery_level(vault),
        .recoverable_days = (uint32_t)vault->retention_days,
    };
}

kv_deletion kv_deletion_of(const kv_object_row *object)
{
    return (kv_deletion){ .deleted_date = object->deleted,
                          .scheduled_purge_date = object->purge_at };
}

kv_object_id kv_id_of(const kv_vault_row *vault, const kv_object_row *object, kv_slice version)
{
    return (kv_object_id){ .vault = vault->display_name,
                           .name = object->display_name,
                           .version = version };
}

kv_status kv_page_refused(kv_error *err)
{
    return kv_fail_field(err, "page_token", "this is not a page token of this list");
}

kv_status kv_page_check(const kv_page *page, unsigned *size, kv_error *err)
{
    if (page->size > KV_PAGE_MAX)
        return kv_fail_field(err, "page_size", "a page has at most %d items", KV_PAGE_MAX);
    if (page->token.len > TOKEN_MAX)
        return kv_page_refused(err);
    *size = page->size ? page->size : KV_PAGE_DEFAULT;
    return KV_OK;
}
