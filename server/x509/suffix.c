/* suffix.c - asks the Public Suffix List. */
#include "server/x509/suffix.h"

#include <libpsl.h>

#include "server/base/text.h"

enum { NAME_MAX_BYTES = 253 };

/* As the list spells names; longer ones are none. */
static bool spell(kv_slice name, char out[NAME_MAX_BYTES + 1])
{
    if (name.len > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = (char)name.data[i];

        out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    out[name.len] = 0;
    return true;
}

static bool any(const kv_x509_list *names, bool wildcards)
{
    int kinds = wildcards ? PSL_TYPE_ICANN : PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE;
    psl_ctx_t *list = names->count ? psl_latest(NULL) : NULL;
    bool found = false;

    for (size_t i = 0; list && !found && i < names->count; i++) {
        char text[NAME_MAX_BYTES + 1];
        bool wild = kv_slice_starts_with(names->items[i], KV_SLICE("*."));

        found = wild == wildcards && spell(names->items[i], text) &&
                strchr(wild ? text + 2 : text, wild ? text[2] : '.') &&
                psl_is_public_suffix2(list, wild ? text + 2 : text, kinds);
    }
    psl_free(list);
    return found;
}

bool kv_x509_any_wildcard_suffix(const kv_x509_list *names)
{
    return any(names, true);
}

bool kv_x509_any_suffix(const kv_x509_list *names)
{
    return any(names, false);
}
