/* SPDX-License-Identifier: Apache-2.0 */
/* What `dump` found, in either form. */
#ifndef DUMP_H
#define DUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "out.h"
#include "varve/varve.h"

struct dump {
    struct out out;
    bool hex;
    bool operations;
    bool damaged;
    uint64_t segment;                  /* where the walk is */
    uint64_t frame_offset;             /* likewise; of no meaning where there are no frames */
    const struct varve_format *format; /* of the segment that the walk is in */
};

static inline bool dump_is_native(const struct dump *dump)
{
    return !dump->format || (dump->format->traits & VARVE_FORMAT_NATIVE);
}

/* Whether records have that, enum varve_format_fields. */
static inline bool dump_carries(const struct dump *dump, uint32_t field)
{
    return !dump->format || (dump->format->carries & field);
}

const char *dump_segment_state(enum varve_segment_state state);
const char *dump_frame_state(enum varve_frame_state state);

void dump_text_segment(struct dump *dump, const struct varve_segment_info *segment);
void dump_text_frame(struct dump *dump, const struct varve_frame_info *frame);
void dump_text_record(struct dump *dump, const struct varve_record_info *record);
void dump_text_gap(struct dump *dump, uint64_t offset, uint64_t bytes, enum varve_verdict verdict);

void dump_json_segment(struct dump *dump, const struct varve_segment_info *segment);
void dump_json_frame(struct dump *dump, const struct varve_frame_info *frame);
void dump_json_record(struct dump *dump, const struct varve_record_info *record);
void dump_json_gap(struct dump *dump, uint64_t offset, uint64_t bytes, enum varve_verdict verdict);

#endif
