/* isolated_child.h - starts the process of an isolated module.
 *
 * It gets a listening socket, a line to this process that says whether it lives, an environment of
 * the variables that are named, and nothing else.
 *
 * Threads: any; the process ends with the thread that started it (PR_SET_PDEATHSIG).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* All borrowed. */
typedef struct kv_child_config {
    char *program, *module;
    const char *environment; /* names, by blanks */
    int folder;              /* descriptor of the folder of its socket */
    const char *name;        /* of the socket in it */
} kv_child_config;

typedef struct kv_child {
    pid_t pid;    /* to be waited for */
    int lifeline; /* owned by the caller: readable when it says something, at its end when it ended
                   */
} kv_child;

/* False: errno says why there is none. */
bool kv_child_begin(const kv_child_config *config, kv_child *out);

/* The path of its socket, by the folder's descriptor: a socket's name has little room. */
void kv_child_address(const kv_child_config *config, char *out, size_t size);

/* Ends all connections of this process to that socket, whoever made them and whoever holds their
 * other ends: what waits for an answer is told that there is none. Looks at every descriptor. Best
 * effort: needs two descriptors more for a moment. */
void kv_child_hang_up(const kv_child_config *config);
