-- The state of the store: one row. The multiset is that of the ranges, see range.h.
CREATE TABLE "schema_version" (
    "version" INTEGER NOT NULL PRIMARY KEY,
    "applied" INTEGER NOT NULL
) STRICT;

CREATE TABLE "store_state" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "version" INTEGER NOT NULL,
    "multiset" BLOB NOT NULL
) STRICT;
INSERT INTO "store_state" ("id", "version", "multiset") VALUES (1, 0, zeroblob(2048));

-- How the rows of sealed tables were counted. A multiset is 1024 lanes of 16 bits, see multiset.h.
CREATE TABLE "store_ranges" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "of_table" TEXT NOT NULL,
    "first" BLOB NOT NULL,
    "rows" INTEGER NOT NULL,
    "multiset" BLOB NOT NULL,
    UNIQUE ("of_table", "first")
) STRICT;

-- Audit records of changes that are not yet in the chain.
CREATE TABLE "audit_pending" (
    "node" BLOB NOT NULL,
    "request_id" BLOB NOT NULL,
    "record" BLOB NOT NULL,
    "version" INTEGER NOT NULL,
    "digest" BLOB NOT NULL,
    "mac" BLOB NOT NULL,
    PRIMARY KEY ("node", "request_id")
) STRICT;

-- What follows are the tables of schema.h.
CREATE TABLE "instance" (
    "id" INTEGER NOT NULL,
    "instance" BLOB NOT NULL,
    "created" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("id")
) STRICT;

CREATE TABLE "vaults" (
    "name" TEXT NOT NULL,
    "uid" BLOB NOT NULL,
    "display_name" TEXT NOT NULL,
    "retention_days" INTEGER NOT NULL,
    "purge_protection" INTEGER NOT NULL,
    "default_exportable" INTEGER NOT NULL,
    "allow_unauthenticated" INTEGER NOT NULL,
    "created" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "deleted" INTEGER NOT NULL,
    "purge_at" INTEGER NOT NULL,
    "purging" INTEGER NOT NULL,
    "secret_key_id" BLOB NOT NULL,
    "tags" TEXT NOT NULL,
    "blackouts" TEXT NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("name")
) STRICT;

CREATE TABLE "objects" (
    "vault_uid" BLOB NOT NULL,
    "collection" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "display_name" TEXT NOT NULL,
    "uid" BLOB NOT NULL,
    "current" TEXT NOT NULL,
    "managed" INTEGER NOT NULL,
    "created" INTEGER NOT NULL,
    "deleted" INTEGER NOT NULL,
    "purge_at" INTEGER NOT NULL,
    "purging" INTEGER NOT NULL,
    "deleted_by" BLOB NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("vault_uid", "collection", "name")
) STRICT;
CREATE INDEX "objects_by_uid" ON "objects" ("uid", "vault_uid", "collection", "name");
CREATE INDEX "objects_by_deleted" ON "objects" ("deleted", "vault_uid", "collection", "name");

CREATE TABLE "key_versions" (
    "object_uid" BLOB NOT NULL,
    "version" TEXT NOT NULL,
    "vault_uid" BLOB NOT NULL,
    "created" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "enabled" INTEGER NOT NULL,
    "not_before" INTEGER NOT NULL,
    "expires" INTEGER NOT NULL,
    "kind" TEXT NOT NULL,
    "key_ops" INTEGER NOT NULL,
    "key_id" BLOB NOT NULL,
    "spki" BLOB NOT NULL,
    "managed" INTEGER NOT NULL,
    "exportable" INTEGER NOT NULL,
    "imported" INTEGER NOT NULL,
    "attested" INTEGER NOT NULL,
    "token" TEXT NOT NULL,
    "tags" TEXT NOT NULL,
    "replaced" INTEGER NOT NULL,
    "retired" INTEGER NOT NULL,
    "kept" INTEGER NOT NULL,
    "destroying" INTEGER NOT NULL,
    "destroyed" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("object_uid", "version")
) STRICT;
CREATE INDEX "key_versions_by_key_id" ON "key_versions" ("key_id", "object_uid", "version");

