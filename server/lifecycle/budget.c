/* budget.c - so many in a time, as a bucket that fills evenly. */
#include "server/lifecycle/budget.h"

kv_budget kv_budget_of(int64_t count, int64_t period_ms)
{
    if (count <= 0)
        return (kv_budget){ 0 };
    return (kv_budget){ .every_ms = period_ms / count, .most = count };
}

static int64_t empty(kv_budget budget, int64_t now_ms)
{
    return now_ms + budget.most * budget.every_ms;
}

/* A clock that was ahead leaves a time behind that would close the bucket for as long: a bucket
 * cannot be emptier than empty, so that one does not count. */
static int64_t sane(kv_budget budget, int64_t full_at, int64_t now_ms)
{
    return full_at > empty(budget, now_ms) ? 0 : full_at;
}

int64_t kv_budget_ready(kv_budget budget, int64_t full_at, int64_t reserve, int64_t now_ms)
{
    int64_t usable = budget.most - 1 - reserve;

    if (!budget.every_ms)
        return now_ms;
    return sane(budget, full_at, now_ms) - (usable > 0 ? usable : 0) * budget.every_ms;
}

int64_t kv_budget_take(kv_budget budget, int64_t full_at, int64_t now_ms)
{
    int64_t from = sane(budget, full_at, now_ms);
    int64_t to = (from > now_ms ? from : now_ms) + budget.every_ms;

    /* Who may take more than there is leaves it empty. */
    return to > empty(budget, now_ms) ? empty(budget, now_ms) : to;
}
