/* authority_issued.c - what an authority issued: a page of it, or one by its serial number. */
#include "server/base/text.h"
#include "server/vault/authorities/authority_keys.h"
#include "server/vault/operations/operations.h"
#include "server/vault/values.h"

enum {
    TOKEN_BYTES = 4 + 8 + KV_X509_SERIAL_BYTES, /* number of the key, end, serial number */
    LOOKED_AT_MAX = 1000                        /* rows for a page */
};

/* --- page tokens --- */

static void put(uint8_t *to, size_t len, uint64_t value)
{
    for (size_t i = len; i-- > 0; value >>= 8)
        to[i] = (uint8_t)value;
}

static uint64_t get(const uint8_t *from, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++)
        value = value << 8 | from[i];
    return value;
}

static kv_status make_token(kv_work *work, int64_t number, const kv_issued_row *last, kv_slice *out,
                            kv_error *err)
{
    uint8_t *bytes = kv_arena_alloc(work->arena, TOKEN_BYTES);

    if (!bytes)
        return kv_arena_full(err);
    if (last->serial.len != KV_X509_SERIAL_BYTES)
        return kv_fail(err, KV_INTERNAL, "a stored serial number is not well formed");
    put(bytes, 4, (uint64_t)number);
    put(bytes + 4, 8, (uint64_t)last->not_after);
    memcpy(bytes + 12, last->serial.data, KV_X509_SERIAL_BYTES);
    *out = kv_slice_of(bytes, TOKEN_BYTES);
    return KV_OK;
}

/* --- rows --- */

static kv_issued_state state_of(const kv_issued_row *row, int64_t now_ms)
{
    if (kv_slice_equal(row->state, KV_ISSUED_REVOKED))
        return KV_ISSUED_STATE_REVOKED;
    return row->not_after > now_ms ? KV_ISSUED_STATE_VALID : KV_ISSUED_STATE_EXPIRED;
}

static kv_status tell(kv_work *work, int64_t number, const kv_issued_row *row,
                      kv_issued_bundle *out, kv_error *err)
{
    char serial[2 * KV_X509_SERIAL_BYTES + 1];

    kv_hex(row->serial, serial);
    *out = (kv_issued_bundle){ .key = (uint32_t)number,
                               .state = state_of(row, work->now_ms),
                               .subject = row->subject,
                               .not_before = row->not_before,
                               .not_after = row->not_after,
                               .sha256 = row->sha256,
                               .version = row->version,
                               .revoked = row->revoked,
                               .reason = (int)row->reason };
    return kv_arena_copy(work->arena, kv_slice_text(serial), &out->serial, err);
}

static bool wanted(const kv_issued_list_in *in, const kv_issued_row *row, int64_t now_ms)
{
    if (kv_slice_equal(row->state, KV_ISSUED_RESERVED))
        return false;
    return !in->state || (kv_issued_state)in->state == state_of(row, now_ms);
}

/* --- a page --- */

typedef struct page {
    const kv_issued_list_in *in;
    unsigned size;
    unsigned looked_at;
    int64_t number; /* of the key at hand */
    kv_issued_row last;
    kv_issued_bundle *items;
    size_t count;
    bool more;
} page;

static kv_status start(kv_work *work, const kv_authority_row *current, const kv_issued_list_in *in,
                       page *at, kv_error *err)
{
    kv_slice token = in->page.token;

    *at = (page){ .in = in, .number = current->number };
    KV_TRY(kv_page_check(&in->page, &at->size, err));
    if (in->state < 0 || in->state > KV_ISSUED_STATE_EXPIRED)
        return kv_fail_field(err, "state", "is not one of the enumeration");
    if (in->ends_before && in->ends_before <= in->ends_from)
        return kv_fail_field(err, "ends_before", "must be later than ends_from");
    at->last.not_after = in->ends_from ? in->ends_from - 1 : 1; /* what is reserved has no end */
    at->items = kv_arena_array(work->arena, at->size, sizeof(*at->items));
    if (!at->items)
        return kv_arena_full(err);
    if (!token.len)
        return KV_OK;
    if (token.len != TOKEN_BYTES || !get(token.data, 4) ||
        (int64_t)get(token.data, 4) > current->number || token.data[4] & 0x80)
        return kv_page_refused(err);
    at->number = (int64_t)get(token.data, 4);
    at->last.not_after = (int64_t)get(token.data + 4, 8);
    at->last.serial = kv_slice_of(token.data + 12, KV_X509_SERIAL_BYTES);
    return KV_OK;
}

