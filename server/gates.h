/* gates.h - the gates of dispatch, filled with auth and audit. */
#pragma once

#include "server/core/services.h"

/* `services` must have auth, audit and clock; its gates are set. */
void kv_gates_fill(kv_services *services);
