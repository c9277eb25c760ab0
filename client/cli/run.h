/* run.h - what verbs are made of: requests from options, calls, files, answers.
 *
 * Functions that give a kv_exit have told the user what went wrong.
 */
#pragma once

#include "client/cli/cli.h"
#include "client/cli/message.h"
#include "server/base/slice.h"

/* The request of a method, filled from the options that name a field of it. */
kv_exit kv_cli_build(kv_cli *cli, const char *path, ProtobufCMessage **out);
kv_exit kv_cli_call(kv_cli *cli, const char *path, const ProtobufCMessage *request,
                    ProtobufCMessage **response);
/* Opens the handle if no call did. */
kv_exit kv_cli_open(kv_cli *cli);
/* Build and call. */
kv_exit kv_cli_ask(kv_cli *cli, const char *path, ProtobufCMessage **response);

/* Prints what --query chooses. */
kv_exit kv_cli_print(kv_cli *cli, json_t *value); /* takes the reference */
kv_exit kv_cli_show(kv_cli *cli, KV_TAKES ProtobufCMessage *message);

/* The value of an option; NULL if absent. */
static inline const char *kv_cli_given(const kv_cli *cli, const char *name)
{
    return kv_cli_value_of(&cli->args, name);
}
/* A mistake on the command line that the table cannot see. */
kv_exit kv_cli_usage(const kv_cli *cli, const char *message, ...) KV_PRINTF(2, 3);

/* --- the plain verbs --- */

kv_cli_run kv_cli_run_call, kv_cli_run_list;

/* Whether there is a next page, whose token the request then has. A server that names the page that
 * it has just given would be asked for ever: KV_EXIT_GENERAL, and told. */
kv_exit kv_cli_next_page(const kv_cli *cli, const ProtobufCMessage *page, ProtobufCMessage *request,
                         bool *more);
/* All pages of a list, printed as one. */
kv_exit kv_cli_list(kv_cli *cli, KV_TAKES ProtobufCMessage *request);

/* --- event.c --- */

/* A watch that failed may go on, and that is said. */
bool kv_cli_watch_goes_on(const kv_cli *cli, const keyvault_error *err);

/* --- files.c --- */

/* "-" is standard input; from a terminal, a line without echo. The bytes are in the arena, which is
 * wiped. */
kv_exit kv_cli_read(kv_cli *cli, const char *path, size_t max, kv_slice *out);
/* The password that --password-file names (a file that only the owner can read, or "-") goes into
 * the field; nothing without the option. */
kv_exit kv_cli_password(kv_cli *cli, ProtobufCMessage *request, const char *field);
/* The same for the file that another option names, of at most `max` bytes. */
kv_exit kv_cli_secret_option(kv_cli *cli, const char *option, size_t max, ProtobufCMessage *request,
                             const char *field);
/* The request of the verb, with such a secret in `field`, sent and its answer shown. */
kv_exit kv_cli_set_with_secret(kv_cli *cli, const char *option, size_t max, const char *field);
/* Before the server is asked for what would be written: does the file stand in the way? */
kv_exit kv_cli_may_write(const kv_cli *cli, const char *path);
/* Mode 0600; refuses to overwrite, unless --overwrite is given. "-" is standard output,
 * which takes only text when it is a terminal. */
kv_exit kv_cli_write(kv_cli *cli, const char *path, kv_slice bytes);
/* Brings what was written to the disk and closes the file. False, with errno: it may be lost. With
 * true errno is as it was. */
bool kv_cli_keep(int fd);
/* Mode 0600, in place of what is there. */
kv_exit kv_cli_replace(const kv_cli *cli, const char *path, kv_slice bytes);

/* --- key_import.c: ImportKeyRequest from files that somebody else may have made --- */

/* PEM, PKCS #8 or JWK. */
kv_status kv_cli_fill_import(kv_cli *cli, ProtobufCMessage *request, kv_slice file,
                             kv_error *err) KV_MUST_USE;
/* A .byok file or the wrapped bytes, and the public half in PEM or DER. */
kv_status kv_cli_fill_wrapped(kv_cli *cli, ProtobufCMessage *request, kv_slice file,
                              kv_slice public_file, kv_error *err) KV_MUST_USE;

/* --- convert.c --- */

/* "2030-01-31T12:00:00Z", "2030-01-31", seconds, "none" (0). */
kv_status kv_cli_time(const char *text, int64_t *seconds, kv_error *err) KV_MUST_USE;
/* "90s", "15m", "12h", "7d". */
bool kv_cli_duration(const char *text, int64_t *seconds);
/* The id of a principal given by id or by name. */
kv_exit kv_cli_principal(kv_cli *cli, const char *text, const char **id);
/* DER of the first certificate in PEM or DER. */
kv_exit kv_cli_certificate_der(kv_cli *cli, const char *path, kv_slice *out);

/* --- login.c, session.c, device.c --- */

/* The role token that `login` left for this server and certificate, while it lasts; NULL: none. */
const char *kv_cli_session(kv_cli *cli);
/* Keeps it, mode 0600. */
kv_exit kv_cli_session_keep(kv_cli *cli, const char *token, int64_t expires);
kv_exit kv_cli_session_forget(kv_cli *cli);
/* Signs in by the device authorisation grant (RFC 8628); tells the user what to do on stderr. The
 * ID token is in the arena. */
kv_exit kv_cli_device_login(kv_cli *cli, const char *issuer, const char *client_id,
                            kv_slice *id_token);

/* --- verbs with more to do than one call --- */

kv_cli_run kv_cli_certificate_create, kv_cli_certificate_show, kv_cli_certificate_download;
kv_cli_run kv_cli_pending_show;
kv_cli_run kv_cli_certificate_import, kv_cli_certificate_merge;
kv_cli_run kv_cli_certificate_watch, kv_cli_event_list, kv_cli_event_watch;
kv_cli_run kv_cli_issuer_set, kv_cli_issuer_check;
kv_cli_run kv_cli_forecast, kv_cli_renew_all;
kv_cli_run kv_cli_contact_add, kv_cli_contact_remove, kv_cli_contact_set, kv_cli_contact_list,
    kv_cli_contact_test;
kv_cli_run kv_cli_webhook_set, kv_cli_webhook_test;
kv_cli_run kv_cli_key_sign, kv_cli_key_verify, kv_cli_key_download;
kv_cli_run kv_cli_key_encrypt, kv_cli_key_decrypt, kv_cli_key_import;
kv_cli_run kv_cli_rotation_policy_update;
kv_cli_run kv_cli_secret_set, kv_cli_secret_show, kv_cli_secret_download;
kv_cli_run kv_cli_role_explain, kv_cli_role_assign;
kv_cli_run kv_cli_server_doctor;
kv_cli_run kv_cli_ca_csr, kv_cli_ca_download, kv_cli_ca_crl, kv_cli_ca_import;
kv_cli_run kv_cli_backup, kv_cli_restore;
kv_cli_run kv_cli_credential_add, kv_cli_token_issue, kv_cli_token_revoke;
kv_cli_run kv_cli_login, kv_cli_logout;
kv_cli_run kv_cli_audit_search, kv_cli_audit_export, kv_cli_audit_verify, kv_cli_audit_status;
