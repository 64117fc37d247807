/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a writeset; one that is sound is written again to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "lib/fuzz.h"
#include "varve/writeset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int add(struct varve_writeset *w, const struct varve_mutation *m)
{
    if (m->kind == VARVE_MUTATION_DELETE)
        return varve_writeset_delete(w, &m->entity);
    if (m->kind == VARVE_MUTATION_PUT)
        return varve_writeset_put(w, &m->entity, m->version, m->value.data, m->value.bytes);
    return varve_writeset_append(w, &m->entity, m->version, m->value.data, m->value.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct varve_writeset_cursor cursor;
    struct varve_writeset w;
    struct varve_mutation m;
    uint8_t *again = malloc(size > 0 ? size : 1);
    size_t bytes;
    int rc = varve_writeset_open(&cursor, data, size);

    FUZZ_ASSERT(again != NULL);
    varve_writeset_begin(&w, again, size);
    while (rc == 0) {
        rc = varve_writeset_next(&cursor, &m);
        if (rc == 0)
            FUZZ_ASSERT(add(&w, &m) == 0);
    }
    FUZZ_ASSERT((rc == VARVE_END) == (cursor.reason == NULL));
    if (rc == VARVE_END) {
        FUZZ_ASSERT(varve_writeset_end(&w, &bytes) == 0);
        FUZZ_ASSERT(bytes == size && memcmp(again, data, size) == 0);
    }
    free(again);
    return 0;
}
