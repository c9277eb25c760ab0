/* known_logs.h - the log list that is in use, which may be replaced while others read it.
 *
 * Threads: any.
 */
#pragma once

#include "server/base/compiler.h"
#include "server/base/error.h"
#include "server/x509/log_list.h"

typedef struct kv_known_logs kv_known_logs;

/* Without a list. KV_BUSY when out of memory. */
kv_status kv_known_logs_new(kv_known_logs **out, kv_error *err) KV_MUST_USE;
void kv_known_logs_free(kv_known_logs *known);

/* NULL: none from now on. The list before is freed. */
void kv_known_logs_set(kv_known_logs *known, KV_TAKES kv_log_list *list);
/* NULL when there is none, and of a NULL `known`. To be given back soon, in either case: a list
 * that is to follow waits. */
const kv_log_list *kv_known_logs_borrow(kv_known_logs *known);
void kv_known_logs_return(kv_known_logs *known);
