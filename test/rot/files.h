/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of change that are about whole files, for change.c. */
#ifndef TEST_ROT_FILES_H
#define TEST_ROT_FILES_H

#include "rot/change.h"

uint64_t rot_manifest_bits(const struct rot_log *log, const struct rot_scenario *scenario);
void rot_flip_manifest_bit(struct rot_case *c, uint64_t number);
uint64_t rot_manifest_changes(const struct rot_log *log, const struct rot_scenario *scenario);
void rot_change_manifest(struct rot_case *c, uint64_t number);
uint64_t rot_cuts(const struct rot_log *log, const struct rot_scenario *scenario);
void rot_cut(struct rot_case *c, uint64_t number);
uint64_t rot_segment_changes(const struct rot_log *log, const struct rot_scenario *scenario);
void rot_change_segments(struct rot_case *c, uint64_t number);

#endif
