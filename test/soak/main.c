/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varve_soak: a log in use, for as long as one likes. One process appends in several threads, with rotation
 * and retention; another follows, and moves the pin that holds what it has not read. This one stops and kills
 * both at moments that chance has chosen, starts them again, and holds what can be seen from outside against
 * its bounds: the directory's size, memory, open files, that the writer comes on. In the end the log is
 * closed, read to its end, and verified.
 *
 * A seed gives the same events with the same pauses; what the threads make of them is the system's.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/rng.h"
#include "soak/soak.h"
#include "varve/varve.h"

enum {
    PAUSE_MS_MAX = 400,
    STOP_MS_MAX = 300,
    WARM_MS = 1000, /* a process's memory is held against what it was this long after its start */
    STUCK_S = 60,   /* without an acknowledgement, on however slow a machine */
    FILES_MAX = 64
};

#define GROWTH_MAX (UINT64_C(4) << 20)
/* MANIFEST, PINS, LOCK and their successors, beside the segments that the cap is about. */
#define SMALL_FILES (UINT64_C(1) << 20)

struct process {
    const char *name;
    pid_t pid;
    uint64_t since_ms;
    uint64_t warm_bytes, most_bytes; /* resident; 0 = not looked at yet */
};

struct soak {
    struct soak_board *board;
    struct test_rng rng;
    uint64_t seed;
    struct process writer, follower;
    uint64_t kills, follower_kills, stops;
    uint64_t log_bytes_most, growth_most;
    unsigned files_most;
    uint64_t progress_ms, progress_acked;
    bool failed;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pause_ms(uint64_t ms)
{
    struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

__attribute__((format(printf, 2, 3))) static void wrong(struct soak *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("WRONG: ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    s->failed = true;
}

static uint64_t acked(const struct soak_board *board)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < SOAK_THREADS; i++) {
        sum += atomic_load(&board->acked[i]);
    }
    return sum;
}

static void start(struct soak *s, struct process *p, void (*life)(struct soak_board *))
{
    (void)fflush(stdout);
    p->pid = fork();
    if (p->pid == 0) {
        life(s->board);
    }
    if (p->pid < 0) {
        perror("fork");
        exit(3);
    }
    p->since_ms = now_ms();
    p->warm_bytes = 0;
}

static void start_writer(struct soak *s)
{
    atomic_store(&s->board->opened, 0);
    s->progress_ms = now_ms();
    start(s, &s->writer, soak_write);
}

/* Ends a process, if it is there. */
static void end(struct process *p)
{
    if (p->pid > 0) {
        (void)kill(p->pid, SIGKILL);
        (void)waitpid(p->pid, NULL, 0);
    }
    p->pid = 0;
}

/* A process that has ended by itself has something to say. */
static void check_alive(struct soak *s, struct process *p, const char *word)
{
    int status;
    if (p->pid > 0 && waitpid(p->pid, &status, WNOHANG) == p->pid) {
        p->pid = 0;
        if (WIFSIGNALED(status)) {
            wrong(s, "the %s was ended by signal %d that is not ours", p->name, WTERMSIG(status));
        } else {
            wrong(s, "the %s ended with %d: %s", p->name, WEXITSTATUS(status), word);
        }
    }
}

static void check_process(struct soak *s, struct process *p)
{
    uint64_t bytes = soak_resident_bytes(p->pid);
    unsigned files = soak_open_files(p->pid);
    if (files > s->files_most) {
        s->files_most = files;
    }
    if (files > FILES_MAX) {
        wrong(s, "the %s has %u files open", p->name, files);
    }
    if (now_ms() - p->since_ms < WARM_MS) {
        return;
    }
    if (p->warm_bytes == 0) {
        p->warm_bytes = bytes;
    }
    if (bytes > p->warm_bytes && bytes - p->warm_bytes > s->growth_most) {
        s->growth_most = bytes - p->warm_bytes;
    }
    if (soak_memory_counts() && bytes > p->warm_bytes + GROWTH_MAX) {
        wrong(s, "the %s takes %" PRIu64 " bytes of memory, and took %" PRIu64 " a second after its start",
              p->name, bytes, p->warm_bytes);
    }
}

static void check(struct soak *s)
{
    uint64_t bytes = soak_log_bytes(), sum = acked(s->board), now = now_ms();
    check_alive(s, &s->writer, s->board->writer_word);
    check_alive(s, &s->follower, s->board->follower_word);
    if (s->failed) {
        return;
    }
    if (bytes > s->log_bytes_most) {
        s->log_bytes_most = bytes;
    }
    if (bytes > SOAK_LOG_BYTES + SMALL_FILES) {
        wrong(s, "the directory has %" PRIu64 " bytes", bytes);
    }
    check_process(s, &s->writer);
    check_process(s, &s->follower);
    if (sum != s->progress_acked) {
        s->progress_acked = sum;
        s->progress_ms = now;
    }
    if (now - s->progress_ms > STUCK_S * 1000u) {
        wrong(s, "nothing was acknowledged for %d seconds", STUCK_S);
    }
}

static void stop_for_a_while(struct soak *s, const struct process *p)
{
    uint64_t ms = test_rng_below(&s->rng, STOP_MS_MAX);
    s->stops++;
    (void)kill(p->pid, SIGSTOP);
    pause_ms(ms);
    (void)kill(p->pid, SIGCONT);
}

/* Each draws the same number of times, whatever it does with that: so a seed's events stay in step. */
static void make_event(struct soak *s)
{
    uint64_t event = test_rng_below(&s->rng, 20);
    pause_ms(test_rng_below(&s->rng, PAUSE_MS_MAX));
    check(s);
    if (s->failed) {
        return;
    }
    if (event < 8) {
        stop_for_a_while(s, &s->writer);
    } else if (event < 12) {
        stop_for_a_while(s, &s->follower);
    } else if (event < 14) {
        end(&s->writer);
        s->kills++;
        start_writer(s);
    } else if (event < 15) {
        end(&s->follower);
        s->follower_kills++;
        start(s, &s->follower, soak_follow);
    }
}

/* Waits until the process has ended by itself. */
static bool wait_for(struct soak *s, struct process *p, const char *word)
{
    uint64_t since = now_ms();
    int status = 0;
    while (waitpid(p->pid, &status, WNOHANG) == 0) {
        if (now_ms() - since > STUCK_S * 1000u) {
            wrong(s, "the %s does not come to an end", p->name);
            return false;
        }
        pause_ms(10);
    }
    p->pid = 0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        wrong(s, "the %s ended badly: %s", p->name, word);
    }
    return !s->failed;
}

