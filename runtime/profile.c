/* Runs steps with the calls of their kernels noted: each thread has a log of its own. */
#include "program.h"

#include "system.h"

#include <stdlib.h>

int64_t profile_cycles(void)
{
#if defined(__x86_64__)
    return (int64_t)__builtin_ia32_rdtsc();
#else
    return (int64_t)(1e9 * system_seconds());
#endif
}

int program_kernels(const Program *p, const ProfileKernel **kernels)
{
    *kernels = p->kernel;
    return p->nkernel;
}

/* A log of at least `most` events, and one more that those beyond share. */
static bool log_resize(Frame *f, int64_t most)
{
    if (f->log && most <= f->log_most)
        return true;
    free(f->log);
    f->log_most = most;
    f->log = calloc((size_t)most + 1, sizeof *f->log);
    return f->log != NULL;
}

/* Notes one batch; *fits: every event has found its place. */
static bool run_once(Program *p, int64_t n, const int64_t *order, ProfileStep *step, bool *fits)
{
    for (int i = 0; i < step->threads; i++) {
        Frame *f = program_frame(p, i);
        if (!log_resize(f, f->log_count + f->log_count / 4))
            return false;
        f->log_count = 0;
    }
    double start = system_seconds();
    step->begin = profile_cycles();
    bool ok = program_run(p, n, order);
    step->end = profile_cycles();
    step->seconds = system_seconds() - start;
    *fits = true;
    for (int i = 0; i < step->threads; i++)
        *fits &= program_frame(p, i)->log_count <= program_frame(p, i)->log_most;
    return ok;
}

bool program_profile(Program *p, int64_t n, const int64_t *order, ProfileStep *step)
{
    bool fits = false;
    step->threads = program_threads(p);
    while (!fits)
        if (!run_once(p, n, order, step, &fits))
            return false;
    return true;
}

const ProfileEvent *program_events(const Program *p, int thread, int64_t *count)
{
    const Frame *f = program_frame(p, thread);
    *count = f->log_count;
    return f->log;
}

double profile_cost(void)
{
    enum { NOTES = 100000 };
    ProfileEvent log[1];
    Frame f = {.log = log};
    int64_t begin = profile_cycles();
    for (int i = 0; i < NOTES; i++)
        profile_note(&f, 0, profile_cycles());
    return (double)(profile_cycles() - begin) / NOTES;
}
