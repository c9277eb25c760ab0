/* verbs_event.c - what kvctl can do with events. */
#include "client/cli/verbs.h"

#define FILTERS                                                                          \
    TEXT("vault", "VAULT", "vault", "of this vault only"),                               \
        TEXT("collection", "COLLECTION", "collection", "certificates, keys or secrets"), \
        TEXT("name", "NAME", "name", "of the object of that name"),                      \
        MANY("type", "TYPE", "types",                                                    \
             "Microsoft.KeyVault.CertificateNearExpiry, ...; default all")

/* shape: table */
static const kv_cli_option event_list[] = {
    FILTERS, OWN("since", "DURATION", "how far back: 15m, 12h, 7d; default all there is"), END
};
/* shape: table */
static const kv_cli_option event_watch[] = {
    FILTERS,
    TEXT("after", "CURSOR", "after", "go on past this event; 0 is the oldest; default from now"),
    OWN("count", "N", "end after so many events"),
    TEXT("heartbeat", "SECONDS", "heartbeat_seconds", "how often the server is heard of; 15"),
    END,
};

#define EVENT_COLUMNS                                                                     \
    "SEQUENCE=sequence TYPE=type SEVERITY=severity VAULT=vault NAME=name VERSION=version" \
    " CAUSE=cause EXPIRES=expires:time ERROR=errorMessage"

/* clang-format off */
/* shape: table */
const kv_cli_verb kv_cli_verbs_event[] = {
    { "event", "list", "what happened to what you may read, oldest first",
      API "EventService/ListEvents", event_list, kv_cli_event_list, EVENT_COLUMNS },
    { "event", "watch", "what happens, as it happens: a line of JSON each",
      API "EventService/WatchEvents", event_watch, kv_cli_event_watch, NULL },
    { .noun = NULL },
};
/* clang-format on */
