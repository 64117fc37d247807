/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of logs that are written to. */
#include <inttypes.h>
#include <time.h>

#include "fault/base.h"
#include "fault/story.h"
#include "log/log.h"

/* -- making, closing, recovering -- */

void fault_prepare_nothing(struct fault_base *base)
{
    base->options = fault_options(VARVE_GROUP, VARVE_BACKEND_DIRECT);
    fault_base_init(base, FAULT_SMALL / 2, FAULT_SMALL);
}

void fault_story_fresh(struct fault_run *run)
{
    if (fault_open(run, 0, VARVE_POLICY_TRUNCATE)) {
        fault_settle(run);
        fault_append(run, FAULT_APPEND_WAIT, 1);
        fault_close(run);
    }
}

void fault_prepare_closed(struct fault_base *base)
{
    fault_prepare_nothing(base);
    fault_base_fill(base, 4, true);
}

void fault_story_close(struct fault_run *run)
{
    if (fault_open(run, 0, VARVE_POLICY_HALT)) {
        fault_settle(run);
        fault_append(run, FAULT_APPEND_ASYNC, 1);
        fault_close(run);
    }
}

void fault_prepare_crashed(struct fault_base *base)
{
    fault_prepare_nothing(base);
    fault_base_fill(base, 6, false);
}

void fault_prepare_torn(struct fault_base *base)
{
    fault_prepare_crashed(base);
    fault_base_tear(base);
}

void fault_story_recover(struct fault_run *run)
{
    if (fault_open(run, VARVE_OPEN_MUST_EXIST, VARVE_POLICY_TRUNCATE)) {
        fault_settle(run);
        fault_read(run, VARVE_POLICY_TRUNCATE);
        fault_append(run, FAULT_APPEND_WAIT, 2);
        fault_close(run);
    }
}

/* A crash with three segments, of which the last two are read. */
void fault_prepare_many_crashed(struct fault_base *base)
{
    base->options = fault_options_wide(VARVE_GROUP);
    base->options.check = VARVE_CHECK_TAIL;
    fault_base_init(base, FAULT_BIG - 2000, FAULT_BIG);
    fault_base_fill(base, 19, false);
}

/* -- committing -- */

void fault_story_commit(struct fault_run *run)
{
    if (!fault_open(run, 0, VARVE_POLICY_TRUNCATE)) {
        return;
    }
    fault_settle(run);
    fault_append(run, FAULT_APPEND_WAIT, 3);
    fault_append(run, FAULT_APPEND_BATCH, 1);
    fault_append(run, FAULT_APPEND_ASYNC, 1);
    fault_wait(run);
    fault_append(run, FAULT_APPEND_ASYNC, 1);
    fault_sync(run);
    fault_read(run, VARVE_POLICY_HALT);
    fault_append(run, FAULT_APPEND_WAIT, 1);
    fault_close(run);
}

void fault_prepare_cached(struct fault_base *base)
{
    base->options = fault_options(VARVE_GROUP, VARVE_BACKEND_BUFFERED);
    fault_base_init(base, FAULT_SMALL / 2, FAULT_SMALL);
    fault_base_fill(base, 2, true);
}

void fault_prepare_strict(struct fault_base *base)
{
    base->options = fault_options(VARVE_STRICT, VARVE_BACKEND_DIRECT);
    fault_base_init(base, FAULT_SMALL, 4 * FAULT_SMALL);
    fault_base_fill(base, 2, true);
}

void fault_prepare_buffered(struct fault_base *base)
{
    base->options = fault_options(VARVE_BUFFERED, VARVE_BACKEND_BUFFERED);
    fault_base_init(base, FAULT_SMALL, 4 * FAULT_SMALL);
    fault_base_fill(base, 2, true);
}

void fault_prepare_interval(struct fault_base *base)
{
    base->options = fault_options(VARVE_INTERVAL, VARVE_BACKEND_DIRECT);
    base->options.sync_interval_ms = 60000;
    fault_base_init(base, FAULT_SMALL, 4 * FAULT_SMALL);
    fault_base_fill(base, 2, true);
}

