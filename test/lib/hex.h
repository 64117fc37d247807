/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_LIB_HEX_H
#define TEST_LIB_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Bytes as documents write them, "25 00 0a": pairs of lower-case digits, with blanks between or without.
 * Returns how many. */
size_t test_hex(const char *text, uint8_t *out);

#endif
