/* SPDX-License-Identifier: Apache-2.0 */
/* Records out: which ones, and in which form. What `cat` and `tail` share. */
#ifndef EMIT_H
#define EMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "cli.h"
#include "out.h"
#include "varve/varve.h"

enum emit_form {
    EMIT_LINES,  /* payload, newline */
    EMIT_NUL,    /* payload, NUL */
    EMIT_FRAMED, /* length as a little-endian u32, payload */
    EMIT_RAW,    /* payload */
    EMIT_JSON,   /* one object a line */
};

/* The options that choose form and records; EMIT_OPTIONS goes into a subcommand's table, the keys below to
 * emit_option. */
struct emit {
    struct out out;
    enum emit_form form;
    const struct varve_format *format; /* of the log, to tell what its records have: native until it is set */
    uint64_t limit;                    /* records to write at most; UINT64_MAX = all */
    uint64_t count;                    /* written so far */
    bool filter;
    uint8_t types[32]; /* with `filter`: bit t set = records of type t are wanted */
};

#define EMIT_KEY_FRAMED (CLI_LONG + 100)
#define EMIT_KEY_RAW    (CLI_LONG + 101)
#define EMIT_KEY_JSON   (CLI_LONG + 102)
#define EMIT_KEY_TYPE   (CLI_LONG + 103)
#define EMIT_KEY_LIMIT  (CLI_LONG + 104)

/* clang-format off */
#define EMIT_OPTIONS                                                                                        \
    {EMIT_KEY_TYPE, "type", "N", "only records of this type (0 to 255);\nmay be given more than once"},     \
    {EMIT_KEY_LIMIT, "limit", "N", "end after N records"},                                                  \
    {'0', "null", NULL, "end each payload with NUL, not newline"},                                          \
    {EMIT_KEY_FRAMED, "framed", NULL, "before each payload its length, as a\nlittle-endian 32-bit number"}, \
    {EMIT_KEY_RAW, "raw", NULL, "payloads end to end, nothing between"},                                    \
    {EMIT_KEY_JSON, "json", NULL, "one JSON object for each record"}
/* clang-format on */

void emit_init(struct emit *emit);

/* Takes the option that `cli` is at; false if it is none of EMIT_OPTIONS. */
bool emit_option(struct emit *emit, struct cli *cli, int key);

/* Writes the record, if it is of a type that is wanted. False when there is nothing more to do: the limit is
 * reached, or the output failed. */
bool emit_entry(struct emit *emit, const struct varve_entry *entry);

#endif
