/* SPDX-License-Identifier: Apache-2.0 */
/* dump --operations: what a record's payload says, where its format or the engine gives it a meaning. */
#ifndef DUMP_SAYS_H
#define DUMP_SAYS_H

#include "dump.h"
#include "json.h"

/* Writes into the text beneath a record, or into the record's object. */
struct says {
    struct dump *dump;
    struct json *json; /* NULL: text */
};

/* An operation, then what it has, then its end. */
void says_begin(struct says *says, const char *what);
void says_bytes(struct says *says, const char *name, const void *data, size_t bytes);
void says_number(struct says *says, const char *name, uint64_t value);
void says_signed(struct says *says, const char *name, int64_t value);
void says_word(struct says *says, const char *name, const char *word);
void says_time(struct says *says, const char *name, uint64_t time_us);
void says_hex(struct says *says, const char *name, const void *data, size_t bytes);
void says_end(struct says *says);

/* All that the record says; NULL, or why it says nothing. */
const char *says_aero(struct says *says, const struct varve_record_info *record);
const char *says_dbkv(struct says *says, const struct varve_record_info *record);
const char *says_lfwal(struct says *says, const struct varve_record_info *record);
const char *says_wlog(struct says *says, const struct varve_record_info *record);
const char *says_writeset(struct says *says, const struct varve_record_info *record);
const char *says_engine(struct says *says, const struct varve_record_info *record);

/* `json` NULL: text, with a newline for each operation; else inside the record's object. */
void dump_says(struct dump *dump, struct json *json, const struct varve_record_info *record);

#endif
