/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The formats that are known: those of the library, and those that were registered. The only state of this
 * folder: a list that grows and is never changed otherwise.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "format/builtin.h"
#include "format/fields.h"

enum {
    FORMATS_MAX = 64
};

const struct varve_format vv_format_varve = {
    .size = sizeof vv_format_varve,
    .name = "varve",
    .summary = "the native format: frames that vouch for those before them, direct I/O, every field",
    .carries = VARVE_FIELD_LSN | VARVE_FIELD_TIME | VARVE_FIELD_TYPE | VARVE_FIELD_TXN | VARVE_FIELD_ORIGIN |
               VARVE_FIELD_UUID | VARVE_FIELD_CODEC | VARVE_FIELD_FRAMES,
    .traits = VARVE_FORMAT_NATIVE | VARVE_FORMAT_FIXED,
    .time_unit_ns = 1000,
    .type_max = UINT8_MAX,
    .payload_max = UINT64_C(1) << 30,
    .layout = VARVE_LAYOUT_NUMBERED,
    .folder = "",
    .segment_default = UINT64_C(64) << 20,
    .segment_min = UINT64_C(1) << 20,
    .segment_max = UINT64_C(4) << 30,
    .policy = VARVE_POLICY_TRUNCATE,
};

static const struct varve_format *_Atomic formats[FORMATS_MAX] = {
    &vv_format_varve, &vv_format_stra, &vv_format_wlog, &vv_format_aero, &vv_format_dbkv, &vv_format_lfwal,
};
static pthread_mutex_t formats_mutex = PTHREAD_MUTEX_INITIALIZER; /* held by who adds one */

const struct varve_format *varve_format_at(unsigned index)
{
    return index < FORMATS_MAX ? atomic_load_explicit(&formats[index], memory_order_acquire) : NULL;
}

const struct varve_format *varve_format_get(const char *name)
{
    const struct varve_format *format;

    for (unsigned i = 0; (format = varve_format_at(i)) != NULL; i++) {
        if (strcmp(format->name, name) == 0)
            return format;
    }
    return NULL;
}

/* -- what a table must be to be usable -- */

static bool name_good(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len < 32 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") == len;
}

static const char *fields_problem(const struct varve_format *f)
{
    if (f->derives & ~f->carries)
        return "derives a field that it does not carry";
    if (f->carries & VARVE_FIELD_FRAMES || f->traits & VARVE_FORMAT_NATIVE)
        return "claims what only varve has";
    if (f->carries & VARVE_FIELD_TIME
            ? f->time_unit_ns != 1 && f->time_unit_ns != 1000 && f->time_unit_ns != UINT64_C(1000000000)
            : f->time_unit_ns != 0)
        return "time_unit_ns";
    if (f->carries & VARVE_FIELD_ORIGIN && !(f->carries & VARVE_FIELD_TXN))
        return "has an origin and no transaction";
    if (f->type_min > f->type_max || (!(f->carries & VARVE_FIELD_TYPE) && f->type_max > 0))
        return "type_min, type_max";
    if (f->payload_min > f->payload_max || f->payload_max > UINT32_MAX)
        return "payload_min, payload_max";
    return NULL;
}

static const char *files_problem(const struct varve_format *f)
{
    char name[VARVE_FORMAT_FILE_NAME_BYTES];
    uint64_t number = 0, own = f->layout == VARVE_LAYOUT_RENAMED ? VARVE_FORMAT_ACTIVE : 1;

    if (!f->folder || strchr(f->folder, '/'))
        return "folder";
    if (!f->name_put || !f->name_get)
        return "name_put, name_get";
    f->name_put(own, name);
    if (f->name_get(name, &number) != VARVE_NAME_SEGMENT || number != own)
        return "name_get does not read what name_put writes";
    if (f->header_bytes > VARVE_FORMAT_HEADER_MAX ||
        (f->header_bytes > 0 && (!f->header_put || !f->header_get)))
        return "header_bytes, header_put, header_get";
    if (f->segment_min == 0 || f->segment_min > f->segment_default || f->segment_default > f->segment_max ||
        f->segment_max > VV_SEGMENT_LIMIT)
        return "segment_min, segment_default, segment_max";
    if (f->traits & VARVE_FORMAT_FIXED &&
        (f->layout != VARVE_LAYOUT_NUMBERED || f->traits & VARVE_FORMAT_ALONE || f->head_bytes < 8))
        return "files of a fixed size are numbered, hold all of their records, and have heads of 8 bytes";
    if (f->meta_name && !f->meta_get)
        return "meta_get";
    if (f->meta_put && (!f->meta_name || !f->meta_temp))
        return "meta_name, meta_temp";
    return NULL;
}