CREATE TABLE "secret_versions" (
    "object_uid" BLOB NOT NULL,
    "version" TEXT NOT NULL,
    "vault_uid" BLOB NOT NULL,
    "created" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "enabled" INTEGER NOT NULL,
    "not_before" INTEGER NOT NULL,
    "expires" INTEGER NOT NULL,
    "content_type" TEXT NOT NULL,
    "managed" INTEGER NOT NULL,
    "key_id" BLOB NOT NULL,
    "ciphertext" BLOB NOT NULL,
    "tags" TEXT NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("object_uid", "version")
) STRICT;

CREATE TABLE "certificate_versions" (
    "object_uid" BLOB NOT NULL,
    "version" TEXT NOT NULL,
    "vault_uid" BLOB NOT NULL,
    "created" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "enabled" INTEGER NOT NULL,
    "not_before" INTEGER NOT NULL,
    "expires" INTEGER NOT NULL,
    "der" BLOB NOT NULL,
    "chain" BLOB NOT NULL,
    "sha1" BLOB NOT NULL,
    "sha256" BLOB NOT NULL,
    "serial" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "issuer" TEXT NOT NULL,
    "tags" TEXT NOT NULL,
    "given" BLOB NOT NULL,
    "imported" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("object_uid", "version")
) STRICT;
CREATE INDEX "certificate_versions_by_sha1" ON "certificate_versions" ("vault_uid", "sha1", "object_uid", "version");
CREATE INDEX "certificate_versions_by_sha256" ON "certificate_versions" ("vault_uid", "sha256", "object_uid", "version");
CREATE INDEX "certificate_versions_by_serial" ON "certificate_versions" ("serial", "object_uid", "version");

CREATE TABLE "policies" (
    "object_uid" BLOB NOT NULL,
    "policy" TEXT NOT NULL,
    "created" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("object_uid")
) STRICT;

CREATE TABLE "issuers" (
    "vault_uid" BLOB NOT NULL,
    "name" TEXT NOT NULL,
    "display_name" TEXT NOT NULL,
    "uid" BLOB NOT NULL,
    "provider" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "credential_key_id" BLOB NOT NULL,
    "credential" BLOB NOT NULL,
    "credential_expires" INTEGER NOT NULL,
    "settings" TEXT NOT NULL,
    "trust" INTEGER NOT NULL,
    "organization_id" TEXT NOT NULL,
    "admins" TEXT NOT NULL,
    "domains" TEXT NOT NULL,
    "requesters" TEXT NOT NULL,
    "enabled" INTEGER NOT NULL,
    "created" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "orders_per_hour" INTEGER NOT NULL,
    "certificates_per_week" INTEGER NOT NULL,
    "blackouts" TEXT NOT NULL,
    "credential_since" INTEGER NOT NULL,
    "credential_told" INTEGER NOT NULL,
    "strict_lint" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("vault_uid", "name")
) STRICT;
CREATE INDEX "issuers_by_credential_expires" ON "issuers" ("credential_expires", "vault_uid", "name");

CREATE TABLE "enrolments" (
    "vault_uid" BLOB NOT NULL,
    "issuer" TEXT NOT NULL,
    "realm" TEXT NOT NULL,
    "key_id" BLOB NOT NULL,
    "spki" BLOB NOT NULL,
    "next_key_id" BLOB NOT NULL,
    "next_spki" BLOB NOT NULL,
    "url" TEXT NOT NULL,
    "created" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("vault_uid", "issuer", "realm")
) STRICT;

CREATE TABLE "contacts" (
    "vault_uid" BLOB NOT NULL,
    "contacts" TEXT NOT NULL,
    "digest" INTEGER NOT NULL,
    "created" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("vault_uid")
) STRICT;

