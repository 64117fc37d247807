/* SPDX-License-Identifier: Apache-2.0 */
/* (d) Group commit as the textbook has it. */
#include "bench.h"

#include "textbook.h"

static int commit(struct worker *worker)
{
    return textbook_commit(worker->arg, worker->record, BENCH_RECORD_BYTES) < 0 ? -1 : 1;
}

int baseline_group(struct bench *bench, const struct measure *measure, struct sample *ret_sample)
{
    struct textbook *textbook = NULL;
    if (textbook_new(bench, measure->threads * (BENCH_HEADER_BYTES + BENCH_RECORD_BYTES), &textbook) < 0)
        return -1;
    int failed = crew_sample(bench, measure->threads, commit, textbook, ret_sample);
    textbook_free(textbook);
    return failed;
}
