/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the comparison's files share. A peer is anything that can make records durable: Varve, another engine,
 * or the bare machine. Each is one table of functions in a file of its own, and is linked in only where its
 * library was found.
 *
 * main -> plan -> section_*.c -> session (a process for each peer) -> work -> peer_*.c
 */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "bench.h"

#include <sys/types.h>

#define PEER_VERSION_BYTES 64
#define PEER_THREADS_MAX   1024u
#define PEER_BATCH_MAX     4096u

enum peer_mode {
    PEER_DURABLE = 0, /* append returns when the record survives a power failure */
    PEER_LAZY = 1,    /* append returns at once; the engine writes and syncs as it sees fit */
};

struct peer_setup {
    const char *dir; /* exists; the peer's own */
    enum peer_mode mode;
    unsigned threads;      /* at most so many call append at once, numbered from 0 */
    size_t bytes_max;      /* the largest payload */
    unsigned sector_bytes; /* what direct I/O needs here */
    int brief;             /* 1 = prepare as little as works: nobody looks at how fast it is */
    int small_segments;    /* Varve: segments of 1 MiB */
    int check_tail;        /* Varve: opening checks the end of the log only */
    int keep_log; /* 1 = nothing may leave the log by a checkpoint: the next open has to read it all */
};

enum peer_flags {
    PEER_RAW = 1 << 0,       /* no log: what the machine does without one */
    PEER_NO_LOG = 1 << 1,    /* has no log to read when it opens */
    PEER_ONE_WRITE = 1 << 3, /* its batch is one write: what that takes is what each of its records waits */
    PEER_LIMIT = 1 << 2,     /* stands for N threads by one thread that has N records at once */
};

struct sync_counts;

/* Everything returns 0, or -1 after bench_fail, unless it says otherwise. What may be NULL is marked (opt).
 */
struct peer {
    const char *name;     /* in results and on the command line */
    const char *title;    /* for people */
    const char *settings; /* how it is configured, in words; what is not named is left at its default */
    unsigned flags;
    unsigned threads_max; /* 0 = any number */
    unsigned modes;       /* bit set of enum peer_mode */

    /* (opt) Its version; -1 without a message where a program it needs is not installed. */
    int (*version)(char ret_version[PEER_VERSION_BYTES]);

    /* Opens what is there, else makes it. All of the log that is there has been read when it returns. */
    int (*open)(const struct peer_setup *setup, void **ret_store);

    /* One record, in the store's mode. From any of the threads. */
    int (*append)(void *store, unsigned thread, const void *data, size_t bytes);

    /* (opt) `count` records by one thread in the engine's best way: together, or with `count` in flight.
     * Returns how many became durable (lazy: were taken) since the last call. */
    int (*batch)(void *store, const void *data, size_t bytes, unsigned count);

    /* (opt) Everything appended so far is durable after it. */
    int (*sync)(void *store);

    /* (opt) Reads every record in order, checking what the engine checks; counts them. */
    int (*scan)(void *store, uint64_t *ret_records);

    /* (opt) Checks every byte of a store that is not open. */
    int (*verify)(const struct peer_setup *setup, uint64_t *ret_records);

    /* (opt) Gives back space, between measurements. */
    int (*trim)(void *store);

    int (*close)(void *store);

    /* (opt) The process that does the work, where it is another one, and the syncs it has counted. */
    pid_t (*server)(void *store);
    const struct sync_counts *(*server_syncs)(void *store);
};

/* registry.c */
struct peer_entry {
    const char *name;
    const char *package; /* Debian's, that it needs to be built or run; NULL = nothing */
    const struct peer *peer;
};
size_t registry_count(void);
/* In the order of the tables: the bare machine, Varve, the engines. `peer` is NULL where it was not built or
 * cannot run here. */
struct peer_entry registry_get(size_t index);

