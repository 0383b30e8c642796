/* Random graphs: the interpreter against compiled code, passes and gradients.
 *
 * With libFuzzer (clang -fsanitize=fuzzer -DWEFT_LIBFUZZER) its bytes are the
 * decisions. Alone: `fuzz_graph SECONDS [SEED [COUNT]]` draws graph after graph, each with
 * its own seed, in a process that is watched: what fails is made smaller and
 * printed. What compiled code says it cannot do is counted, by reason.
 * WEFT_TEST_CPU names a processor to generate code for instead of the host. */
#include "graph_check.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STEPS_MOST = 48 };

/* ---- a graph with inputs and outputs ---- */

static Dim random_extent(Maker *m)
{
    static const int extents[] = {1, 2, 3, 3, 4, 5, 6, 8, 17, 33};
    return dim_int(extents[pick(m, 10)]);
}

static void add_input(Maker *m, Role role, Dtype dt, Shape s)
{
    if (!small_enough(m, &s))
        s.rank = s.rank && s.d[0].sym == SYM_N ? 2 : 1;
    const char *name = arena_printf(m->arena, "x%d", m->g->inputs.n);
    keep(m, graph_input(m->g, role, name, dt, s, (Span){0}));
}

/* Rows, sequences, parameters, state; few different extents, so that they meet. */
static void add_inputs(Maker *m)
{
    Dim n = dim_sym(SYM_N), t = dim_sym(graph_length(m->g, "T", 0));
    Dim a = random_extent(m), b = random_extent(m), c = random_extent(m);
    Shape none = {0};
    add_input(m, ROLE_data, m->real, shape_of(2, n, a));
    add_input(m, ROLE_data, m->real, shape_of(3, n, t, a));
    add_input(m, ROLE_data, m->real, shape_of(3, n, a, b));
    add_input(m, ROLE_param, m->real, shape_of(2, a, b));
    add_input(m, ROLE_param, m->real, shape_of(1, b));
    add_input(m, ROLE_param, m->real, shape_of(2, b, c));
    if (pick(m, 2))
        add_input(m, ROLE_data, DT_i32, shape_of(2, n, t));
    if (pick(m, 2))
        add_input(m, ROLE_data, DT_i32, shape_of(1, n));
    if (pick(m, 3) == 0)
        add_input(m, ROLE_data, pick(m, 2) ? DT_u8 : DT_i16, shape_of(3, n, b, c));
    if (pick(m, 3) == 0)
        add_input(m, ROLE_data, DT_bool, shape_of(2, n, t));
    if (pick(m, 2))
        add_input(m, ROLE_state, m->real, shape_of(2, n, c));
    if (pick(m, 2))
        add_input(m, ROLE_buffer, m->real, shape_of(1, c));
    if (pick(m, 4) == 0)
        add_input(m, ROLE_param, m->real, shape_of(2, dim_int(65), dim_int(3)));
    add_input(m, ROLE_scalar, DT_f64, none);
    m->seed = graph_input(m->g, ROLE_scalar, "seed", DT_i32, none, (Span){0});
    m->step = graph_input(m->g, ROLE_scalar, "step", DT_i32, none, (Span){0});
}

static void add_output(Maker *m, Node *n, const Case *what, int *number)
{
    if (shape_has_shards(&n->shape) || (what->output >= 0 && what->output != *number)) {
        *number += !shape_has_shards(&n->shape);
        return;
    }
    Role role = shape_has_batch(&n->shape) ? ROLE_result : ROLE_metric;
    graph_output(m->g, role, arena_printf(m->arena, "y%d", (*number)++), n);
}

static void add_outputs(Maker *m, const Case *what)
{
    int number = 0, most = m->pool.n < 4 ? m->pool.n : 4;
    for (int i = 0; i < most; i++)
        add_output(m, m->pool.at[m->pool.n - 1 - i], what, &number);
    for (int i = pick(m, 3); i > 0; i--)
        add_output(m, any(m), what, &number);
    for (int i = 0; i < m->g->inputs.n; i++) { /* what persists gets a new value, or an old one */
        Node *x = m->g->inputs.at[i], *y = m->g->inputs.at[pick(m, m->g->inputs.n)];
        Role role = (Role)attr_int(x, ATTR_role, 0);
        bool takes_over = x->dtype == y->dtype && shape_equal(&x->shape, &y->shape);
        if ((role == ROLE_state || role == ROLE_buffer) && pick(m, 2) && what->output < 0)
            graph_output(m->g, role, attr_str(x, ATTR_name), takes_over ? y : like(m, x));
    }
    if (!m->g->outputs.n)
        graph_output(m->g, ROLE_result, "y", m->pool.at[0]);
}

