/* SPDX-License-Identifier: Apache-2.0 */
/* The version that was compiled in: a program's header may be another one's. */
#include "varve/varve.h"

const char *varve_version(void)
{
    return VARVE_VERSION_STRING;
}
