/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmark's files share. Everything here is this program's own; of Varve only the public headers
 * are used. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define BENCH_ROUNDS_MAX 15
#define BENCH_PATH_BYTES 512

/* Size of a small record's payload, and of the header that the baselines put before it: they lay down as many
 * bytes as Varve does, so that nobody wins by writing less. */
#define BENCH_RECORD_BYTES 128u
#define BENCH_HEADER_BYTES 16u

struct bench {
    char dir[BENCH_PATH_BYTES]; /* all files lie here; main removes it */
    unsigned sector_bytes;      /* what direct I/O needs in `dir` */
    unsigned rounds;
    double warmup_s; /* of each run, thrown away */
    double measure_s;
    double limit_s; /* of the whole; a section that runs late has fewer rounds */
    int progress;   /* 1 = say on stderr what is running */
};

/* What one run gave. Fields that do not apply are 0. */
struct sample {
    double value; /* in the measure's unit */
    double p50_us;
    double p99_us;
    double p999_us;
    double max_us;
    double unfairness; /* greatest wait / median wait */
};

enum section {
    SECTION_COMMIT = 0,
    SECTION_STREAM = 1,
    SECTION_RECOVER = 2,
    SECTION_MEMORY = 3,
    SECTION_COUNT = 4,
};

struct measure;
typedef int (*measure_fn)(struct bench *bench, const struct measure *measure, struct sample *ret_sample);

struct measure {
    const char *key;
    const char *title;
    const char *unit;
    enum section section;
    unsigned threads;
    measure_fn run;
};

struct result {
    const struct measure *measure;
    unsigned rounds; /* 0 = was not run */
    struct sample samples[BENCH_ROUNDS_MAX];
};

/* plan.c */
const char *plan_section_name(enum section section);
size_t plan_count(void);
/* Runs every measure of the sections in the bit set `sections`. `results` has plan_count() places. */
int plan_run(struct bench *bench, unsigned sections, struct result *results);
const struct result *plan_find(const struct result *results, const char *key);

/* goals.c */
struct goal_outcome {
    const char *title;
    const char *unit;
    double measured, least, greatest; /* median and spread over the rounds */
    double limit;
    int at_least; /* 1 = measured must reach the limit, 0 = must not pass it */
    int measured_at_all;
    int met;
};
size_t goals_count(void);
void goals_judge(const struct result *results, struct goal_outcome *ret_outcomes);

/* table.c, json.c */
void table_print(FILE *out, const struct bench *bench, const struct result *results,
                 const struct goal_outcome *outcomes);
void json_print(FILE *out, const struct bench *bench, const struct result *results,
                const struct goal_outcome *outcomes);

/* stats.c: a histogram of nanoseconds, exact below 256 ns and to 1/128 above. */
#define LATENCY_BUCKETS (256u + 28u * 128u)

