/* SPDX-License-Identifier: Apache-2.0 */
/* The ways in which a log is used while something fails: a disk that was made without faults, and a story
 * that is told once for each case. */
#include <string.h>

#include "fault/story.h"

enum {
    SEGMENT_BYTES = 1 << 20
};

struct varve_options fault_options(enum varve_durability durability, enum varve_backend backend)
{
    return (struct varve_options){
        .durability = durability,
        .backend = backend,
        .segment_bytes = SEGMENT_BYTES,
        .slot_bytes = 16384,
        .slot_count = 4,
        .writes_in_flight = 1,
        .mark_idle_ms = UINT32_MAX,
        .spare_segments = 1,
        .retry_count = 2,
        .retry_first_ms = 1,
    };
}

struct varve_options fault_options_wide(enum varve_durability durability)
{
    struct varve_options options = fault_options(durability, VARVE_BACKEND_DIRECT);
    options.slot_bytes = 131072;
    return options;
}

static const struct fault_scenario scenarios[] = {
    {.name = "fresh", .about = "a log is made", .prepare = fault_prepare_nothing, .story = fault_story_fresh},
    {.name = "close",
     .about = "a log is opened, and closed with a record that nobody waited for",
     .prepare = fault_prepare_closed,
     .story = fault_story_close},
    {.name = "crashed",
     .about = "a log is opened after a crash",
     .prepare = fault_prepare_crashed,
     .story = fault_story_recover},
    {.name = "torn",
     .about = "the same, and the last write was cut off",
     .prepare = fault_prepare_torn,
     .story = fault_story_recover},
    {.name = "tail",
     .about = "the same with three segments, of which two are checked",
     .prepare = fault_prepare_many_crashed,
     .story = fault_story_recover},
    {.name = "group",
     .about = "commits: alone, in batches, and without waiting",
     .prepare = fault_prepare_closed,
     .story = fault_story_commit},
    {.name = "cached",
     .about = "the same through the page cache",
     .prepare = fault_prepare_cached,
     .story = fault_story_commit},
    {.name = "strict",
     .about = "a sync for each record",
     .prepare = fault_prepare_strict,
     .story = fault_story_commit},
    {.name = "buffered",
     .about = "records that are synced when somebody asks",
     .prepare = fault_prepare_buffered,
     .story = fault_story_commit},
    {.name = "interval",
     .about = "the same, past the page cache",
     .prepare = fault_prepare_interval,
     .story = fault_story_commit},
    {.name = "large",
     .about = "records larger than a slot",
     .prepare = fault_prepare_large,
     .story = fault_story_large},
    {.name = "rotate", .about = "segments fill", .prepare = fault_prepare_wide, .story = fault_story_rotate},
    {.name = "rotate_buffered",
     .about = "segments fill that were only allocated",
     .prepare = fault_prepare_wide_buffered,
     .story = fault_story_rotate},
    {.name = "carried",
     .about = "the same, packed by two threads",
     .prepare = fault_prepare_carried,
     .story = fault_story_rotate},
    {.name = "trim",
     .about = "segments go, and come again",
     .prepare = fault_prepare_many,
     .story = fault_story_trim},
    {.name = "marks",
     .about = "the log goes quiet",
     .prepare = fault_prepare_marks,
     .story = fault_story_marks},
    {.name = "read",
     .about = "a log is read that was not closed",
     .prepare = fault_prepare_read,
     .story = fault_story_read},
    {.name = "read_huge",
     .about = "the same with records larger than what is read at once",
     .prepare = fault_prepare_huge,
     .story = fault_story_read},
    {.name = "beside",
     .about = "a log is read while another process writes",
     .prepare = fault_prepare_beside,
     .story = fault_story_read,
     .begin = fault_begin_beside,
     .end = fault_end_beside},
    {.name = "verify",
     .about = "a log is verified and looked at",
     .prepare = fault_prepare_read,
     .story = fault_story_verify},
    {.name = "skip",
     .about = "damage is passed over, and set aside in lost/",
     .prepare = fault_prepare_skip,
     .story = fault_story_skip,
     .look = fault_look_skip},
    {.name = "refuse_record",
     .about = "a log with a damaged record",
     .prepare = fault_prepare_refuse_record,
     .story = fault_story_refuse},
    {.name = "refuse_header",
     .about = "a log with a damaged segment",
     .prepare = fault_prepare_refuse_header,
     .story = fault_story_refuse},
    {.name = "refuse_last",
     .about = "a log whose last segment is damaged",
     .prepare = fault_prepare_refuse_last,
     .story = fault_story_refuse},
    {.name = "refuse_blank",
     .about = "the same, and it looks unused",
     .prepare = fault_prepare_refuse_blank,
     .story = fault_story_refuse},
    {.name = "refuse_missing",
     .about = "a log without one of its segments",
     .prepare = fault_prepare_refuse_missing,
     .story = fault_story_refuse},
    {.name = "refuse_foreign",
     .about = "a log with a segment of another one",
     .prepare = fault_prepare_refuse_foreign,
     .story = fault_story_refuse},
    {.name = "refuse_manifest",
     .about = "a log with a damaged MANIFEST",
     .prepare = fault_prepare_refuse_manifest,
     .story = fault_story_refuse},
};

const struct fault_scenario *fault_scenario_at(unsigned index)
{
    return index < sizeof scenarios / sizeof *scenarios ? &scenarios[index] : NULL;
}

const struct fault_scenario *fault_scenario_find(const char *name)
{
    const struct fault_scenario *s;
    for (unsigned i = 0; (s = fault_scenario_at(i)) != NULL; i++) {
        if (strcmp(s->name, name) == 0) {
            return s;
        }
    }
    return NULL;
}
