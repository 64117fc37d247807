/* SPDX-License-Identifier: Apache-2.0 */
/* The maker's beginning and end, for log.c. */
#ifndef TEST_ROT_MAKE_H
#define TEST_ROT_MAKE_H

#include "rot/log.h"

void rot_make_init(struct rot_maker *maker, struct rot_log *log, uint32_t sector_bytes);
void rot_make_free(struct rot_maker *maker);
/* Closes the log that is open. */
void rot_make_close(struct rot_maker *maker);
/* Takes away what the log's own threads may have prepared or not. */
void rot_make_strip(struct crash_fs *fs);

#endif
