/* tests/golden/<pass>/<case>.graph: a graph, a line "----", and its text after
 * the pass (layout_rows: pass layout when rows stay in the lanes).
 * `test_opt_golden --bless` writes what the passes give now. */
#include "opt/opt.h"
#include "opt/stream.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static void columns(Graph *g)
{
    pass_layout(g, 50, LAYOUT_columns);
}

static void observe(Graph *g)
{
    Quantize q = {.arena = g->arena, .observe = true};
    pass_quantize(g, &q);
}

/* With a range of 254 for each product: a step of 2. */
static void quantize_as(Graph *g, ByteForm bytes)
{
    Quantize q = {.arena = g->arena, .observe = true, .bytes = bytes};
    pass_quantize(graph_copy(g->arena, g), &q);
    q.observe = false;
    for (int i = 0; i < q.sites.n; i++)
        q.sites.at[i].most = 254;
    pass_quantize(g, &q);
}

static void quantize(Graph *g)
{
    quantize_as(g, BYTES_single);
}

static void quantize_words(Graph *g)
{
    quantize_as(g, BYTES_words);
}

static void quantize_unsigned(Graph *g)
{
    quantize_as(g, BYTES_unsigned);
}

/* Loops in turn: made again and not, with steps left over and without. */
static void segments(Graph *g)
{
    static const Segment plan[] = {{2, true}, {2, false}, {3, true}, {3, false}};
    pass_segment(g, plan, 4);
}

static void rows(Graph *g)
{
    pass_layout(g, 50, LAYOUT_rows);
}

/* One step, and the state before the first. */
static Graph *step(Graph *g, Diag *d, Graph **reset)
{
    Stream s;
    if (!stream_make(g, d, &s))
        return NULL;
    *reset = s.reset;
    return s.step;
}

/* A block of steps. */
static Graph *block(Graph *g, Diag *d, Graph **none)
{
    Stream s;
    (void)none;
    return stream_make(g, d, &s) ? stream_block(&s) : NULL;
}

/* A pass changes its graph, or makes others of it. */
typedef struct {
    const char *name;
    void (*run)(Graph *);
    Graph *(*make)(Graph *, Diag *, Graph **second);
} PassRow;

static const PassRow passes[] = {
    {"simplify", pass_simplify, NULL}, {"concat", pass_concat, NULL}, {"sink", pass_sink, NULL},
    {"recompute", pass_recompute, NULL}, {"segment", segments, NULL},
    {"defer", pass_defer, NULL}, {"layout", columns, NULL},
    {"layout_rows", rows, NULL}, {"bfloat16", pass_bfloat16, NULL},
    {"observe", observe, NULL}, {"quantize", quantize, NULL},
    {"quantize/words", quantize_words, NULL}, {"quantize/unsigned", quantize_unsigned, NULL},
    {"stream", NULL, step},
    {"stream/block", NULL, block},
};

static int failures, cases;

static char *read_file(Arena *a, const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = arena_alloc(a, 1 << 20);
    if (!f) {
        perror(path);
        exit(1);
    }
    text[fread(text, 1, (1 << 20) - 1, f)] = 0;
    fclose(f);
    return text;
}

static void bless(const char *path, const char *input, const char *output)
{
    FILE *f = fopen(path, "wb");
    if (!f) {
        perror(path);
        exit(1);
    }
    fprintf(f, "%s----\n%s", input, output);
    fclose(f);
}

static bool verify(Arena *a, const char *path, const char *when, const Graph *g)
{
    const char *why = graph_verify(a, g);
    if (why)
        printf("%s: %s the pass: %s\n", path, when, why);
    return !why;
}

static bool run_case(const char *path, const PassRow *pass, bool blessing)
{
    Arena *a = arena_new();
    char *input = read_file(a, path), *expected = strstr(input, "----\n");
    Diag d = {.arena = a};
    if (expected) {
        *expected = 0;
        expected += 5;
    }
    Graph *g = graph_read(a, &d, diag_source(&d, path, input, strlen(input), false));
    bool ok = g != NULL;
    if (!g)
        diag_print(&d, stdout);
    if (ok)
        ok = verify(a, path, "before", g);
    Graph *second = NULL;
    if (ok && pass->run)
        pass->run(g);
    else if (ok && !(g = pass->make(g, &d, &second)))
        diag_print(&d, stdout);
    ok = ok && g && verify(a, path, "after", g) &&
         (!second || verify(a, path, "after (second graph)", second));
    char *text = ok ? graph_text(a, g) : NULL;
    if (ok && second)
        text = arena_printf(a, "%s%s", text, graph_text(a, second));
    if (ok && blessing)
        bless(path, input, text);
    else if (ok && (!expected || strcmp(text, expected))) {
        printf("%s: expected\n%s\nfound\n%s\n", path, expected ? expected : "nothing", text);
        ok = false;
    }
    arena_free(a);
    return ok;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int main(int argc, char **argv)
{
    bool blessing = argc > 1 && !strcmp(argv[1], "--bless");
    for (size_t p = 0; p < sizeof passes / sizeof *passes; p++) {
        struct dirent **entry;
        char folder[256], path[640];
        snprintf(folder, sizeof folder, "tests/golden/%s", passes[p].name);
        int n = scandir(folder, &entry, NULL, by_name), found = 0;
        for (int i = 0; i < n; i++) {
            size_t length = strlen(entry[i]->d_name);
            if (length > 6 && !strcmp(entry[i]->d_name + length - 6, ".graph")) {
                snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
                failures += !run_case(path, &passes[p], blessing);
                found++;
            }
            free(entry[i]);
        }
        if (n >= 0)
            free(entry);
        if (!found) {
            printf("%s: no cases\n", folder);
            failures++;
        }
        cases += found;
    }
    printf("%d cases, %d failures\n", cases, failures);
    return failures > 0;
}
