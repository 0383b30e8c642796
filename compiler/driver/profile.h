/* What weft profile has measured: the fastest step of many, and rates of the machine. */
#ifndef WEFT_PROFILE_H
#define WEFT_PROFILE_H

#include "driver/job.h"

typedef struct { int64_t calls; double seconds; } KernelTime; /* all threads' together */

typedef struct {
    Job *job;
    Program *program;
    int threads, barriers, nkernel;
    const ProfileKernel *kernel;
    double gflop;            /* of the step's products */
    int64_t rows;
    double plain;            /* seconds of the fastest step without stamps */
    double peak;             /* GFLOP/s of all threads */
    double bandwidth[2];     /* bytes a second within a core's cache, beyond all caches */
    double cost;             /* seconds to note a call */
    ProfileStep step;        /* the fastest of those with stamps */
    double tick;             /* seconds a cycle */
    ProfileEvent **event;    /* its events, by thread */
    int64_t *count;
    KernelTime *time;        /* by kernel */
    double *busy, *wait;     /* seconds, by thread */
} Profile;

/* A kernel's seconds of the step: all threads' time, shared among them. */
double profile_seconds(const Profile *p, int kernel);
/* "products", "functions", ...: what takes most of a kernel's time; "latency" when nothing that
 * was measured explains as much as half of it. */
const char *profile_bound(const Profile *p, int kernel);

/* The step as a picture; order: the kernels, the longest first. Writes it to path; reports and
 * returns false. */
bool profile_picture(const Profile *p, const int *order, const char *path);

#endif
