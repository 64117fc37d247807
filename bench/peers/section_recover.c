/* SPDX-License-Identifier: Apache-2.0 */
#include "peers.h"
int section_recover(struct comparison *comparison, struct entrant *entrants, size_t count)
{
    (void)comparison;
    (void)entrants;
    (void)count;
    return 0;
}
int section_cost(struct comparison *comparison, struct entrant *entrants, size_t count)
{
    (void)comparison;
    (void)entrants;
    (void)count;
    return 0;
}
