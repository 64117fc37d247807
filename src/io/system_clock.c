/* SPDX-License-Identifier: Apache-2.0 */
/* The Linux backend: clocks and randomness. */
#include "io/system.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>
#include <time.h>

static uint64_t system_clock_us(clockid_t clock)
{
    struct timespec now;
    int rc = clock_gettime(clock, &now);
    assert(rc == 0);
    (void)rc;
    /* A machine whose clock stands before 1970 has no clock; a log's times never decrease anyway. */
    return now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Cannot fail. Source: clock_gettime(2). */
uint64_t vv_system_realtime_us(struct varve_io *io)
{
    (void)io;
    return system_clock_us(CLOCK_REALTIME);
}

/* Cannot fail. Stands still while the machine sleeps. Source: clock_gettime(2). */
uint64_t vv_system_monotonic_us(struct varve_io *io)
{
    (void)io;
    return system_clock_us(CLOCK_MONOTONIC);
}

/* Cannot fail. As the clock tick has it: 4 ms behind at most, at a fifth of the price. Source:
 * clock_gettime(2). */
uint64_t vv_system_monotonic_coarse_us(struct varve_io *io)
{
    (void)io;
    return system_clock_us(CLOCK_MONOTONIC_COARSE);
}

/* Waits, early in the machine's life, until the kernel's generator is seeded. Errors: -ENOSYS. Source:
 * getrandom(2). */
int vv_system_random(struct varve_io *io, void *buf, size_t len)
{
    (void)io;
    unsigned char *at = buf;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        at += got;
        len -= (size_t)got;
    }
    return 0;
}
