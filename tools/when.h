/* SPDX-License-Identifier: Apache-2.0 */
/* Moments, in microseconds since 1970 UTC, as people write them. */
#ifndef WHEN_H
#define WHEN_H

#include <stdbool.h>
#include <stdint.h>

#define WHEN_TEXT 40

/*
 * Reads a moment:
 *   2026-03-01   2026-03-01T12:30   2026-03-01T12:30:05.25Z   "2026-03-01 12:30:05+02:00"   without a zone:
 * UTC
 *   @1772366400.5   seconds since 1970 UTC
 *   -90s -30m -2h -1d   before `now_us`;  now
 */
bool when_parse(const char *text, uint64_t now_us, uint64_t *ret_us);

/* "2026-03-01T12:30:05.250000Z" in the caller's buffer, which is returned; "-" for 0, which stands for none.
 */
const char *when_print(char text[WHEN_TEXT], uint64_t time_us);

uint64_t when_now_us(void);

/* From some moment on, never going back: to measure how long something takes. */
uint64_t when_clock_us(void);

#endif