/* What a session's process is told to do, and what it answers. */
enum work_kind {
    WORK_OPEN = 0,
    WORK_APPEND = 1, /* `threads` threads append; each operation timed in durable mode */
    WORK_BATCH = 2,  /* one thread, `count` records in flight */
    WORK_FILL = 3,   /* `count` records as fast as it can, then a sync */
    WORK_SCAN = 4,
    WORK_VERIFY = 5, /* in place of open */
    WORK_TRIM = 6,
    WORK_CLOSE = 7,
};

struct order {
    enum work_kind kind;
    struct peer_setup setup; /* open, verify; `dir` is set by the session */
    unsigned threads;
    size_t bytes;
    uint64_t count;
    double warmup_s, measure_s;
};

/* What came out. Figures per operation are 0 where nothing was done or where it cannot be known. */
struct figures {
    uint64_t operations;
    double seconds;
    double rate; /* operations per second */
    double p50_us, p99_us, p999_us, max_us;
    double cpu_us;         /* per operation, all processes of the peer together */
    double switches;       /* context switches per operation */
    double syscalls;       /* per operation, where they were counted */
    double syncs;          /* per operation, by any call that makes durable */
    double device_flushes; /* per operation, as the block device counts them */
    double device_bytes;   /* written to the device per operation */
    double peak_kib;       /* resident memory since the process began, beyond what it began with */
    double disk_bytes;     /* allocated for the peer's files */
};

/* session.c: a process for each peer, so that memory, threads and crashes are its own. */
struct session;

int session_start(struct bench *bench, const struct peer *peer, struct session **ret_session);
/* Has the process do it; the process runs meanwhile and stands still afterwards. -1 when it failed. */
int session_do(struct session *session, const struct order *order, struct figures *ret_figures);
/* The processes of a session, for a tracer. Returns how many. */
unsigned session_pids(const struct session *session, pid_t ret_pids[2]);
/* Closes in order, or kills it: then the files are as after a crash of the process. */
int session_end(struct session *session);
void session_kill(struct session *session);
/* The session's directory, by the name of the peer; removed by session_remove. */
void session_dir(const struct bench *bench, const struct peer *peer, char ret_path[BENCH_PATH_BYTES]);
int session_remove(const struct bench *bench, const struct peer *peer);

/* work.c: in the session's process. Does not return before the other end is gone. */
void work_serve(const struct bench *bench, const struct peer *peer, int socket);

struct reply {
    int failed;
    pid_t server; /* 0 = none */
    struct figures figures;
};

/* meter.c: what the process and the device did between two moments. */
struct meter {
    double cpu_s;
    uint64_t switches;
    uint64_t syncs;
    uint64_t device_flushes;
    uint64_t device_bytes;
};
struct meter_source {
    const char *dir;
    pid_t server; /* 0 = none */
    const struct sync_counts *server_syncs;
};
void meter_read(const struct meter_source *source, struct meter *ret_meter);
/* The syncs alone, which is quick. */
uint64_t meter_syncs(const struct meter_source *source);
/* What all processors did since the machine was started, and what of it was this process and its children
 * that have ended. */
struct meter_machine {
    double busy_s, stolen_s, own_s;
};
void meter_machine_read(struct meter_machine *ret_machine);
/* KiB: resident now, or at most so far; of the process `pid`, 0 = this one. */
uint64_t meter_memory_kib(pid_t pid, int peak);
uint64_t meter_disk_bytes(const char *dir);

/* plan.c */
enum compare_section {
    COMPARE_COMMIT = 0,
    COMPARE_INFLIGHT = 1,
    COMPARE_STREAM = 2,
    COMPARE_RECOVER = 3,
    COMPARE_COST = 4,
    COMPARE_SCALING = 5,
    COMPARE_COUNT = 6,
};

#define COMPARE_STEPS_MAX 16

