/* verbs_notify.c - what kvctl can do about who is told what happens in a vault. */
#include "client/cli/verbs.h"

#define EMAIL OWN_NEED("email", "ADDRESS", "mail address, compared without case")
/* shape: table */
static const kv_cli_option contact_add[] = { VAULT, EMAIL,
                                             OWN("contact-name", "NAME", "whose address it is"),
                                             OWN("phone", "NUMBER", "is kept, and not used"), END };
/* shape: table */
static const kv_cli_option contact_remove[] = { VAULT, EMAIL, END };
/* shape: table */
static const kv_cli_option contact_set[] = {
    VAULT,
    { "email", "ADDRESS", "a contact without a name; `add` gives names", NULL, KV_OPTION_TEXT,
      KV_OPTION_REQUIRED | KV_OPTION_REPEATED },
    TEXT("mode", "each|digest", "mode", "a mail for what happens, or one a day"),
    END
};

#define CONTACT_COLUMNS "EMAIL=email NAME=name PHONE=phone"

#define WEBHOOK NEED("name", "NAME", "webhook", "the webhook: 1 to 127 of [0-9A-Za-z-]")
/* shape: table */
static const kv_cli_option of_webhook[] = { VAULT, WEBHOOK, END };
/* shape: table */
static const kv_cli_option webhook_set[] = {
    VAULT,
    WEBHOOK,
    NEED("url", "URL", "url", "https endpoint that is to be told"),
    MANY("event-type", "TYPE", "event_types", "one, or a beginning with *; default: all"),
    YES("enabled", "enabled", "whether it gets anything"),
    { "authorization-file", "FILE", "with the value of the header Authorization; - is stdin", NULL,
      KV_OPTION_PATH, 0 },
    END
};
/* shape: table */
static const kv_cli_option redeliver[] = {
    VAULT, TEXT("name", "NAME", "webhook", "only those of this webhook"),
    TEXT("id", "ID", "id", "only this one"), END
};

#define WEBHOOK_COLUMNS                                                 \
    "NAME=webhook STATE=state:WEBHOOK_STATE_ URL=url EVENTS=eventTypes" \
    " KEY=publicKey FAILING=failingSince:time WHY=why"

/* clang-format off */
/* shape: table */
const kv_cli_verb kv_cli_verbs_notify[] = {
    { "contact", "list", "who gets mail about a vault's certificates",
      API "ContactService/GetContacts", kv_cli_of_vault, kv_cli_contact_list, CONTACT_COLUMNS },
    { "contact", "add", "add one, or give it another name", NULL, contact_add,
      kv_cli_contact_add, CONTACT_COLUMNS },
    { "contact", "remove", "remove one", NULL, contact_remove, kv_cli_contact_remove,
      CONTACT_COLUMNS },
    { "contact", "set", "replace all of them", API "ContactService/SetContacts", contact_set,
      kv_cli_contact_set, CONTACT_COLUMNS },
    { "contact", "delete", "all of them", API "ContactService/DeleteContacts", kv_cli_of_vault,
      kv_cli_contact_list, CONTACT_COLUMNS },
    { "contact", "test", "send each of them a mail now", API "ContactService/TestContacts",
      kv_cli_of_vault, kv_cli_contact_test,
      "EMAIL=email ACCEPTED=accepted DETAILS=details" },
    { "webhook", "set", "make a webhook, or replace all of it but its key",
      API "WebhookService/SetWebhook", webhook_set, kv_cli_webhook_set, WEBHOOK_COLUMNS },
    { "webhook", "show", "one webhook, with the key its signatures are verified with",
      API "WebhookService/GetWebhook", of_webhook, kv_cli_run_call, WEBHOOK_COLUMNS },
    { "webhook", "list", "all webhooks of a vault", API "WebhookService/ListWebhooks",
      kv_cli_of_vault, kv_cli_run_list, WEBHOOK_COLUMNS },
    { "webhook", "delete", "with its key; what waits for it is not delivered",
      API "WebhookService/DeleteWebhook", of_webhook, kv_cli_run_call, WEBHOOK_COLUMNS },
    { "webhook", "test", "does the endpoint want events, and take one?",
      API "WebhookService/TestWebhook", of_webhook, kv_cli_webhook_test,
      "AGREED=agreed TAKEN=taken STATUS=status DETAILS=details" },
    { "webhook", "dead-letter list", "what could not be delivered, mail too",
      API "WebhookService/ListDeadLetters", kv_cli_of_vault, kv_cli_run_list,
      "ID=id TO=to EVENT=eventType ATTEMPTS=attempts STATUS=lastStatus ERROR=lastError"
      " CREATED=created:time" },
    { "webhook", "dead-letter redeliver", "try them again",
      API "WebhookService/RedeliverDeadLetters", redeliver, kv_cli_run_call,
      "COUNT=count MORE=more" },
    { .noun = NULL },
};
/* clang-format on */
