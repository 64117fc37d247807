/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* It has no functions: nobody can be made to copy for it. */
static void test_identity__does_nothing(void **state)
{
    (void)state;
    const struct varve_codec *codec = varve_codec_by_id(0);
    assert_string_equal(codec->name, "identity");
    assert_null(codec->open);
    assert_null(codec->encode);
    assert_null(codec->decode);
    assert_null(vv_codec_packer(codec));
    assert_null(vv_codec_sealer(codec));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity__does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
