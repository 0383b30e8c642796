/* The text form: what is printed reads back to the same graph, bit by bit, and
 * no malformed text does harm. tests/golden/verify holds malformed graphs; their
 * first line states place and sentence: "# EXPECT 3:5: sentence". */
#include "ir/graph.h"

#include <dirent.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int failed;

static void complain(const char *what, const char *found, const char *needed)
{
    printf("%s\n  found:  %s\n  needed: %s\n", what, found, needed);
    failed++;
}

static Graph *read_text(Arena *a, Diag *d, const char *text)
{
    d->arena = a;
    return graph_read(a, d, diag_source(d, "text", text, strlen(text), false));
}

/* Printed, read and printed again; returns what was read. */
static Graph *round_trip(Arena *a, const Graph *g)
{
    Diag d = {0};
    char *text = graph_text(a, g);
    Graph *back = read_text(a, &d, text);
    if (!back) {
        diag_print(&d, stdout);
        failed++;
        return NULL;
    }
    if (strcmp(graph_text(a, back), text))
        complain("round trip", graph_text(a, back), text);
    return back;
}

static void test_numbers(Arena *a)
{
    static const uint64_t bits[] = {0x7ff8000000000000, 0xfff8000000000001, 0x7ff4000000000123};
    double v[] = {0, -0.0, INFINITY, -INFINITY, 0.1, 1e-300, DBL_MAX, DBL_TRUE_MIN, 1e22, -1e23,
                  123456789012345678, M_PI, 0, 0, 0};
    int n = sizeof v / sizeof *v;
    memcpy(&v[n - 3], bits, sizeof bits);
    Graph *g = graph_new(a, "numbers");
    for (int dt = DT_f32; dt <= DT_f64; dt++) {
        Node *t = make_tensor(g, (Dtype)dt, shape_of(1, dim_int(n)), v, n, (Span){0});
        graph_output(g, ROLE_result, dtype_name((Dtype)dt), t);
        for (int i = 0; i < n; i++)
            graph_output(g, ROLE_buffer, arena_printf(a, "%d.%d", dt, i),
                         make_const_of(g, (Dtype)dt, v[i]));
    }
    Graph *back = round_trip(a, g);
    for (int i = 0; back && i < g->outputs.n; i++) {
        const Node *x = g->outputs.at[i].node, *y = back->outputs.at[i].node;
        if (!attr_equal(&x->attr[0], &y->attr[0]))
            complain("number", op_info[y->op].name, g->outputs.at[i].name);
    }
}

/* Names that are no words, twins, and lengths that look like something else. */
static void test_names(Arena *a)
{
    static const char *const names[] = {"N", "S", "T max", "\"\\\n\x01", "größe", "", "f32"};
    Graph *g = graph_new(a, "a \"name\"\n");
    Shape s = {.rank = 7};
    for (int i = 0; i < 7; i++) {
        Dim d = dim_sym(graph_length(g, names[i], i));
        dim_affine(d, i - 3 ? i - 3 : 7, i % 3, 1 + i % 2, &s.d[i]);
        Node *n = graph_input(g, ROLE_data, names[i], DT_i16, shape_of(2, dim_sym(SYM_N), s.d[i]),
                              (Span){0});
        graph_input(g, ROLE_param, i ? names[i] : "twin", DT_bool, shape_of(1, dim_int(i + 1)),
                    (Span){0});
        n = make_slice(g, n, 1, dim_int(0), dim_int(1), 1);
        n->name = names[i];
        graph_output(g, ROLE_result, names[i], n);
    }
    graph_input(g, ROLE_slot, "twin", DT_f32, s, (Span){0});
    Graph *back = round_trip(a, g);
    for (int i = 0; back && i < 7; i++)
        if (strcmp(back->lengths.at[i], names[i]) || back->length_most.at[i] != i ||
            strcmp(back->outputs.at[i].name, names[i]))
            complain("name", back->lengths.at[i], names[i]);
}

