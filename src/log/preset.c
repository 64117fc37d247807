/* SPDX-License-Identifier: Apache-2.0 */
/* preset: names for sets of options: what the programs are used to whose formats these are. */
#include <string.h>

#include "varve/error.h"
#include "varve/options.h"

#define MIB (UINT64_C(1) << 20)

struct preset {
    const char *name;
    enum varve_durability durability;
    enum varve_backend backend;
    enum varve_policy policy;
    uint64_t segment_bytes; /* 0 = the format's default */
    uint64_t sync_bytes;
    uint32_t sync_interval_ms;
};

static const struct preset presets[] = {
    {"varve", VARVE_GROUP, VARVE_BACKEND_AUTO, VARVE_POLICY_TRUNCATE, 64 * MIB, 0, 0},
    {"stra", VARVE_STRICT, VARVE_BACKEND_BUFFERED, VARVE_POLICY_TRUNCATE, 64 * MIB, 4 * MIB, 0},
    {"wlog", VARVE_BUFFERED, VARVE_BACKEND_MMAP, VARVE_POLICY_TRUNCATE, MIB, 0, 0},
    {"aero", VARVE_STRICT, VARVE_BACKEND_BUFFERED, VARVE_POLICY_HALT, 0, 0, 0},
    {"dbkv", VARVE_INTERVAL, VARVE_BACKEND_BUFFERED, VARVE_POLICY_SKIP, 1024 * MIB, 0, 100},
    {"lfwal", VARVE_GROUP, VARVE_BACKEND_BUFFERED, VARVE_POLICY_TRUNCATE, 64 * MIB, 0, 10},
};

int varve_options_preset(struct varve_options *options, const char *name)
{
    if (!options || !name || options->size < sizeof *options)
        return VARVE_E_INVALID;
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        const struct preset *p = &presets[i];

        if (strcmp(p->name, name) != 0)
            continue;
        options->format = p->name;
        options->durability = p->durability;
        options->backend = p->backend;
        options->policy = p->policy;
        options->segment_bytes = p->segment_bytes;
        options->sync_bytes = p->sync_bytes;
        options->sync_interval_ms = p->sync_interval_ms;
        return 0;
    }
    return VARVE_E_INVALID;
}
