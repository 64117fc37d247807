/* SPDX-License-Identifier: Apache-2.0 */
#include "varve/varve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_version__text_is_the_numbers(void **state)
{
    (void)state;
    char text[64];
    snprintf(text, sizeof text, "%d.%d.%d", VARVE_VERSION_MAJOR, VARVE_VERSION_MINOR, VARVE_VERSION_PATCH);
    assert_string_equal(varve_version(), text);
    assert_string_equal(VARVE_VERSION_STRING, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version__text_is_the_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
