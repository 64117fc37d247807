/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of the soak share: a board in memory, and the shape of a record. */
#ifndef SOAK_SOAK_H
#define SOAK_SOAK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    SOAK_THREADS = 4,
    SOAK_WORD_BYTES = 400,
    SOAK_RECORD_MAX = 20000
};

#define SOAK_LOG       "log"
#define SOAK_PIN       "follower"
#define SOAK_SEGMENT   (UINT64_C(1) << 20)
#define SOAK_KEPT      (UINT64_C(4) << 20)  /* keep_bytes */
#define SOAK_LOG_BYTES (UINT64_C(12) << 20) /* max_log_bytes: the bound that the directory is held to */

/* The board is the parent's mapping, so it outlives the others. */
struct soak_board {
    _Atomic uint64_t
        acked[SOAK_THREADS];       /* [writer's thread] numbers up to here were acknowledged; only grows */
    _Atomic uint64_t acked_lsn;    /* [writer] the highest LSN of them */
    _Atomic uint64_t followed_lsn; /* [follower] everything up to here was read, and was right */
    _Atomic uint64_t followed[SOAK_THREADS]; /* [follower] the last number of each thread in it */
    _Atomic uint64_t lives, full, segments; /* [writer] openings, appends refused for space, segments begun */
    _Atomic int opened;                     /* [writer sets, parent clears] it is appending */
    _Atomic int stop;                       /* [parent] the writer is to close the log */
    _Atomic int done;                       /* [parent] nobody writes any more: the end is the end */
    char writer_word[SOAK_WORD_BYTES];      /* [writer] why it gave up; read once it is gone */
    char follower_word[SOAK_WORD_BYTES];    /* [follower] what is wrong; likewise */
};

/* Record `number` of a thread: both, and bytes that follow from them. Returns its length. */
size_t soak_record_make(unsigned thread, uint64_t number, uint8_t *out);
/* Whether these are such bytes; of which, is told. */
bool soak_record_read(const uint8_t *bytes, size_t len, unsigned *ret_thread, uint64_t *ret_number);

/* Each is a process's whole life; ends with 0, or 1 after leaving word on the board. */
_Noreturn void soak_write(struct soak_board *board);
_Noreturn void soak_follow(struct soak_board *board);

/* look.c: what the parent sees from outside. 0 where it cannot be told. */
uint64_t soak_log_bytes(void);
uint64_t soak_resident_bytes(pid_t pid);
unsigned soak_open_files(pid_t pid);
/* Whether every page is counted as it is: not under a sanitizer, which keeps what was freed. */
bool soak_memory_counts(void);

#endif