/* ---- its training step ---- */

static Node *sum_of_squares(Graph *g, Node *x)
{
    int axes[RANK_MOST], n = 0, lead = shape_has_batch(&x->shape);
    for (int i = lead; i < x->shape.rank; i++)
        axes[n++] = i;
    x = node2(g, OP_mul, x, node2(g, OP_add, x, make_const(g, 0.5)));
    if (n)
        x = make_reduce(g, OP_reduce_sum, x, axes, n);
    if (lead)
        x = node2(g, OP_div, make_batch_sum(g, x), make_dim(g, dim_sym(SYM_N)));
    return x;
}

/* Does something compute with partial sums of the batch? The language cannot say that, and it
 * has no gradient. */
static bool has_shard_arithmetic(const Graph *g)
{
    for (int i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        if (shape_has_shards(&n->shape) && n->op != OP_batch_contract && n->op != OP_input)
            return true;
    }
    return false;
}

/* A loss on all real outputs, and a step down its gradient for the parameters
 * (with what else a step gives: row outputs stay). */
static bool make_step(Checker *c, Graph *g, Dtype real)
{
    Node *loss = NULL, *wrt[16], *grad[16];
    int nwrt = 0;
    if (has_shard_arithmetic(g))
        return false;
    for (int i = 0; i < g->outputs.n; i++) {
        Node *y = g->outputs.at[i].node;
        if (y->dtype != real)
            continue;
        y = sum_of_squares(g, y);
        loss = loss ? node2(g, OP_add, loss, y) : y;
    }
    if (!loss)
        return false;
    for (int i = 0; i < g->inputs.n; i++)
        if (attr_int(g->inputs.at[i], ATTR_role, 0) == ROLE_param)
            wrt[nwrt++] = g->inputs.at[i];
    graph_output(g, ROLE_loss, "loss", loss);
    c->stage = "grad";
    grad_append(g, loss, wrt, nwrt, grad);
    for (int i = 0; i < nwrt; i++) {
        const char *name = attr_str(wrt[i], ATTR_name);
        Node *by = node2(g, OP_mul, grad[i], make_const(g, 0.125));
        if (i % 2)
            graph_output(g, ROLE_grad, name, grad[i]);
        graph_output(g, ROLE_param, name, node2(g, OP_sub, wrt[i], by));
    }
    graph_compact(g);
    return true;
}

static void choose_runs(Checker *c)
{
    static const int64_t rows[] = {1, 2, 31, 32, 33, 64, 100, 5};
    static const int64_t lengths[] = {1, 2, 3, 5, 1, 4, 7, 16};
    uint64_t state = c->what->seed ^ 0xABCDEF;
    for (int i = 0; i < NRUN; i++) {
        uint64_t z = splitmix(&state);
        c->run[i] = (Run){rows[z & 7], lengths[(z >> 3) & 7], 1 + (int)((z >> 6) % 3),
                          (z >> 9) % 4 == 0, !c->tame && (z >> 12) % 3 == 0};
        if ((z >> 16) % 100 == 0) { /* several blocks a shard */
            c->run[i].n = 2049;
            c->run[i].length = 2;
        }
    }
}

static bool check_graph(Tally *tally, const Case *what, Choices from)
{
    Arena *a = arena_new();
    int key = 0;
    Maker m = {.arena = a, .from = &from, .key = &key, .most = 400};
    m.g = graph_new(a, "fuzz");
    m.real = pick(&m, 4) ? DT_f32 : DT_f64;
    m.tame = pick(&m, 3) == 0;
    m.g->columns = pick(&m, 2) ? 1 + pick(&m, 60) : 0;
    Checker c = {.arena = a, .what = what, .tally = tally, .tame = m.tame, .stage = "forward"};
    choose_runs(&c);
    add_inputs(&m);
    grow(&m, what->steps);
    add_outputs(&m, what);
    graph_compact(m.g);
    tally->graphs++;
    bool ok = check_sound(&c, m.g) && check_compiled(&c, m.g);
    if (ok && !what->forward) {
        Graph *g = graph_copy(a, m.g);
        if (make_step(&c, g, m.real)) {
            ok = check_sound(&c, g) && check_passes(&c, g);
            c.stage = "step";
            ok = ok && check_compiled(&c, g);
        } else {
            ok = check_passes(&c, g);
        }
    }
    arena_free(a);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Tally tally; /* libFuzzer's own counts are enough: nobody reads it */
    Case all = {.seed = size, .steps = STEPS_MOST, .output = -1, .run = -1};
    if (!check_graph(&tally, &all, (Choices){data, data + size, size}))
        abort();
    return 0;
}

