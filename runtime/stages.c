/* Stages of the start: noted under a lock, put in order when printed. */
#define _GNU_SOURCE
#include "stages.h"

#include "base/arena.h"
#include "progress.h"
#include "system.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    const char *name;
    double from, to;    /* seconds since zero */
    int thread;         /* the system's number */
    size_t peak;        /* of the process's resident bytes, when the stage ended */
} Stage;

struct Stages {
    Arena *arena;
    double zero;
    int main_thread;
    pthread_mutex_t lock;
    LIST(Stage) at;
};

Stages *stages_new(double zero)
{
    Arena *a = arena_new();
    Stages *s = NEW(a, Stages);
    s->arena = a;
    s->zero = zero;
    s->main_thread = gettid();
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void stages_free(Stages *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    arena_free(s->arena);
}

double stage_begin(const Stages *s)
{
    return s ? system_seconds() : 0;
}

void stage_end(Stages *s, const char *name, double from)
{
    if (!s)
        return;
    Stage now = {name, from - s->zero, system_seconds() - s->zero, gettid(), system_peak()};
    pthread_mutex_lock(&s->lock);
    list_push(s->arena, &s->at, now);
    pthread_mutex_unlock(&s->lock);
}

/* By beginning; of two that begin together the outer, longer one first. */
static int by_begin(const void *a, const void *b)
{
    const Stage *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return (x->to < y->to) - (x->to > y->to);
}

/* How many stages of its thread a stage lies in. */
static int depth_of(const Stage *all, int i)
{
    int depth = 0;
    for (int k = 0; k < i; k++)
        depth += all[k].thread == all[i].thread && all[k].to >= all[i].to;
    return depth;
}

void stages_print(const Stages *s, FILE *out, bool json)
{
    Arena *a = arena_new();
    int n = s->at.n;
    Stage *all = NEW_ARRAY(a, Stage, n + 1);
    for (int i = 0; i < n; i++)
        all[i] = s->at.at[i];
    qsort(all, (size_t)n, sizeof *all, by_begin);
    if (!json)
        fprintf(out, "%9s %9s %9s  stage of the start\n", "at ms", "took ms", "peak MB");
    for (int i = 0; i < n; i++) {
        bool beside = all[i].thread != s->main_thread;
        JsonField f[] = {json_field_text("name", all[i].name),
                         json_field_number("from", all[i].from),
                         json_field_number("seconds", all[i].to - all[i].from),
                         json_field_integer("peak_bytes", (int64_t)all[i].peak),
                         json_field_integer("depth", depth_of(all, i)),
                         json_field_bool("beside", beside)};
        if (json)
            json_line(out, "stage", f, sizeof f / sizeof *f);
        else
            fprintf(out, "%9.1f %9.1f %9.1f  %s%*s%s\n", 1e3 * all[i].from,
                    1e3 * (all[i].to - all[i].from), 1e-6 * (double)all[i].peak,
                    beside ? "| " : "", 2 * depth_of(all, i), "", all[i].name);
    }
    fflush(out);
    arena_free(a);
}
