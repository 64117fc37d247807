/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `varve bench` share: the plan's figures, and who measures them. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "out.h"

#include "varve/varve.h"

#define BENCH_RECORD_BYTES 128 /* of the commits */
#define BENCH_THREADS_MAX  128
#define BENCH_ROUNDS       3 /* of what is compared with each other */

/* One measurement of commits or durable writes; the middle one of several rounds where there were some. */
struct bench_figure {
    double per_s;
    double p50_us, p99_us;
};

/* The ways to make 128 bytes durable without a log. */
enum bench_sync {
    BENCH_SYNC_APPEND = 0,    /* a file that grows, fdatasync */
    BENCH_SYNC_OVERWRITE = 1, /* written before, fdatasync */
    BENCH_SYNC_SECTOR = 2,    /* written before, O_DIRECT and RWF_DSYNC, one sector */
    BENCH_SYNC_PAGE = 3,      /* the same, 4096 bytes */
    BENCH_SYNC_COUNT = 4,
};

/* A setting of the log, the values that are tried, and which one came out ahead. values[0] is the default. */
#define BENCH_TRIES 3

struct bench_setting {
    const char *name; /* of the field of struct varve_options */
    const char *work; /* what was measured with it */
    const char *unit;
    size_t count; /* 1 = there is nothing to choose from */
    uint64_t values[BENCH_TRIES];
    double figures[BENCH_TRIES]; /* median of the rounds; the larger the better */
    double least[BENCH_TRIES];   /* the worst round beside the default's in the same round */
    size_t best;
};

enum bench_choice {
    BENCH_BACKEND = 0,
    BENCH_SECTOR = 1,
    BENCH_WRITES = 2,
    BENCH_SLOT = 3,
    BENCH_CHOICES = 4,
};

struct bench_result {
    const char *path;
    bool memory;           /* DIR is not on a disk */
    unsigned sector_bytes; /* what direct I/O needs; 0 = there is none */
    struct bench_figure syncs[BENCH_SYNC_COUNT];
    unsigned threads[4];
    struct bench_figure commits[4];
    struct bench_setting settings[BENCH_CHOICES];
    double seconds;
};

/* bench.c */
/* Set by a signal: whoever measures comes back soon. */
bool bench_stopped(void);

/* bench_hist.c: latencies, to 1/32 exact. */
#define BENCH_BUCKETS (32 * 40)

struct bench_hist {
    uint64_t count;
    uint32_t buckets[BENCH_BUCKETS];
};

void bench_hist_add(struct bench_hist *hist, uint64_t ns);
void bench_hist_merge(struct bench_hist *into, const struct bench_hist *from);
double bench_hist_us(const struct bench_hist *hist, double percent);
uint64_t bench_now_ns(void);

/* bench_disk.c. Functions return an exit code, having said what went wrong. */
/* The least that direct I/O takes in `dir`, 0 = none. */
unsigned bench_disk_sector(const char *dir);
bool bench_disk_is_memory(const char *dir);
/* For `seconds`, in a file of its own in `dir`. */
int bench_disk_sync(const char *dir, enum bench_sync way, unsigned sector_bytes, double seconds,
                    struct bench_figure *ret_figure);
/* Removes the directory `dir` and everything in it. */
int bench_disk_remove(const char *dir);

/* bench_log.c. Likewise; the log in `dir` is made if there is none, and stays. */
int bench_log_commits(const char *dir, const struct varve_options *options, unsigned threads, double seconds,
                      struct bench_figure *ret_figure);
/* Payload in MiB/s through a log in `buffered` mode, until all of it is durable. */
int bench_log_stream(const char *dir, const struct varve_options *options, double seconds, double *ret_mib_s);

/* bench_report.c */
void bench_text(struct out *out, const struct bench_result *result);
void bench_json(struct out *out, const struct bench_result *result);

#endif
