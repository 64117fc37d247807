/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log as a list: what it is to those who use it, without slots, frames, segments or files. The record
 * with LSN n is list[n]; appending puts one behind the last, trimming forgets a beginning, a crash may take
 * an end that was not durable, and nothing else ever happens.
 *
 * The list is filled after the fact, from what the appenders were told: so "the LSN is taken" and "nobody has
 * this LSN" are things that the log did.
 *
 * Threads: one.
 */
#ifndef TEST_MODEL_LIST_H
#define TEST_MODEL_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model_entry {
    uint64_t id;    /* says its content: record.h */
    uint64_t batch; /* LSN of the first that was appended with it */
    uint32_t count; /* how many those are; 0 = nobody was told of this LSN */
    bool alone;     /* `strict`: nothing else may be in its frame */
};

struct model_list {
    struct model_entry *list; /* by LSN */
    size_t room;
    uint64_t first;   /* lowest LSN that is still there */
    uint64_t last;    /* highest LSN that anybody was told of */
    uint64_t durable; /* a crash must leave everything up to here */
};

void model_list_init(struct model_list *list);
void model_list_free(struct model_list *list);

/* Somebody was told that `count` records, of which `id` is the first one's, have LSNs from `lsn` on. Returns
 * the first of these LSNs that was given before, or 0. */
uint64_t model_list_append(struct model_list *list, uint64_t lsn, uint64_t id, uint32_t count, bool alone);
/* A record of which nobody was told turned out to stand there. */
void model_list_found(struct model_list *list, uint64_t lsn, uint64_t id);
/* How many LSNs above `from` and up to the last nobody was told of; *ret_lsn: the first of them. */
uint64_t model_list_gaps(const struct model_list *list, uint64_t from, uint64_t *ret_lsn);
/* NULL: the list does not say. */
const struct model_entry *model_list_at(const struct model_list *list, uint64_t lsn);

/* Why a crash cannot leave a log that ends with `last`; NULL: it can. Static. */
const char *model_list_may_end(const struct model_list *list, uint64_t last);
/* It did. Nothing above it was ever appended. */
void model_list_crash(struct model_list *list, uint64_t last);

#endif
