/* Code that is compiled for profiling computes the same bits as code that is not, its log holds
 * every call, and its kernels are described. */
#include "driver/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failures;

static void expect(bool ok, const char *what)
{
    if (!ok) {
        printf("failed: %s\n", what);
        failures++;
    }
}

static const char text[] =
    "data hand = digits(train=100, test=10, seed=3) {\n"
    "    image = image / 255\n    label = one_hot(label, 10)\n}\n"
    "model tiny {\n    input image[28, 28]\n    LSTM(5)\n    Dense(10, activation=softmax)\n}\n"
    "train {\n    data = hand\n    target = label\n    loss = categorical_crossentropy\n"
    "    optimizer = Adam()\n    metrics = [accuracy]\n    batch_size = 70\n    epochs = 1\n}\n";

static Engine *engine(Job *j, const Graph *g, const int64_t *sizes, bool profile, Store **store)
{
    CodeOptions code = {.jit = {.diag = j->diag, .profile = profile ? sizes : NULL}};
    Engine *e = engine_new(j->arena, j->diag, j->unit->span, g, false, &code);
    *store = e ? trial_bind(j, e, sizes, 2) : NULL;
    if (!*store)
        exit(1);
    return e;
}

static void compare(const Store *x, const Store *y)
{
    expect(x->at.n == y->at.n && x->at.n > 10, "parameters and slots are kept");
    for (int i = 0; i < x->at.n; i++)
        expect(!memcmp(x->at.at[i].memory, y->at.at[i].memory, x->at.at[i].bytes),
               x->at.at[i].name);
}

/* Events of a thread follow each other; every kernel is called. */
static void check_events(Program *p)
{
    const ProfileKernel *kernel;
    ProfileStep step;
    int n = program_kernels(p, &kernel), called = 0;
    int *calls = calloc((size_t)n + 1, sizeof *calls);
    expect(program_profile(p, 70, NULL, &step) && step.threads == 2, "a profiled step");
    for (int t = 0; t < step.threads; t++) {
        int64_t count, last = step.begin;
        const ProfileEvent *e = program_events(p, t, &count);
        for (int64_t i = 0; i < count; i++) {
            expect(e[i].start >= last && e[i].end >= e[i].start, "events in order of time");
            expect(e[i].kernel >= PROFILE_wait && e[i].kernel < n, "a kernel's number");
            last = e[i].end;
            if (e[i].kernel >= 0)
                called += !calls[e[i].kernel]++;
        }
        expect(count > 0 && last <= step.end, "events within the step");
    }
    expect(called == n && n > 10, "every kernel is called");
    double products = 0;
    for (int i = 0; i < n; i++)
        products += kernel[i].products;
    expect(products == 2.0 * 70 * (28 * 20 * (28 + 5 + 28 + 5 + 5) + 3 * 50), "the products' work");
    free(calls);
}

int main(void)
{
    char path[] = "weft_profile_XXXXXX.model", *argv[] = {"weft", "train", path};
    int fd = mkstemps(path, 6);
    if (fd < 0 || write(fd, text, sizeof text - 1) < 0)
        return 1;
    close(fd);
    Arena *a = arena_new();
    Diag d = {.arena = a};
    Options o;
    Job j = {.arena = a, .diag = &d, .options = &o};
    bool stopped = false;
    int64_t sizes[SYM_MOST] = {0};
    bool ok = options_parse(a, &d, 3, argv, &o) && job_begin(&j) &&
              job_open(&j, path, DT_f32, false) && job_data(&j);
    remove(path);
    Graph *g = ok ? pipeline_run(j.unit, PIPELINE_step, &j.passes, &stopped) : NULL;
    if (!g || !trial_sizes(&j, g, sizes)) {
        diag_print(&d, stdout);
        return 1;
    }
    Store *x, *y;
    Engine *plain = engine(&j, g, sizes, false, &x), *stamped = engine(&j, g, sizes, true, &y);
    for (int i = 0; i < 3; i++)
        expect(engine_run(plain, 70, NULL) && engine_run(stamped, 70, NULL), "a step");
    compare(x, y);
    check_events(engine_program(stamped));
    expect(profile_cost() > 0, "a note takes time");
    engine_free(plain);
    engine_free(stamped);
    job_end(&j);
    arena_free(a);
    return failures != 0;
}
