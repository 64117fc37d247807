/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each case in a process of its own, several at once: a crash, a hang or a leak is that case's and no
 * other's, and the disk to begin with is there for each as it was made.
 */
#ifndef TEST_FAULT_POOL_H
#define TEST_FAULT_POOL_H

#include <sys/types.h>

#include "fault/base.h"
#include "fault/check.h"

enum {
    FAULT_JOBS = 32,
    FAULT_MESSAGE = 4096
};

/* How a case ended. */
struct fault_outcome {
    struct fault_found found;
    bool wrong;
    char message[FAULT_MESSAGE]; /* what was wrong */
};

/* Called in the order in which cases end. */
typedef void (*fault_outcome_fn)(void *arg, size_t number, const struct fault_case *fault,
                                 const struct fault_outcome *outcome);

struct fault_pool {
    const struct fault_scenario *scenario;
    struct fault_base *base;
    enum fault_tooth_kind tooth;
    uint64_t seed;
    unsigned jobs;
    unsigned seconds; /* after which a case counts as hanging */
    fault_outcome_fn done;
    void *arg;

    struct fault_job {
        pid_t pid; /* 0 = free */
        size_t number;
        struct fault_case fault;
        int output;
        struct fault_shared *shared;
    } job[FAULT_JOBS];
};

void fault_pool_init(struct fault_pool *pool, unsigned jobs);
void fault_pool_close(struct fault_pool *pool);
/* Begins a case, when there is room for one more. */
void fault_pool_run(struct fault_pool *pool, size_t number, const struct fault_case *fault);
/* Until all have ended. */
void fault_pool_wait(struct fault_pool *pool);
/* The story without a fault, once, with all its calls counted. `count` lies in memory that is shared. False:
 * something was wrong, which *ret_outcome says. */
bool fault_pool_count(struct fault_pool *pool, struct fault_count *count, struct fault_outcome *ret_outcome);
/* One case in this process: for a debugger. What is wrong ends it. */
void fault_pool_here(struct fault_pool *pool, size_t number, const struct fault_case *fault);

#endif
