/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file of the format dbkv, and its operations and values taken apart. */
#include <stdlib.h>
#include <string.h>

#include "lib/fuzz.h"
#include "varve/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A value that was read is written again to the same bytes, and what it holds are values. */
static void on_value(struct varve_bytes encoded)
{
    struct varve_dbkv_value value;
    struct varve_bytes key, inner;
    uint8_t *again = malloc(encoded.bytes);
    size_t again_bytes;

    FUZZ_ASSERT(again != NULL);
    FUZZ_ASSERT(varve_dbkv_value_get(encoded.data, encoded.bytes, &value) == 0);
    FUZZ_ASSERT(varve_dbkv_value_put(&value, again, encoded.bytes, &again_bytes) == 0);
    FUZZ_ASSERT(again_bytes == encoded.bytes && memcmp(again, encoded.data, encoded.bytes) == 0);
    free(again);
    while (varve_dbkv_value_next(&value, &key, &inner) == 0)
        FUZZ_ASSERT(varve_dbkv_value_get(inner.data, inner.bytes, &(struct varve_dbkv_value){0}) == 0);
    FUZZ_ASSERT(value.count == 0 || value.listed.bytes == 0);
}

/* What the log takes for an operation is one. */
static void on_payload(const uint8_t *payload, size_t bytes)
{
    struct varve_dbkv_operation operation, listed;
    uint8_t *again = malloc(bytes);
    size_t again_bytes;

    FUZZ_ASSERT(varve_dbkv_get(payload, bytes, &operation) == 0);
    struct varve_dbkv_pair *pairs = malloc((operation.count + 1) * sizeof *pairs);
    FUZZ_ASSERT(again != NULL && pairs != NULL);
    listed = operation;
    for (uint64_t i = 0; i < operation.count; i++) {
        FUZZ_ASSERT(varve_dbkv_next(&listed, &pairs[i]) == 0);
        if (pairs[i].value.bytes > 0)
            on_value(pairs[i].value);
    }
    FUZZ_ASSERT(varve_dbkv_next(&listed, &pairs[operation.count]) == VARVE_END);
    operation.pairs = pairs;
    FUZZ_ASSERT(varve_dbkv_put(&operation, again, bytes, &again_bytes) == 0);
    FUZZ_ASSERT(again_bytes == bytes && memcmp(again, payload, bytes) == 0);
    if (operation.value.bytes > 0)
        on_value(operation.value);
    free(pairs);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test_fuzz_payloads(on_payload);
    test_fuzz_format("dbkv", data, size);
    return 0;
}
