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
    { .noun = NULL },
};
/* clang-format on */
