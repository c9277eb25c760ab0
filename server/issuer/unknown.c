/* unknown.c - issuer Unknown: somebody takes the request to a CA and brings the certificate. */
#include "server/issuer/builtin.h"

static kv_status wait_for_merge(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    if (order->csr.len == 0)
        return kv_fail(err, KV_INTERNAL, "issuer Unknown needs a certification request");
    *out = (kv_issuer_answer){
        .state = KV_ISSUER_PENDING,
        .details = KV_SLICE("Pending certificate created. Please Perform Merge to complete the "
                            "request."),
    };
    return KV_OK;
}

static kv_status cancel(const kv_issuer_order *order, kv_issuer_answer *out, kv_error *err)
{
    (void)order;
    (void)err;
    *out = (kv_issuer_answer){ .state = KV_ISSUER_CANCELLED };
    return KV_OK;
}

const kv_issuer kv_issuer_unknown = {
    .provider = KV_X509_ISSUER_UNKNOWN,
    .auto_renew = false,
    .submit = wait_for_merge,
    .poll = wait_for_merge,
    .cancel = cancel,
};