static const char nested[] =
    "graph outer {\n"
    "  length T <= 200\n"
    "  %x = input {role=data, name=\"x\"} : f32[N, T, 3, 4]\n"
    "  %1 = const {value=0} : f32\n"
    "  %2 = broadcast %1 : f32[N, 4]\n"
    "  %3 = scan %2, %x {ncarry=1, nseq=1, length=T, reverse=1} body steps {\n"
    "    %h = input {role=body, name=\"h\"} : f32[N, 4]\n"
    "    %x = input {role=body, name=\"x\"} : f32[N, 3, 4]\n"
    "    %2 = scan %h, %x {ncarry=1, nseq=1, length=3} body inner {\n"
    "      %0 = input {role=body, name=\"v\"} : f32[N, 4]\n"
    "      %1 = input {role=body, name=\"v\"} : f32[N, 4]\n"
    "      %2 = add %0, %1 : f32[N, 4]\n"
    "      output body \"v\" %2\n"
    "    }\n"
    "    %3 = result %2 {index=0} : f32[N, 4]\n"
    "    output body \"h\" %3\n"
    "    output body \"all\" %3\n"
    "  }\n"
    "  %4 = result %3 {index=1} : f32[N, T, 4] as \"h over time\"\n"
    "  %5 = slice %4 {axis=1, start=T-1, size=(T+1)/2, step=-2} : f32[N, (T+1)/2, 4]\n"
    "  %6 = tensor {values=[1, 0.1, -2.5e-10, inf]} : f32[2, 2]\n"
    "  %7 = reduce_sum %6 {axes=[0, 1]} : f32\n"
    "  output result \"y\" %5\n"
    "  output loss \"loss\" %7\n"
    "}\n";

/* The form is as in this text, with comments and space where one likes. */
static void test_form(Arena *a)
{
    Diag d = {0};
    Graph *g = read_text(a, &d, nested);
    if (!g)
        diag_print(&d, stdout);
    if (!g || strcmp(graph_text(a, g), nested))
        complain("form", g ? graph_text(a, g) : "nothing", nested);
    Graph *loose = read_text(a, &d, "# a comment\n graph g{%a=const{value = 1}:f64 # one\n"
                                    "output\tresult \"y\"%a}");
    if (!loose)
        complain("loose text", d.messages.at[0].text, "a graph");
}

/* Cut anywhere, or with any byte changed: a message or a graph, never harm. */
static void test_damage(void)
{
    static const char with[] = "%{}[]\"=9-*/ xN\n";
    size_t n = strlen(nested);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof with; k++) {
            Arena *a = arena_new();
            Diag d = {0};
            char *text = arena_strdup(a, nested);
            text[i] = with[k]; /* the last one is NUL: cut */
            Graph *g = read_text(a, &d, text);
            if (g ? graph_verify(a, g) != NULL : d.nerror != 1)
                complain("damage", arena_printf(a, "%d errors at byte %zu", d.nerror, i), "1");
            arena_free(a);
        }
}

static void test_depth(Arena *a)
{
    Diag d = {0};
    char *text = arena_alloc(a, 1 << 20), *p = text;
    p += sprintf(p, "graph g {\n");
    for (int i = 0; i < 5000; i++)
        p += sprintf(p, "%%0 = scan {ncarry=0, nseq=0, length=2} body b {\n");
    if (read_text(a, &d, text) || strcmp(d.messages.at[0].text, "bodies are nested too deeply"))
        complain("depth", d.messages.n ? d.messages.at[0].text : "a graph", "a message");
}

static char *read_file(Arena *a, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    char *text = arena_alloc(a, n + 1);
    rewind(f);
    text[fread(text, 1, n, f)] = 0;
    fclose(f);
    return text;
}

static void test_golden(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        Arena *a = arena_new();
        Diag d = {0};
        char *text = strstr(e->d_name, ".graph")
                         ? read_file(a, arena_printf(a, "%s/%s", folder, e->d_name)) : NULL;
        if (text) {
            const char *needed = arena_strndup(a, text + 9, strcspn(text, "\n") - 9);
            const char *found = "a graph";
            int line, column;
            if (!read_text(a, &d, text)) {
                diag_line_column(&d, d.messages.at[0].span, &line, &column);
                found = arena_printf(a, "%d:%d: %s", line, column, d.messages.at[0].text);
            }
            if (strcmp(found, needed))
                complain(e->d_name, found, needed);
            count++;
        }
        arena_free(a);
    }
    if (dir)
        closedir(dir);
    if (count < 20)
        complain(folder, "too few files", "20 or more");
}

int main(void)
{
    Arena *a = arena_new();
    test_numbers(a);
    test_names(a);
    test_form(a);
    test_damage();
    test_depth(a);
    test_golden("tests/golden/verify");
    arena_free(a);
    return failed != 0;
}
