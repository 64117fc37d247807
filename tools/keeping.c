/* SPDX-License-Identifier: Apache-2.0 */
#include "keeping.h"

#include "keying.h"
#include "term.h"

int keeping_open(struct keeping *keeping)
{
    struct term_progress progress = {.what = "opening"};
    struct varve_options log = {.size = sizeof log};
    struct varve_kv_options options = {.size = sizeof options, .log = &log};
    struct varve_error error;
    int rc;

    if (keeping->preset && varve_options_preset(&log, keeping->preset) != 0)
        return say_usage("'%s': must be one of varve stra dbkv", keeping->preset);
    log.flags = keeping->change ? 0 : VARVE_OPEN_READ_ONLY;
    if (!keeping->create)
        log.flags |= VARVE_OPEN_MUST_EXIST;
    log.keys = keying_keys();
    log.message = say_message;
    log.message_level = VARVE_MESSAGE_WARNING;
    log.progress = term_progress;
    log.progress_arg = &progress;
    /* Nobody who asks for one change waits for a snapshot. */
    options.snapshot_ms = VARVE_KV_NEVER;
    options.snapshot_operations = VARVE_KV_UNLIMITED;
    options.store = keeping->store;
    options.at_lsn = keeping->at_lsn;
    options.at_time_us = keeping->at_time_us;
    rc = varve_kv_open(keeping->path, &options, &keeping->kv, &error);
    term_progress_clear();
    return rc ? say_library(keeping->path, &error) : EXIT_FINE;
}

int keeping_close(struct keeping *keeping, int rc)
{
    struct varve_error error;

    if (varve_kv_close(keeping->kv, &error) && !rc)
        rc = say_library(keeping->path, &error);
    return rc;
}
