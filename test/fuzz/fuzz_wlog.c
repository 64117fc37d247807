/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file of the format wlog, whose payloads may be transactions. */
#include <stdlib.h>
#include <string.h>

#include "lib/fuzz.h"
#include "varve/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Operations that were read are written again to the same bytes. */
static void on_payload(const uint8_t *payload, size_t bytes)
{
    struct varve_wlog_transaction t, listed;
    size_t again_bytes;

    if (varve_wlog_get(payload, bytes, &t) != 0)
        return;
    struct varve_wlog_operation *operations = malloc((t.count + 1) * sizeof *operations);
    uint8_t *again = malloc(bytes + 8);
    FUZZ_ASSERT(operations != NULL && again != NULL);
    listed = t;
    for (uint32_t i = 0; i < t.count; i++)
        FUZZ_ASSERT(varve_wlog_next(&listed, &operations[i]) == 0);
    FUZZ_ASSERT(varve_wlog_next(&listed, &operations[t.count]) == VARVE_END);
    t.operations = operations;
    FUZZ_ASSERT(varve_wlog_put(&t, again, bytes + 8, &again_bytes) == 0);
    FUZZ_ASSERT(again_bytes == bytes || again_bytes == bytes + 8);
    FUZZ_ASSERT(memcmp(again + 48, payload + 48 - (again_bytes - bytes), again_bytes - 48) == 0);
    free(operations);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test_fuzz_payloads(on_payload);
    test_fuzz_format("wlog", data, size);
    if (size > 1)
        on_payload(data + 1, size - 1);
    return 0;
}
