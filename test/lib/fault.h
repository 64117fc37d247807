/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that fail, or do less than they say, when a test wants it. A rule names an operation, the files it is
 * about, how many such calls pass first, and what becomes of those that follow. Every call is also counted.
 *
 * Threads: any at once, rules may be armed while calls are under way; no lock is held during a call below.
 */
#ifndef TEST_LIB_FAULT_H
#define TEST_LIB_FAULT_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "lib/pass.h"

/* The operations that can fail. */
enum test_op {
    TEST_OP_DIR_OPEN,
    TEST_OP_DIR_LIST,
    TEST_OP_DIR_SYNC,
    TEST_OP_DIR_SYNC_PARENT,
    TEST_OP_RENAME,
    TEST_OP_UNLINK,
    TEST_OP_STAT_NAME,
    TEST_OP_SPACE,
    TEST_OP_OPEN,   /* a file that is there */
    TEST_OP_CREATE, /* open with VARVE_IO_CREATE */
    TEST_OP_STAT,
    TEST_OP_PREAD,
    TEST_OP_WRITE,       /* pwritev without dsync */
    TEST_OP_WRITE_DSYNC, /* pwritev with */
    TEST_OP_ALLOCATE,
    TEST_OP_SYNC,
    TEST_OP_LOCK,
    TEST_OP_TRUNCATE,
    TEST_OP_RANDOM,
    TEST_OP_COUNT,
    TEST_OP_ANY = -1,        /* in a rule: each of them */
    TEST_OP_ANY_WRITE = -2,  /* WRITE and WRITE_DSYNC */
    TEST_OP_ANY_CHANGE = -3, /* whatever changes the disk or makes it durable */
};

enum test_fault_action {
    TEST_FAULT_FAIL,    /* returns -error, nothing happens */
    TEST_FAULT_SHORT,   /* reads and writes: the first `bytes` only, and says so; others: as usual */
    TEST_FAULT_PARTIAL, /* writes: the first `bytes` only, and returns -error; others: happens, and returns
                           -error */
    TEST_FAULT_LIE,  /* does nothing and says that all is well; only for what changes the disk, for LOCK, and
                        for reads, whose buffer is then filled with what was never on the disk */
    TEST_FAULT_FLIP, /* reads: bit 0 of byte `bytes` of the buffer is turned; writes: of what is written */
};

#define TEST_FAULT_FOREVER LONG_MAX

struct test_fault_rule {
    int op; /* enum test_op */
    const char
        *prefix; /* start of the name, NULL = every name; RENAME is matched by either of its names, SPACE,
                    RANDOM and the calls on a directory by the directory's last component. Must stay valid. */
    long after;  /* so many calls of this kind pass first */
    long times;  /* so many are then touched; 0 = one; TEST_FAULT_FOREVER */
    enum test_fault_action action;
    int error;    /* positive errno; 0 = EIO */
    size_t bytes; /* see the action */
};

enum {
    TEST_FAULT_RULES = 16
};

/* What a call is about, for the hook. */
struct test_fault_call {
    enum test_op op;
    const char *name;  /* of the file or directory; RENAME: the old one */
    const char *other; /* RENAME: the new one, else NULL */
    uint64_t offset;   /* PREAD and the writes */
    uint64_t bytes;    /* PREAD, the writes, ALLOCATE, TRUNCATE: length or size */
};

/* Called before each call, with no lock held: may wait (a gate), look at files, arm rules. 0: go on. A
 * negative errno is returned to the caller and nothing happens. */
typedef int (*test_fault_hook)(void *arg, const struct test_fault_call *call);

struct test_fault {
    struct test_pass pass; /* first: pass.io is the table */
    pthread_mutex_t lock;
    struct {
        struct test_fault_rule rule;
        long seen;                 /* matching calls */
        long hits;                 /* of these, touched */
    } rules[TEST_FAULT_RULES];     /* [lock] */
    int rule_count;                /* [lock] */
    uint64_t calls[TEST_OP_COUNT]; /* [lock] */
    long countdown;                /* [lock] calls until one fails; negative = none */
    int countdown_error;           /* [lock] */
    test_fault_hook hook;          /* [lock] */
    void *hook_arg;                /* [lock] */
    _Atomic long open_files, open_dirs;
};

/* `below`: NULL = the system's. */
void test_fault_init(struct test_fault *fault, struct varve_io *below);
void test_fault_close(struct test_fault *fault);

/* Adds a rule and returns its number. The first rule that touches a call decides; all that match count it. */
int test_fault_arm(struct test_fault *fault, const struct test_fault_rule *rule);
/* Takes away all rules and the countdown. The numbers start again. */
void test_fault_disarm(struct test_fault *fault);
/* How many calls the rule has touched. */
long test_fault_hits(struct test_fault *fault, int rule);

/* The short forms: the call after the next `after` ones of this kind fails with `error`, once or from then
 * on. */
int test_fault_fail_once(struct test_fault *fault, int op, long after, int error);
int test_fault_fail_always(struct test_fault *fault, int op, long after, int error);

/* Of all calls of whatever kind, `n` more pass, then one fails with `error`, then all pass again; negative:
 * off. left: what remains of n, negative once it has failed. As vv_alloc_fail_after. */
void test_fault_fail_after(struct test_fault *fault, long n, int error);
long test_fault_left(struct test_fault *fault);

/* NULL takes the hook away; a call under way may still be in it. */
void test_fault_set_hook(struct test_fault *fault, test_fault_hook hook, void *arg);

/* How many calls of this kind there were (also TEST_OP_ANY and its like). */
uint64_t test_fault_calls(struct test_fault *fault, int op);
void test_fault_reset_calls(struct test_fault *fault);

/* "write_dsync" and so on. */
const char *test_op_name(enum test_op op);

#endif
