/* SPDX-License-Identifier: Apache-2.0 */
#include "log/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "varve/error.h"
#include "varve/io.h"

static const struct varve_options none = {.size = sizeof none};

static void refuse(const struct varve_options *options, const char *name)
{
    struct varve_options filled;
    struct varve_error error = {0};
    memset(&filled, 0x55, sizeof filled);
    struct varve_options before = filled;
    assert_int_equal(vv_options_fill(options, &filled, &error), VARVE_E_INVALID);
    assert_int_equal(error.code, VARVE_E_INVALID);
    if (strstr(error.message, name) == NULL) {
        fail_msg("\"%s\" does not name %s", error.message, name);
    }
    assert_memory_equal(&filled, &before, sizeof filled);
    assert_int_equal(vv_options_fill(options, &filled, NULL), VARVE_E_INVALID);
}

static struct varve_options accept(const struct varve_options *options)
{
    struct varve_options filled;
    struct varve_error error = {0};
    if (vv_options_fill(options, &filled, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return filled;
}

static void test_options__defaults(void **state)
{
    (void)state;
    const struct varve_options *given[] = {NULL, &none};
    for (int i = 0; i < 2; i++) {
        struct varve_options o = accept(given[i]);
        assert_int_equal(o.size, sizeof o);
        assert_int_equal(o.durability, VARVE_GROUP);
        assert_int_equal(o.segment_bytes, 64 << 20);
        assert_int_equal(o.slot_bytes, 1 << 20);
        assert_int_equal(o.slot_count, 16);
        assert_true(o.writes_in_flight >= 1 && o.writes_in_flight <= 2);
        assert_int_equal(o.sync_interval_ms, 100);
        assert_int_equal(o.sync_bytes, 4 << 20);
        assert_int_equal(o.backpressure_ms, 1000);
        assert_int_equal(o.mark_idle_ms, 50);
        assert_int_equal(o.spare_segments, 2);
        assert_int_equal(o.retry_count, 8);
        assert_int_equal(o.retry_first_ms, 1);
        assert_int_equal(o.group_wait_us, 0);
        assert_true(o.record_max > (63 << 20) && o.record_max < (64 << 20));
        assert_ptr_equal(o.io, varve_io_system());
    }
}

static void test_options__size(void **state)
{
    (void)state;
    struct {
        struct varve_options options;
        unsigned char more[16];
    } larger = {.options = {.size = sizeof larger, .slot_count = 8}};
    assert_int_equal(accept(&larger.options).slot_count, 8);
    for (size_t i = 0; i < sizeof larger.more; i++) {
        larger.more[i] = 1;
        refuse(&larger.options, "options");
        larger.more[i] = 0;
    }
    /* An older caller's struct ends early; what is behind its end is not looked at. */
    struct varve_options older = {.size = offsetof(struct varve_options, slot_count), .slot_count = 5};
    older.segment_bytes = 8 << 20;
    assert_int_equal(accept(&older).segment_bytes, 8 << 20);
    assert_int_equal(accept(&older).slot_count, 16);
    refuse(&(struct varve_options){.size = 0}, "options.size");
    refuse(&(struct varve_options){.size = sizeof(size_t) - 1}, "options.size");
    assert_int_equal(accept(&(struct varve_options){.size = sizeof(size_t)}).slot_count, 16);
}

#define WITH(...) (&(struct varve_options){.size = sizeof(struct varve_options), __VA_ARGS__})

static void test_options__enums(void **state)
{
    (void)state;
    const int beyond = 6;
    refuse(WITH(.durability = (enum varve_durability)beyond), "durability");
    refuse(WITH(.durability = (enum varve_durability) - 1), "durability");
    refuse(WITH(.backend = (enum varve_backend)4), "backend");
    refuse(WITH(.policy = (enum varve_policy)4), "policy");
    refuse(WITH(.backpressure = (enum varve_backpressure)3), "backpressure");
    refuse(WITH(.check = (enum varve_check)2), "check");
    refuse(WITH(.flags = 1U << 4), "flags");
    refuse(WITH(.flags = VARVE_OPEN_MUST_CREATE | VARVE_OPEN_MUST_EXIST), "flags");
    refuse(WITH(.flags = VARVE_OPEN_MUST_CREATE | VARVE_OPEN_READ_ONLY), "flags");
    assert_int_equal(accept(WITH(.flags = VARVE_OPEN_MUST_EXIST | VARVE_OPEN_READ_ONLY)).flags, 3);
    for (int i = VARVE_MEMORY; i <= VARVE_STRICT; i++) {
        assert_int_equal(accept(WITH(.durability = (enum varve_durability)i)).durability, i);
    }
}

static void test_options__numbers(void **state)
{
    (void)state;
    const uint64_t mib = 1 << 20;
    refuse(WITH(.segment_bytes = mib - 4096), "segment_bytes");
    refuse(WITH(.segment_bytes = (4096 * mib) + 4096), "segment_bytes");
    refuse(WITH(.segment_bytes = mib + 512), "segment_bytes");
    assert_int_equal(accept(WITH(.segment_bytes = mib)).segment_bytes, mib);
    accept(WITH(.segment_bytes = mib + 4096));
    accept(WITH(.segment_bytes = 4096 * mib));
    refuse(WITH(.record_max = 1024 * mib + 1), "record_max");
    assert_int_equal(accept(WITH(.segment_bytes = 2048 * mib, .record_max = 1024 * mib)).record_max,
                     1024 * mib);
    refuse(WITH(.record_max = 64 * mib), "record_max");
    assert_int_equal(accept(WITH(.record_max = 1)).record_max, 1);
    refuse(WITH(.slot_bytes = 4095), "slot_bytes");
    refuse(WITH(.slot_bytes = 4097), "slot_bytes");
    refuse(WITH(.slot_bytes = 8192 + 512), "slot_bytes");
    refuse(WITH(.slot_bytes = 65U << 20), "slot_bytes");
    accept(WITH(.slot_bytes = 4096));
    accept(WITH(.slot_bytes = 64U << 20, .segment_bytes = 2048 * mib));
    refuse(WITH(.slot_count = 2), "slot_count");
    refuse(WITH(.slot_count = 5), "slot_count");
    refuse(WITH(.slot_count = 512), "slot_count");
    accept(WITH(.slot_count = 4));
    accept(WITH(.slot_count = 256));
    refuse(WITH(.sector_bytes = 256), "sector_bytes");
    refuse(WITH(.sector_bytes = 8192), "sector_bytes");
    refuse(WITH(.sector_bytes = 1536), "sector_bytes");
    accept(WITH(.sector_bytes = 512));
    accept(WITH(.sector_bytes = 4096));
    refuse(WITH(.writes_in_flight = 9), "writes_in_flight");
    assert_int_equal(accept(WITH(.writes_in_flight = 8)).writes_in_flight, 8);
    refuse(WITH(.group_wait_us = 1000001), "group_wait_us");
    accept(WITH(.group_wait_us = 1000000));
    refuse(WITH(.sync_interval_ms = UINT32_MAX), "sync_interval_ms");
    refuse(WITH(.retry_count = 1001), "retry_count");
    refuse(WITH(.retry_first_ms = 60001), "retry_first_ms");
    refuse(WITH(.backpressure_ms = UINT32_MAX), "backpressure_ms");
    refuse(WITH(.sync_bytes = 8 * mib + 1), "sync_bytes");
    refuse(WITH(.sync_bytes = 4095), "sync_bytes");
    accept(WITH(.sync_bytes = 8 * mib));
}

/* All slots together fit into a segment, and so does the largest record. */
static void test_options__sizes_hang_together(void **state)
{
    (void)state;
    refuse(WITH(.segment_bytes = 1 << 20, .slot_bytes = 65536), "slot_bytes");
    refuse(WITH(.segment_bytes = 1 << 20, .slot_count = 256), "slot_count");
    for (uint32_t count = 4; count <= 128; count *= 2) {
        struct varve_options o = accept(WITH(.segment_bytes = 1 << 20, .slot_count = count));
        assert_true((uint64_t)o.slot_bytes * o.slot_count <= o.segment_bytes - 4096);
        assert_true(o.sync_bytes <= (uint64_t)o.slot_bytes * o.slot_count / 2);
        assert_true(o.record_max < o.segment_bytes);
    }
}

/* A cap that the rules would fill for good is no cap. */
static void test_options__cap(void **state)
{
    (void)state;
    const uint64_t mib = 1 << 20;
    refuse(WITH(.segment_bytes = mib, .max_log_bytes = 3 * mib - 1), "max_log_bytes");
    accept(WITH(.segment_bytes = mib, .max_log_bytes = 3 * mib));
    accept(WITH(.segment_bytes = mib, .max_log_bytes = UINT64_MAX));
    refuse(WITH(.segment_bytes = mib, .max_log_bytes = 5 * mib, .keep_segments = 4), "max_log_bytes");
    accept(WITH(.segment_bytes = mib, .max_log_bytes = 5 * mib, .keep_segments = 3));
    refuse(WITH(.segment_bytes = mib, .max_log_bytes = 5 * mib, .keep_bytes = 3 * mib + 1), "max_log_bytes");
    accept(WITH(.segment_bytes = mib, .max_log_bytes = 5 * mib, .keep_bytes = 3 * mib));
    accept(WITH(.keep_segments = UINT64_MAX, .keep_bytes = UINT64_MAX, .keep_ms = UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options__defaults),
        cmocka_unit_test(test_options__size),
        cmocka_unit_test(test_options__enums),
        cmocka_unit_test(test_options__numbers),
        cmocka_unit_test(test_options__sizes_hang_together),
        cmocka_unit_test(test_options__cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
