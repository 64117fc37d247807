/* SPDX-License-Identifier: Apache-2.0 */
/* The bug that a program built with them has: the one that VARVE_TOOTH names, or none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tooth.h"

enum vv_tooth vv_tooth;

static const char *const names[] = {
#define NAME(name) #name,
    VV_TEETH(NAME)
#undef NAME
};

__attribute__((constructor)) static void choose(void)
{
    const char *wanted = getenv("VARVE_TOOTH");
    if (wanted == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(wanted, names[i]) == 0) {
            vv_tooth = (enum vv_tooth)i;
            return;
        }
    }
    fprintf(stderr, "VARVE_TOOTH: there is no %s\n", wanted);
    exit(2);
}
