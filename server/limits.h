/* limits.h - what [limits] means for the parts of the server.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include "server/base/log.h"
#include "server/core/throttle.h"
#include "server/front/front.h"
#include "server/settings.h"

kv_throttle_limits kv_server_throttle_limits(const kv_settings *settings);
kv_log_level kv_settings_log_level(const kv_settings *settings);
/* Its texts are those of the settings. */
kv_front_config kv_server_front_config(const kv_settings *settings);
