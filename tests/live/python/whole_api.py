"""Calls every method of every service, with success, through the stock gRPC client of Python.

The methods are those of the descriptor set that protoc makes of the .proto files: one that nobody
calls here fails the test. To add one, call it in the function of its service.
"""
import base64
import json
import sys
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

PACKAGE = "keyvault.v1."
VAULT = "python"


def ask(what, argument=""):
    """Something that is made outside this program."""
    print(what, argument, flush=True)
    return sys.stdin.readline().strip()


class Api:
    """The methods of a descriptor set, without generated code."""

    def __init__(self, path):
        files = descriptor_pb2.FileDescriptorSet()
        with open(path, "rb") as handle:
            files.ParseFromString(handle.read())
        pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            pool.Add(file)
        factory = message_factory.MessageFactory(pool)
        self.methods = {}
        self.called = set()
        for file in files.file:
            for service in file.service:
                if file.package + "." != PACKAGE:
                    continue
                found = pool.FindServiceByName(PACKAGE + service.name)
                for method, options in zip(found.methods, service.method):
                    self.methods[f"{service.name}/{method.name}"] = (
                        factory.GetPrototype(method.input_type),
                        factory.GetPrototype(method.output_type), options.server_streaming)


class Caller:
    """One certificate on one channel."""

    def __init__(self, api, port, ca, identity):
        def read(path):
            with open(path, "rb") as handle:
                return handle.read()
        self.api = api
        self.bearer = identity["bearer"]
        self.channel = grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(
            read(ca), read(identity["key"]), read(identity["pem"])))

    def __call__(self, method, **fields):
        request, answer, streams = self.api.methods[method]
        make = self.channel.unary_stream if streams else self.channel.unary_unary
        call = make(f"/{PACKAGE}{method}", request_serializer=request.SerializeToString,
                    response_deserializer=answer.FromString)
        got = call(json_format.ParseDict(fields, request()), timeout=30,
                   metadata=[("authorization", f"Bearer {self.bearer}")])
        if streams:
            got = list(got)
        self.api.called.add(method)
        return got


    def first(self, method, **fields):
        """The first message of a stream that goes on."""
        request, answer, _ = self.api.methods[method]
        make = self.channel.unary_stream(f"/{PACKAGE}{method}",
                                         request_serializer=request.SerializeToString,
                                         response_deserializer=answer.FromString)
        stream = make(json_format.ParseDict(fields, request()), timeout=30,
                      metadata=[("authorization", f"Bearer {self.bearer}")])
        got = next(stream)
        stream.cancel()
        self.api.called.add(method)
        return got


def text(data):
    return base64.b64encode(data).decode()


def vaults(call):
    call("VaultService/CreateVault", vault=VAULT)
    assert call("VaultService/GetVault", vault=VAULT).name == VAULT
    assert [it.name for it in call("VaultService/ListVaults").vaults] == [VAULT]
    weekend = {"windows": ["Fri 18:00 - Mon 06:00"]}
    updated = call("VaultService/UpdateVault", vault=VAULT, blackouts=weekend,
                   tags={"items": [{"name": "a", "value": "b"}]})
    assert list(updated.blackouts.windows) == weekend["windows"]
    updated = call("VaultService/UpdateVault", vault=VAULT, blackouts={"windows": ["none"]})
    assert not updated.blackouts.windows
    call("VaultService/CreateVault", vault="gone")
    call("VaultService/DeleteVault", vault="gone")
    assert len(call("VaultService/ListDeletedVaults").vaults) == 1
    call("VaultService/RecoverVault", vault="gone")
    call("VaultService/DeleteVault", vault="gone")
    call("VaultService/PurgeVault", vault="gone")


def rotation(call):
    it = {"vault": VAULT, "name": "turning"}
    made = call("KeyService/CreateKey", kty="KEY_TYPE_EC", **it)
    assert call("KeyService/GetKeyRotationPolicy", **it).created == 0
    retirement = {"disable_after": "P30D", "destroy_after": "P1Y"}
    put = call("KeyService/UpdateKeyRotationPolicy", policy={
        "lifetime_actions": [{"trigger": {"time_after_create": "P90D"},
                              "action": "KEY_LIFETIME_ACTION_TYPE_ROTATE"}],
        "retirement": retirement}, **it)
    assert put.next_rotation == made.attributes.created + 90 * 86400
    assert len(put.policy.lifetime_actions) == 2
    assert call("KeyService/PermitKeyDestruction", **retirement, **it).destruction_permitted
    assert call("KeyService/RotateKey", **it).spki != made.spki


