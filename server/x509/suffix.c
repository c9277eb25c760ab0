/* suffix.c - asks the Public Suffix List. */
#include "server/x509/suffix.h"

#include <string.h>

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

typedef bool judge(const psl_ctx_t *list, const char *name);

static bool any(const kv_x509_list *names, judge *broken)
{
    psl_ctx_t *list = names->count ? psl_latest(NULL) : NULL;
    bool found = false;

    for (size_t i = 0; list && !found && i < names->count; i++) {
        char text[NAME_MAX_BYTES + 1];

        found = spell(names->items[i], text) && strchr(text, '.') && broken(list, text);
    }
    psl_free(list);
    return found;
}

static bool is_listed(const psl_ctx_t *list, const char *name)
{
    return psl_is_public_suffix2(list, name, PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE);
}

static bool is_wildcard_suffix(const psl_ctx_t *list, const char *name)
{
    return name[0] == '*' && name[1] == '.' && name[2] &&
           psl_is_public_suffix2(list, name + 2, PSL_TYPE_ICANN);
}

static bool is_suffix(const psl_ctx_t *list, const char *name)
{
    return name[0] != '*' && is_listed(list, name);
}

static bool has_unknown_domain(const psl_ctx_t *list, const char *name)
{
    return !is_listed(list, strrchr(name, '.') + 1);
}

bool kv_x509_any_wildcard_suffix(const kv_x509_list *names)
{
    return any(names, is_wildcard_suffix);
}

bool kv_x509_any_suffix(const kv_x509_list *names)
{
    return any(names, is_suffix);
}

bool kv_x509_any_unknown_domain(const kv_x509_list *names)
{
    return any(names, has_unknown_domain);
}
