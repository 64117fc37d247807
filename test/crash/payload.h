/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of a history as payloads that a format allows: the native one and some others take any bytes,
 * in the rest they are the body of a document, or the value of an operation.
 */
#ifndef TEST_CRASH_PAYLOAD_H
#define TEST_CRASH_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The record with this number, of so many bytes, as a payload; to be freed. `format`: its name, NULL = the
 * native one. */
void *crash_payload_new(const char *format, uint64_t number, size_t bytes, size_t *ret_payload_bytes);

/* Whose record a payload is, and of how many bytes; false: it is none's, or not as it was made. */
bool crash_payload_number(const char *format, const void *payload, size_t payload_bytes, uint64_t *ret_number,
                          size_t *ret_bytes);

#endif