def keys(call):
    it = {"vault": VAULT, "name": "key"}
    made = call("KeyService/CreateKey", kty="KEY_TYPE_EC", **it)
    assert made.attestation.origin == "generated" and not made.attestation.extractable
    call("KeyService/ImportKey", vault=VAULT, name="brought",
         key={"kty": "KEY_TYPE_OCT", "k": text(bytes(32))})
    assert call("KeyService/GetKey", **it).spki == made.spki
    assert len(call("KeyService/ListKeys", vault=VAULT).items) == 2
    assert len(call("KeyService/ListKeyVersions", **it).items) == 1
    call("KeyService/UpdateKey", tags={"items": [{"name": "a", "value": "b"}]}, **it)
    signing = {"algorithm": "SIGNATURE_ALGORITHM_ES256", "message": text(b"hello"), **it}
    rotation(call)
    signed = call("KeyService/Sign", **signing)
    assert call("KeyService/Verify", signature=text(signed.signature), **signing).valid
    cipher = {"vault": VAULT, "name": "cipher"}
    call("KeyService/CreateKey", kty="KEY_TYPE_OCT",
         key_ops=["KEY_OPERATION_ENCRYPT", "KEY_OPERATION_DECRYPT"], **cipher)
    cipher["algorithm"] = "ENCRYPTION_ALGORITHM_A256GCM"
    sealed = call("KeyService/Encrypt", plaintext=text(b"hello"), **cipher)
    opened = call("KeyService/Decrypt", ciphertext=text(sealed.ciphertext), iv=text(sealed.iv),
                  tag=text(sealed.tag), **cipher)
    assert opened.plaintext == b"hello"
    wrapper = {"vault": VAULT, "name": "wrapper"}
    call("KeyService/CreateKey", kty="KEY_TYPE_OCT",
         key_ops=["KEY_OPERATION_WRAP_KEY", "KEY_OPERATION_UNWRAP_KEY"], **wrapper)
    wrapper["algorithm"] = "ENCRYPTION_ALGORITHM_A256KW"
    wrapped = call("KeyService/WrapKey", plaintext=text(bytes(32)), **wrapper)
    assert call("KeyService/UnwrapKey", ciphertext=text(wrapped.ciphertext),
                **wrapper).plaintext == bytes(32)
    assert len(call("KeyService/GetRandomBytes", vault=VAULT, count=16).value) == 16
    deletion(call, "Key", it)


def deletion(call, noun, it):
    service = f"{noun}Service"
    call(f"{service}/Delete{noun}", **it)
    call(f"{service}/GetDeleted{noun}", **it)
    assert len(call(f"{service}/ListDeleted{noun}s", vault=VAULT).items) == 1
    call(f"{service}/RecoverDeleted{noun}", **it)
    backup = text(call(f"{service}/Backup{noun}", **it).value)
    call(f"{service}/Delete{noun}", **it)
    call(f"{service}/PurgeDeleted{noun}", **it)
    try:
        call(f"{service}/Restore{noun}", vault=VAULT, value=backup)
    except grpc.RpcError as error:
        # The key went with the purge, and only a backup of the token brings it back.
        assert noun != "Secret" and error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
        call.api.called.add(f"{service}/Restore{noun}")


def secrets(call):
    it = {"vault": VAULT, "name": "secret"}
    call("SecretService/SetSecret", value=text(b"word"), **it)
    assert call("SecretService/GetSecret", **it).value == b"word"
    assert len(call("SecretService/ListSecrets", vault=VAULT).items) == 1
    assert len(call("SecretService/ListSecretVersions", **it).items) == 1
    call("SecretService/UpdateSecret", content_type="text/plain", **it)
    deletion(call, "Secret", it)


def policy(issuer):
    return {"key_props": {"kty": "KEY_TYPE_EC"}, "issuer": {"name": issuer},
            "x509_props": {"subject": "CN=python.example.org"}}


def certificates(call):
    service = "CertificateService/"
    it = {"vault": VAULT, "name": "certificate"}
    call(service + "CreateCertificate", policy=policy("Self"), **it)
    assert call(service + "GetCertificateOperation", **it).status == "completed"
    assert call(service + "GetCertificate", **it).cer
    assert call(service + "GetCertificateChain", **it).certificates
    assert len(call(service + "ListCertificates", vault=VAULT).items) == 1
    assert len(call(service + "ListCertificateVersions", **it).items) == 1
    call(service + "UpdateCertificate", tags={"items": [{"name": "a", "value": "b"}]}, **it)
    assert call(service + "GetCertificatePolicy", **it).policy.issuer.name == "Self"
    call(service + "UpdateCertificatePolicy", policy={"x509_props": {"validity_months": 2}}, **it)
    call(service + "CreateCertificate", policy=policy("Unknown"), **it)
    call(service + "CancelCertificateOperation", **it)
    call(service + "DeleteCertificateOperation", **it)
    csr = call(service + "CreateCertificate", policy=policy("Unknown"), **it).csr
    merged = call(service + "MergeCertificate", x5c=[ask("sign", text(csr))], **it)
    assert merged.cer and not merged.key_known_outside
    brought = call(service + "ImportCertificate", vault=VAULT, name="from-outside",
                   value=ask("identity"))
    assert brought.key_known_outside
    deletion(call, "Certificate", it)


