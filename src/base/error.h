/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling a struct varve_error. In all of them `e` may be NULL: then nothing is written. Messages come out as
 * one line of valid UTF-8: control characters and bytes that are not UTF-8 become '?', and what is too long
 * is cut between characters.
 */
#ifndef VV_BASE_ERROR_H
#define VV_BASE_ERROR_H

#include "varve/error.h"

/*
 * Sets code, errno and message; returns `code`, so that `return vv_error_set(...)` reads well. `sys_errno`:
 * 0, or an errno of either sign (the functions of struct varve_io return it negative); its text is put behind
 * the message, as ": No space left on device", and is not cut off by a long message. Keeps errno.
 */
VARVE_PRINTF(4, 5) int vv_error_set(struct varve_error *e, int code, int sys_errno, const char *fmt, ...);

/* Puts "context: " before the message that is there: called on the way up, by those who know more of the
 * place. The message's end is what gives way when both together are too long. */
VARVE_PRINTF(2, 3) void vv_error_wrap(struct varve_error *e, const char *fmt, ...);

/* `from` as well may be NULL. */
void vv_error_copy(struct varve_error *e, const struct varve_error *from);

/* Code 0, no message: for a struct that is read before anything failed. */
void vv_error_clear(struct varve_error *e);

#endif
