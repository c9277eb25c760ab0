/* log_list.c - from a file to those who judge certificates. */
#include "server/log_list.h"

#include "server/base/text.h"
#include "server/vault/checks.h"

static const int64_t day_ms = INT64_C(86400000);

kv_status kv_server_log_list_read(const kv_settings *settings, kv_log_list **out, kv_error *err)
{
    *out = NULL;
    return settings->ct_log_list[0] ? kv_log_list_read(settings->ct_log_list, out, err) : KV_OK;
}

void kv_server_log_list_take(kv_server *server, kv_log_list *list)
{
    char made[KV_TIME_TEXT_BYTES];

    if (list) {
        kv_time_text(list->made_ms, made);
        kv_log_write(server->log, KV_LOG_INFO, "certificates.log_list",
                     (kv_log_field[]){ { "made", made, 0 },
                                       { "logs", NULL, (int64_t)list->count },
                                       { "operators", NULL, (int64_t)list->operators },
                                       { "left_out", NULL, list->left_out },
                                       { 0 } });
    }
    kv_known_logs_set(server->known_logs, list);
}

kv_status kv_server_log_list_open(kv_server *server, kv_error *err)
{
    kv_log_list *list;

    KV_TRY(kv_known_logs_new(&server->known_logs, err));
    KV_TRY(kv_server_log_list_read(server->settings, &list, err));
    kv_server_log_list_take(server, list);
    return KV_OK;
}

kv_status kv_server_log_list_check(const kv_server *server, kv_checks *checks, kv_error *err)
{
    const kv_log_list *list = kv_known_logs_borrow(server->known_logs);
    int64_t age = list ? checks->time_ms - list->made_ms : 0;
    size_t count = list ? list->count : 0;

    kv_known_logs_return(server->known_logs);
    if (!count)
        return KV_OK;
    return kv_checks_add(
        checks, "transparency logs",
        age > KV_LOG_LIST_OLD_DAYS * day_ms ? KV_CHECK_WARNING : KV_CHECK_OK,
        age > KV_LOG_LIST_OLD_DAYS * day_ms ? "replace [certificates] ct_log_list, then SIGHUP"
                                            : "",
        err, "%zu logs; the list was made %lld days ago", count, (long long)(age / day_ms));
}
