/* evidence.h - reading the audit log, and the state of the server. */
#pragma once

#include "server/vault/checks.h"
#include "server/vault/messages/messages_audit.h"
#include "server/vault/operations/operations.h"

/* Where a streaming operation puts its messages. What it answers ends the stream when not KV_OK. */
typedef struct kv_stream {
    kv_status (*send)(void *context, const void *message, kv_error *err);
    void *context; /* borrowed */
} kv_stream;

/* One kv_audit_record per message. Needs a time range. */
kv_status kv_audit_records(kv_vault *vault, kv_work *work, const kv_audit_search_in *in,
                           const kv_stream *stream, kv_error *err) KV_MUST_USE;
/* One kv_audit_chunk per message: the segments as they are on disk, for `kvctl audit verify`. */
kv_status kv_audit_segments(kv_vault *vault, kv_work *work, const kv_audit_export_in *in,
                            const kv_stream *stream, kv_error *err) KV_MUST_USE;
KV_OPERATION(kv_audit_state_get, kv_audit_status_get_in, kv_audit_state);
KV_OPERATION(kv_server_status_get, kv_server_status_get_in, kv_server_status);
/* What is wrong, or soon will be: doctor.c. The out's texts are in work's arena. */
KV_OPERATION(kv_server_check, kv_server_check_in, kv_checks);
