/* verbs_server.c - what kvctl can do with the audit log and the server. */
#include "client/cli/verbs.h"

/* shape: table */
static const kv_cli_option audit_search[] = {
    OWN("from", "TIME", "not before; UTC"),
    OWN("to", "TIME", "before; default: now"),
    OWN("since", "15m|12h|7d", "instead of --from; default 1d"),
    TEXT("vault", "VAULT", "vault", "of this vault only"),
    TEXT("collection", "certificates|keys|secrets", "collection", "of these objects only"),
    TEXT("name", "NAME", "name", "of this object only"),
    PRINCIPAL(0),
    TEXT("operation", "NAME", "operation", "KeySign, SecretGet, ..."),
    YES("succeeded", "succeeded", "what was done, or what was refused"),
    TEXT("limit", "N", "limit", "most records; default 10000"),
    END,
};
/* shape: table */
static const kv_cli_option audit_export[] = {
    OWN_NEED("folder", "FOLDER", "where to write the segments; made if need be"),
    OWN("first", "N", "from this record on; default: the first one kept"),
    OWN("last", "N", "to this record; default: the last"),
    OWN("public-key", "FILE", "write the signer's public key there"),
    OVERWRITE,
    END,
};
/* shape: table */
static const kv_cli_option audit_verify[] = {
    SWITCH("live", "of the server: exported, verified and forgotten"),
    OWN("folder", "FOLDER", "with segments from kvctl audit export, or the server's own"),
    { "public-key", "FILE", "of the signer, PEM; with --folder", NULL, KV_OPTION_TEXT,
      KV_OPTION_REPEATED },
    END,
};
/* shape: table */
static const kv_cli_option audit_status[] = {
    OWN("public-key", "FILE", "write the signer's public key there"), OVERWRITE, END
};

#define RECORD_COLUMNS                                                                         \
    "SEQUENCE=sequence TIME=timeMs:ms PRINCIPAL=principalName OPERATION=operation VAULT=vault" \
    " NAME=name STATUS=status REASON=reason"

/* clang-format off */
/* shape: table */
const kv_cli_verb kv_cli_verbs_server[] = {
    { "audit", "search", "who did what, when", API "AuditService/SearchAudit", audit_search,
      kv_cli_audit_search, RECORD_COLUMNS },
    { "audit", "export", "the log as it is on disk, to a folder", API "AuditService/ExportAudit",
      audit_export, kv_cli_audit_export, NULL },
    { "audit", "verify", "is the log whole? exit code 8 if not", NULL, audit_verify,
      kv_cli_audit_verify,
      "RESULT=result LAST=lastSequence PROVED=provedSequence AT=provedMs:ms WHAT=what" },
    { "audit", "status", "how far the log is proved", API "AuditService/GetAuditStatus",
      audit_status, kv_cli_audit_status,
      "HEAD=headSequence PROVED=checkpointSequence AT=checkpointMs:ms KID=kid FAILED=failed" },

    { "server", "status", "tokens, store and audit log", API "ServerService/GetServerStatus",
      kv_cli_no_options, kv_cli_run_call,
      "VERSION=version NODE=node STARTED=started:time STORE=store.state AUDIT=audit.state" },
    { "server", "doctor", "is everything as it should be? exit code 8 if not",
      API "ServerService/CheckServer", kv_cli_no_options, kv_cli_server_doctor,
      "RESULT=result:CHECK_RESULT_ CHECK=name WHAT=what NEXT=next" },
    { "server", "health", "does it serve? needs no role", "/grpc.health.v1.Health/Check",
      kv_cli_no_options, kv_cli_run_call, "STATUS=status" },
    { .noun = NULL },
};
/* clang-format on */
