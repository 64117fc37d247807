/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_CODECS_H
#define BENCH_CODECS_H

#include "bench.h"

/* varve-bench codecs: `argv[0]` is that word. Returns the program's exit code. */
int codecs_main(int argc, char **argv);

#endif
