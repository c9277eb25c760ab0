/* access_work.h - how this folder calls server/auth/access.h. Inner to vault. */
#pragma once

#include "server/auth/access.h"
#include "server/vault/work.h"

struct kv_vault;

/* Who asks, and a commit that carries the call's audit record. */
kv_status kv_access_work_of(struct kv_vault *vault, kv_work *work, kv_access_work *out,
                            kv_error *err) KV_MUST_USE;
/* The same, but every change is a step with a record of its own, called `operation` (static). */
kv_status kv_access_step_of(struct kv_vault *vault, kv_work *work, const char *operation,
                            kv_access_work *out, kv_error *err) KV_MUST_USE;
/* Adds "what=<hex of the id>" to the audit record's note. */
void kv_note_id(kv_work *work, const char *what, kv_slice id);
void kv_note_text(kv_work *work, kv_slice text);
