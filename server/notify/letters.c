/* letters.c - events in words that people read. */
#include "server/notify/letters.h"

#include <time.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "server/notify/text_sink.h"

enum { DATE_BYTES = 32, PEM_BYTES = 48 };

/* What an event is called: "%s" is the object, its vault, and perhaps its date. */
typedef struct wording {
    const char *type;
    const char *cause; /* only with this one; NULL: any */
    bool urgent;
    const char *what;   /* after the object's name */
    bool with_end;      /* the date of its end follows */
    const char *advice; /* what to do; NULL: nothing */
} wording;

#define AZURE(name) "Microsoft.KeyVault." name
#define OWN(name)   "KeyVault." name

static const char replace_it[] = "Nothing renews it by itself, or renewal did not succeed: look at "
                                 "its policy and its pending operation, or replace it.";

static const char new_credential[] = "Get a new one from the authority, and set it with 'kvctl "
                                     "issuer update --credential-file --credential-expires'. "
                                     "Without it no certificate that names the issuer is renewed.";

/* shape: table */
static const wording wordings[] = {
    { AZURE("CertificateNewVersionCreated"), "renewed", false, "was renewed; the new version ends",
      true, "Programs that use it have to pick up the new version." },
    { AZURE("CertificateNearExpiry"), NULL, false, "expires", true, replace_it },
    { AZURE("CertificateExpired"), NULL, false, "has expired", true, replace_it },
    { AZURE("KeyNearExpiry"), NULL, false, "expires", true, "Rotate it, or give it another end." },
    { AZURE("KeyExpired"), NULL, false, "has expired", true,
      "It signs, encrypts and wraps no more; it still verifies, decrypts and unwraps." },
    { AZURE("SecretNearExpiry"), NULL, false, "expires", true,
      "Set a new version, or give it another end." },
    { AZURE("SecretExpired"), NULL, false, "has expired", true,
      "It can still be read: set a new version, and disable this one when nobody needs it." },
    { OWN("CertificateRenewalStarted"), NULL, false, "is being renewed; the current version ends",
      true, NULL },
    { OWN("CertificateActionNeeded"), NULL, true, "waits for you", false,
      "The certificate request is attached, and below. Have it signed by your authority, then "
      "merge what comes back:" },
    { OWN("CertificateOperationFailed"), NULL, false, "could not be issued", false,
      "See what the issuer says, mend it, and ask for it again." },
    { OWN("CertificateRenewalFailed"), NULL, false,
      "could not be renewed; the current version ends", true,
      "It is tried again, more and more often as the end comes near. Mails about the end tell how "
      "that goes." },
    { OWN("IssuerUnhealthy"), NULL, false, "is an issuer that does not work", false,
      "Certificates that name it are not renewed until it does." },
    { OWN("IssuerHealthy"), NULL, false, "is an issuer that works again", false, NULL },
    { OWN("IssuerCredentialNearExpiry"), NULL, false, "is an issuer whose credential ends", true,
      new_credential },
    { OWN("IssuerCredentialExpired"), NULL, false, "is an issuer whose credential has ended", true,
      new_credential },
    { OWN("WebhookDisabled"), NULL, false, "is a webhook that gets no more events", false,
      "Look at the endpoint, then set the webhook again; what waits for it is sent then." },
};

static const wording *wording_of(kv_slice type, kv_slice cause)
{
    for (size_t i = 0; i < KV_COUNT(wordings); i++)
        if (kv_slice_equal(type, kv_slice_text(wordings[i].type)) &&
            (!wordings[i].cause || kv_slice_equal(cause, kv_slice_text(wordings[i].cause))))
            return &wordings[i];
    return NULL;
}

/* Attempts follow each other within minutes: the first one that fails is told, and then what became
 * of it whenever the end is announced. */
bool kv_letter_wanted(kv_slice type, kv_slice cause)
{
    return wording_of(type, cause) && !kv_slice_equal(cause, KV_SLICE("renewal-again"));
}

bool kv_letter_urgent(kv_slice type)
{
    const wording *words = wording_of(type, KV_SLICE_NONE);

    return words && words->urgent;
}

/* --- what an event says --- */

typedef struct facts {
    json_t *root;
    const json_t *data;
    const wording *words;
} facts;

static void facts_cleanup(facts *at)
{
    json_decref(at->root);
}

/* "" when there is none; control characters are none of ours to pass on. */
static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static kv_status read(kv_slice event, facts *out, kv_error *err)
{
    const char *type;

    out->root = json_loadb((const char *)event.data, event.len, JSON_REJECT_DUPLICATES, NULL);
    out->data = json_object_get(out->root, "data");
    type = text_of(out->root, "type");
    out->words = wording_of(kv_slice_text(type), kv_slice_text(text_of(out->data, "Cause")));
    return json_is_object(out->data) && out->words
               ? KV_OK
               : kv_fail(err, KV_BAD_REQUEST, "this is no event that is mailed");
}