#ifndef WEFT_LIBFUZZER

/* ---- watching ---- */

static Choices choices_of(uint64_t seed)
{
    return (Choices){.state = seed * 7919 + 1};
}

static Case case_of(uint64_t seed)
{
    uint64_t state = seed;
    return (Case){seed, 4 + (int)(splitmix(&state) % (STEPS_MOST - 3)), -1, -1, false, false,
                  getenv("WEFT_TEST_CPU")};
}

/* Runs a case in a process of its own; false when it fails in whatever way. */
static bool runs_well(Tally *tally, const Case *what, bool quiet)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(120);
        if (quiet && (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)))
            _exit(2);
        bool ok = check_graph(tally, what, choices_of(what->seed));
        fflush(stdout);
        _exit(!ok);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return true;
    if (WIFSIGNALED(status) && !quiet) {
        printf("signal %d\n", WTERMSIG(status));
        Case more = *what;
        more.verbose = true;
        if (!what->verbose)
            runs_well(tally, &more, false);
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Fewer steps, one output, one run, no gradient: whatever still fails. */
static Case shrink(Tally *tally, Case what)
{
    Case try = what;
    for (try.steps = 0; try.steps < what.steps; try.steps++)
        if (!runs_well(tally, &try, true))
            break;
    what = try;
    try.forward = true;
    if (!runs_well(tally, &try, true))
        what = try;
    try = what;
    for (try.output = 0; try.output < 8; try.output++)
        if (!runs_well(tally, &try, true)) {
            what = try;
            break;
        }
    try = what;
    for (try.run = 0; try.run < NRUN; try.run++)
        if (!runs_well(tally, &try, true))
            return try;
    return what;
}

static int report(Tally *tally, uint64_t seed)
{
    Case what = case_of(seed);
    bool shrinks = !getenv("WEFT_TEST_DUMP");
    if (runs_well(tally, &what, true)) {
        printf("seed %llu failed, but not when run again\n", (unsigned long long)seed);
        return 1;
    }
    if (shrinks)
        what = shrink(tally, what);
    printf("---- seed %llu: %d steps, output %d, run %d%s\n", (unsigned long long)seed, what.steps,
           what.output, what.run, what.forward ? ", forward" : "");
    runs_well(tally, &what, false);
    return 1;
}

/* A child checks graphs from `first` on until the time is up. Returns the seed
 * that failed, or 0. */
static uint64_t check_many(Tally *tally, uint64_t first, uint64_t count, double seconds)
{
    time_t end = time(NULL) + (time_t)ceil(seconds);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        for (uint64_t seed = first; seed < first + count && time(NULL) < end; seed++) {
            tally->seed = seed;
            alarm(120);
            Case what = case_of(seed);
            if (!check_graph(tally, &what, choices_of(seed)))
                _exit(1);
        }
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : tally->seed;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 20;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    uint64_t last = argc > 3 ? seed + strtoull(argv[3], NULL, 10) : UINT64_MAX;
    Tally *tally =
        mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED)
        return 2;
    time_t begin = time(NULL);
    int failures = 0;
    while (failures < 5 && seed < last) {
        double left = seconds - (double)(time(NULL) - begin);
        if (left <= 0)
            break;
        uint64_t count = last - seed < 500 ? last - seed : 500;
        uint64_t failed = check_many(tally, seed, count, left);
        if (failed)
            failures += report(tally, failed);
        seed = failed ? failed + 1 : seed + count;
    }
    printf("%ld graphs, %ld compiled, %ld not:\n", tally->graphs, tally->compiled, tally->limited);
    for (int i = 0; i < LIMITS_MOST && tally->limit[i].why[0]; i++)
        printf("%8ld %s\n", tally->limit[i].count, tally->limit[i].why);
    printf("%d failures\n", failures);
    return failures > 0;
}

#endif
