/* weft profile: training steps with every call of a kernel timed.
 *
 * Steps run in turn without and with stamps; of each the fastest counts, since other work on
 * the machine can only slow it. All figures of kernels are of that one step, so that they add
 * up to it: a thread's time is its kernels', its waits, and the rest between them.
 */
#include "driver/profile.h"

#include "driver/memory.h"
#include "driver/text.h"
#include "driver/trial.h"
#include "ir/flops.h"
#include "peak.h"
#include "system.h"

#include <stdlib.h>
#include <string.h>

static const Span nowhere;

/* ---- measuring ---- */

static Engine *compile(Job *j, const Graph *g, const int64_t *sizes, const int64_t *profile)
{
    CodeOptions code = {.jit = {.diag = j->diag, .profile = profile, .rows = sizes[SYM_N]}};
    Engine *e = engine_new(j->arena, j->diag, j->unit->span, g, false, &code);
    if (e && trial_bind(j, e, sizes, j->threads))
        return e;
    engine_free(e);
    return NULL;
}

/* The last step is the fastest so far: keeps its events. */
static void keep(Profile *p, const ProfileStep *step)
{
    Arena *a = p->job->arena;
    if (!p->event) {
        p->event = NEW_ARRAY(a, ProfileEvent *, step->threads);
        p->count = NEW_ARRAY(a, int64_t, step->threads);
    }
    p->step = *step;
    for (int i = 0; i < step->threads; i++) {
        int64_t n;
        const ProfileEvent *event = program_events(p->program, i, &n);
        if (n > p->count[i])
            p->event[i] = NEW_ARRAY(a, ProfileEvent, n);
        p->count[i] = n;
        memcpy(p->event[i], event, sizeof *event * (size_t)n);
    }
}

static bool not_finite(const Job *j)
{
    return error_at(j->diag, j->unit->span, "the first batch's loss is not finite: there is no "
                    "whole step to profile");
}

/* Rounds of steps without stamps, with stamps, and of the machine's rates. */
static bool measure(Profile *p, Engine *plain)
{
    enum { ROUNDS = 5, STEPS = 40, FEWEST = 2, PEAKS = 3 };
    for (int round = 0; round < ROUNDS; round++) {
        double begun = system_seconds();
        for (int i = 0; i < STEPS && (i < FEWEST || system_seconds() - begun < 0.4); i++) {
            double start = system_seconds();
            if (!engine_run(plain, p->rows, NULL))
                return not_finite(p->job);
            double t = system_seconds() - start;
            p->plain = !p->plain || t < p->plain ? t : p->plain;
            ProfileStep step;
            if (!program_profile(p->program, p->rows, NULL, &step))
                return not_finite(p->job);
            if (!p->event || step.seconds < p->step.seconds)
                keep(p, &step);
        }
        for (int i = 0; i < PEAKS; i++) {
            double peak = peak_gflops(p->threads);
            p->peak = peak > p->peak ? peak : p->peak;
        }
        for (int i = 0; i < 2; i++) {
            double b = peak_bandwidth(p->threads, i ? 64u << 20 : 128u << 10);
            p->bandwidth[i] = b > p->bandwidth[i] ? b : p->bandwidth[i];
        }
    }
    return true;
}

static void sum_up(Profile *p)
{
    Arena *a = p->job->arena;
    p->tick = p->step.seconds / (double)(p->step.end - p->step.begin);
    p->cost = profile_cost() * p->tick;
    p->time = NEW_ARRAY(a, KernelTime, p->nkernel + 1);
    p->busy = NEW_ARRAY(a, double, p->threads);
    p->wait = NEW_ARRAY(a, double, p->threads);
    for (int i = 0; i < p->threads; i++) {
        for (int64_t k = 0; k < p->count[i]; k++) {
            const ProfileEvent *e = &p->event[i][k];
            double t = (double)(e->end - e->start) * p->tick;
            if (e->kernel == PROFILE_wait) {
                p->wait[i] += t;
                continue;
            }
            p->busy[i] += t;
            p->time[e->kernel].seconds += t;
            p->time[e->kernel].calls++;
        }
    }
}

double profile_seconds(const Profile *p, int kernel)
{
    return p->time[kernel].seconds / p->threads;
}

