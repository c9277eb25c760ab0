/* limits.h - what [limits] means for the parts of the server.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/log.h"
#include "server/core/throttle.h"
#include "server/front/front.h"
#include "server/settings.h"

/* Descriptors that connections leave: for files, the database, tokens, what is fetched. */
enum { KV_DESCRIPTORS_BESIDE = 256 };

/* As many as the system allows, without asking anybody. */
void kv_server_raise_descriptors(void);

kv_throttle_limits kv_server_throttle_limits(const kv_settings *settings);
kv_log_level kv_settings_log_level(const kv_settings *settings);
/* Its texts are those of the settings. No more connections than there are descriptors to spare. */
kv_front_config kv_server_front_config(const kv_settings *settings);
