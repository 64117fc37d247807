/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes written as hexadecimal digits, as documents and standards print them. */
#ifndef TEST_LIB_HEX_H
#define TEST_LIB_HEX_H

#include <stddef.h>

/* Reads pairs of digits, with blanks between or without, to at most `room` bytes; returns how many. Anything
 * else fails the test. */
size_t test_hex_within(const char *text, void *out, size_t room);

/* The same where there is room for certain. */
size_t test_hex(const char *text, void *out);

#endif
