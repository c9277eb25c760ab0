/* contact.c - the contacts of a vault: one is added or removed by reading the list and setting it
 * again, if nobody else did meanwhile. */
#include <strings.h>

#include <keyvault/v1/contacts.pb-c.h>

#include "client/cli/run.h"
#include "client/cli/say.h"

#define SERVICE "/keyvault.v1.ContactService/"

/* A table has a line for each; other outputs show the whole. */
static kv_exit show(kv_cli *cli, KV_TAKES ProtobufCMessage *message, const char *list)
{
    json_t *json = kv_message_json(message);
    json_t *lines = json_object_get(json, list);

    keyvault_message_free(message);
    if (!json)
        return kv_cli_usage(cli, "out of memory");
    if (cli->config.output != KV_OUTPUT_TABLE || kv_cli_given(cli, "query"))
        return kv_cli_print(cli, json);
    json_incref(lines);
    json_decref(json);
    return kv_cli_print(cli, lines);
}

static const char *vault_of(const kv_cli *cli)
{
    const char *given = kv_cli_given(cli, "vault");

    return given ? given : cli->config.vault;
}

/* What the server has; an empty list when there are none. */
static kv_exit read_list(kv_cli *cli, json_t **out)
{
    Keyvault__V1__GetContactsRequest request = KEYVAULT__V1__GET_CONTACTS_REQUEST__INIT;
    ProtobufCMessage *response = NULL;
    keyvault_options options = { 0 };
    keyvault_error err = { 0 };
    kv_exit told = kv_cli_open(cli);

    if (told != KV_EXIT_OK)
        return told;
    request.vault = (char *)(uintptr_t)vault_of(cli);
    if (!keyvault_call(cli->handle, SERVICE "GetContacts", &request.base, &response, &options,
                       &err)) {
        *out = kv_message_json(response);
        keyvault_message_free(response);
    } else if (kv_cli_exit_of(err.code) == KV_EXIT_NOT_FOUND && strstr(err.message, "contacts")) {
        *out = json_pack("{s:s,s:[],s:i}", "vault", vault_of(cli), "contacts", "generation", 0);
    } else {
        return kv_cli_fail(cli, &err);
    }
    return *out ? KV_EXIT_OK : kv_cli_usage(cli, "out of memory");
}

static bool is_email(const json_t *contact, const char *email)
{
    const char *text = json_string_value(json_object_get(contact, "email"));

    return text && !strcasecmp(text, email);
}

/* What is not the caller's to set goes. */
static kv_exit write_list(kv_cli *cli, KV_TAKES json_t *contacts)
{
    ProtobufCMessage *request = kv_message_new(&keyvault__v1__set_contacts_request__descriptor);
    ProtobufCMessage *response = NULL;
    kv_exit told = KV_EXIT_OK;
    kv_error err = { 0 };

    (void)json_object_del(contacts, "created");
    (void)json_object_del(contacts, "updated");
    if (!request)
        told = kv_cli_usage(cli, "out of memory");
    else if (kv_message_read_json(request, contacts, &err) != KV_OK)
        told = kv_cli_fail_local(cli, &err);
    json_decref(contacts);
    if (told == KV_EXIT_OK)
        told = kv_cli_call(cli, SERVICE "SetContacts", request, &response);
    if (request)
        keyvault_message_free(request);
    return told == KV_EXIT_OK ? show(cli, response, "contacts") : told;
}

kv_exit kv_cli_contact_list(kv_cli *cli)
{
    ProtobufCMessage *response = NULL;
    kv_exit told = kv_cli_ask(cli, cli->args.verb->path, &response);

    return told == KV_EXIT_OK ? show(cli, response, "contacts") : told;
}

kv_exit kv_cli_contact_add(kv_cli *cli)
{
    const char *email = kv_cli_given(cli, "email");
    const char *name = kv_cli_given(cli, "contact-name");
    const char *phone = kv_cli_given(cli, "phone");
    json_t *contacts = NULL, *list, *fresh;
    kv_exit told = read_list(cli, &contacts);

    if (told != KV_EXIT_OK)
        return told;
    list = json_object_get(contacts, "contacts");
    for (size_t i = json_array_size(list); i > 0; i--)
        if (is_email(json_array_get(list, i - 1), email))
            (void)json_array_remove(list, i - 1);
    fresh = json_pack("{s:s,s:s,s:s}", "email", email, "name", name ? name : "", "phone",
                      phone ? phone : "");
    if (!fresh || json_array_append_new(list, fresh) != 0) {
        json_decref(contacts);
        return kv_cli_usage(cli, "an option is not UTF-8");
    }
    return write_list(cli, contacts);
}

kv_exit kv_cli_contact_set(kv_cli *cli)
{
    const char *mode = kv_cli_given(cli, "mode");
    json_t *list = json_array();
    json_t *contacts = json_pack("{s:s,s:o}", "vault", vault_of(cli), "contacts", list);

    for (size_t i = 0; i < cli->args.count; i++)
        if (!strcmp(cli->args.values[i].option->name, "email"))
            (void)json_array_append_new(list,
                                        json_pack("{s:s}", "email", cli->args.values[i].text));
    if (mode)
        (void)json_object_set_new(contacts, "mode", json_string(mode));
    return write_list(cli, contacts);
}

static kv_exit delete_list(kv_cli *cli)
{
    Keyvault__V1__DeleteContactsRequest request = KEYVAULT__V1__DELETE_CONTACTS_REQUEST__INIT;
    ProtobufCMessage *response = NULL;
    kv_exit told;

    request.vault = (char *)(uintptr_t)vault_of(cli);
    told = kv_cli_call(cli, SERVICE "DeleteContacts", &request.base, &response);
    if (told == KV_EXIT_OK)
        keyvault_message_free(response);
    return told;
}

kv_exit kv_cli_contact_remove(kv_cli *cli)
{
    const char *email = kv_cli_given(cli, "email");
    json_t *contacts = NULL, *list;
    kv_exit told = read_list(cli, &contacts);
    bool found = false;

    if (told != KV_EXIT_OK)
        return told;
    list = json_object_get(contacts, "contacts");
    for (size_t i = json_array_size(list); i > 0; i--) {
        if (is_email(json_array_get(list, i - 1), email))
            found = json_array_remove(list, i - 1) == 0;
    }
    if (found && json_array_size(list))
        return write_list(cli, contacts);
    json_decref(contacts);
    if (found)
        return delete_list(cli);
    kv_say(cli->err, "kvctl: the vault has no contact %s\n", email);
    return KV_EXIT_NOT_FOUND;
}

kv_exit kv_cli_contact_test(kv_cli *cli)
{
    ProtobufCMessage *response = NULL;
    const Keyvault__V1__TestContactsResponse *answer;
    kv_exit told = kv_cli_ask(cli, cli->args.verb->path, &response);
    bool all = true;

    if (told != KV_EXIT_OK)
        return told;
    answer = (const void *)response;
    for (size_t i = 0; i < answer->n_tests; i++)
        all = all && answer->tests[i]->accepted;
    told = show(cli, response, "tests");
    return told == KV_EXIT_OK && !all ? KV_EXIT_NO : told;
}
