/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file of the format aero, or as its checkpoint.json. */
#include <stdlib.h>
#include <string.h>

#include "lib/fuzz.h"
#include "varve/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the log takes for a document is one. */
static void on_payload(const uint8_t *payload, size_t bytes)
{
    struct varve_aero_document document;
    uint8_t *again = malloc(bytes);
    size_t again_bytes;

    FUZZ_ASSERT(again != NULL);
    FUZZ_ASSERT(varve_aero_get(payload, bytes, &document) == 0);
    FUZZ_ASSERT(varve_aero_put(&document, again, bytes, &again_bytes) == 0);
    FUZZ_ASSERT(again_bytes == bytes && memcmp(again, payload, bytes) == 0);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test_fuzz_payloads(on_payload);
    test_fuzz_format("aero", data, size);
    return 0;
}
