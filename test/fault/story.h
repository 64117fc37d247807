/* SPDX-License-Identifier: Apache-2.0 */
/* What the scenarios are made of: disks, and stories that begin with them. */
#ifndef TEST_FAULT_STORY_H
#define TEST_FAULT_STORY_H

#include "fault/run.h"

enum {
    FAULT_SMALL = 600,    /* bytes of a record: a frame of two sectors */
    FAULT_BIG = 110000,   /* eight to a segment of 1 MiB */
    FAULT_LARGE = 40000,  /* larger than a slot */
    FAULT_HUGE = 1100000, /* larger than what is read at once */
};

/* Segments of 1 MiB, four slots, no marks; the wide ones have slots that hold a FAULT_BIG record. */
struct varve_options fault_options(enum varve_durability durability, enum varve_backend backend);
struct varve_options fault_options_wide(enum varve_durability durability);

void fault_prepare_nothing(struct fault_base *base);
void fault_prepare_closed(struct fault_base *base);
void fault_prepare_crashed(struct fault_base *base);
void fault_prepare_torn(struct fault_base *base);
void fault_prepare_many_crashed(struct fault_base *base);
void fault_prepare_cached(struct fault_base *base);
void fault_prepare_strict(struct fault_base *base);
void fault_prepare_buffered(struct fault_base *base);
void fault_prepare_interval(struct fault_base *base);
void fault_prepare_large(struct fault_base *base);
void fault_prepare_wide(struct fault_base *base);
void fault_prepare_wide_buffered(struct fault_base *base);
void fault_prepare_carried(struct fault_base *base);
void fault_prepare_many(struct fault_base *base);
void fault_prepare_marks(struct fault_base *base);
void fault_prepare_read(struct fault_base *base);
void fault_prepare_huge(struct fault_base *base);
void fault_prepare_beside(struct fault_base *base);
void fault_prepare_skip(struct fault_base *base);
void fault_prepare_refuse_record(struct fault_base *base);
void fault_prepare_refuse_header(struct fault_base *base);
void fault_prepare_refuse_last(struct fault_base *base);
void fault_prepare_refuse_blank(struct fault_base *base);
void fault_prepare_refuse_missing(struct fault_base *base);
void fault_prepare_refuse_foreign(struct fault_base *base);
void fault_prepare_refuse_manifest(struct fault_base *base);

void fault_story_fresh(struct fault_run *run);
void fault_story_close(struct fault_run *run);
void fault_story_recover(struct fault_run *run);
void fault_story_commit(struct fault_run *run);
void fault_story_large(struct fault_run *run);
void fault_story_rotate(struct fault_run *run);
void fault_story_trim(struct fault_run *run);
void fault_story_marks(struct fault_run *run);
void fault_story_read(struct fault_run *run);
void fault_story_verify(struct fault_run *run);
void fault_story_skip(struct fault_run *run);
void fault_story_refuse(struct fault_run *run);

void fault_begin_beside(struct fault_run *run);
void fault_end_beside(struct fault_run *run);
void fault_look_skip(struct fault_run *run, struct test_memory *memory);

#endif
