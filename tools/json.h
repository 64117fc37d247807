/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON, written only. Commas come by themselves; `key` is NULL for the outermost object and inside an array.
 * Numbers are printed whole, also above 2^53.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "out.h"

struct json {
    struct out *out;
    unsigned depth;
    uint64_t filled; /* bit d: something stands in the object or array of depth d already */
};

void json_object(struct json *json, const char *key);
void json_object_end(struct json *json);
void json_array(struct json *json, const char *key);
void json_array_end(struct json *json);

/* A newline, after the outermost object. */
void json_line_end(struct json *json);

void json_number(struct json *json, const char *key, uint64_t value);
void json_decimal(struct json *json, const char *key, double value);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

/* A string of ours or a path: what is not UTF-8 in it becomes U+FFFD. */
void json_string(struct json *json, const char *key, const char *text);

/* A moment in microseconds as ISO 8601; null for 0. */
void json_time(struct json *json, const char *key, uint64_t time_us);

/* 0x and eight or sixteen digits, as a string. */
void json_hex32(struct json *json, const char *key, uint32_t value);
void json_hex64(struct json *json, const char *key, uint64_t value);

/* Bytes as two hexadecimal digits each, in one string. */
void json_hex_bytes(struct json *json, const char *key, const void *data, size_t bytes);

/* A payload, which may be any bytes: "encoding" is "utf-8" or "base64", and "data" the string. */
void json_payload(struct json *json, const void *data, size_t bytes);

#endif
