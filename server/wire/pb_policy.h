/* pb_policy.h - a certificate policy in both directions. Only for pb_certificate*.c
 * and pb_authorities.c. */
#pragma once

#include "keyvault/v1/certificates.pb-c.h"
#include "server/vault/messages/messages_certificates.h"
#include "server/wire/pb_impl.h"

kv_status kv_pb_policy_in(const Keyvault__V1__CertificatePolicy *from, kv_arena *arena,
                          kv_certificate_policy *out, kv_error *err) KV_MUST_USE;
Keyvault__V1__CertificatePolicy *kv_pb_policy(kv_pb_writer *writer,
                                              const kv_certificate_policy *from);
/* As a policy has them: "EC", "P-256"; "" for what is not given. */
kv_slice kv_pb_key_type_name(Keyvault__V1__KeyType type);
kv_slice kv_pb_curve_name(Keyvault__V1__Curve curve);
