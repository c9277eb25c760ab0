/* evidence.c - the audit log is searched and exported; the server tells how it is. */
#include "server/vault/evidence.h"

#include "server/audit/audit.h"
#include "server/base/text.h"
#include "server/vault/vault_impl.h"

enum { EXPORT_CHUNK = 256 * 1024, SEARCH_DEFAULT = 10000, SEARCH_MOST = 1000000 };

typedef struct search {
    const kv_stream *stream;
    kv_error *err;
    kv_status status;
    uint32_t left;
} search;

static bool found(void *context, const kv_audit_record *record)
{
    search *at = context;

    at->status = at->stream->send(at->stream->context, record, at->err);
    at->left--;
    return at->status == KV_OK && at->left > 0;
}

kv_status kv_audit_records(kv_vault *vault, kv_work *work, const kv_audit_search_in *in,
                           const kv_stream *stream, kv_error *err)
{
    kv_audit_filter filter = {
        .from_ms = in->from_ms,
        .to_ms = in->to_ms,
        .has_principal = in->has_principal,
        .operation = in->operation,
        .vault = in->target.vault,
        .collection = kv_slice_text(kv_collection_name(in->target.collection)),
        .name = in->target.name,
        .has_succeeded = in->has_succeeded,
        .succeeded = in->succeeded,
        .deadline = work->deadline,
    };
    search at = { .stream = stream, .err = err, .left = in->limit ? in->limit : SEARCH_DEFAULT };

    if (in->limit > SEARCH_MOST)
        return kv_fail_field(err, "limit", "a search gives at most %d records", SEARCH_MOST);
    memcpy(filter.principal_id, in->principal_id, sizeof(filter.principal_id));
    KV_TRY(kv_audit_search(vault->config.audit, &filter, found, &at, err));
    return at.status;
}

static kv_status export_from(kv_vault *vault, kv_audit_cursor *cursor, const kv_stream *stream,
                             uint64_t last, kv_error *err)
{
    bool more = true;

    while (more) {
        kv_arena arena = KV_ARENA(2 * EXPORT_CHUNK);
        kv_audit_chunk chunk = { 0 };
        kv_status status =
            kv_audit_export(vault->config.audit, cursor, EXPORT_CHUNK, &arena, &chunk, err);

        more = status == KV_OK && chunk.bytes.len && chunk.segment <= last;
        if (more)
            status = stream->send(stream->context, &chunk, err);
        kv_arena_cleanup(&arena);
        KV_TRY(status);
    }
    return KV_OK;
}

kv_status kv_audit_segments(kv_vault *vault, kv_work *work, const kv_audit_export_in *in,
                            const kv_stream *stream, kv_error *err)
{
    uint64_t last = in->last_sequence ? in->last_sequence : UINT64_MAX;
    kv_audit_cursor cursor = { 0 };

    (void)work;
    if (in->first_sequence > last)
        return kv_fail_field(err, "last_sequence", "must not be before first_sequence");
    /* So that what is given away is proved to its end. */
    KV_TRY(kv_audit_checkpoint(vault->config.audit, err));
    KV_TRY(kv_audit_locate(vault->config.audit, in->first_sequence, &cursor, err));
    return export_from(vault, &cursor, stream, last, err);
}

kv_status kv_audit_state_get(kv_vault *vault, kv_work *work, const kv_audit_status_get_in *in,
                             kv_audit_state *out, kv_error *err)
{
    kv_audit_status status;

    (void)work;
    (void)in;
    (void)err;
    kv_audit_get_status(vault->config.audit, &status);
    *out = (kv_audit_state){
        .node = kv_slice_of(vault->node, sizeof(vault->node)),
        .head_sequence = status.records,
        .checkpoint_sequence = status.checkpoint_records,
        .checkpoint_ms = status.checkpoint_ms,
        .public_key = vault->config.audit_spki,
        .kid = vault->config.audit_kid,
        .anchored = status.anchored,
        .failed = status.failed,
    };
    memcpy(out->head_hash, status.head, sizeof(out->head_hash));
    return KV_OK;
}

static const char *state_word(kv_token_state state)
{
    switch (state) {
    case KV_TOKEN_UP:
        return "up";
    case KV_TOKEN_SUSPECT:
        return "suspect";
    case KV_TOKEN_DOWN:
        break;
    }
    return "down";
}

static void token_lines(kv_vault *vault, kv_token_line *lines, size_t *count)
{
    static const char *const duties[] = { "keys", "ca", "system", "tls" };

    for (int duty = KV_DUTY_KEYS; duty <= KV_DUTY_TLS; duty++) {
        const kv_token *token = kv_tokens_get(vault->config.tokens, (kv_duty)duty);

        if (token)
            lines[(*count)++] =
                (kv_token_line){ .duty = kv_slice_text(duties[duty]),
                                 .state = kv_slice_text(state_word(kv_token_state_of(token))),
                                 .label = kv_slice_text(kv_token_label(token)),
                                 .serial = kv_slice_text(kv_token_serial(token)) };
    }
}

kv_status kv_server_status_get(kv_vault *vault, kv_work *work, const kv_server_status_get_in *in,
                               kv_server_status *out, kv_error *err)
{
    kv_token_line *lines = kv_arena_array(work->arena, KV_DUTY_COUNT, sizeof(*lines));
    char *node = kv_arena_alloc(work->arena, 2 * sizeof(vault->node) + 1);
    kv_audit_status audit;
    kv_store_state store;
    bool store_up;

    (void)in;
    if (!lines || !node)
        return kv_arena_full(err);
    kv_hex(kv_slice_of(vault->node, sizeof(vault->node)), node);
    kv_audit_get_status(vault->config.audit, &audit);
    store_up = kv_records_store(vault->config.records)
                   ->ops->state(kv_records_store(vault->config.records), &store, err) == KV_OK;
    *err = (kv_error){ 0 };
    *out = (kv_server_status){
        .version = kv_slice_text(vault->config.version),
        .node = kv_slice_text(node),
        .started = vault->started_ms,
        .uptime_seconds = (uint64_t)((work->now_ms - vault->started_ms) / 1000),
        .tokens = lines,
        .store_backend = kv_slice_text(kv_records_store(vault->config.records)->ops->scheme),
        .schema_version = kv_store_schema_version(kv_records_store(vault->config.records)),
        .store_state = store_up ? KV_SLICE("up") : KV_SLICE("down"),
        .audit_state = audit.failed                              ? KV_SLICE("down")
                       : kv_audit_low_space(vault->config.audit) ? KV_SLICE("low-space")
                                                                 : KV_SLICE("up"),
        .audit_head_sequence = audit.records,
        .last_checkpoint = audit.checkpoint_ms,
        .checkpoint_late = audit.late,
    };
    token_lines(vault, lines, &out->token_count);
    return KV_OK;
}
