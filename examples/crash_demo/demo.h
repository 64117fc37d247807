/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the crash demonstration share. */
#ifndef CRASH_DEMO_DEMO_H
#define CRASH_DEMO_DEMO_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "varve/varve.h"

#define DEMO_THREADS_MAX     64u
#define DEMO_KILLS_MAX       1000u
#define DEMO_COMPLAINT_BYTES 1024

/* Lines at the end of each thread's share that wait until the last kill has come: the writer must not be
 * through before, and a sabotage that is ordered after it must still find two lines of a thread to do it to.
 */
#define DEMO_HELD_BACK 3u

/* Small segments, so that the writer is killed while it goes from one to the next, too. */
#define DEMO_SEGMENT_BYTES (UINT64_C(4) << 20)

enum demo_exit {
    DEMO_FINE = 0,
    DEMO_LOST = 1,
    DEMO_USAGE = 2,
    DEMO_FAILED = 3
};

enum sabotage {
    SABOTAGE_NONE = 0,
    SABOTAGE_DROP,
    SABOTAGE_DUPLICATE,
    SABOTAGE_REORDER,
    SABOTAGE_CHANGE,
    SABOTAGE_DAMAGE,
};

enum phase {
    PHASE_OPENING = 0, /* the process starts, opens the log, reads it */
    PHASE_LOGGING = 1,
    PHASE_CLOSING = 2, /* every line is logged */
};

/* What is true of the log, and what is not as it must be. */
struct findings {
    uint64_t records;
    uint64_t unacknowledged; /* in the log though not on the board: in hand at a kill */
    uint64_t lost;           /* on the board and not in the log */
    uint64_t duplicated;
    uint64_t disordered;
    uint64_t changed;
    uint64_t renumbered;              /* in the log under another LSN than acknowledged */
    uint64_t foreign;                 /* not a line that was in hand */
    uint32_t next[DEMO_THREADS_MAX];  /* where each thread has to go on, in lines of its share */
    char first[DEMO_COMPLAINT_BYTES]; /* the first of these, in words; "" = all is as it must be */
};

/* Shared by parent and writers. The parent's mapping is what outlives the writer. */
struct board {
    atomic_int phase;                  /* [atomic] enum phase; the writer's, the parent sets it back */
    atomic_int may_finish;             /* [atomic] the parent's: no kill will come any more */
    atomic_int sabotage;               /* [atomic] enum sabotage; who takes it away, has it: a writer, who
                                          does it then, or the parent, who will kill before it was begun */
    atomic_int sabotaged;              /* [atomic] it was done */
    _Atomic uint64_t acknowledged;     /* [atomic] lines, only grows */
    _Atomic uint64_t logging_since_ns; /* [atomic] of this writer */
    _Atomic uint64_t logging_until_ns; /* [atomic] 0 while it goes on */
    _Atomic uint32_t next[DEMO_THREADS_MAX]; /* [atomic] lines of its share that the thread is done with */
    char complaint[DEMO_COMPLAINT_BYTES];    /* [writer; read once it is gone] why it gave up */
    struct findings findings; /* [writer; read once it is gone] what it found when it opened the log */
};

struct demo {
    const char *input_path;
    const char *log_path;
    unsigned threads;
    unsigned kills;
    uint64_t seed;
    enum sabotage sabotage;
    int ordered;  /* [parent] the sabotage stands on the board, or the writer took it from there */
    int progress; /* 1 = standard error is a terminal */

    /* The input, mapped. Line i is text[starts[i]] up to the newline at starts[i + 1] - 1. */
    const char *text;
    const uint64_t *starts; /* lines + 1 places */
    uint32_t lines;

    struct board *board;
    _Atomic uint64_t *lsns;     /* shared, by line: the LSN it was acknowledged with, 0 = it was not */
    _Atomic uint32_t *waits_ns; /* shared, by line: how long that took */
    uint8_t *in_hand;           /* shared, by line: some thread may have had it in hand at a kill */
};

/* What the parent saw. */
struct course {
    unsigned kills;
    unsigned kills_opening; /* of these: the writer was still opening the log */
    double logging_s;       /* in all lives together */
};

/* board.c. All return 0, or -1 after demo_complain. */
int board_read_input(struct demo *demo, uint32_t lines_max);
int board_make(struct demo *demo);
/* The line, without its newline; valid as long as the program runs. */
const char *board_line(const struct demo *demo, uint32_t number, size_t *ret_bytes);
/* The number of the line at place `index` of a thread's share; demo->lines or more = it has no such line. */
uint64_t board_line_of(const struct demo *demo, unsigned thread, uint32_t index);
uint64_t demo_now_ns(void);
void demo_sleep_us(uint64_t us);
/* "crash_demo: ..." on standard error; always -1. */
int demo_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* writer.c: what the child process does; it ends with a demo_exit code. */
_Noreturn void writer_main(struct demo *demo);

/* lives.c: starts writers and kills them, until one has logged everything. Returns a demo_exit code. */
int lives_run(struct demo *demo, struct course *ret_course);

/* verify.c. 0 when the log could be read to its end, else Varve's code and *ret_error. */
int verify_log(const struct demo *demo, struct varve_log *log, struct findings *ret_findings,
               struct varve_error *ret_error);

/* sabotage.c */
int sabotage_parse(const char *name, enum sabotage *ret_kind);
const char *sabotage_name(enum sabotage kind);
/* [parent, no writer alive] 0, or -1 after demo_complain. */
int sabotage_files(struct demo *demo);

/* report.c */
void report_progress(const struct demo *demo, unsigned kills);
void report_print(const struct demo *demo, const struct course *course, const struct findings *findings,
                  double total_s);

#endif
