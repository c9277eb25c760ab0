/* completion.h - files that the build makes of the tables: completion and the manual page.
 *
 * `kvctl completion bash`, `kvctl completion zsh` and `kvctl manual` print them; the help does not
 * mention these three, because an installation has the files already.
 *
 * Threads: any; pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* False when the shell is neither "bash" nor "zsh". */
bool kv_cli_completion(const char *shell, FILE *out);
/* kvctl(1) in the man macros of troff. The date of the release is written 2030-01-31. */
void kv_cli_manual(const char *version, const char *date, FILE *out);