CREATE TABLE "webhooks" (
    "vault_uid" BLOB NOT NULL,
    "name" TEXT NOT NULL,
    "display_name" TEXT NOT NULL,
    "uid" BLOB NOT NULL,
    "url" TEXT NOT NULL,
    "types" TEXT NOT NULL,
    "enabled" INTEGER NOT NULL,
    "stopped" TEXT NOT NULL,
    "agreed" INTEGER NOT NULL,
    "rate" INTEGER NOT NULL,
    "key_id" BLOB NOT NULL,
    "spki" BLOB NOT NULL,
    "authorization_uid" BLOB NOT NULL,
    "authorization_key_id" BLOB NOT NULL,
    "authorization" BLOB NOT NULL,
    "failing_since" INTEGER NOT NULL,
    "last_error" TEXT NOT NULL,
    "created" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("vault_uid", "name")
) STRICT;
CREATE UNIQUE INDEX "webhooks_by_uid" ON "webhooks" ("uid");

CREATE TABLE "deliveries" (
    "target" BLOB NOT NULL,
    "sequence" INTEGER NOT NULL,
    "vault_uid" BLOB NOT NULL,
    "channel" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "next_at" INTEGER NOT NULL,
    "attempts" INTEGER NOT NULL,
    "object_uid" BLOB NOT NULL,
    "type" TEXT NOT NULL,
    "body" TEXT NOT NULL,
    "address" TEXT NOT NULL,
    "last_status" INTEGER NOT NULL,
    "last_error" TEXT NOT NULL,
    "created" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("target", "sequence")
) STRICT;
CREATE INDEX "deliveries_by_due" ON "deliveries" ("target", "state", "next_at", "sequence");
CREATE INDEX "deliveries_by_object" ON "deliveries" ("target", "object_uid", "sequence");
CREATE INDEX "deliveries_by_vault" ON "deliveries" ("vault_uid", "state", "target", "sequence");

CREATE TABLE "operations" (
    "object_uid" BLOB NOT NULL,
    "vault_uid" BLOB NOT NULL,
    "request_id" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "issuer" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "key_id" BLOB NOT NULL,
    "spki" BLOB NOT NULL,
    "policy" TEXT NOT NULL,
    "attributes" TEXT NOT NULL,
    "csr" BLOB NOT NULL,
    "status_details" TEXT NOT NULL,
    "error_code" TEXT NOT NULL,
    "error_message" TEXT NOT NULL,
    "warnings" TEXT NOT NULL,
    "requested_by" BLOB NOT NULL,
    "cancellation_requested" INTEGER NOT NULL,
    "created" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "attested" INTEGER NOT NULL,
    "secret_key_id" BLOB NOT NULL,
    "secret_ciphertext" BLOB NOT NULL,
    "external_id" TEXT NOT NULL,
    "next_at" INTEGER NOT NULL,
    "attempts" INTEGER NOT NULL,
    "failures" INTEGER NOT NULL,
    "worker" BLOB NOT NULL,
    "chain" BLOB NOT NULL,
    "issuer_lower" TEXT NOT NULL,
    "waiting" INTEGER NOT NULL,
    "names" TEXT NOT NULL,
    "transparency" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("object_uid")
) STRICT;
CREATE INDEX "operations_by_state" ON "operations" ("state", "object_uid");
CREATE INDEX "operations_by_next" ON "operations" ("next_at", "object_uid");
CREATE INDEX "operations_by_worker" ON "operations" ("worker", "object_uid");
CREATE INDEX "operations_by_issuer" ON "operations" ("vault_uid", "issuer_lower", "next_at", "object_uid");

