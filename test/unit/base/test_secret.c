/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/bytes.h"

/* Whether the page is marked "dd", not to be dumped; -1 where the kernel does not say. */
static int is_left_out_of_dumps(const void *page)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    uint64_t at = (uint64_t)(uintptr_t)page, start, end;
    char line[512];
    int found = -1;
    bool ours = false;
    if (file == NULL) {
        return -1;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2) {
            ours = at >= start && at < end;
        }
        if (ours && strncmp(line, "VmFlags:", 8) == 0) {
            found = strstr(line, " dd") != NULL;
        }
    }
    fclose(file);
    return found;
}

static void test_secret__pages(void **state)
{
    (void)state;
    unsigned char *secret = vv_secret_alloc(5000);
    assert_non_null(secret);
    assert_int_equal((uintptr_t)secret % 4096, 0);
    assert_true(vv_is_zero(secret, 5000));
    memset(secret, 0x77, 5000);
    int left_out = is_left_out_of_dumps(secret);
    vv_secret_free(secret, 5000);
    vv_secret_free(NULL, 5000);
    if (left_out < 0) {
        print_message("the kernel does not say what it dumps\n");
        skip();
    }
    assert_int_equal(left_out, 1);
}

static void test_secret__no_memory(void **state)
{
    (void)state;
    vv_alloc_fail_after(0);
    void *secret = vv_secret_alloc(32);
    vv_alloc_fail_after(-1);
    assert_null(secret);
}

static void test_secret__wipe(void **state)
{
    (void)state;
    unsigned char bytes[33];
    memset(bytes, 0xff, sizeof bytes);
    vv_secret_wipe(bytes, 32);
    assert_true(vv_is_zero(bytes, 32));
    assert_int_equal(bytes[32], 0xff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secret__pages),
        cmocka_unit_test(test_secret__no_memory),
        cmocka_unit_test(test_secret__wipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
