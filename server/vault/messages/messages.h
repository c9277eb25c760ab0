/* messages.h - all inputs and outputs of the operations of the vault layer. */
#pragma once

#include "server/vault/messages/messages_access.h"
#include "server/vault/messages/messages_audit.h"
#include "server/vault/messages/messages_authorities.h"
#include "server/vault/messages/messages_backup.h"
#include "server/vault/messages/messages_certificates.h"
#include "server/vault/messages/messages_common.h"
#include "server/vault/messages/messages_events.h"
#include "server/vault/messages/messages_issued.h"
#include "server/vault/messages/messages_issuers.h"
#include "server/vault/messages/messages_keys.h"
#include "server/vault/messages/messages_notify.h"
#include "server/vault/messages/messages_renewals.h"
#include "server/vault/messages/messages_secrets.h"
#include "server/vault/messages/messages_vaults.h"
#include "server/vault/messages/messages_webhooks.h"