CREATE TABLE "renewals" (
    "object_uid" BLOB NOT NULL,
    "vault_uid" BLOB NOT NULL,
    "version" TEXT NOT NULL,
    "due_at" INTEGER NOT NULL,
    "attempts" INTEGER NOT NULL,
    "issuer" TEXT NOT NULL,
    "renew_at" INTEGER NOT NULL,
    "period" INTEGER NOT NULL,
    "waiting" INTEGER NOT NULL,
    "ask_at" INTEGER NOT NULL,
    "ask_failures" INTEGER NOT NULL,
    "hint_from" INTEGER NOT NULL,
    "hint_until" INTEGER NOT NULL,
    "hint_at" INTEGER NOT NULL,
    "hint_why" TEXT NOT NULL,
    "not_before" INTEGER NOT NULL,
    "expires" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("object_uid")
) STRICT;
CREATE INDEX "renewals_by_due" ON "renewals" ("due_at", "object_uid");
CREATE INDEX "renewals_by_issuer" ON "renewals" ("vault_uid", "issuer", "due_at", "object_uid");
CREATE INDEX "renewals_by_renew" ON "renewals" ("renew_at", "object_uid");

CREATE TABLE "issuer_states" (
    "vault_uid" BLOB NOT NULL,
    "issuer" TEXT NOT NULL,
    "failures" INTEGER NOT NULL,
    "unwell_since" INTEGER NOT NULL,
    "probe_at" INTEGER NOT NULL,
    "paused_until" INTEGER NOT NULL,
    "orders_full_at" INTEGER NOT NULL,
    "reason" TEXT NOT NULL,
    "updated" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("vault_uid", "issuer")
) STRICT;

CREATE TABLE "name_budgets" (
    "vault_uid" BLOB NOT NULL,
    "issuer" TEXT NOT NULL,
    "names" BLOB NOT NULL,
    "full_at" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("vault_uid", "issuer", "names")
) STRICT;
CREATE INDEX "name_budgets_by_full" ON "name_budgets" ("full_at", "vault_uid", "issuer", "names");

CREATE TABLE "proofs" (
    "type" TEXT NOT NULL,
    "asked" TEXT NOT NULL,
    "says" TEXT NOT NULL,
    "ends_at" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("type", "asked")
) STRICT;
CREATE INDEX "proofs_by_end" ON "proofs" ("ends_at", "type", "asked");

CREATE TABLE "rotation_policies" (
    "object_uid" BLOB NOT NULL,
    "vault_uid" BLOB NOT NULL,
    "rotate_after" TEXT NOT NULL,
    "rotate_before" TEXT NOT NULL,
    "notify_before" TEXT NOT NULL,
    "expiry_time" TEXT NOT NULL,
    "disable_after" TEXT NOT NULL,
    "destroy_after" TEXT NOT NULL,
    "retirement_since" INTEGER NOT NULL,
    "permitted" INTEGER NOT NULL,
    "permitted_by" BLOB NOT NULL,
    "created" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("object_uid")
) STRICT;

CREATE TABLE "rotations" (
    "object_uid" BLOB NOT NULL,
    "vault_uid" BLOB NOT NULL,
    "due_at" INTEGER NOT NULL,
    "attempts" INTEGER NOT NULL,
    "told_of" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("object_uid")
) STRICT;
CREATE INDEX "rotations_by_due" ON "rotations" ("due_at", "object_uid");

CREATE TABLE "token_objects" (
    "key_id" BLOB NOT NULL,
    "state" TEXT NOT NULL,
    "duty" INTEGER NOT NULL,
    "token" TEXT NOT NULL,
    "class" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "spki" BLOB NOT NULL,
    "node" BLOB NOT NULL,
    "lease_until" INTEGER NOT NULL,
    "owner_uid" BLOB NOT NULL,
    "created" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("key_id")
) STRICT;
CREATE INDEX "token_objects_by_state" ON "token_objects" ("state", "key_id");
CREATE INDEX "token_objects_by_owner" ON "token_objects" ("owner_uid", "key_id");
CREATE INDEX "token_objects_by_spki" ON "token_objects" ("spki", "key_id");

