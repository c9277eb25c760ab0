/* isolated_host.h - the process in which an isolated PKCS#11 module lives.
 *
 * keyvaultd starts itself with the command "host-module". The process loads the module and serves
 * it through p11-kit's remoting to its parent alone (SO_PEERCRED) on the listening socket that it
 * was started with. It ends when the parent does, whatever the module is doing: by
 * PR_SET_PDEATHSIG, and when the other end of its line to the parent closes.
 */
#pragma once

enum {
    KV_HOST_LISTENER = 3, /* descriptors it is started with */
    KV_HOST_LIFELINE = 4,
    KV_HOST_DESCRIPTORS = 5
};

/* What it writes to the lifeline: one byte, and after KV_HOST_FAILED a text. */
#define KV_HOST_READY  'R'
#define KV_HOST_FAILED 'F'

/* `argv` is { program, "host-module", path of the module, process id of the parent }. The exit
 * status; 2 when it was not started that way. */
int kv_isolated_host(int argc, char **argv);