const char *profile_bound(const Profile *p, int kernel)
{
    /* Operations that a function takes, about: what its polynomial in ir/vmath.inc has. */
    enum { FUNCTION = 20, KINDS = 5, CACHE = 512 << 10 }; /* CACHE: no more fits beside a core */
    static const char *const names[KINDS] = {"products", "arithmetic", "functions", "cache",
                                             "memory"};
    const ProfileKernel *k = &p->kernel[kernel];
    double flops = 1e9 * p->peak, operations = flops / 2;
    double seconds = profile_seconds(p, kernel);
    bool beyond = k->call_bytes > CACHE && k->bytes / p->bandwidth[1] <= 1.5 * seconds;
    double need[KINDS] = {
        p->peak > 0 ? k->products / flops : 0,
        p->peak > 0 ? k->arithmetic / operations : 0,
        p->peak > 0 ? k->functions * FUNCTION / operations : 0,
        beyond ? 0 : k->bytes / p->bandwidth[0],
        beyond ? k->bytes / p->bandwidth[1] : 0,
    };
    int most = 0;
    for (int i = 1; i < KINDS; i++)
        most = need[i] > need[most] ? i : most;
    return need[most] < seconds / 2 ? "latency" : names[most];
}

/* ---- printing ---- */

typedef struct { double ms, share, gflop, rate, percent, gbs; } Row;

static Row row_of(const Profile *p, int kernel)
{
    const ProfileKernel *k = &p->kernel[kernel];
    double s = profile_seconds(p, kernel);
    Row r = {.ms = 1e3 * s, .share = 100 * s / p->step.seconds};
    r.gflop = 1e-9 * (k->products + k->arithmetic);
    r.rate = s > 0 ? r.gflop / s : 0;
    r.percent = p->peak > 0 ? 100 * r.rate / p->peak : 0;
    r.gbs = s > 0 ? 1e-9 * k->bytes / s : 0;
    return r;
}

static double mean(const double *v, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += v[i];
    return sum / n;
}

static void print_kernels(const Profile *p, const int *order)
{
    Arena *a = p->job->arena;
    printf("%-24s %9s %7s %8s %9s %7s %8s  %-10s  %s\n", "kernel", "ms", "share", "calls",
           "GFLOP/s", "% peak", "GB/s", "bound by", "where, what");
    for (int i = 0; i < p->nkernel; i++) {
        const ProfileKernel *k = &p->kernel[order[i]];
        Row r = row_of(p, order[i]);
        const char *where = k->line ? arena_printf(a, "%s:%d  ", k->file, k->line) : "";
        printf("%-24.24s %9.4f %5.1f %% %8lld %9.1f %7.1f %8.1f  %-10s  %s%s\n", k->name, r.ms,
               r.share, (long long)p->time[order[i]].calls, r.rate, r.percent, r.gbs,
               profile_bound(p, order[i]), where, k->what);
    }
    printf("%-24s %9.4f %5.1f %%\n", "waiting at barriers", 1e3 * mean(p->wait, p->threads),
           100 * mean(p->wait, p->threads) / p->step.seconds);
    double rest = p->step.seconds - mean(p->wait, p->threads) - mean(p->busy, p->threads);
    printf("%-24s %9.4f %5.1f %%\n", "between kernels", 1e3 * rest, 100 * rest / p->step.seconds);
    printf("%-24s %9.4f\n\n", "step", 1e3 * p->step.seconds);
}

static void print_step(const Profile *p)
{
    printf("model %s, batch %lld, %d thread%s\n\n", p->job->unit->name, (long long)p->rows,
           p->threads, p->threads == 1 ? "" : "s");
}

static int64_t events(const Profile *p)
{
    int64_t n = 0;
    for (int i = 0; i < p->threads; i++)
        n += p->count[i];
    return n;
}

static void print_threads(const Profile *p)
{
    double rate = p->gflop / p->plain;
    printf("without stamps a step takes %.4f ms: %.1f GFLOP/s of products", 1e3 * p->plain, rate);
    if (p->peak > 0)
        printf(", %.1f %% of the peak of %.1f", 100 * rate / p->peak, p->peak);
    printf("\n%d barriers a step; %lld stamps of %.0f ns\n", p->barriers, (long long)events(p),
           1e9 * p->cost);
    for (int i = 0; i < p->threads; i++)
        printf("thread %d: %.4f ms in kernels, waits %.4f ms, %.4f ms between\n", i,
               1e3 * p->busy[i], 1e3 * p->wait[i],
               1e3 * (p->step.seconds - p->busy[i] - p->wait[i]));
}