def authorities(call):
    service = "CertificateAuthorityService/"
    it = {"vault": VAULT, "name": "root"}
    made = call(service + "CreateCertificateAuthority", subject="CN=Root",
                type="CERTIFICATE_AUTHORITY_TYPE_ROOT", **it)
    assert made.state == "ACTIVE" and made.certificate
    call("CertificateService/CreateCertificate", vault=VAULT, name="issued", policy=policy("root"))
    cer = text(call("CertificateService/GetCertificate", vault=VAULT, name="issued").cer)
    revoked = call(service + "RevokeCertificate", reason="REVOCATION_REASON_SUPERSEDED",
                   serial=base64.b64decode(ask("serial", cer)).decode(), **it)
    assert revoked.on_crl
    assert call(service + "GetCertificateRevocationList", **it).number == revoked.crl_number
    items = call(service + "ListIssuedCertificates", **it).items
    assert [item.serial for item in items] == [revoked.serial]
    assert call(service + "GetIssuedCertificate", serial=revoked.serial, **it).certificate
    renewed = call(service + "RenewCertificateAuthority", new_key=True, **it)
    assert renewed.key_number == 2 and len(renewed.chain) == 2
    below = {"vault": VAULT, "name": "below"}
    csr = call(service + "CreateCertificateAuthority", subject="CN=Below",
               type="CERTIFICATE_AUTHORITY_TYPE_SUBORDINATE", **below).csr
    call(service + "ImportCertificateAuthorityCertificate", x5c=[ask("authority", text(csr))],
         **below)
    assert call(service + "GetCertificateAuthority", **below).state == "ACTIVE"
    assert len(call(service + "ListCertificateAuthorities", vault=VAULT).items) == 2
    call(service + "UpdateCertificateAuthority", enabled=False, **below)
    call(service + "DeleteCertificateAuthority", **below)


def issuers(call):
    service = "IssuerService/"
    it = {"vault": VAULT, "issuer": "Self"}
    rules = {"rules": ["*.example.org", "192.0.2.0/24"]}
    made = call(service + "SetIssuer", provider="self", allowed_domains=rules, **it)
    assert made.provider == "Self" and made.enabled and not made.has_credential
    assert list(call(service + "GetIssuer", **it).allowed_domains) == rules["rules"]
    assert len(call(service + "ListIssuers", vault=VAULT).issuers) == 1
    changed = call(service + "UpdateIssuer", trust="TRUST_SCOPE_PUBLIC", **it)
    assert list(changed.allowed_domains) == rules["rules"] and changed.trust == 2
    assert not changed.strict_lint
    assert call(service + "UpdateIssuer", strict_lint=True, **it).strict_lint
    limits = {"orders_per_hour": 20, "blackouts": ["2020-01-01T00:00Z - 2020-01-02T00:00Z"]}
    changed = call(service + "UpdateIssuer", order_rules=limits, **it)
    assert changed.order_rules.orders_per_hour == 20 and changed.health.healthy
    assert call(service + "CheckIssuer", **it).accepted
    for name, more in (("RollAccountKey", {}), ("RevokeIssuedCertificate", {"name": "web"})):
        try:
            call(service + name, **it, **more)
        except grpc.RpcError as error:
            assert error.code() in (grpc.StatusCode.UNIMPLEMENTED,
                                    grpc.StatusCode.NOT_FOUND), error
            call.api.called.add(service + name)
    call("CertificateService/CreateCertificate", vault=VAULT, name="renewed", policy=policy("Self"))
    assert call("RenewalService/RenewAll", spread_seconds=3600, **it).count == 1
    assert call("RenewalService/RenewAll", spread_seconds=3600, **it).count == 0
    forecast = call("RenewalService/GetForecast", vault=VAULT, hours=2)
    assert len(forecast.renewals) == 2 and sum(forecast.renewals) >= 1
    inventory = call("RenewalService/ListInventory", vault=VAULT).items
    assert any(entry.issuer == "Self" and entry.next_renewal for entry in inventory)
    assert call(service + "DeleteIssuer", **it).issuer == "Self"


