/* opened_store.c - the store of a server is opened, and found to be what the audit log says. */
#include "server/opened_store.h"

#include "server/store/schema.h"

void kv_server_open_store_early(kv_server *server)
{
    kv_error later = { 0 };

    if (kv_store_open(server->settings->store_url, false, &server->store, &later) == KV_OK)
        server->count = kv_count_begin(server->store);
}

kv_status kv_server_open_store(kv_server *server, kv_error *err)
{
    kv_records_config config = { .sealer = kv_identity_sealer(&server->identity),
                                 .log = server->log,
                                 .instance = kv_slice_of(server->identity.instance,
                                                         sizeof(server->identity.instance)) };

    if (!server->store)
        KV_TRY(kv_store_open(server->settings->store_url, false, &server->store, err));
    config.store = server->store;
    return kv_records_open(&config, &server->records, err);
}

static kv_status compare(kv_server *server, kv_error *err)
{
    kv_count *count = server->count;

    server->count = NULL;
    return count ? kv_records_compare_counted(server->records, count, err)
                 : kv_records_compare(server->records, err);
}

/* Who may what, and where, is verified before anybody is served; the rest meanwhile, and each row
 * when it is used: there are as many of those as there are certificates. */
kv_status kv_server_verify_store(kv_server *server, kv_error *err)
{
    /* clang-format off */
    static const kv_table *const first[] = {
        &kv_table_instance, &kv_table_signers, &kv_table_principals, &kv_table_credentials,
        &kv_table_revocations, &kv_table_slots, &kv_table_vaults, &kv_table_authorities,
        &kv_table_issuers, &kv_table_enrolments, NULL,
    };
    /* clang-format on */

    KV_TRY(kv_records_sweep(server->records, first, err));
    /* A seal cannot tell that a row is of yesterday, or that one is missing; the set can. Then
     * nobody is served, and there is time to tell which rows it is. */
    if (compare(server, err) == KV_OK)
        return KV_OK;
    return err->reason == KV_REASON_INTEGRITY ? kv_records_sweep(server->records, NULL, err)
                                              : err->status;
}