CREATE TABLE "key_uses" (
    "key_id" BLOB NOT NULL,
    "reserved" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("key_id")
) STRICT;

CREATE TABLE "principals" (
    "id" BLOB NOT NULL,
    "name" TEXT NOT NULL,
    "name_lower" TEXT NOT NULL,
    "kind" INTEGER NOT NULL,
    "epoch" INTEGER NOT NULL,
    "grants_digest" BLOB NOT NULL,
    "granted_ever" INTEGER NOT NULL,
    "disabled" INTEGER NOT NULL,
    "home_vault" TEXT NOT NULL,
    "created" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("id")
) STRICT;
CREATE UNIQUE INDEX "principals_by_name" ON "principals" ("name_lower");

CREATE TABLE "credentials" (
    "id" BLOB NOT NULL,
    "principal_id" BLOB NOT NULL,
    "match" TEXT NOT NULL,
    "kind" INTEGER NOT NULL,
    "certificate" BLOB NOT NULL,
    "vault" TEXT NOT NULL,
    "not_after" INTEGER NOT NULL,
    "registered_by" BLOB NOT NULL,
    "created" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("id")
) STRICT;
CREATE UNIQUE INDEX "credentials_by_match" ON "credentials" ("match");
CREATE INDEX "credentials_by_principal" ON "credentials" ("principal_id", "id");
CREATE INDEX "credentials_by_vault" ON "credentials" ("vault", "id");

CREATE TABLE "slots" (
    "owner" TEXT NOT NULL,
    "slot" INTEGER NOT NULL,
    "credential_id" BLOB NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("owner", "slot")
) STRICT;
CREATE INDEX "slots_by_credential" ON "slots" ("credential_id", "owner", "slot");

CREATE TABLE "assignments" (
    "principal_id" BLOB NOT NULL,
    "id" BLOB NOT NULL,
    "role" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "ends_at" INTEGER NOT NULL,
    "created" INTEGER NOT NULL,
    "created_by" BLOB NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("principal_id", "id")
) STRICT;
CREATE INDEX "assignments_by_scope" ON "assignments" ("scope", "principal_id", "id");

CREATE TABLE "revocations" (
    "jti" BLOB NOT NULL,
    "until" INTEGER NOT NULL,
    "created" INTEGER NOT NULL,
    "revoked_by" BLOB NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("jti")
) STRICT;
CREATE INDEX "revocations_by_until" ON "revocations" ("until", "jti");

CREATE TABLE "idempotency" (
    "principal_id" BLOB NOT NULL,
    "key" TEXT NOT NULL,
    "operation" TEXT NOT NULL,
    "hash" BLOB NOT NULL,
    "request_id" BLOB NOT NULL,
    "vault" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "subject" BLOB NOT NULL,
    "created" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("principal_id", "key")
) STRICT;
CREATE INDEX "idempotency_by_created" ON "idempotency" ("created", "principal_id", "key");

CREATE TABLE "signers" (
    "kid" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "key_id" BLOB NOT NULL,
    "spki" BLOB NOT NULL,
    "created" INTEGER NOT NULL,
    "sign_until" INTEGER NOT NULL,
    "verify_until" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("kid")
) STRICT;

CREATE TABLE "segments" (
    "id" INTEGER NOT NULL,
    "first" INTEGER NOT NULL,
    "last" INTEGER NOT NULL,
    "hash" BLOB NOT NULL,
    "signer" TEXT NOT NULL,
    "signature" BLOB NOT NULL,
    "closed" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("id")
) STRICT;

