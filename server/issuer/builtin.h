/* builtin.h - the issuers that need nobody else. Internal to this folder. */
#pragma once

#include "server/issuer/issuer.h"

extern const kv_issuer kv_issuer_self;
extern const kv_issuer kv_issuer_unknown;
