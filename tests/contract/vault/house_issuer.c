/* house_issuer.c - a provider with an account for tests: an order waits until somebody acts. */
#include "server/issuer/issuer.h"
#include "tests/contract/vault/house.h"

static kv_status submit(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    (void)err;
    *out = (kv_issuer_answer){ .state = KV_ISSUER_PENDING,
                               .external_id = order->account->account_id,
                               .details = KV_SLICE("it waits") };
    if (!order->account->credential)
        *out = (kv_issuer_answer){ .state = KV_ISSUER_REFUSED,
                                   .code = KV_SLICE("noCredential"),
                                   .details = KV_SLICE("there is no credential") };
    return KV_OK;
}

static kv_status check_credentials(const kv_issuer_account *account, kv_arena *arena,
                                   kv_deadline deadline, kv_slice *record, kv_error *err)
{
    (void)record;
    (void)arena;
    (void)deadline;
    if (account->credential &&
        kv_secret_buf_equal(account->credential, KV_SLICE("a password of the authority")))
        return KV_OK;
    return kv_fail(err, KV_DENIED, "the account is closed");
}

const kv_issuer house_provider = { .provider = HOUSE_PROVIDER,
                                   .auto_renew = true,
                                   .needs_account = true,
                                   .submit = submit,
                                   .check_credentials = check_credentials };

const kv_issuer *const house_issuers[1] = { &house_provider };
