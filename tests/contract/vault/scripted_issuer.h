/* scripted_issuer.h - an issuer outside that does what the test says, and counts what it was asked.
 *
 * It knows its orders by (operation, attempt) for as long as the program runs, as an authority does
 * through our crashes.
 */
#pragma once

#include "tests/contract/vault/acts.h"

typedef enum script_deed {
    SCRIPT_ISSUE,
    SCRIPT_REFUSE,       /* at the last poll */
    SCRIPT_WRONG_KEY,    /* the certificate of another request */
    SCRIPT_GARBAGE,      /* bytes that are no certificate */
    SCRIPT_AT_ONCE,      /* submit answers with the certificate */
    SCRIPT_WAIT_FOREVER, /* pending, nothing to ask */
    SCRIPT_HANG,         /* submit does not return before scripted_let_go() */
    SCRIPT_SILENT,       /* submit gets no answer */
    SCRIPT_BUSY,         /* submit is refused for `retry_ms`, whoever asks */
    SCRIPT_LOCKED        /* submit is refused: the account is locked */
} script_deed;

typedef struct script {
    script_deed deed;
    unsigned pending;                  /* polls that are answered with PENDING */
    unsigned retry_ms;                 /* with them */
    int64_t life_ms;                   /* of its certificates, from now on; 0: those of 2026 */
    int64_t window_from, window_until; /* that "Hinting" suggests for what is older; 0: none */
    unsigned failures;                 /* orders that end with RETRYABLE first */
    unsigned silences;                 /* submits that are carried out, and their answer lost */
    const char *names;                 /* of the certificate, "DNS:a"; NULL: none */
    void (*meanwhile)(void *context);  /* called while submit is under way, once */
    void (*refusing)(void *context);   /* called before a poll is answered with a refusal, once */
    void *context;

    /* counted */
    unsigned orders; /* different ones */
    unsigned submits, polls, fetches, cancels, hints;
    unsigned unanswered; /* submits that were not, or that were sent away; not among `submits` */
    unsigned hanging, hanging_most; /* submits that hang now, and at most did at once */
    char cancelled[64];             /* the order that was cancelled last */
} script;

extern script scripted; /* one issuer, one script */

/* The house knows issuer "Scripted" from now on, "Hinting", which also suggests windows, and
 * "Prompt", which does nothing but issue at once; the script begins anew, with one poll that is
 * answered with PENDING. */
void scripted_join(house *h);
void scripted_begin(void);
/* Those that hang time out, and others get no answer either: the script is SCRIPT_SILENT now. */
void scripted_let_go(void);
/* Waits until so many submits hang, at most ten seconds. */
void scripted_wait_for_hanging(unsigned count);
/* Takes steps and lets time pass until nothing is due. */
kv_status scripted_drive(house *h, kv_error *err) KV_MUST_USE;