/* How much is asked, and for how long. Lists end with 0. */
struct profile {
    const char *name;
    unsigned rounds;
    double warmup_s;
    double commit_s, inflight_s, stream_s, cost_s;
    unsigned commit_threads[COMPARE_STEPS_MAX];
    unsigned commit_bytes[COMPARE_STEPS_MAX];
    unsigned windows[COMPARE_STEPS_MAX];
    unsigned stream_threads[COMPARE_STEPS_MAX];
    unsigned stream_bytes[COMPARE_STEPS_MAX];
    unsigned cost_threads[COMPARE_STEPS_MAX];
    unsigned recover_records;
    unsigned scaling_rounds;
    unsigned scaling_segments[COMPARE_STEPS_MAX];
    unsigned scaling_threads[COMPARE_STEPS_MAX];
    unsigned scaling_bytes[COMPARE_STEPS_MAX];
    unsigned sections; /* bit set of enum compare_section: those it asks unless others are named */
    int brief;         /* as in struct peer_setup */
};

struct comparison {
    struct bench bench;
    struct profile profile;
    unsigned sections;          /* bit set of enum compare_section */
    const char *only_peers[32]; /* names; none = all */
    unsigned only_peers_count;
    int failures; /* peers that failed in a section and were left out from there on */
};

/* A peer in a section. */
struct entrant {
    const struct peer *peer;
    struct session *session;
    int failed; /* 1 = it was said why; it is left out from here on */
};

const char *compare_section_name(enum compare_section section);
/* Runs the sections; results go out as they come. */
int compare_run(struct comparison *comparison);

/* For sections. Says on stderr what runs, where that is a terminal. */
void compare_say(const struct comparison *comparison, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Waits until what was written so far, by whomever, is on the disk: nobody shall be measured beside it. */
void compare_settle(const struct comparison *comparison);
/* Gives the entrants in the order in which round `round` has them: forth and back, so that nobody always
 * comes after the same one. */
struct entrant *compare_entrant(struct entrant *entrants, size_t count, size_t place, unsigned round);
/* Starts a session and opens the store. A peer that fails is marked and noted; the others go on. */
int compare_open(struct comparison *comparison, struct entrant *entrant, const struct peer_setup *setup,
                 struct figures *ret_figures);
/* 0, or -1 where it has failed, now or before. */
int compare_do(struct comparison *comparison, struct entrant *entrant, const struct order *order,
               struct figures *ret_figures);
/* Ends the session in order and removes the files. */
void compare_close(struct comparison *comparison, struct entrant *entrant);
void compare_failed(struct comparison *comparison, struct entrant *entrant);

/* section_*.c. Entrants are all that are there; a section leaves out those it does not fit. */
int section_commit(struct comparison *comparison, struct entrant *entrants, size_t count);
int section_inflight(struct comparison *comparison, struct entrant *entrants, size_t count);
int section_stream(struct comparison *comparison, struct entrant *entrants, size_t count);
int section_recover(struct comparison *comparison, struct entrant *entrants, size_t count);
int section_cost(struct comparison *comparison, struct entrant *entrants, size_t count);
int section_scaling(struct comparison *comparison, struct entrant *entrants, size_t count);

/* tracer.c: how many system calls the processes make from start to stop, counted by strace. */
struct tracer {
    pid_t pid; /* 0 = there is no strace, or it may not look */
    char path[BENCH_PATH_BYTES];
};
void tracer_start(const struct bench *bench, const pid_t *pids, unsigned count, struct tracer *ret_tracer);
/* 0 where it could not be counted. */
uint64_t tracer_stop(struct tracer *tracer);

/* emit.c: a line of JSON for each thing, on standard output. */
struct emit_key {
    const char *section;
    const char *what; /* what of the section was measured */
    const char *peer;
    unsigned threads;
    uint64_t bytes;
    uint64_t count;
    unsigned round;
};
void emit_run(const struct comparison *comparison);
void emit_peer(const struct peer_entry *entry);
void emit_failed(const char *peer, const char *section);
void emit_figures(const struct emit_key *key, const struct figures *figures);
/* The last line: results without it are not whole. `before` and `after`: what the machine did meanwhile. */
int emit_done(double seconds, int failures, const struct meter_machine *before,
              const struct meter_machine *after);

#endif