CREATE TABLE "authorities" (
    "vault_uid" BLOB NOT NULL,
    "name" TEXT NOT NULL,
    "display_name" TEXT NOT NULL,
    "uid" BLOB NOT NULL,
    "kind" INTEGER NOT NULL,
    "enabled" INTEGER NOT NULL,
    "key_id" BLOB NOT NULL,
    "key_kind" TEXT NOT NULL,
    "spki" BLOB NOT NULL,
    "attested" INTEGER NOT NULL,
    "token" TEXT NOT NULL,
    "csr" BLOB NOT NULL,
    "certificate" BLOB NOT NULL,
    "chain" BLOB NOT NULL,
    "crl_url" TEXT NOT NULL,
    "ocsp_url" TEXT NOT NULL,
    "issuer_url" TEXT NOT NULL,
    "crl_hours" INTEGER NOT NULL,
    "max_months" INTEGER NOT NULL,
    "vaults" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "cross" BLOB NOT NULL,
    "created" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "chains_from" BLOB NOT NULL,
    "chains_to" BLOB NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("vault_uid", "name")
) STRICT;

CREATE TABLE "crls" (
    "authority_uid" BLOB NOT NULL,
    "vault_uid" BLOB NOT NULL,
    "authority" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "owed" INTEGER NOT NULL,
    "this_update" INTEGER NOT NULL,
    "next_update" INTEGER NOT NULL,
    "der" BLOB NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("authority_uid")
) STRICT;

CREATE TABLE "issued" (
    "authority_uid" BLOB NOT NULL,
    "serial" BLOB NOT NULL,
    "operation" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "sha256" BLOB NOT NULL,
    "object_uid" BLOB NOT NULL,
    "version" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "not_before" INTEGER NOT NULL,
    "not_after" INTEGER NOT NULL,
    "revoked" INTEGER NOT NULL,
    "reason" INTEGER NOT NULL,
    "invalid_since" INTEGER NOT NULL,
    "created" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("authority_uid", "serial")
) STRICT;
CREATE UNIQUE INDEX "issued_by_operation" ON "issued" ("operation");
CREATE INDEX "issued_by_state" ON "issued" ("authority_uid", "state", "serial");
CREATE INDEX "issued_by_end" ON "issued" ("authority_uid", "not_after", "serial");

CREATE TABLE "responders" (
    "authority_uid" BLOB NOT NULL,
    "key_id" BLOB NOT NULL,
    "spki" BLOB NOT NULL,
    "certificate" BLOB NOT NULL,
    "not_after" INTEGER NOT NULL,
    "created" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("authority_uid")
) STRICT;

CREATE TABLE "events" (
    "sequence" INTEGER NOT NULL,
    "time" INTEGER NOT NULL,
    "type" TEXT NOT NULL,
    "vault_uid" BLOB NOT NULL,
    "vault" TEXT NOT NULL,
    "collection" INTEGER NOT NULL,
    "object_uid" BLOB NOT NULL,
    "name" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "not_before" INTEGER NOT NULL,
    "expires" INTEGER NOT NULL,
    "sha256" BLOB NOT NULL,
    "issuer" TEXT NOT NULL,
    "cause" TEXT NOT NULL,
    "error_code" TEXT NOT NULL,
    "error_message" TEXT NOT NULL,
    "principal" TEXT NOT NULL,
    "operation" TEXT NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("sequence")
) STRICT;
CREATE INDEX "events_by_vault" ON "events" ("vault_uid", "sequence");

CREATE TABLE "event_consumers" (
    "name" TEXT NOT NULL,
    "cursor" INTEGER NOT NULL,
    "updated" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("name")
) STRICT;

CREATE TABLE "expiries" (
    "object_uid" BLOB NOT NULL,
    "vault_uid" BLOB NOT NULL,
    "version" TEXT NOT NULL,
    "created" INTEGER NOT NULL,
    "not_before" INTEGER NOT NULL,
    "expires" INTEGER NOT NULL,
    "due_at" INTEGER NOT NULL,
    "asked" INTEGER NOT NULL,
    "generation" INTEGER NOT NULL,
    "seal" BLOB NOT NULL,
    "seal_key" BLOB NOT NULL,
    PRIMARY KEY ("object_uid")
) STRICT;
CREATE INDEX "expiries_by_due" ON "expiries" ("due_at", "object_uid");
