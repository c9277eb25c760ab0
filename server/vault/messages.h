/* messages.h - all inputs and outputs of the operations of the vault layer. */
#pragma once

#include "server/vault/messages_access.h"
#include "server/vault/messages_audit.h"
#include "server/vault/messages_authorities.h"
#include "server/vault/messages_backup.h"
#include "server/vault/messages_certificates.h"
#include "server/vault/messages_common.h"
#include "server/vault/messages_events.h"
#include "server/vault/messages_issued.h"
#include "server/vault/messages_issuers.h"
#include "server/vault/messages_keys.h"
#include "server/vault/messages_notify.h"
#include "server/vault/messages_renewals.h"
#include "server/vault/messages_secrets.h"
#include "server/vault/messages_vaults.h"
#include "server/vault/messages_webhooks.h"