static void print_json(const Profile *p, const int *order)
{
    JsonField step[] = {
        json_field_text("model", p->job->unit->name),
        json_field_integer("batch", p->rows),
        json_field_integer("threads", p->threads),
        json_field_number("ms", 1e3 * p->step.seconds),
        json_field_number("plain_ms", 1e3 * p->plain),
        json_field_number("gflop", p->gflop),
        json_field_number("peak_gflops", p->peak),
        json_field_number("percent", p->peak > 0 ? 100 * p->gflop / p->plain / p->peak : 0),
        json_field_integer("barriers", p->barriers),
        json_field_integer("kernels", p->nkernel),
        json_field_integer("stamps", events(p)),
        json_field_number("stamp_ns", 1e9 * p->cost),
        json_field_number("cache_gbs", 1e-9 * p->bandwidth[0]),
        json_field_number("memory_gbs", 1e-9 * p->bandwidth[1]),
    };
    json_line(stdout, "step", step, sizeof step / sizeof *step);
    for (int i = 0; i < p->nkernel; i++) {
        const ProfileKernel *k = &p->kernel[order[i]];
        Row r = row_of(p, order[i]);
        JsonField f[] = {
            json_field_text("name", k->name),         json_field_text("what", k->what),
            json_field_text("file", k->file),         json_field_integer("line", k->line),
            json_field_integer("calls", p->time[order[i]].calls),
            json_field_number("ms", r.ms),            json_field_number("share", r.share),
            json_field_number("gflop", r.gflop),      json_field_number("gflops", r.rate),
            json_field_number("percent", r.percent),  json_field_number("functions", k->functions),
            json_field_number("bytes", k->bytes),     json_field_number("gbs", r.gbs),
            json_field_text("bound", profile_bound(p, order[i])),
        };
        json_line(stdout, "kernel", f, sizeof f / sizeof *f);
    }
    for (int i = 0; i < p->threads; i++) {
        JsonField f[] = {
            json_field_integer("thread", i),
            json_field_number("busy_ms", 1e3 * p->busy[i]),
            json_field_number("wait_ms", 1e3 * p->wait[i]),
            json_field_number("between_ms", 1e3 * (p->step.seconds - p->busy[i] - p->wait[i])),
            json_field_integer("stamps", p->count[i]),
        };
        json_line(stdout, "thread", f, sizeof f / sizeof *f);
    }
}

/* Kernels by time, the longest first. */
static int *by_time(const Profile *p)
{
    int *order = NEW_ARRAY(p->job->arena, int, p->nkernel + 1);
    for (int i = 0; i < p->nkernel; i++) {
        int at = i;
        while (at > 0 && p->time[order[at - 1]].seconds < p->time[i].seconds) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
    return order;
}

/* ---- the command ---- */

static bool profile(Profile *p, const Graph *g)
{
    Job *j = p->job;
    int64_t sizes[SYM_MOST] = {0};
    if (!trial_sizes(j, g, sizes))
        return false;
    Engine *plain = compile(j, g, sizes, NULL), *stamped = NULL;
    if (plain)
        stamped = compile(j, g, sizes, sizes);
    bool ok = stamped != NULL;
    if (ok) {
        p->program = engine_program(stamped);
        p->threads = j->threads ? j->threads : system_threads();
        p->barriers = program_barriers(p->program);
        p->nkernel = program_kernels(p->program, &p->kernel);
        p->gflop = 1e-9 * graph_flops(g, sizes[SYM_N], sizes);
        p->rows = sizes[SYM_N];
        ok = measure(p, plain);
    }
    if (ok) {
        sum_up(p);
        const int *order = by_time(p);
        const char *picture = j->options->value[OPT_picture];
        ok = !picture || profile_picture(p, order, picture);
        memory_report(j, stdout);
        if (j->json) {
            print_json(p, order);
        } else {
            print_step(p);
            print_kernels(p, order);
            print_threads(p);
        }
    }
    engine_free(plain);
    engine_free(stamped);
    return ok;
}

int command_profile(Job *j)
{
    const Options *o = j->options;
    bool stopped = false;
    Dtype real;
    if (o->args.n != 1) {
        error_at(j->diag, nowhere, "weft profile takes one FILE.model, found %d arguments",
                 o->args.n);
        return 1;
    }
    if (!job_dtype(j, o->args.at[0], &real) || !job_open(j, o->args.at[0], real, false))
        return 1;
    if (!j->unit->train) {
        error_at(j->diag, j->unit->span, "%s has no train block: there is no step to profile",
                 j->path);
        return 1;
    }
    if (!job_data(j))
        return 1;
    Graph *g = memory_step(j, &stopped);
    Profile p = {.job = j};
    if (!g || !profile(&p, g))
        return diag_exit_code(j->diag) ? diag_exit_code(j->diag) : 1;
    return 0;
}
