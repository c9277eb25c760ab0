/* details.c - google.rpc.Status, packed into an arena. */
#include "server/front/grpc/details.h"

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>

#include "server/base/text.h"

enum { MOST_DETAILS = 3, ID_BYTES = 16 };

/* What is being put together. protobuf-c's structs want mutable strings and only read them. */
typedef struct status_draft {
    kv_arena *arena;
    Google__Rpc__Status status;
    Google__Protobuf__Any any[MOST_DETAILS];
    Google__Protobuf__Any *list[MOST_DETAILS];
    char id[2 * ID_BYTES + 1];
    bool full; /* the arena */
} status_draft;

static char *unconst(const char *text)
{
    return (char *)(uintptr_t)text;
}

static kv_slice pack(status_draft *draft, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *data = kv_arena_alloc(draft->arena, len);

    if (!data) {
        draft->full = true;
        return KV_SLICE_NONE;
    }
    (void)protobuf_c_message_pack(message, data);
    return kv_slice_of(data, len);
}

static void add(status_draft *draft, const char *type, const ProtobufCMessage *message)
{
    size_t at = draft->status.n_details++;
    kv_slice packed = pack(draft, message);

    google__protobuf__any__init(&draft->any[at]);
    draft->any[at].type_url = unconst(type);
    draft->any[at].value.data = (uint8_t *)(uintptr_t)packed.data;
    draft->any[at].value.len = packed.len;
    draft->list[at] = &draft->any[at];
}

static void add_error_info(status_draft *draft, const char *reason)
{
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    Google__Rpc__ErrorInfo__MetadataEntry id = GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
    Google__Rpc__ErrorInfo__MetadataEntry *metadata[] = { &id };

    info.reason = unconst(reason);
    info.domain = unconst("keyvault");
    if (draft->id[0]) {
        id.key = unconst("request_id");
        id.value = draft->id;
        info.metadata = metadata;
        info.n_metadata = 1;
    }
    add(draft, "type.googleapis.com/google.rpc.ErrorInfo", &info.base);
}

static void add_bad_request(status_draft *draft, const kv_error *err)
{
    Google__Rpc__BadRequest request = GOOGLE__RPC__BAD_REQUEST__INIT;
    Google__Rpc__BadRequest__FieldViolation violation =
        GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT;
    Google__Rpc__BadRequest__FieldViolation *violations[] = { &violation };

    violation.field = unconst(err->field);
    violation.description = unconst(err->message);
    request.field_violations = violations;
    request.n_field_violations = 1;
    add(draft, "type.googleapis.com/google.rpc.BadRequest", &request.base);
}

static void add_retry(status_draft *draft, unsigned retry_ms)
{
    Google__Rpc__RetryInfo retry = GOOGLE__RPC__RETRY_INFO__INIT;
    Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;

    delay.seconds = retry_ms / 1000;
    delay.nanos = (int32_t)(retry_ms % 1000) * 1000000;
    retry.retry_delay = &delay;
    add(draft, "type.googleapis.com/google.rpc.RetryInfo", &retry.base);
}

/* An internal error's words are for the log; the caller gets the id to ask for. */
static kv_slice message_of(const kv_error *err, const status_draft *draft)
{
    kv_slice text = kv_slice_text(err->message);
    kv_error ignored;

    if (err->status == KV_INTERNAL &&
        kv_arena_print(draft->arena, &text, &ignored, "internal error, request %s", draft->id) !=
            KV_OK)
        text = KV_SLICE("internal error");
    return text;
}

void kv_grpc_trailer_of(const kv_error *err, const uint8_t *request_id, kv_arena *arena,
                        kv_grpc_trailer *out)
{
    status_draft draft = { .arena = arena, .status = GOOGLE__RPC__STATUS__INIT };
    kv_error ignored;
    const char *text;

    if (request_id)
        kv_hex(kv_slice_of(request_id, ID_BYTES), draft.id);
    *out = (kv_grpc_trailer){ .code = kv_status_spelling(err->status)->grpc,
                              .message = message_of(err, &draft) };

    if (err->reason != KV_REASON_NONE)
        add_error_info(&draft, kv_reason_name(err->reason));
    if (err->field[0] && err->status == KV_BAD_REQUEST)
        add_bad_request(&draft, err);
    if (err->retry_ms)
        add_retry(&draft, err->retry_ms);
    if (!draft.status.n_details || draft.full ||
        kv_arena_text(arena, out->message, &text, &ignored) != KV_OK)
        return;

    draft.status.code = out->code;
    draft.status.message = unconst(text);
    draft.status.details = draft.list;
    out->details = pack(&draft, &draft.status.base);
}
