/* SPDX-License-Identifier: Apache-2.0 */
#include "io/event.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/child.h"

static bool readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

static void test_event__signals(void **state)
{
    (void)state;
    uint64_t count = 0;
    int fd = -1;
    assert_int_equal(vv_event_open(&fd), 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_false(readable(fd));
    assert_int_equal(read(fd, &count, sizeof count), -1);
    assert_int_equal(errno, EAGAIN);
    for (int i = 0; i < 3; i++) {
        vv_event_signal(fd);
    }
    assert_true(readable(fd));
    assert_int_equal(read(fd, &count, sizeof count), sizeof count);
    assert_int_equal(count, 3);
    assert_false(readable(fd));
    vv_event_close(fd);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* Nobody has read it for so long that the count is full: whoever signals does not wait, and is not told. */
static void test_event__full(void **state)
{
    (void)state;
    const uint64_t nearly = UINT64_MAX - 1;
    uint64_t count;
    int fd;
    assert_int_equal(vv_event_open(&fd), 0);
    assert_int_equal(write(fd, &nearly, sizeof nearly), sizeof nearly);
    errno = 77;
    vv_event_signal(fd);
    assert_int_equal(errno, 77);
    assert_int_equal(read(fd, &count, sizeof count), sizeof count);
    assert_int_equal(count, nearly);
    vv_event_close(fd);
}

static int open_past_limit(void *arg)
{
    int fd = -5;
    (void)arg;
    TEST_CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, 3}) == 0);
    TEST_CHILD_CHECK(vv_event_open(&fd) == -EMFILE);
    TEST_CHILD_CHECK(fd == -5);
    return 0;
}

static void test_event__descriptor_limit(void **state)
{
    (void)state;
    assert_int_equal(test_child_run(open_past_limit, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event__signals),
        cmocka_unit_test(test_event__full),
        cmocka_unit_test(test_event__descriptor_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
