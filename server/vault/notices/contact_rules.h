/* contact_rules.h - what files about contacts share. Inner to vault. */
#pragma once

#include "server/vault/messages/messages_notify.h"
#include "server/vault/vault_impl.h"

/* The contacts of a vault; none is no error. */
kv_status kv_contacts_find(kv_vault *vault, kv_work *work, kv_slice vault_uid, kv_contacts_row *out,
                           bool *exists, kv_error *err) KV_MUST_USE;
kv_status kv_contacts_of(kv_work *work, const kv_vault_row *vault_row, const kv_contacts_row *row,
                         kv_contacts *out, kv_error *err) KV_MUST_USE;
/* With a vault that is purged. */
kv_status kv_contacts_forget(kv_vault *vault, kv_work *work, kv_slice vault_uid,
                             kv_error *err) KV_MUST_USE;
