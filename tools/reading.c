/* SPDX-License-Identifier: Apache-2.0 */
#include "reading.h"

#include <inttypes.h>
#include <stddef.h>

#include "keying.h"

int reading_open(struct reading *reading)
{
    struct varve_options options = {.size = sizeof options};
    struct varve_error error;
    int rc;

    reading->progress = (struct term_progress){.what = "opening"};
    options.flags = VARVE_OPEN_READ_ONLY | VARVE_OPEN_MUST_EXIST;
    /* What to do at damage is the cursor's business: the sound part before it is wanted in any case. */
    options.policy = VARVE_POLICY_SKIP;
    options.format = reading->format;
    options.keys = keying_keys();
    options.message = say_message;
    options.message_level = VARVE_MESSAGE_WARNING;
    options.progress = term_progress;
    options.progress_arg = &reading->progress;
    rc = varve_open(reading->path, &options, &reading->log, &error);
    if (rc == 0)
        rc = varve_cursor_open(reading->log, reading->policy, &reading->cursor, &error);
    term_progress_clear();
    return rc ? say_library(reading->path, &error) : EXIT_FINE;
}

void reading_close(struct reading *reading)
{
    struct varve_error error;

    varve_cursor_close(reading->cursor);
    /* Nothing was written, so nothing can be lost by closing. */
    (void)varve_close(reading->log, &error);
}

static int reading_error(struct reading *reading, int code)
{
    struct varve_error error = {.code = code};

    varve_cursor_error(reading->cursor, &error);
    return say_library(reading->path, &error);
}

int reading_seek(struct reading *reading, bool by_time, uint64_t to)
{
    int rc =
        by_time ? varve_cursor_seek_time(reading->cursor, to) : varve_cursor_seek_lsn(reading->cursor, to);

    return rc < 0 ? reading_error(reading, rc) : EXIT_FINE;
}

int reading_failed(struct reading *reading, struct emit *emit, int code)
{
    /* So that on a terminal the message stands where the records end. */
    out_flush(&emit->out);
    return reading_error(reading, code);
}

int reading_ended(struct reading *reading, struct emit *emit)
{
    const struct varve_options options = {.size = sizeof options, .format = reading->format};
    struct varve_info info = {.size = sizeof info};
    uint64_t lost = varve_cursor_lost(reading->cursor);

    out_flush(&emit->out);
    if (lost > 0) {
        say("%s: %" PRIu64 " record%s gone: damage was passed over", reading->path, lost,
            lost == 1 ? " is" : "s are");
        return EXIT_FOUND;
    }
    if (varve_cursor_verdict(reading->cursor) != VARVE_VERDICT_TORN)
        return EXIT_FINE;
    /* While somebody writes, the frame on its way looks torn for a moment. */
    if (varve_info_read(reading->path, &options, &info, NULL) == 0 && !info.writer_alive)
        say("%s: note: the log ends in a torn write, of which nothing was acknowledged", reading->path);
    return EXIT_FINE;
}
