/* routes.h - the rows of keyvault.test.v1.EchoService. */
#pragma once

#include "server/core/route.h"

extern const kv_route kv_test_routes[];
extern const size_t kv_test_route_count;
