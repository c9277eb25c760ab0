/* settings_check.h - rules of settings beyond kind and range.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/settings.h"

/* Addresses, URLs, names, and what goes only together. KV_BAD_REQUEST with the key. */
kv_status kv_settings_check(const kv_settings *settings, kv_error *err) KV_MUST_USE;
