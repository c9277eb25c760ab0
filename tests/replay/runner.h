/* runner.h - scenarios: a server's life told line by line, run against the real thing.
 *
 * scenarios/README.md has the language. Everything here stops the test when a line does not hold,
 * and says which.
 */
#pragma once

#include "tests/contract/vault/house.h"
#include "tests/replay/text_message.h"

enum {
    RUNNER_PEOPLE = 24,
    RUNNER_VARIABLES = 128,
    RUNNER_NAME = 48,
    RUNNER_WORDS = 16,
    RUNNER_OTHERS = 4,
    RUNNER_MEMORY = 256 << 20
};

typedef struct person {
    char name[RUNNER_NAME];
    made_certificate *certificate;
    kv_slice token; /* role token; empty before the first */
} person;

typedef struct variable {
    char name[RUNNER_NAME];
    kv_slice value; /* as it would stand between quotes */
} variable;

/* A statement in words; a body in braces is one word, quoted text is one word without quotes. */
typedef struct statement {
    const char *words[RUNNER_WORDS];
    unsigned count;
} statement;

typedef struct runner {
    house *h;
    const char *file;
    unsigned line; /* where the statement begins */
    kv_arena arena;
    person people[RUNNER_PEOPLE];
    unsigned people_count;
    variable variables[RUNNER_VARIABLES];
    unsigned variable_count;
    const ProtobufCMessageDescriptor *answer_type; /* of the last call */
    kv_slice answer;
    uint64_t seen;                   /* records of the audit log before the last call */
    statement others[RUNNER_OTHERS]; /* calls that come first, in this order */
    unsigned others_count;
} runner;

#define runner_fail(r, ...)                           \
    do {                                              \
        print_error("%s:%u: ", (r)->file, (r)->line); \
        print_error(__VA_ARGS__);                     \
        print_error("\n");                            \
        fail();                                       \
    } while (0)

/* --- runner.c --- */

/* NULL past the end. */
const char *runner_word(const statement *of, unsigned index);
/* The word, or the end of the test. */
const char *runner_need(runner *r, const statement *of, unsigned index);
uint64_t runner_number(runner *r, const char *text);
void runner_set(runner *r, const char *name, const char *suffix, kv_slice value);
/* "9d", "15m", "8h", "30s" or a plain number of seconds. */
int64_t runner_span_s(runner *r, const char *text);
const char *runner_text(runner *r, kv_slice text);

/* --- runner_call.c --- */

person *runner_person(runner *r, const char *name);
person *runner_add_person(runner *r, const char *name);
/* What a call comes with; empty: without it. */
typedef struct runner_says {
    kv_slice token; /* of a role */
    kv_slice key;   /* idempotency key */
} runner_says;

/* Calls a method and holds the outcome against `expect STATUS [REASON [FIELD]]`, which starts at
 * words[expect] or is absent: OK. Also checks that exactly one audit record tells of it. */
void runner_call(runner *r, const char *method, person *as, const runner_says *says,
                 const char *body, const statement *of, unsigned expect);
/* A call of the access administrator that has to work. */
void runner_admin(runner *r, const char *method, const char *body, const statement *of,
                  unsigned expect);
/* "audit has|lacks OPERATION PERSON TARGET STATUS [REASON]" from words[1] on. */
void runner_audit(runner *r, const statement *of);

/* --- runner_steps.c --- */

void runner_step(runner *r, const statement *of);
