/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer's processes and the device under its files have done: processor time, context switches, syncs,
 * flushes and bytes written, memory, disk space. */
#include "peers.h"

#include "syncs.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define DEVICE_SECTOR_BYTES 512u /* the unit of the kernel's counters, whatever the device's is */

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double server_cpu_s(pid_t pid)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return 0;
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* The fields of the device's line: 4 = writes, 6 = sectors written, 15 = flushes (counted from 0). Older
 * kernels have fewer. */
static void read_device(const char *dir, struct meter *meter)
{
    char path[64];
    struct stat info;
    if (stat(dir, &info) < 0)
        return;
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/stat", major(info.st_dev), minor(info.st_dev));
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return; /* a file system without a device of its own */
    unsigned long long field = 0;
    for (unsigned i = 0; fscanf(file, "%llu", &field) == 1; i++) {
        if (i == 6)
            meter->device_bytes = field * DEVICE_SECTOR_BYTES;
        if (i == 15)
            meter->device_flushes = field;
    }
    fclose(file);
}

uint64_t meter_syncs(const struct meter_source *source)
{
    return syncs_total(syncs_here()) + (source->server_syncs != NULL ? syncs_total(source->server_syncs) : 0);
}

void meter_read(const struct meter_source *source, struct meter *ret_meter)
{
    struct rusage usage;
    struct meter meter = {.syncs = meter_syncs(source)};
    getrusage(RUSAGE_SELF, &usage);
    meter.cpu_s = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
    meter.switches = (uint64_t)(usage.ru_nvcsw + usage.ru_nivcsw);
    if (source->server != 0)
        meter.cpu_s += server_cpu_s(source->server);
    read_device(source->dir, &meter);
    *ret_meter = meter;
}

uint64_t meter_memory_kib(pid_t pid, int peak)
{
    const char *name = peak ? "VmHWM:" : "VmRSS:";
    char path[64], line[256];
    unsigned long long kib = 0;
    if (pid != 0)
        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    else
        snprintf(path, sizeof path, "/proc/self/status");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0 && sscanf(line + strlen(name), "%llu", &kib) == 1)
            break;
    }
    fclose(file);
    return kib;
}

/* The line "cpu" of /proc/stat: user nice system idle iowait irq softirq steal, in ticks. */
void meter_machine_read(struct meter_machine *ret_machine)
{
    unsigned long long ticks[8] = {0};
    struct meter_machine machine = {0};
    struct rusage self, children;
    FILE *file = fopen("/proc/stat", "re");
    double tick_s = 1 / (double)sysconf(_SC_CLK_TCK);
    if (file != NULL) {
        if (fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &ticks[0], &ticks[1], &ticks[2],
                   &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]) == 8) {
            machine.busy_s = (double)(ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) * tick_s;
            machine.stolen_s = (double)ticks[7] * tick_s;
        }
        fclose(file);
    }
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    machine.own_s = seconds_of(self.ru_utime) + seconds_of(self.ru_stime) + seconds_of(children.ru_utime) +
                    seconds_of(children.ru_stime);
    *ret_machine = machine;
}

static uint64_t walked_bytes; /* nftw hands on no argument; one walk at a time */

static int add_size(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)path;
    (void)where;
    if (kind == FTW_F)
        walked_bytes += (uint64_t)info->st_blocks * 512;
    return 0;
}

uint64_t meter_disk_bytes(const char *dir)
{
    walked_bytes = 0;
    return nftw(dir, add_size, 16, FTW_PHYS) == 0 ? walked_bytes : 0;
}
