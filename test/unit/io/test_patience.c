/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are handed to threads: done in time, left behind, called off. */
#include "io/patience.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "lib/bed.h"
#include "lib/device.h"
#include "lib/memory.h"

#define BYTES 8192u

struct scene {
    struct test_memory memory;
    struct test_device device;
    struct varve_io *io;
    struct varve_dir *dir;
    struct vv_held_file *held;
    struct vv_patience *patience;
    _Atomic unsigned left, over;
};

static void on_patience(void *arg, int side, enum vv_call_op op, uint64_t took_us, int over)
{
    struct scene *s = arg;
    (void)took_us;
    assert(side == 7 && vv_call_name(op)[0] != 0);
    atomic_fetch_add(over ? &s->over : &s->left, 1);
}

static void begin(struct scene *s, uint64_t limit_us)
{
    int created;
    memset(s, 0, sizeof *s);
    test_memory_init(&s->memory, 512);
    test_device_init(&s->device, &s->memory.io);
    s->io = &s->device.pass.io;
    assert_int_equal(s->io->dir_open(s->io, NULL, "d", 1, &s->dir, &created), 0);
    s->held = vv_alloc_zero(sizeof *s->held);
    atomic_store(&s->held->holders, 1);
    assert_int_equal(s->io->open(s->io, s->dir, "f", VARVE_IO_WRITE | VARVE_IO_CREATE, &s->held->file), 0);
    assert_int_equal(vv_patience_new(s->io, limit_us, 1, BYTES, on_patience, s, 7, &s->patience), 0);
    alarm(60);
}

static void end(struct scene *s)
{
    vv_patience_free(s->patience, 0);
    assert_int_equal(atomic_load(&s->left), atomic_load(&s->over));
    if (s->held != NULL) {
        vv_held_release(s->io, s->held);
    }
    s->io->dir_close(s->io, s->dir);
    test_memory_close(&s->memory);
    alarm(0);
}

static long write_bytes(struct scene *s, void *bytes, size_t len, uint64_t offset)
{
    struct vv_call call = {.op = VV_CALL_WRITE, .held = s->held, .offset = offset, .iov_count = 1};
    call.iov[0] = (struct iovec){bytes, len};
    return vv_patience_do(s->patience, &call);
}

static void expect(struct scene *s, const void *bytes, size_t len, uint64_t offset)
{
    uint8_t read[BYTES];
    assert_int_equal(s->io->pread(s->io, s->held->file, read, len, offset), len);
    assert_memory_equal(read, bytes, len);
}

static void test_patience__in_time(void **state)
{
    (void)state;
    struct scene s;
    static uint8_t many[2 * BYTES];
    begin(&s, 10000000);
    assert_int_equal(write_bytes(&s, "hello", 5, 0), 5);
    expect(&s, "hello", 5, 0);
    /* Of what is longer than the buffer the first bytes. */
    assert_int_equal(write_bytes(&s, many, sizeof many, 512), BYTES);
    struct vv_call call = {.op = VV_CALL_STAT, .held = s.held};
    assert_int_equal(vv_patience_do(s.patience, &call), 0);
    assert_int_equal(call.ret_stat.size_bytes, 512 + BYTES);
    call = (struct vv_call){.op = VV_CALL_STAT_NAME, .dir = s.dir, .name = "none"};
    assert_int_equal(vv_patience_do(s.patience, &call), -ENOENT);
    assert_int_equal(vv_patience_hung(s.patience), 0);
    assert_int_equal(atomic_load(&s.left), 0);
    end(&s);
}

/* Who asked goes on; the bytes that are written in the end are those that were given. */
static void test_patience__left_behind(void **state)
{
    (void)state;
    struct scene s;
    char bytes[] = "first";
    begin(&s, 20000);
    test_device_set(&s.device, 0, TEST_DEVICE_HANGS);
    assert_int_equal(write_bytes(&s, bytes, 5, 0), -ETIMEDOUT);
    memcpy(bytes, "other", 5);
    assert_int_equal(vv_patience_hung(s.patience), 1);
    assert_int_equal(atomic_load(&s.left), 1);
    /* Another thread is there for the next one. */
    struct vv_call call = {.op = VV_CALL_OPEN, .dir = s.dir, .name = "g", .flags = VARVE_IO_CREATE};
    assert_int_equal(vv_patience_do(s.patience, &call), -ETIMEDOUT);
    assert_int_equal(vv_patience_hung(s.patience), 2);
    test_device_set(&s.device, 0, TEST_DEVICE_WELL);
    BED_UNTIL(vv_patience_hung(s.patience) == 0);
    assert_int_equal(atomic_load(&s.over), 2);
    expect(&s, "first", 5, 0);
    assert_int_equal(write_bytes(&s, bytes, 5, 0), 5);
    expect(&s, "other", 5, 0);
    end(&s);
}

static void *write_one(void *arg)
{
    char bytes[] = "x";
    return (void *)(intptr_t)write_bytes(arg, bytes, 1, 0);
}

static void test_patience__called_off(void **state)
{
    (void)state;
    struct scene s;
    pthread_t threads[3];
    void *rc;
    begin(&s, 50000000);
    test_device_set(&s.device, 0, TEST_DEVICE_HANGS);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_one, &s), 0);
    }
    BED_UNTIL(atomic_load(&s.device.at[0].hanging) == 3);
    vv_patience_leave(s.patience);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], &rc), 0);
        assert_int_equal((intptr_t)rc, -ETIMEDOUT);
    }
    assert_int_equal(vv_patience_hung(s.patience), 3);
    /* The file is closed by the last of those who have it. */
    vv_held_release(s.io, s.held);
    s.held = NULL;
    test_device_set(&s.device, 0, TEST_DEVICE_WELL);
    BED_UNTIL(vv_patience_hung(s.patience) == 0);
    atomic_store(&s.left, 3);
    end(&s);
}

static void test_patience__posted(void **state)
{
    (void)state;
    struct scene s;
    begin(&s, 10000000);
    struct vv_call call = {.op = VV_CALL_CLOSE, .file = s.held->file};
    s.held->file = NULL;
    vv_patience_post(s.patience, &call);
    vv_held_release(s.io, s.held);
    s.held = NULL;
    end(&s);
}

/* Without a further thread the caller makes the call itself. */
static void test_patience__no_memory(void **state)
{
    (void)state;
    struct scene s;
    struct vv_patience *none;
    begin(&s, 10000000);
    vv_alloc_fail_after(0);
    assert_int_equal(vv_patience_new(s.io, 1, 1, BYTES, on_patience, &s, 7, &none), -ENOMEM);
    for (long n = 1; n < 3; n++) {
        vv_alloc_fail_after(n);
        assert_int_equal(vv_patience_new(s.io, 1, 1, BYTES, on_patience, &s, 7, &none), -EAGAIN);
    }
    vv_alloc_fail_after(-1);
    vv_patience_free(s.patience, 0);
    assert_int_equal(vv_patience_new(s.io, 1, 0, BYTES, on_patience, &s, 7, &s.patience), 0);
    vv_alloc_fail_after(0);
    assert_int_equal(write_bytes(&s, "abc", 3, 0), 3);
    vv_alloc_fail_after(-1);
    expect(&s, "abc", 3, 0);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patience__in_time),    cmocka_unit_test(test_patience__left_behind),
        cmocka_unit_test(test_patience__called_off), cmocka_unit_test(test_patience__posted),
        cmocka_unit_test(test_patience__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
