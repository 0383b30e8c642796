/* Threads, memory, time and signals. What the kernel and the cgroup say is read anew at every
 * call; the only state is the flag that a signal handler must be able to reach. */
#define _GNU_SOURCE
#include "system.h"

#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 512 };

/* The first line of a file of /proc or /sys; false when there is none. */
static bool read_line(const char *path, char *line, int size)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    bool got = fgets(line, size, f) != NULL;
    fclose(f);
    return got;
}

/* The value behind `name` in a file of "name value" lines, -1 when there is none. */
static double read_named(const char *path, const char *name)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return -1;
    char line[256];
    size_t n = strlen(name);
    double v = -1;
    while (v < 0 && fgets(line, sizeof line, f))
        if (!strncmp(line, name, n) && strchr(": \t", line[n]))
            v = strtod(line + n + 1, NULL);
    fclose(f);
    return v;
}

/* This process's folder in the hierarchy of a controller; version 2 has one for all. */
static bool cgroup_path(const char *controller, bool *v2, char path[PATH_SIZE])
{
    FILE *f = fopen("/proc/self/cgroup", "r");
    if (!f)
        return false;
    char line[PATH_SIZE];
    bool found = false;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *names = strchr(line, ':'), *at = names ? strchr(names + 1, ':') : NULL;
        if (!at)
            continue;
        *names++ = 0;
        *at++ = 0;
        bool is_v2 = !strcmp(line, "0") && !*names, listed = false;
        for (char *save = NULL, *w = strtok_r(names, ",", &save); w; w = strtok_r(NULL, ",", &save))
            listed |= !strcmp(w, controller);
        if (!listed && (!is_v2 || found))
            continue;
        found = true;
        *v2 = is_v2;
        snprintf(path, PATH_SIZE, "%s", at);
    }
    fclose(f);
    return found;
}

/* Smallest value of `limit` over the process's group and all groups around it: a limit holds
 * for everything below. In a container the groups outside are not seen, and the path may not
 * exist inside: the loop then ends at the root, which is the container's own group. */
static double cgroup_least(const char *controller, double (*limit)(const char *folder, bool v2))
{
    char path[PATH_SIZE], folder[PATH_SIZE * 2];
    bool v2 = true;
    double least = INFINITY;
    if (!cgroup_path(controller, &v2, path))
        return least;
    for (;;) {
        snprintf(folder, sizeof folder, "/sys/fs/cgroup%s%s%s", v2 ? "" : "/", v2 ? "" : controller,
                 path);
        double v = limit(folder, v2);
        if (v > 0 && v < least)
            least = v;
        char *slash = strrchr(path, '/');
        if (!slash)
            return least;
        *slash = 0;
    }
}

static double cpu_limit(const char *folder, bool v2)
{
    char path[PATH_SIZE * 3], line[128];
    if (v2) {
        double quota, period;
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        if (read_line(path, line, sizeof line) && sscanf(line, "%lf %lf", &quota, &period) == 2)
            return quota / period;
        return INFINITY;
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    double quota = read_line(path, line, sizeof line) ? strtod(line, NULL) : -1;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    double period = read_line(path, line, sizeof line) ? strtod(line, NULL) : 0;
    return quota > 0 && period > 0 ? quota / period : INFINITY;
}

int system_threads(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
    if (n < 1) /* more CPUs than the set holds */
        n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    double quota = ceil(cgroup_least("cpu", cpu_limit));
    if (quota < n)
        n = (int)quota;
    return n < 1 ? 1 : n;
}

/* What a group leaves: its limit less what is used, pages that can be dropped not counted. */
static double memory_left(const char *folder, bool v2)
{
    char path[PATH_SIZE * 3], line[128];
    snprintf(path, sizeof path, "%s/%s", folder, v2 ? "memory.max" : "memory.limit_in_bytes");
    double most = read_line(path, line, sizeof line) ? strtod(line, NULL) : 0;
    if (most <= 0) /* none, or "max" */
        return INFINITY;
    snprintf(path, sizeof path, "%s/%s", folder, v2 ? "memory.current" : "memory.usage_in_bytes");
    double used = read_line(path, line, sizeof line) ? strtod(line, NULL) : 0;
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    double droppable = read_named(path, v2 ? "inactive_file" : "total_inactive_file");
    double left = most - used + (droppable > 0 ? droppable : 0);
    return left > 1 ? left : 1;
}

size_t system_memory(void)
{
    double free_kb = read_named("/proc/meminfo", "MemAvailable");
    double left = cgroup_least("memory", memory_left);
    if (free_kb >= 0 && free_kb * 1024 < left)
        left = free_kb * 1024;
    return left < (double)(SIZE_MAX / 2) ? (size_t)left : 0;
}

size_t system_peak(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? (size_t)u.ru_maxrss * 1024 : 0;
}

double system_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The one place where a variable must outlive calls: a handler receives no context. */
static volatile sig_atomic_t stop_signal;

static void on_signal(int sig)
{
    if (stop_signal)
        _exit(128 + sig);
    stop_signal = sig;
}

void system_catch_signals(void)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

int system_stopping(void)
{
    return stop_signal;
}
