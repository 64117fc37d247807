/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of change are made of. */
#ifndef TEST_ROT_EDIT_H
#define TEST_ROT_EDIT_H

#include "rot/change.h"

/* A sector that frames or a header use, or that follows the last of them. */
struct rot_sector {
    uint32_t segment; /* index */
    uint64_t offset;
};

/* Adds words to what is said of the case. */
void rot_say(struct rot_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Names for what is said. */
const char *rot_name_of(const struct rot_case *c, uint32_t node);

/* None of these makes a file longer. */
void rot_flip(struct rot_case *c, uint32_t node, uint64_t bit);
void rot_put(struct rot_case *c, uint32_t node, const void *data, size_t len, uint64_t offset);
void rot_put_zeros(struct rot_case *c, uint32_t node, size_t len, uint64_t offset);
void rot_put_garbage(struct rot_case *c, uint32_t node, size_t len, uint64_t offset);
/* From any files into these. */
void rot_copy_bytes(struct rot_case *c, const struct crash_fs *from_fs, uint32_t from, uint64_t from_offset,
                    uint32_t to, uint64_t to_offset, size_t len);

uint64_t rot_sector_count(const struct rot_log *log);
struct rot_sector rot_sector_at(const struct rot_log *log, uint64_t index);
/* Any frame; never NULL. */
const struct rot_frame *rot_any_frame(struct rot_case *c);
uint32_t rot_frame_node(const struct rot_case *c, const struct rot_frame *frame);

#endif
