/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log in use while something goes wrong: on a file system in memory, under the decorators, with a ledger of
 * what it has promised. Each step judges at once what it was told; what breaks a promise ends the process
 * with a message (fault_die).
 *
 * - An error comes only when something failed, is one of those that the function documents, and says why.
 * - The first error of a log stays as it was, whatever comes after, and closing gives it again.
 * - A log that still accepts writes accepts them again once the fault has passed.
 * - The five positions keep their order, and the durable one never goes back.
 * - A file whose sync failed is not synced again.
 *
 * Threads: one; the log's own come on top.
 */
#ifndef TEST_FAULT_RUN_H
#define TEST_FAULT_RUN_H

#include <pthread.h>
#include <stdbool.h>

#include "fault/plan.h"
#include "fault/tooth.h"
#include "fault/watch.h"
#include "lib/ledger.h"
#include "lib/memory.h"
#include "varve/varve.h"

/* Where a frame lies. */
struct fault_place {
    uint64_t lsn; /* of a record in it */
    uint64_t segment, offset, bytes;
    uint64_t first_lsn, last_lsn;
};

#define FAULT_LOG "log" /* the log's directory, in the file system in memory */

/* A disk that scenarios begin with, and what is promised of it. */
struct fault_base {
    struct test_memory memory;
    struct test_ledger ledger;
    struct varve_options options;   /* to open it with, but for `io` */
    uint64_t trimmed;               /* a trim was asked for below this LSN */
    int code;                       /* what opening it must say: 0, or the damage's */
    bool skip;                      /* and the story is about passing over that */
    uint64_t gone_first, gone_last; /* what is damaged; 0 = nothing */
    struct fault_place gone;        /* where that lay; segment 0 = not to be asked */
};

struct fault_run;

struct fault_scenario {
    const char *name, *about;
    void (*prepare)(struct fault_base *base);
    void (*story)(struct fault_run *run);
    void (*begin)(struct fault_run *run); /* before anything fails; may be NULL, as the next */
    void (*end)(struct fault_run *run);   /* when nothing fails any more */
    void (*look)(struct fault_run *run, struct test_memory *memory); /* at each disk that is left */
};

const struct fault_scenario *fault_scenario_at(unsigned index); /* NULL behind the last */
const struct fault_scenario *fault_scenario_find(const char *name);

enum {
    FAULT_PENDING = 64,
    FAULT_SAID = 8192
};

struct fault_run {
    const struct fault_scenario *scenario;
    const struct fault_case *fault;
    struct fault_base *base;
    struct test_fault faults;
    struct fault_watch watch;
    struct fault_tooth tooth;
    struct varve_options options; /* with io: the tooth's */
    struct varve_log *log;
    struct varve_log *writer; /* of another process, as it were */
    uint64_t limit;           /* what that writer has made durable: readers get no more; 0 = there is none */
    char *step;               /* what it is doing; where others can read it */
    struct varve_error first; /* the log's first error */
    uint64_t durable;         /* the highest durable LSN that was seen */
    struct fault_pending {
        uint64_t lsn, id;
    } pending[FAULT_PENDING]; /* appended and not acknowledged */
    unsigned pending_count;
    bool accepted;     /* the log was opened with its damage passed over */
    bool blind;        /* opened with less than there was: the disk had lied */
    unsigned errors;   /* calls that failed */
    bool failed;       /* the log turned read-only */
    bool struck;       /* the fault came to pass; once the story is over */
    long *allocations; /* where to count them, or NULL */
    /* [killed_lock] What a kill at that moment would have left, and what was promised by then. */
    struct fault_killed {
        long changes; /* of the disk, until now */
        bool taken;
        struct test_memory memory;
        struct test_ledger ledger;
        uint64_t trimmed;
        bool accepted;
    } killed;
    pthread_mutex_t killed_lock;
    pthread_mutex_t said_lock;
    size_t said_bytes;     /* [said_lock] */
    char said[FAULT_SAID]; /* [said_lock] all that was said */
};

enum {
    FAULT_STEP = 64,
    FAULT_EXIT_WRONG = 3 /* how fault_die ends a process */
};

/* `step`: FAULT_STEP bytes. */
void fault_run_init(struct fault_run *run, const struct fault_scenario *scenario, struct fault_base *base,
                    const struct fault_case *fault, enum fault_tooth_kind tooth, char *step);
/* The story, with the fault in it; the log is closed. */
void fault_run_tell(struct fault_run *run);
void fault_run_close(struct fault_run *run);

_Noreturn void fault_die(struct fault_run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Whether the fault has struck. */
bool fault_struck(struct fault_run *run);
/* Whether it has, and will not strike again. */
bool fault_passed(struct fault_run *run);
/* Says what comes next. */
void fault_step(struct fault_run *run, const char *what);
/* A call failed with this code, which must be one of `codes` (ended by 0); `error` may be NULL where the call
 * gives none. */
void fault_told(struct fault_run *run, int code, const struct varve_error *error, const int *codes);

/* -- steps of a story; each false when its call failed for good -- */

/* With the base's options, these flags and this policy. */
bool fault_open(struct fault_run *run, unsigned flags, enum varve_policy policy);
enum fault_append {
    FAULT_APPEND_WAIT,  /* with the log's own durability */
    FAULT_APPEND_ASYNC, /* nobody waits */
    FAULT_APPEND_BATCH, /* three records together */
};
bool fault_append(struct fault_run *run, enum fault_append how, unsigned count);
/* Waits for what is pending: with varve_wait, or with varve_sync. */
bool fault_wait(struct fault_run *run);
bool fault_sync(struct fault_run *run);
bool fault_trim(struct fault_run *run, uint64_t lsn);
/* Reads all there is with a cursor, forth and then once more from the middle. */
void fault_read(struct fault_run *run, enum varve_policy policy);
void fault_close(struct fault_run *run);
/* Until the log's own threads have nothing more to do. */
void fault_settle(struct fault_run *run);
void fault_settle_log(struct varve_log *log);

/* Reads the open log by a cursor that stands at `from` and holds each record against the ledger. Returns the
 * LSN behind the last one; *ret_code: how it ended. */
uint64_t fault_read_from(struct fault_run *run, struct varve_cursor *cursor, struct test_ledger *ledger,
                         uint64_t from, int *ret_code);

#endif
