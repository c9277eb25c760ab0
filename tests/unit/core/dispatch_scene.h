/* dispatch_scene.h - services whose steps write down what happens, and calls to serve with them. */
#pragma once

#include "server/core/dispatch.h"
#include "server/core/services.h"

/* What happened, in letters: i(dentify) d(ecode) p(ermit) r(un) e(ncode) A(udited) R(efused)
 * B(egun). */
typedef struct scene {
    kv_services services;
    kv_mailbox *box;
    char steps[64];
    char fail_at;
    bool leave_in_run;
    unsigned messages;
    kv_call *posted;
} scene;

/* cmocka's set-up and its end; *state is the scene. */
int scene_make(void **state);
int scene_drop(void **state);
#define SCENE(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_drop)

extern const kv_route usual;     /* needs a permission */
extern const kv_route anyone;    /* may be called by anyone */
extern const kv_route forgotten; /* has no permission that anybody could have */
extern const kv_route stream_row;

/* With `ms` to live. */
kv_call *make_call(scene *it, const kv_route *route, int64_t ms);
/* By worker 3. */
void serve(kv_call *call);
