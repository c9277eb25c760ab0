/* stores.h - every kind of database there is, one row each. */
#pragma once

#include "server/store/store.h"

extern const kv_store_ops *const kv_stores[];
extern const size_t kv_stores_count;
