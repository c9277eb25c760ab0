/* pki_door.h - what the plain HTTP listener serves: lists, OCSP, certificates of authorities.
 * Inner to composition. */
#pragma once

#include "server/server_parts.h"

/* Nothing when [pki] listen is empty. Tells the port in the file pki-port of the home. */
kv_status kv_pki_door_open(kv_server *server, kv_error *err) KV_MUST_USE;