static void tell_damage(void *arg, enum varve_verdict verdict, uint64_t segment, uint64_t offset,
                        uint64_t first, uint64_t last, const char *message)
{
    (void)verdict, (void)segment, (void)offset, (void)first, (void)last;
    wrong(arg, "%s", message);
}

/* The writer closes the log, the follower reads what is left of it, and verify all of it. */
static void finish(struct soak *s)
{
    struct varve_verify_result found = {.size = sizeof found};
    struct varve_error error = {0};
    atomic_store(&s->board->stop, 1);
    if (!wait_for(s, &s->writer, s->board->writer_word)) {
        return;
    }
    atomic_store(&s->board->done, 1);
    if (!wait_for(s, &s->follower, s->board->follower_word)) {
        return;
    }
    if (varve_verify(SOAK_LOG, NULL, tell_damage, s, &found, &error) != 0) {
        wrong(s, "verify: %s", error.message);
    } else if (found.found.verdict != VARVE_VERDICT_CLEAN_END || !found.clean_shutdown) {
        wrong(s, "the log ends: %s", varve_verdict_name(found.found.verdict));
    }
}

static void report(const struct soak *s, uint64_t took_ms)
{
    const struct soak_board *board = s->board;
    printf("  acknowledged  %" PRIu64 " records by %d threads, all of them read behind the writer\n",
           acked(board), SOAK_THREADS);
    printf("  lives         %" PRIu64 "; %" PRIu64 " segments begun; %" PRIu64
           " appends refused at the cap\n",
           (uint64_t)atomic_load(&board->lives), (uint64_t)atomic_load(&board->segments),
           (uint64_t)atomic_load(&board->full));
    printf("  directory     %" PRIu64 " KiB at most, of %" PRIu64 " allowed\n", s->log_bytes_most / 1024,
           SOAK_LOG_BYTES / 1024);
    printf("  memory        a process grew by %" PRIu64 " KiB at most%s; %u files open at most\n",
           s->growth_most / 1024, soak_memory_counts() ? "" : " (not judged: a sanitizer)", s->files_most);
    printf("  time          %.1f s\n", (double)took_ms / 1e3);
    printf("total: %" PRIu64 " acknowledged, %" PRIu64 " kills of the writer, %" PRIu64
           " kills of the reader, %" PRIu64 " stops\n",
           acked(board), s->kills, s->follower_kills, s->stops);
}

static bool parse(int argc, char **argv, uint64_t *seconds, uint64_t *seed)
{
    for (int i = 1; i < argc; i += 2) {
        uint64_t *value = strcmp(argv[i], "--seconds") == 0 ? seconds
                          : strcmp(argv[i], "--seed") == 0  ? seed
                                                            : NULL;
        char *end;
        if (value == NULL || i + 1 == argc) {
            return false;
        }
        *value = strtoull(argv[i + 1], &end, 0);
        if (end == argv[i + 1] || *end != '\0') {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct soak s = {.writer = {.name = "writer"}, .follower = {.name = "reader"}};
    uint64_t seconds = 600, begun_ms = now_ms();
    struct stat there;
    if (!parse(argc, argv, &seconds, &s.seed)) {
        fprintf(stderr, "usage: varve_soak [--seconds N] [--seed S]\n");
        return 2;
    }
    if (lstat(SOAK_LOG, &there) == 0) {
        fprintf(stderr, "varve_soak: " SOAK_LOG " is here already\n");
        return 3;
    }
    if (s.seed == 0) {
        s.seed = test_rng_seed() | 1;
    }
    test_rng_init(&s.rng, s.seed);
    printf("seed %" PRIu64 ", %" PRIu64 " s: have it again with --seed %" PRIu64 "\n", s.seed, seconds,
           s.seed);
    s.board = mmap(NULL, sizeof *s.board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s.board == MAP_FAILED) {
        perror("mmap");
        return 3;
    }
    start_writer(&s);
    while (atomic_load(&s.board->opened) == 0 && !s.failed) {
        pause_ms(10);
        check_alive(&s, &s.writer, s.board->writer_word);
    }
    start(&s, &s.follower, soak_follow);
    while (!s.failed && now_ms() - begun_ms < seconds * 1000) {
        make_event(&s);
    }
    if (!s.failed) {
        finish(&s);
    }
    end(&s.writer);
    end(&s.follower);
    report(&s, now_ms() - begun_ms);
    return s.failed ? 1 : 0;
}
