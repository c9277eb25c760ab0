/* log_list.h - the transparency logs of `[certificates] ct_log_list`: read at the start and at each
 * reload, and looked at by the doctor. */
#pragma once

#include "server/server_parts.h"

struct kv_checks;

/* NULL for no file. Errors as kv_log_list_read. */
kv_status kv_server_log_list_read(const kv_settings *settings, kv_log_list **out,
                                  kv_error *err) KV_MUST_USE;
/* What certificates are judged by from now on; may be NULL. */
void kv_server_log_list_take(kv_server *server, KV_TAKES kv_log_list *list);
/* At the start: reads and takes. */
kv_status kv_server_log_list_open(kv_server *server, kv_error *err) KV_MUST_USE;
/* How old it is. */
kv_status kv_server_log_list_check(const kv_server *server, struct kv_checks *checks,
                                   kv_error *err) KV_MUST_USE;
