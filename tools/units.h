/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people write them: read strictly, printed shortly. */
#ifndef UNITS_H
#define UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNITS_TEXT 32

/* Digits and nothing else: no sign, no blank, no overflow. */
bool units_number(const char *text, uint64_t *ret_value);

/* Digits, then nothing or one of K M G T (either case, "KiB" and "K" alike), as powers of 1024. */
bool units_size(const char *text, uint64_t *ret_bytes);

/* Digits and one of ms s m h d: milliseconds. */
bool units_duration(const char *text, uint64_t *ret_ms);

/* "250 ms", "12.5 h" in the caller's buffer, which is returned. */
const char *units_duration_text(char text[UNITS_TEXT], uint64_t ms);

/* "17 bytes", "1.5 GiB" in the caller's buffer, which is returned. */
const char *units_bytes(char text[UNITS_TEXT], uint64_t bytes);

/* a / b, 0 when b is 0. */
double units_ratio(uint64_t a, uint64_t b);

#endif
