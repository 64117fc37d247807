/* SPDX-License-Identifier: Apache-2.0 */
#include "changing.h"

#include "keying.h"
#include "term.h"

/* Ends the walk; no code of the library's, which are negative. */
#define CHANGING_STOP 1000

static int changing_see_size(void *arg, const struct varve_segment_info *segment)
{
    *(uint64_t *)arg = segment->capacity_bytes;
    return CHANGING_STOP;
}

/* Opening prepares a segment: of the size that the log has, not of the default, where the disk may be full.
 */
static uint64_t changing_segment_bytes(const char *path)
{
    uint64_t bytes = 0;
    struct varve_visitor visitor = {.size = sizeof visitor, .arg = &bytes, .segment = changing_see_size};

    return varve_inspect(path, NULL, &visitor, NULL) == CHANGING_STOP ? bytes : 0;
}

int changing_open(const char *path, struct varve_log **ret_log)
{
    struct term_progress progress = {.what = "opening"};
    struct varve_options options = {.size = sizeof options};
    struct varve_error error;
    int rc;

    options.flags = VARVE_OPEN_MUST_EXIST;
    /* What is about to go needs no check; what stays is checked when it is read. */
    options.check = VARVE_CHECK_TAIL;
    options.segment_bytes = changing_segment_bytes(path);
    options.keys = keying_keys();
    options.message = say_message;
    options.message_level = VARVE_MESSAGE_WARNING;
    options.progress = term_progress;
    options.progress_arg = &progress;
    rc = varve_open(path, &options, ret_log, &error);
    term_progress_clear();
    return rc ? say_library(path, &error) : EXIT_FINE;
}

int changing_close(const char *path, struct varve_log *log, int rc)
{
    struct varve_error error;

    if (varve_close(log, &error) && !rc)
        rc = say_library(path, &error);
    return rc;
}
