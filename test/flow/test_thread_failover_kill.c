/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer whose device fails, hangs and comes back all the while is killed at a random moment: in the middle
 * of going to the second directory, of coming home, of anything. What it was told is durable is there.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/device.h"
#include "lib/rng.h"
#include "varve/cursor.h"
#include "varve/log.h"

enum {
    THREADS = 3,
    TOLD_MAX = 1 << 16,
    ROUNDS = 12
};

struct payload {
    uint32_t round, thread, number;
    uint8_t more[500];
};

/* Written by the writer, read once that is dead. */
struct shared {
    _Atomic uint32_t opened, trouble, failovers, returns;
    _Atomic uint32_t counts[THREADS];
    uint64_t told[THREADS][TOLD_MAX];
};

struct writer {
    struct shared *shared;
    struct varve_log *log;
    struct test_device device;
    uint32_t round;
    uint64_t seed;
    _Atomic uint32_t ids;
};

static void on_message(void *arg, const struct varve_message *message)
{
    struct shared *shared = arg;
    if (message->event == VARVE_EVENT_FAILOVER) {
        atomic_fetch_add(&shared->failovers, 1);
    }
    if (message->event == VARVE_EVENT_FAILOVER_OVER) {
        atomic_fetch_add(&shared->returns, 1);
    }
}

static void rest_ms(uint64_t ms)
{
    const struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

static void *append_all(void *arg)
{
    struct writer *w = arg;
    uint32_t thread = atomic_fetch_add(&w->ids, 1);
    struct payload payload = {.round = w->round, .thread = thread};
    for (uint32_t number = 0; number < TOLD_MAX; number++) {
        payload.number = number;
        if (varve_append(w->log, &payload, sizeof payload, &w->shared->told[thread][number]) != 0) {
            atomic_store(&w->shared->trouble, 1);
            break;
        }
        atomic_store(&w->shared->counts[thread], number + 1);
    }
    return NULL;
}

static _Noreturn void be_writer(struct writer *w, struct varve_options options)
{
    pthread_t threads[THREADS];
    struct test_rng rng;
    test_rng_init(&rng, w->seed);
    test_device_init(&w->device, NULL);
    options.io = &w->device.pass.io;
    options.message = on_message;
    options.message_arg = w->shared;
    if (varve_open("log", &options, &w->log, NULL) != 0) {
        _exit(1);
    }
    atomic_store(&w->shared->opened, 1);
    for (unsigned i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, append_all, w) != 0) {
            _exit(2);
        }
    }
    for (;;) {
        test_device_set(&w->device, 0, test_rng_once_in(&rng, 3) ? TEST_DEVICE_HANGS : TEST_DEVICE_FAILS);
        rest_ms(test_rng_range(&rng, 1, 40));
        test_device_set(&w->device, 0, TEST_DEVICE_WELL);
        rest_ms(test_rng_range(&rng, 1, 40));
    }
}

/* Every record that was told, under its LSN; and the log goes on. */
static void check(const struct shared *shared, uint32_t round, const struct varve_options *asked)
{
    struct varve_options options = *asked;
    struct test_device device;
    struct varve_log *log;
    struct varve_error error;
    struct varve_cursor *cursor;
    struct varve_entry entry;
    uint64_t next, told = 0, found = 0;
    test_device_init(&device, NULL);
    options.io = &device.pass.io;
    options.failover_dir = NULL;
    options.stall_ms = UINT32_MAX; /* a busy disk is no reason to go anywhere here */
    if (varve_open("log", &options, &log, &error) != 0) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(varve_cursor_open(log, VARVE_POLICY_TRUNCATE, &cursor, &error), 0);
    next = varve_first_lsn(log);
    for (unsigned i = 0; i < THREADS; i++) {
        told += atomic_load(&shared->counts[i]);
    }
    while (varve_cursor_next(cursor, &entry) == 0) {
        struct payload payload;
        assert_int_equal(entry.lsn, next++);
        assert_int_equal(entry.data_bytes, sizeof payload);
        memcpy(&payload, entry.data, sizeof payload);
        if (payload.round == round && payload.number < atomic_load(&shared->counts[payload.thread])) {
            assert_int_equal(shared->told[payload.thread][payload.number], entry.lsn);
            found++;
        }
    }
    varve_cursor_close(cursor);
    assert_int_equal(found, told);
    assert_int_equal(varve_trim(log, next > 500 ? next - 500 : 0, NULL), 0);
    assert_int_equal(varve_close(log, NULL), 0);
}

static void test_thread_failover_kill__any_moment(void **state)
{
    (void)state;
    const char *seed_text = getenv("VARVE_TEST_SEED");
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 0) : (uint64_t)time(NULL);
    const struct varve_options options = {.size = sizeof options,
                                          .segment_bytes = 1 << 20,
                                          .slot_bytes = 16384,
                                          .failover_dir = "/away",
                                          .writes_in_flight = 2,
                                          .stall_ms = 15,
                                          .breaker_first_ms = 1,
                                          .breaker_max_ms = 8};
    uint32_t failovers = 0, returns = 0;
    struct test_rng rng;
    print_message("VARVE_TEST_SEED=%llu\n", (unsigned long long)seed);
    test_rng_init(&rng, seed);
    alarm(150);
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        static struct writer writer;
        memset(shared, 0, sizeof *shared);
        memset(&writer, 0, sizeof writer);
        writer.shared = shared;
        writer.round = round;
        writer.seed = test_rng_next(&rng);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            be_writer(&writer, options);
        }
        while (atomic_load(&shared->opened) == 0) {
            int status;
            assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
            rest_ms(1);
        }
        rest_ms(test_rng_range(&rng, 20, 250));
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(atomic_load(&shared->trouble), 0);
        check(shared, round, &options);
        failovers += atomic_load(&shared->failovers);
        returns += atomic_load(&shared->returns);
    }
    assert_true(failovers > 0 && returns > 0);
    munmap(shared, sizeof *shared);
    alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_thread_failover_kill__any_moment)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