void fault_prepare_large(struct fault_base *base)
{
    fault_prepare_nothing(base);
    test_ledger_free(&base->ledger);
    test_ledger_init(&base->ledger, 1, FAULT_LARGE, FAULT_LARGE + 5000);
    fault_base_fill(base, 1, true);
}

void fault_story_large(struct fault_run *run)
{
    if (fault_open(run, 0, VARVE_POLICY_TRUNCATE)) {
        fault_settle(run);
        fault_append(run, FAULT_APPEND_WAIT, 3);
        fault_read(run, VARVE_POLICY_TRUNCATE);
        fault_close(run);
    }
}

/* -- segments come and go -- */

void fault_prepare_wide(struct fault_base *base)
{
    base->options = fault_options_wide(VARVE_GROUP);
    fault_base_init(base, FAULT_BIG - 2000, FAULT_BIG);
    fault_base_fill(base, 6, true);
}

void fault_prepare_wide_buffered(struct fault_base *base)
{
    base->options = fault_options_wide(VARVE_BUFFERED);
    fault_base_init(base, FAULT_BIG - 2000, FAULT_BIG);
    fault_base_fill(base, 6, true);
}

void fault_prepare_carried(struct fault_base *base)
{
    base->options = fault_options_wide(VARVE_BUFFERED);
    base->options.codec = varve_codec_get("lz4") ? "lz4" : NULL;
    fault_base_init(base, FAULT_BIG - 2000, FAULT_BIG);
    fault_base_fill(base, 6, true);
}

void fault_story_rotate(struct fault_run *run)
{
    if (!fault_open(run, 0, VARVE_POLICY_TRUNCATE)) {
        return;
    }
    fault_settle(run);
    for (unsigned i = 0; i < 6; i++) {
        fault_append(run, FAULT_APPEND_WAIT, 1);
        if (run->options.durability < VARVE_GROUP) {
            fault_sync(run);
        }
    }
    /* A log that is closed says nothing of what it does not need any more. */
    fault_settle(run);
    fault_close(run);
}

void fault_prepare_many(struct fault_base *base)
{
    base->options = fault_options_wide(VARVE_GROUP);
    fault_base_init(base, FAULT_BIG - 2000, FAULT_BIG);
    fault_base_fill(base, 12, true);
}

/* Two segments; one goes and becomes a spare, which the second one's successor is made of. */
void fault_story_trim(struct fault_run *run)
{
    if (!fault_open(run, 0, VARVE_POLICY_TRUNCATE)) {
        return;
    }
    fault_settle(run);
    fault_trim(run, varve_durable_lsn(run->log));
    fault_append(run, FAULT_APPEND_WAIT, 7);
    fault_trim(run, varve_durable_lsn(run->log));
    fault_close(run);
}

/* -- marks -- */

void fault_prepare_marks(struct fault_base *base)
{
    fault_prepare_nothing(base);
    base->options.mark_idle_ms = 1;
    fault_base_fill(base, 2, true);
}

static uint64_t marks(struct varve_log *log)
{
    struct varve_stats stats = {.size = sizeof stats};
    (void)varve_stats_get(log, &stats);
    return stats.marks;
}

/* The log goes quiet, and a mark vouches for what came last; or the log has failed. */
static void wait_for_mark(struct fault_run *run, uint64_t before)
{
    const struct timespec millisecond = {0, 1000000};
    fault_step(run, "mark");
    while (marks(run->log) == before && varve_error_first(run->log, NULL) == 0) {
        nanosleep(&millisecond, NULL);
    }
}

void fault_story_marks(struct fault_run *run)
{
    if (!fault_open(run, 0, VARVE_POLICY_TRUNCATE)) {
        return;
    }
    fault_settle(run);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t before = marks(run->log);
        if (fault_append(run, FAULT_APPEND_WAIT, 1)) {
            wait_for_mark(run, before);
        }
    }
    fault_close(run);
}
