/* SPDX-License-Identifier: Apache-2.0 */
/* The disks that scenarios begin with: made without faults. */
#ifndef TEST_FAULT_BASE_H
#define TEST_FAULT_BASE_H

#include "fault/run.h"

/* An empty file system, and records of so many bytes. base->options is set before. */
void fault_base_init(struct fault_base *base, size_t bytes_min, size_t bytes_max);
/* A log with `records` records, each in a frame of its own; closed, or as a kill leaves it. */
void fault_base_fill(struct fault_base *base, unsigned records, bool closed);
/* One more record, of which nobody was told, and which arrived only in part; the log is as after a kill. */
void fault_base_tear(struct fault_base *base);
void fault_base_close(struct fault_base *base);

/* Damage. `lsn`: to the frame that holds it. */
void fault_base_flip_record(struct fault_base *base, uint64_t lsn);
void fault_base_flip_header(struct fault_base *base, uint64_t segment);
void fault_base_blank_header(struct fault_base *base, uint64_t segment);
void fault_base_remove(struct fault_base *base, uint64_t segment);
void fault_base_truncate(struct fault_base *base, const char *name, uint64_t bytes);
/* The last segment becomes another log's. */
void fault_base_make_foreign(struct fault_base *base, uint64_t segment);

/* Where the frame lies that holds place->lsn, which the caller sets; false: nowhere. */
bool fault_base_find(struct fault_base *base, struct fault_place *place);
/* The number of the last segment with a header. */
uint64_t fault_base_last_segment(struct fault_base *base);

#endif
