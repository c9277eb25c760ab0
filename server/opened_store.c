/* opened_store.c - the store of a server is opened, and found to be what the audit log says. */
#include "server/opened_store.h"

#include "server/store/schema.h"

/* Who may what, and where. */
/* clang-format off */
static const kv_table *const first_tables[] = {
    &kv_table_instance, &kv_table_signers, &kv_table_principals, &kv_table_credentials,
    &kv_table_revocations, &kv_table_slots, &kv_table_vaults, &kv_table_authorities,
    &kv_table_issuers, &kv_table_enrolments, NULL,
};
/* clang-format on */

void kv_server_open_store_early(kv_server *server)
{
    kv_error later = { 0 };

    if (kv_store_open(server->settings->store_url, false, &server->store, &later) == KV_OK)
        server->verified = kv_verified_begin(server->store, first_tables);
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

/* Nobody is served, and there is time to tell which rows it is. */
static kv_status tell_broken(kv_server *server, kv_error *err)
{
    kv_error found = *err;

    if (err->reason != KV_REASON_INTEGRITY)
        return err->status;
    *err = (kv_error){ 0 };
    if (kv_records_sweep(server->records, NULL, err) == KV_OK)
        *err = found;
    return err->status;
}

static kv_status compare(kv_server *server, kv_error *err)
{
    int64_t wait_ms = server->settings->store_compare_seconds * 1000;

    if (!server->verified)
        return kv_records_compare(server->records, err);
    KV_TRY(kv_verified_wait(server->verified, wait_ms, err));
    kv_records_trust(server->records, server->verified);
    return KV_OK;
}

/* That the grants are sound and of today is verified before anybody is served. Of the rest there is
 * as much as there are certificates: that goes on meanwhile, and each row is before it is used. */
kv_status kv_server_verify_store(kv_server *server, kv_error *err)
{
    KV_TRY(kv_records_sweep(server->records, first_tables, err));
    return compare(server, err) == KV_OK ? KV_OK : tell_broken(server, err);
}

kv_status kv_server_finish_store(kv_server *server, kv_error *err)
{
    return server->verified ? kv_verified_finish(server->verified, err) : KV_OK;
}
