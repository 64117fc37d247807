/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* What each codec is made of, and that the order is the one that makes sense. */
static void test_stack__parts(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < VARVE_CODEC_REGISTERED; id++) {
        const struct varve_codec *codec = varve_codec_by_id(id);
        if (codec == NULL) {
            continue;
        }
        const struct varve_codec *packer = vv_codec_packer(codec), *sealer = vv_codec_sealer(codec);
        bool packs = id == VARVE_CODEC_LZ4 || id == VARVE_CODEC_ZSTD || id == VARVE_CODEC_ZSTD_AES_256_GCM;
        bool seals = id == VARVE_CODEC_AES_256_GCM || id == VARVE_CODEC_ZSTD_AES_256_GCM;
        assert_int_equal(packer != NULL, packs);
        assert_int_equal(sealer != NULL, seals);
        assert_int_equal(vv_codec_overhead(codec), seals ? 40 : 0);
        assert_true(packer == NULL || packer->encode != NULL);
        assert_true(sealer == NULL || (sealer->seal_begin != NULL && sealer->encode == NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stack__parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
