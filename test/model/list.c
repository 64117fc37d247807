/* SPDX-License-Identifier: Apache-2.0 */
#include "model/list.h"

#include <stdlib.h>
#include <string.h>

void model_list_init(struct model_list *list)
{
    *list = (struct model_list){.first = 1};
}

void model_list_free(struct model_list *list)
{
    free(list->list);
}

static struct model_entry *model_list_slot(struct model_list *list, uint64_t lsn)
{
    if (lsn >= list->room) {
        size_t room = (size_t)lsn * 2 + 64;
        list->list = realloc(list->list, room * sizeof *list->list);
        if (list->list == NULL) {
            abort();
        }
        memset(list->list + list->room, 0, (room - list->room) * sizeof *list->list);
        list->room = room;
    }
    return &list->list[lsn];
}

uint64_t model_list_append(struct model_list *list, uint64_t lsn, uint64_t id, uint32_t count, bool alone)
{
    for (uint32_t i = 0; i < count; i++) {
        struct model_entry *entry = model_list_slot(list, lsn + i);
        if (lsn + i == 0 || entry->count != 0) {
            return lsn + i;
        }
        *entry = (struct model_entry){id + i, lsn, count, alone};
    }
    list->last = lsn + count - 1 > list->last ? lsn + count - 1 : list->last;
    return 0;
}

void model_list_found(struct model_list *list, uint64_t lsn, uint64_t id)
{
    *model_list_slot(list, lsn) = (struct model_entry){id, lsn, 1, false};
    list->last = lsn > list->last ? lsn : list->last;
}

uint64_t model_list_gaps(const struct model_list *list, uint64_t from, uint64_t *ret_lsn)
{
    uint64_t gaps = 0;
    for (uint64_t lsn = list->last; lsn > from; lsn--) {
        if (list->list[lsn].count == 0) {
            *ret_lsn = lsn;
            gaps++;
        }
    }
    return gaps;
}

const struct model_entry *model_list_at(const struct model_list *list, uint64_t lsn)
{
    return lsn < list->room && list->list[lsn].count != 0 ? &list->list[lsn] : NULL;
}

const char *model_list_may_end(const struct model_list *list, uint64_t last)
{
    const struct model_entry *next = model_list_at(list, last + 1);
    if (last < list->durable) {
        return "a durable record is gone";
    }
    if (next != NULL && next->batch <= last) {
        return "a batch was cut in two";
    }
    return NULL;
}

void model_list_crash(struct model_list *list, uint64_t last)
{
    for (uint64_t lsn = last + 1; lsn < list->room; lsn++) {
        list->list[lsn].count = 0;
    }
    list->last = last;
    list->durable = last;
}