/* `*over`: this key has no more of them. */
static kv_status fill(kv_vault *vault, kv_work *work, const kv_authority_row *key, page *at,
                      bool *over, kv_error *err)
{
    kv_issued_row from = at->last;
    kv_scan scan = { .table = &kv_table_issued,
                     .index = 3,
                     .prefix = 1,
                     .from = &from,
                     .after = true,
                     .limit = at->size };
    const kv_issued_row *found;
    kv_rows rows;

    from.authority_uid = key->uid;
    KV_TRY(kv_records_scan(vault->config.records, &scan, work->arena, &rows, err));
    found = rows.rows;
    *over = !rows.more;
    for (unsigned i = 0; i < rows.count; i++) {
        if (at->in->ends_before && found[i].not_after >= at->in->ends_before) {
            *over = true;
            return KV_OK;
        }
        if (at->count == at->size) {
            *over = false;
            return KV_OK;
        }
        at->last = found[i];
        at->looked_at++;
        if (wanted(at->in, &found[i], work->now_ms))
            KV_TRY(tell(work, key->number, &found[i], &at->items[at->count++], err));
    }
    return KV_OK;
}

static kv_status fill_of_key(kv_vault *vault, kv_work *work, const kv_authority_row *key, page *at,
                             kv_error *err)
{
    bool over = false;

    while (!over && at->count < at->size && at->looked_at < LOOKED_AT_MAX)
        KV_TRY(fill(vault, work, key, at, &over, err));
    at->more = !over;
    return KV_OK;
}

kv_status kv_authority_issued_list(kv_vault *vault, kv_work *work, const kv_issued_list_in *in,
                                   kv_issued_list *out, kv_error *err)
{
    kv_authority_row current;
    kv_authority_row key;
    bool exists = false;
    page at;

    KV_TRY(kv_authority_find(vault, work, &in->target, NULL, &current, err));
    KV_TRY(start(work, &current, in, &at, err));
    for (bool first = true; at.number > 0 && !at.more; first = false) {
        if (!first) {
            at.last = (kv_issued_row){ .not_after = in->ends_from ? in->ends_from - 1 : 1 };
            if (--at.number == 0)
                break;
        }
        KV_TRY(kv_authority_of_key(vault, work, &current, (uint32_t)at.number, &key, &exists, err));
        if (exists)
            KV_TRY(fill_of_key(vault, work, &key, &at, err));
        if (at.count == at.size && at.number > 1)
            at.more = true;
    }
    *out = (kv_issued_list){ .items = at.items, .count = at.count };
    return at.more ? make_token(work, at.number, &at.last, &out->next_page_token, err) : KV_OK;
}

/* --- one --- */

kv_status kv_authority_issued_get(kv_vault *vault, kv_work *work, const kv_issued_get_in *in,
                                  kv_issued_bundle *out, kv_error *err)
{
    kv_authority_row authority;
    kv_authority_row by;
    kv_issued_row row;
    kv_certificate_version_row version;
    kv_status status;

    KV_TRY(kv_authority_find(vault, work, &in->target, NULL, &authority, err));
    KV_TRY(kv_issued_find(vault, work, &authority, in->serial, &by, &row, err));
    KV_TRY(tell(work, by.number, &row, out, err));
    work->entry->version = out->serial;
    if (!row.version.len)
        return KV_OK;
    version = (kv_certificate_version_row){ .object_uid = row.object_uid, .version = row.version };
    status = kv_records_get(vault->config.records, &kv_table_certificate_versions, &version,
                            work->arena, err);
    if (status == KV_NOT_FOUND) {
        *err = (kv_error){ 0 };
        return KV_OK;
    }
    KV_TRY(status);
    out->certificate = version.der;
    return KV_OK;
}
