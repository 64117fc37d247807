/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A history: lives of one log, each with threads that do whatever they like with it, ended by closing, by the
 * process's death or by a power cut, at rest or in the middle of calls. After each life its notes are held
 * against the model, and at the next opening what is found is.
 *
 * Kills and power cuts in the middle: the files as they are (or as a cut leaves them) are copied while the
 * threads go on; what they do after that moment never happened for the copy, where the next life goes on.
 */
#ifndef TEST_MODEL_HISTORY_H
#define TEST_MODEL_HISTORY_H

#include "lib/fault.h"
#include "lib/memory.h"
#include "lib/rng.h"
#include "model/list.h"
#include "model/note.h"
#include "model/record.h"

enum {
    MODEL_THREADS = 8
};

/* How a log is used. Each life draws one of what there are several of. */
struct model_config {
    const char *name;
    const char *about;
    const char *codec;                   /* NULL = none; what this build does not have is not used */
    enum varve_durability durability[4]; /* up to the first 0 */
    unsigned slot_bytes[3], slot_count[3], flights[2];
    struct model_sizes sizes;
    unsigned threads, ops; /* of each thread in a life */
    unsigned trims;        /* weight of trimming among the operations */
    bool marks;            /* they are written after a millisecond of quiet */
    bool faults;           /* writes and syncs fail now and then, and reads at opening */
};

const struct model_config *model_config_at(unsigned index); /* NULL behind the last */
const struct model_config *model_config_find(const char *name);

enum model_end {
    MODEL_END_CLOSE,
    MODEL_END_DROP, /* the process dies at rest */
    MODEL_END_KILL, /* in the middle of calls */
    MODEL_END_CUT,  /* the power fails in the middle of calls */
    MODEL_END_CUT_AT_REST,
};

/* A record of which nobody was told, because the log failed. */
struct model_untold {
    uint64_t id;
    uint32_t count;
    uint64_t found; /* bit by bit: which of them were found; each may be only once */
};

struct model_tally {
    uint64_t histories, lives, ends[MODEL_END_CUT_AT_REST + 1], calls, appends, seens, torn, moves, failed,
        rotten, faults;
};

struct model_history {
    const struct model_config *config;
    uint64_t seed;
    struct test_rng rng;
    struct test_memory *memory; /* owned */
    struct test_fault fault;
    uint64_t pace; /* what the disk's delays follow from */
    _Atomic uint64_t paces;
    _Atomic uint64_t clock;
    _Atomic uint64_t calls;
    _Atomic int stop; /* for the threads */
    struct model_list list;
    struct model_tally *tally;
    char message[700]; /* what was wrong; empty = nothing */

    /* -- of the life -- */
    unsigned life;
    struct varve_options options;
    struct varve_log *log;
    uint64_t base_last, base_first; /* as it began */
    struct model_notes notes;       /* of all threads, once they have ended */
    pthread_mutex_t told_lock;
    struct model_notes told; /* [told_lock] what the callback heard */

    /* -- of its end -- */
    enum model_end end;
    bool clean;               /* closed without an error */
    uint64_t before, after;   /* the crash came between these moments */
    uint64_t limit;           /* this LSN and those above were given out after the crash; 0 = none */
    uint64_t low, high;       /* what the first LSN may be */
    struct test_memory *left; /* by a crash in the middle of calls */
    struct model_untold *untold;
    size_t untold_count, untold_room;
};

/* One history from an empty file system on. false: the log did what it must not, and stderr says what. */
bool model_history_run(const struct model_config *config, uint64_t seed, unsigned lives,
                       struct model_tally *tally);

static inline uint64_t model_tick(struct model_history *h)
{
    return atomic_fetch_add(&h->clock, 1) + 1;
}

/* -- worker.c -- */
/* Threads that use h->log until each has done its share or h->stop is set; their notes go to h->notes.
 * `meanwhile` is called by the caller's thread while they run. */
void model_work(struct model_history *h, void (*meanwhile)(struct model_history *h));
/* Whether the log may give this error, having failed. */
bool model_may_fail(const struct model_history *h, int rc);

/* -- check.c -- */
/* The life's notes against the model. */
bool model_check_life(struct model_history *h);
/* What is there at an opening against what may be. `log` is h->log, nobody else uses it. */
bool model_check_found(struct model_history *h);

VARVE_PRINTF(2, 3)
bool model_wrong(struct model_history *h, const char *fmt, ...);

#endif
