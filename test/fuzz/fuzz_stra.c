/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file of the format stra, or as its MANIFEST. */
#include "lib/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test_fuzz_format("stra", data, size);
    return 0;
}