static const char *records_problem(const struct varve_format *f)
{
    if (f->head_bytes == 0 || f->head_bytes > VARVE_FORMAT_HEAD_MAX || !f->head_put || !f->head_get)
        return "head_bytes, head_put, head_get";
    if (f->sum > VARVE_SUM_CRC32C || f->sum_from > f->head_bytes)
        return "sum, sum_from";
    if (f->sum == VARVE_SUM_NONE)
        return f->tail_bytes != 0 ? "tail_bytes" : NULL;
    if (f->sum_at < 0 ? f->tail_bytes != 4 : f->tail_bytes != 0 || (uint32_t)f->sum_at + 4 > f->sum_from)
        return "sum_at, tail_bytes";
    return NULL;
}

static int add(const struct varve_format *format, struct varve_error *ret_error)
{
    unsigned i;

    for (i = 0; i < FORMATS_MAX && varve_format_at(i); i++) {
        if (strcmp(varve_format_at(i)->name, format->name) == 0)
            return vv_error_set(ret_error, VARVE_E_EXISTS, 0, "a format %s is known already", format->name);
    }
    if (i == FORMATS_MAX)
        return vv_error_set(ret_error, VARVE_E_LIMIT, 0, "%d formats are known already", FORMATS_MAX);
    atomic_store_explicit(&formats[i], format, memory_order_release);
    return 0;
}

int varve_format_register(const struct varve_format *format, struct varve_error *ret_error)
{
    const char *problem;
    int rc;

    if (!format || format->size != sizeof *format)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "a format's table of %zu bytes is needed",
                            sizeof *format);
    if (!format->name || !format->summary || !name_good(format->name))
        return vv_error_set(ret_error, VARVE_E_INVALID, 0,
                            "a format's name is 1 to 31 lower-case letters and digits, and it has a summary");
    problem = fields_problem(format);
    if (!problem)
        problem = records_problem(format);
    if (!problem)
        problem = files_problem(format);
    if (problem)
        return vv_error_set(ret_error, VARVE_E_INVALID, 0, "format %s: %s", format->name, problem);
    pthread_mutex_lock(&formats_mutex);
    rc = add(format, ret_error);
    pthread_mutex_unlock(&formats_mutex);
    return rc;
}

/* -- times -- */

uint64_t varve_format_time_us(const struct varve_format *f, uint64_t time)
{
    uint64_t unit = f->time_unit_ns;

    if (unit == 0 || (f->traits & VARVE_FORMAT_SIGNED_TIME && time > INT64_MAX))
        return 0;
    if (unit < 1000)
        return time / (1000 / unit);
    return time > UINT64_MAX / (unit / 1000) ? UINT64_MAX : time * (unit / 1000);
}

uint64_t varve_format_time_of_us(const struct varve_format *f, uint64_t time_us)
{
    uint64_t unit = f->time_unit_ns, top = f->traits & VARVE_FORMAT_SIGNED_TIME ? INT64_MAX : UINT64_MAX;

    if (unit == 0)
        return 0;
    if (unit >= 1000)
        return time_us / (unit / 1000) < top ? time_us / (unit / 1000) : top;
    return time_us > top / (1000 / unit) ? top : time_us * (1000 / unit);
}