def contacts(call):
    service = "ContactService/"
    person = {"email": "team@example.org", "name": "Team"}
    made = call(service + "SetContacts", vault=VAULT, contacts=[person], mode="MAIL_MODE_DIGEST")
    assert made.contacts[0].name == "Team" and made.mode == 2
    assert call(service + "GetContacts", vault=VAULT).generation == made.generation
    tested = call(service + "TestContacts", vault=VAULT).tests
    assert [(it.email, it.accepted) for it in tested] == [("team@example.org", True)], tested
    assert len(call(service + "DeleteContacts", vault=VAULT).contacts) == 1


def webhooks(call):
    service = "WebhookService/"
    it = {"vault": VAULT, "webhook": "hook"}
    made = call(service + "SetWebhook", url="https://localhost:1/", **it)
    assert made.public_key.startswith("whpk_") and made.state == 2 and made.why
    assert call(service + "GetWebhook", **it).public_key == made.public_key
    assert len(call(service + "ListWebhooks", vault=VAULT).webhooks) == 1
    assert not call(service + "TestWebhook", **it).agreed
    assert not call(service + "ListDeadLetters", vault=VAULT).dead_letters
    assert call(service + "RedeliverDeadLetters", vault=VAULT).count == 0
    assert call(service + "DeleteWebhook", **it).webhook == "hook"


def access(call, everybody):
    service = "AccessService/"
    assert everybody(service + "WhoAmI").principal.id
    assert everybody(service + "ListRoles").roles
    issued = everybody(service + "IssueRoleToken", roles=["ROLE_AUDITOR"], scope="/")
    call(service + "RevokeRoleToken", jti=issued.jti)
    one = call(service + "CreatePrincipal", display_name="one", kind="PRINCIPAL_KIND_SERVICE").id
    assert call(service + "GetPrincipal", principal_id=one).id == one
    assert len(call(service + "ListPrincipals").principals) == 3
    call(service + "UpdatePrincipal", principal_id=one, display_name="other")
    credential = call(service + "AddCredential", principal_id=one, value="urn:python",
                      name_type="CREDENTIAL_NAME_TYPE_URI")
    call(service + "AddManagementCertificate", certificate=ask("certificate"),
         principal_id=call(service + "CreatePrincipal", display_name="two",
                           kind="PRINCIPAL_KIND_USER").id)
    assert len(call(service + "ListCredentials", principal_id=one).credentials) == 1
    call(service + "RemoveCredential", credential_id=credential.id)
    given = call(service + "AssignRole", principal_id=one, role="ROLE_READER", scope="/")
    assert call(service + "ListAssignments", principal_id=one).assignments
    question = {"permission": "keys/read", "scope": "/vaults/v/keys/k"}
    assert call(service + "ExplainAccess", principal_id=one, **question).reasons
    assert call(service + "WhoCan", **question).principals
    call(service + "RemoveAssignment", assignment_id=given.id)
    call(service + "RevokePrincipalTokens", principal_id=one)
    call(service + "DeletePrincipal", principal_id=one)


def events(call):
    listed = call("EventService/ListEvents", vault=VAULT)
    assert any(it.type.endswith("KeyNewVersionCreated") for it in listed.events)
    first = call.first("EventService/WatchEvents", vault=VAULT, after=str(listed.cursor))
    assert first.cursor == listed.cursor and not first.HasField("event")


def audit(call):
    now = int(time.time() * 1000)
    assert call("AuditService/SearchAudit", from_ms=now - 600000, to_ms=now + 60000)
    assert call("AuditService/ExportAudit")
    assert call("AuditService/GetAuditStatus")
    assert call("ServerService/GetServerStatus").store.schema_version
    assert call("ServerService/CheckServer").checks


def main():
    setting = json.loads(sys.stdin.readline())
    api = Api(setting["set"])
    call, admin = (Caller(api, setting["port"], setting["ca"], setting["callers"][name])
                   for name in ("everybody", "admin"))
    vaults(call)
    keys(call)
    secrets(call)
    certificates(call)
    authorities(call)
    issuers(call)
    contacts(call)
    events(call)
    webhooks(call)
    access(admin, call)
    audit(call)
    missing = sorted(set(api.methods) - api.called)
    if missing:
        sys.exit("nobody calls these methods in tests/live/python/whole_api.py: " +
                 ", ".join(missing))
    print(f"{len(api.called)} methods")


main()