/* One line of plain text, whatever was in it. */
static void add_clean(kv_text_sink *out, const char *text)
{
    for (; *text; text++)
        kv_sink_byte(out, (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
}

static void add_date(kv_text_sink *out, const json_t *seconds)
{
    time_t at = (time_t)json_integer_value(seconds);
    char text[DATE_BYTES];
    struct tm parts = { 0 };

    if (!json_is_integer(seconds) || !gmtime_r(&at, &parts) ||
        !strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &parts))
        return;
    kv_sink_text(out, " on ");
    kv_sink_text(out, text);
}

/* "www (Certificate) was renewed; the new version ends on 2026-12-24 00:00 UTC" */
static void add_line(kv_text_sink *out, const facts *at)
{
    const char *name = text_of(at->data, "ObjectName");
    const char *kind = text_of(at->data, "ObjectType");

    if (!*name)
        name = text_of(at->root, "subject");
    if (!*name)
        name = text_of(at->data, "Issuer");
    add_clean(out, name);
    if (*kind) {
        kv_sink_text(out, " (");
        add_clean(out, kind);
        kv_sink_text(out, ")");
    }
    kv_sink_text(out, " ");
    kv_sink_text(out, at->words->what);
    if (at->words->with_end)
        add_date(out, json_object_get(at->data, "EXP"));
}

static void add_fact(kv_text_sink *out, const facts *at, const char *label, const char *member)
{
    const char *text = text_of(at->data, member);

    if (!*text)
        return;
    kv_sink_text(out, label);
    add_clean(out, text);
    kv_sink_text(out, "\n");
}

kv_status kv_letter_line(kv_arena *arena, kv_slice event, kv_slice *out, kv_error *err)
{
    KV_AUTO(facts) at = { 0 };
    kv_text_sink sink = { .arena = arena };

    KV_TRY(read(event, &at, err));
    add_line(&sink, &at);
    return kv_sink_end(&sink, out, err);
}

static void add_facts(kv_text_sink *out, const facts *at)
{
    add_fact(out, at, "Vault:       ", "VaultName");
    add_fact(out, at, "Version:     ", "Version");
    add_fact(out, at, "SHA-256:     ", "ThumbprintSha256");
    add_fact(out, at, "Issuer:      ", "Issuer");
    add_fact(out, at, "Why:         ", "Cause");
    add_fact(out, at, "Error:       ", "ErrorMessage");
    kv_sink_text(out, "Time:        ");
    add_clean(out, text_of(at->root, "time"));
    kv_sink_text(out, "\n");
}

static void add_pem(kv_text_sink *out, kv_slice der)
{
    unsigned char line[4 * PEM_BYTES / 3 + 1];

    if (!der.len)
        return;
    kv_sink_text(out, "-----BEGIN CERTIFICATE REQUEST-----\n");
    for (size_t at = 0; at < der.len; at += PEM_BYTES) {
        size_t len = der.len - at < PEM_BYTES ? der.len - at : PEM_BYTES;

        (void)EVP_EncodeBlock(line, der.data + at, (int)len);
        kv_sink_text(out, (const char *)line);
        kv_sink_text(out, "\n");
    }
    kv_sink_text(out, "-----END CERTIFICATE REQUEST-----\n");
}

static void add_merge(kv_text_sink *out, const facts *at, kv_slice csr)
{
    kv_sink_text(out, "\n    kvctl certificate pending merge --vault ");
    add_clean(out, text_of(at->data, "VaultName"));
    kv_sink_text(out, " --name ");
    add_clean(out, text_of(at->data, "ObjectName"));
    kv_sink_text(out, " --file CERTIFICATE-AND-CHAIN.pem\n\n");
    add_pem(out, csr);
}

kv_status kv_letter_of_one(kv_arena *arena, kv_slice event, kv_slice csr, kv_letter_text *out,
                           kv_error *err)
{
    KV_AUTO(facts) at = { 0 };
    kv_text_sink subject = { .arena = arena };
    kv_text_sink text = { .arena = arena };

    KV_TRY(read(event, &at, err));
    kv_sink_text(&subject, "[");
    add_clean(&subject, text_of(at.data, "VaultName"));
    kv_sink_text(&subject, "] ");
    add_line(&subject, &at);
    add_line(&text, &at);
    kv_sink_text(&text, ".\n\n");
    add_facts(&text, &at);
    if (at.words->advice) {
        kv_sink_text(&text, "\n");
        kv_sink_text(&text, at.words->advice);
        kv_sink_text(&text, "\n");
    }
    if (at.words->urgent)
        add_merge(&text, &at, csr);
    KV_TRY(kv_sink_end(&subject, &out->subject, err));
    return kv_sink_end(&text, &out->text, err);
}

static void add_many(kv_text_sink *text, const kv_slice *events, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        KV_AUTO(facts) at = { 0 };
        kv_error ignored = { 0 };

        if (read(events[i], &at, &ignored) != KV_OK)
            continue;
        kv_sink_text(text, "- ");
        add_line(text, &at);
        if (*text_of(at.data, "ErrorMessage")) {
            kv_sink_text(text, "\n  ");
            add_clean(text, text_of(at.data, "ErrorMessage"));
        }
        kv_sink_text(text, "\n");
    }
}

kv_status kv_letter_of_many(kv_arena *arena, kv_slice vault, const kv_slice *events, size_t count,
                            size_t left_out, kv_letter_text *out, kv_error *err)
{
    kv_text_sink text = { .arena = arena };
    kv_slice more;

    KV_TRY(kv_arena_print(arena, &out->subject, err, "[%.*s] %zu notices", KV_SLICE_ARG(vault),
                          count + left_out));
    KV_TRY(kv_arena_print(arena, &more, err, "\nand %zu more.\n", left_out));
    kv_sink_text(&text, "This happened in the vault ");
    kv_sink_slice(&text, vault);
    kv_sink_text(&text, ":\n\n");
    add_many(&text, events, count);
    if (left_out)
        kv_sink_slice(&text, more);
    return kv_sink_end(&text, &out->text, err);
}