struct latency {
    uint64_t count;
    uint64_t max_ns;
    uint32_t buckets[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, uint64_t ns);
void latency_merge(struct latency *into, const struct latency *from);
double latency_percentile_us(const struct latency *latency, double percent);
void latency_sample(const struct latency *latency, struct sample *ret_sample);

struct spread {
    double median, least, greatest;
};

/* Median and range of `count` values; zeros for none. `values` is sorted by the call. */
struct spread spread_of(double *values, unsigned count);

uint64_t bench_now_ns(void);
void bench_sleep_s(double seconds);

/* crew.c: threads that do the same thing until they are told to stop. */
struct crew;

struct worker {
    struct crew *crew;
    void *arg; /* the plan's */
    unsigned index;
    pthread_t thread;
    uint64_t operations; /* [worker; read after join] completed while it was measured */
    struct latency latency;
    uint8_t record[BENCH_RECORD_BYTES]; /* the worker's own payload */
};

/* Does one operation, or a batch of them: returns how many, or -1 after bench_fail. */
typedef int (*crew_fn)(struct worker *worker);

struct crew_plan {
    unsigned threads;
    int timed; /* 1 = one operation at a time, each one timed */
    crew_fn fn;
    void *arg;
    double warmup_s, measure_s;
    void (*mark)(void *arg, int begins); /* called when measuring begins and when it has ended, or NULL */
};

struct crew_result {
    uint64_t operations;
    uint64_t started_ns; /* when measuring began */
    double elapsed_s;
    struct latency latency;
};

/* `ret_result` is large: not for the stack of a small thread. */
int crew_run(const struct crew_plan *plan, struct crew_result *ret_result);
/* Runs a timed crew and makes a sample of it: operations per second with their latencies. */
int crew_sample(const struct bench *bench, unsigned threads, crew_fn fn, void *arg,
                struct sample *ret_sample);

/* shelter.c */
/* Makes a directory of its own in `parent` (NULL: where this program lies), has `measure` run in a child
 * process that dies with this one, and removes the directory when the child is gone, however it went. Returns
 * what `measure` returned, or -1. `space_bytes` is what must be free. */
int shelter_run(struct bench *bench, const char *parent, uint64_t space_bytes, int (*measure)(void *arg),
                void *arg);
/* Where this program lies, without a slash at the end. */
int shelter_program_dir(char ret_path[BENCH_PATH_BYTES]);

/* disk.c */
/* Says on stderr what failed, with the text of `sys_errno` unless that is 0; always -1. */
int bench_fail(int sys_errno, const char *format, ...) __attribute__((format(printf, 2, 3)));
void disk_path(const struct bench *bench, const char *name, char ret_path[BENCH_PATH_BYTES]);
/* Opens a file of `bytes` zeros, written once and synced; made if it is not there yet. `flags`: O_DIRECT or
 * 0. */
int disk_open_zeroed(const struct bench *bench, const char *name, uint64_t bytes, int flags, int *ret_fd);
int disk_write_all(int fd, const void *data, size_t bytes, uint64_t offset);
/* Removes a file or a directory with all in it, and waits until the file system has noted it. */
int disk_remove(const struct bench *bench, const char *name);
int disk_remove_tree(const char *path);
/* Copies a directory with all in it to `to`, which is not there yet, and has it on the disk. */
int disk_copy_tree(const char *from, const char *to);
/* Reads every file of a directory once, so that it is cached. *ret_bytes: how many there are. */
int disk_read_tree(const char *path, uint64_t *ret_bytes);
/* 0 where direct I/O is not to be had. */
unsigned disk_direct_alignment(const char *dir);
int disk_is_memory(const char *dir);

/* crc.c: CRC-32C by the processor's instruction where it has one. Chained by handing in the last value, 0
 * first. */
uint32_t bench_crc32c(uint32_t crc, const void *data, size_t bytes);
/* A record as the baselines lay it down: length and CRC, then the payload. Returns BENCH_HEADER_BYTES +
 * `bytes`. */
size_t bench_lay_record(uint8_t *to, const void *payload, size_t bytes);

/* The runs: baseline_*.c and varve_*.c. */
int baseline_growing(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int baseline_zeroed(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int baseline_direct(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int baseline_group(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int baseline_copy(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int baseline_blocks(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int baseline_scan_small(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int baseline_scan_large(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int varve_bench_group(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int varve_bench_strict(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int varve_bench_small_appends(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int varve_bench_to_disk(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int varve_bench_open_small(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int varve_bench_verify_small(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int varve_bench_open_large(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int varve_bench_verify_large(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
int varve_bench_memory(struct bench *bench, const struct measure *measure, struct sample *ret_sample);
/* The process that varve_bench_memory starts; returns its exit code. */
int varve_bench_memory_child(const char *path);

#define BENCH_SMALL_RECORDS 1000000u
#define BENCH_LARGE_BYTES   (1u << 20)
#define BENCH_LARGE_RECORDS 512u

#endif
