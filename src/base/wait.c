/* SPDX-License-Identifier: Apache-2.0 */
/* The futex system call, which libc does not wrap. */
#include "base/wait.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* With a 32-bit long the system call would take another struct timespec than libc's. */
static_assert(sizeof(long) == 8, "varve is for 64-bit systems");
static_assert(sizeof(_Atomic uint32_t) == sizeof(uint32_t), "a futex is a plain 32-bit word");

static long wait_futex(_Atomic uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
    return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

int vv_wait_on(_Atomic uint32_t *word, uint32_t seen, int64_t timeout_us)
{
    int saved = errno;
    struct timespec timeout = {0};
    if (timeout_us > 0) {
        timeout.tv_sec = timeout_us / 1000000;
        timeout.tv_nsec = timeout_us % 1000000 * 1000;
    }
    long rc = wait_futex(word, FUTEX_WAIT_PRIVATE, seen, timeout_us < 0 ? NULL : &timeout);
    int error = rc == 0 ? 0 : errno;
    errno = saved;
    /* EAGAIN: different already. EINTR: a signal. Anything else is a wrong argument. */
    assert(error == 0 || error == EAGAIN || error == EINTR || error == ETIMEDOUT);
    return error == ETIMEDOUT ? -ETIMEDOUT : 0;
}

static void wait_wake(_Atomic uint32_t *word, uint32_t count)
{
    int saved = errno;
    /* EFAULT is not a failure: the woken may have freed the word between the store that let them go and this
     * call. */
    (void)wait_futex(word, FUTEX_WAKE_PRIVATE, count, NULL);
    errno = saved;
}

void vv_wake_one(_Atomic uint32_t *word)
{
    wait_wake(word, 1);
}

void vv_wake_all(_Atomic uint32_t *word)
{
    wait_wake(word, INT_MAX);
}
