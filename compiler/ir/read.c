/* Reads the text form of graphs that print.c writes (its head shows it).
 *
 * One hand-written reader for one statement after another. The first mistake
 * is reported with its place and ends the reading. Nodes are made by node_new
 * after shape_check has agreed, so that no text can make an unsound graph; the
 * type written after the colon must be the one inferred. */
#include "ir/check.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MOST = 32 };

typedef struct { const char *label; Node *node; } Slot;

/* Labels of one graph: open addressing, a power of two of slots. */
typedef struct { Slot *at; size_t n, cap; } Labels;

typedef struct {
    Arena *a;       /* the graph's */
    Arena *scratch;
    Diag *d;
    const char *text, *p;
    int32_t file;
    int depth;
} Reader;

static Span span_from(const Reader *r, const char *start)
{
    return (Span){r->file, (uint32_t)(start - r->text), (uint32_t)(r->p - r->text)};
}

static bool fail(Reader *r, const char *start, const char *what)
{
    Span at = span_from(r, start);
    if (at.hi == at.lo)
        at.hi++;
    return error_at(r->d, at, "%s", what);
}

/* ---- words, numbers, strings ---- */

static void skip_space(Reader *r)
{
    for (;;) {
        while (*r->p == ' ' || *r->p == '\n' || *r->p == '\t' || *r->p == '\r')
            r->p++;
        if (*r->p != '#')
            return;
        while (*r->p && *r->p != '\n')
            r->p++;
    }
}

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Punctuation, or a word that ends there. */
static bool accept(Reader *r, const char *token)
{
    size_t n = strlen(token);
    skip_space(r);
    if (strncmp(r->p, token, n) || (in_word(token[n - 1]) && in_word(r->p[n])))
        return false;
    r->p += n;
    return true;
}

static bool expect(Reader *r, const char *token)
{
    return accept(r, token) ||
           fail(r, r->p, arena_printf(r->scratch, "needed '%s' here", token));
}

static char *read_word(Reader *r)
{
    skip_space(r);
    const char *start = r->p;
    while (in_word(*r->p))
        r->p++;
    return r->p == start ? NULL : arena_strndup(r->scratch, start, (size_t)(r->p - start));
}

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "..." with \" \\ and \xHH; null when malformed, which is reported. */
static char *read_string(Reader *r)
{
    skip_space(r);
    const char *start = r->p;
    if (*r->p != '"') {
        fail(r, start, "needed text in quotes here");
        return NULL;
    }
    size_t n = strcspn(start + 1, "\n"), k = 0;
    char *out = arena_alloc(r->scratch, n + 1);
    for (r->p++; *r->p != '"'; r->p++) {
        if (!*r->p || *r->p == '\n') {
            fail(r, start, "the text has no closing quote");
            return NULL;
        }
        if (*r->p == '\\' && r->p[1] == 'x' && hex_digit(r->p[2]) >= 0 && hex_digit(r->p[3]) > 0) {
            out[k++] = (char)(16 * hex_digit(r->p[2]) + hex_digit(r->p[3]));
            r->p += 3;
        } else if (*r->p == '\\' && r->p[1] == 'x' && hex_digit(r->p[2]) > 0 && r->p[3] == '0') {
            out[k++] = (char)(16 * hex_digit(r->p[2]));
            r->p += 3;
        } else if (*r->p == '\\' && (r->p[1] == '"' || r->p[1] == '\\')) {
            out[k++] = *++r->p;
        } else {
            out[k++] = *r->p;
        }
    }
    r->p++;
    return out;
}

/* A word or a string; null when neither, which is reported. */
static char *read_name(Reader *r)
{
    skip_space(r);
    if (*r->p == '"')
        return read_string(r);
    const char *start = r->p;
    char *word = read_word(r);
    if (!word)
        fail(r, start, "needed a name here");
    return word;
}

static bool read_int(Reader *r, int64_t *v)
{
    char *end;
    skip_space(r);
    const char *start = r->p;
    const char *digits = start + (*start == '-' || *start == '+');
    if (!isdigit((unsigned char)*digits))
        return fail(r, start, "needed an integer here");
    errno = 0;
    *v = strtoll(start, &end, 10);
    r->p = end;
    return !errno || fail(r, start, "the integer is out of range");
}

static bool read_float(Reader *r, double *v)
{
    char *end;
    skip_space(r);
    const char *start = r->p;
    if (accept(r, "nan(")) {
        uint64_t bits = 0;
        for (; hex_digit(*r->p) >= 0; r->p++)
            bits = bits << 4 | (unsigned)hex_digit(*r->p);
        memcpy(v, &bits, sizeof bits);
        return expect(r, ")");
    }
    if (!isdigit((unsigned char)*start) && *start != '-' && strncmp(start, "inf", 3))
        return fail(r, start, "needed a number here");
    *v = strtod(start, &end);
    r->p = end > start ? end : start;
    return end > start || fail(r, start, "needed a number here");
}

/* ---- extents and types ---- */

/* N, S or a declared length. */
static bool read_symbol(Reader *r, const Graph *g, int *sym)
{
    skip_space(r);
    const char *start = r->p;
    bool plain = *start != '"';
    char *name = read_name(r);
    if (!name)
        return false;
    g = graph_outermost(g);
    if (plain && (!strcmp(name, "N") || !strcmp(name, "S"))) {
        *sym = *name == 'N' ? SYM_N : SYM_S;
        return true;
    }
    for (int i = 0; i < g->lengths.n; i++)
        if (!strcmp(g->lengths.at[i], name)) {
            *sym = SYM_length + i;
            return true;
        }
    return fail(r, start, arena_printf(r->scratch, "no length is named '%s'", name));
}

/* extent := ['('] [int '*'] symbol [('+' | '-') int] [')'] ['/' int] | int */
static bool read_dim(Reader *r, const Graph *g, Dim *d)
{
    int64_t mul = 1, add = 0, div = 1;
    int sym = SYM_none;
    skip_space(r);
    const char *start = r->p;
    bool open = accept(r, "(");
    skip_space(r);
    if (isdigit((unsigned char)*r->p) || (*r->p == '-' && isdigit((unsigned char)r->p[1]))) {
        if (!read_int(r, &mul))
            return false;
        if (!open && !accept(r, "*")) {
            *d = dim_int(mul);
            return true;
        }
        if (open && !expect(r, "*"))
            return false;
    } else if (accept(r, "-")) {
        mul = -1;
    }
    if (!read_symbol(r, g, &sym))
        return false;
    skip_space(r);
    if ((*r->p == '+' || *r->p == '-') && !read_int(r, &add))
        return false;
    if (open && !expect(r, ")"))
        return false;
    if (accept(r, "/") && !read_int(r, &div))
        return false;
    return dim_affine(dim_sym(sym), mul, add, div, d) ||
           fail(r, start, "the extent has no normal form");
}

static bool read_shape(Reader *r, const Graph *g, Shape *s)
{
    s->rank = 0;
    if (!accept(r, "["))
        return true;
    if (accept(r, "]"))
        return true;
    do {
        if (s->rank == RANK_MOST)
            return fail(r, r->p, "the shape has too many axes");
        if (!read_dim(r, g, &s->d[s->rank++]))
            return false;
    } while (accept(r, ","));
    return expect(r, "]");
}

static bool read_type(Reader *r, const Graph *g, Dtype *dt, Shape *s)
{
    skip_space(r);
    const char *start = r->p;
    char *word = read_word(r);
    *dt = word ? dtype_by_name(word) : NDTYPE;
    if (*dt == NDTYPE)
        return fail(r, start, "needed a dtype here: f32, f64, i32, u8, i8, i16 or bool");
    return read_shape(r, g, s);
}

static bool read_role(Reader *r, int64_t *role)
{
    skip_space(r);
    const char *start = r->p;
    char *word = read_word(r);
    for (*role = 0; word && *role < NROLE; ++*role)
        if (!strcmp(role_name((Role)*role), word))
            return true;
    return fail(r, start, "needed a role here: data, param, ...");
}

/* ---- attributes ---- */

typedef LIST(Attr) Attrs;

static bool read_list(Reader *r, Attr *a)
{
    LIST(int64_t) ints = {0};
    LIST(double) floats = {0};
    if (!expect(r, "["))
        return false;
    if (accept(r, "]"))
        return true;
    do {
        int64_t i;
        double f;
        if (a->type == AT_ints ? !read_int(r, &i) : !read_float(r, &f))
            return false;
        if (a->type == AT_ints)
            list_push(r->scratch, &ints, i);
        else
            list_push(r->scratch, &floats, f);
    } while (accept(r, ","));
    a->n = a->type == AT_ints ? ints.n : floats.n;
    if (a->type == AT_ints)
        a->u.ints = ints.at;
    else
        a->u.floats = floats.at;
    return expect(r, "]");
}

static bool read_attr(Reader *r, const Graph *g, Attr *a)
{
    skip_space(r);
    const char *start = r->p;
    char *word = read_word(r);
    *a = (Attr){.key = word ? attr_key_by_name(word) : NATTR};
    if (a->key == NATTR || a->key == ATTR_dtype || a->key == ATTR_shape)
        return fail(r, start, "needed the name of an attribute here");
    a->type = attr_key_type(a->key);
    if (!expect(r, "="))
        return false;
    switch (a->type) {
    case AT_int:
        return a->key == ATTR_role ? read_role(r, &a->u.i) : read_int(r, &a->u.i);
    case AT_float:
        return read_float(r, &a->u.f);
    case AT_str:
        return (a->u.s = read_string(r)) != NULL;
    case AT_dim:
        return read_dim(r, g, &a->u.dim);
    default:
        return read_list(r, a);
    }
}

static bool read_attrs(Reader *r, const Graph *g, Attrs *attrs)
{
    if (!accept(r, "{") || accept(r, "}"))
        return true;
    do {
        Attr a;
        if (!read_attr(r, g, &a))
            return false;
        list_push(r->scratch, attrs, a);
    } while (accept(r, ","));
    return expect(r, "}");
}

/* ---- labels ---- */

static Slot *find_slot(Slot *at, size_t cap, const char *label)
{
    size_t h = 1469598103u;
    for (const char *s = label; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    while (at[h & (cap - 1)].label && strcmp(at[h & (cap - 1)].label, label))
        h++;
    return &at[h & (cap - 1)];
}

static Slot *labels_at(Arena *a, Labels *l, const char *label)
{
    if (2 * l->n >= l->cap) {
        Labels more = {.n = l->n, .cap = l->cap ? 2 * l->cap : 64};
        more.at = NEW_ARRAY(a, Slot, more.cap);
        for (size_t i = 0; i < l->cap; i++)
            if (l->at[i].label)
                *find_slot(more.at, more.cap, l->at[i].label) = l->at[i];
        *l = more;
    }
    return find_slot(l->at, l->cap, label);
}

static char *read_label(Reader *r)
{
    if (!expect(r, "%"))
        return NULL;
    const char *start = r->p;
    char *word = isspace((unsigned char)*r->p) ? NULL : read_word(r);
    if (!word)
        fail(r, start, "needed a label here");
    return word;
}

static Node *read_operand(Reader *r, Labels *labels)
{
    skip_space(r);
    const char *start = r->p;
    char *label = read_label(r);
    Node *n = label ? labels_at(r->scratch, labels, label)->node : NULL;
    if (label && !n)
        fail(r, start, arena_printf(r->scratch, "%%%s is not defined above", label));
    return n;
}

/* ---- statements ---- */

static Graph *read_graph(Reader *r, Graph *outer);

typedef struct {
    Op op;
    LIST(Node *) in;
    Attrs attrs;
    bool typed;
    Dtype dt;
    Shape s;
    char *name;
    Graph *body;
} Line;

/* What follows "%label = ". */
static bool read_line(Reader *r, Graph *g, Labels *labels, Line *l)
{
    skip_space(r);
    const char *start = r->p;
    char *word = read_word(r);
    l->op = word ? op_by_name(word) : NOP;
    if (l->op == NOP)
        return fail(r, start, "needed the name of an operation here");
    skip_space(r);
    if (*r->p == '%')
        do {
            Node *n = read_operand(r, labels);
            if (!n)
                return false;
            list_push(r->scratch, &l->in, n);
        } while (accept(r, ","));
    if (!read_attrs(r, g, &l->attrs))
        return false;
    if (accept(r, ":")) {
        l->typed = true;
        if (!read_type(r, g, &l->dt, &l->s))
            return false;
        if (op_takes(l->op, ATTR_dtype))
            list_push(r->scratch, &l->attrs, attr_of_int(ATTR_dtype, l->dt));
        if (op_takes(l->op, ATTR_shape))
            list_push(r->scratch, &l->attrs, attr_of_shape(ATTR_shape, l->s));
    }
    if (accept(r, "as") && !(l->name = read_string(r)))
        return false;
    if (l->op != OP_scan)
        return l->typed || fail(r, start, "needed a type after this operation");
    return expect(r, "body") && (l->body = read_graph(r, g)) != NULL;
}

static bool make_node(Reader *r, Graph *g, const Line *l, const char *start, Node **out)
{
    Dtype dt;
    Shape s;
    const char *why;
    if (!shape_check(g, l->op, l->in.at, l->in.n, l->attrs.at, l->attrs.n, &dt, &s, &why))
        return fail(r, start, why);
    if (l->body) {
        why = scan_check(r->scratch, l->body, l->in.at, l->in.n, l->attrs.at, l->attrs.n);
        if (why)
            return fail(r, start, why);
    }
    if (l->typed && (dt != l->dt || !shape_equal(&s, &l->s))) {
        Node inferred = {.op = OP_input, .dtype = dt, .shape = s};
        return fail(r, start, arena_printf(r->scratch, "the type is %s",
                                           type_text_quoted(r->scratch, g, &inferred)));
    }
    Node *n = node_new(g, l->op, (Span){0}, l->in.at, l->in.n, l->attrs.at, l->attrs.n);
    n->body = l->body;
    if (l->name)
        n->name = arena_strdup(r->a, l->name);
    else if (l->op == OP_input)
        n->name = attr_str(n, ATTR_name);
    *out = n;
    return true;
}

static bool read_node(Reader *r, Graph *g, Labels *labels)
{
    const char *start = r->p;
    Line line = {0};
    char *label = read_label(r);
    if (!label || !expect(r, "=") || !read_line(r, g, labels, &line))
        return false;
    Slot *slot = labels_at(r->scratch, labels, label);
    if (slot->label)
        return fail(r, start, arena_printf(r->scratch, "%%%s is defined twice", label));
    slot->label = label;
    labels->n++;
    return make_node(r, g, &line, start, &slot->node);
}

static bool read_output(Reader *r, Graph *g, Labels *labels)
{
    int64_t role;
    char *name;
    Node *n;
    if (!read_role(r, &role) || !(name = read_string(r)) || !(n = read_operand(r, labels)))
        return false;
    if (n->op == OP_scan)
        return fail(r, r->p, "a scan is no value: its results are meant");
    graph_output(g, (Role)role, name, n);
    return true;
}

static bool read_length(Reader *r, Graph *g)
{
    int64_t most = 0;
    skip_space(r);
    const char *start = r->p;
    char *name = read_name(r);
    if (!name)
        return false;
    if (accept(r, "<=") && !read_int(r, &most))
        return false;
    if (most < 0)
        return fail(r, start, "a length is at least 1");
    if (g->outer)
        return fail(r, start, "lengths are declared in the outermost graph");
    if (graph_length(g, name, most) < 0)
        return fail(r, start, "too many lengths");
    return true;
}

/* name { statements } */
static Graph *read_graph(Reader *r, Graph *outer)
{
    Labels labels = {0};
    char *name = read_name(r);
    int64_t columns = 0;
    if (!name || (accept(r, "columns") && !read_int(r, &columns)) || !expect(r, "{"))
        return NULL;
    if (++r->depth > DEPTH_MOST) {
        fail(r, r->p, "bodies are nested too deeply");
        return NULL;
    }
    Graph *g = graph_new(r->a, name);
    g->outer = outer;
    g->columns = columns;
    while (!accept(r, "}")) {
        bool ok;
        skip_space(r);
        if (*r->p == '%')
            ok = read_node(r, g, &labels);
        else if (accept(r, "length"))
            ok = read_length(r, g);
        else if (accept(r, "output"))
            ok = read_output(r, g, &labels);
        else
            ok = fail(r, r->p, "needed a node, an output or } here");
        if (!ok)
            return NULL;
    }
    r->depth--;
    return g;
}

Graph *graph_read(Arena *a, Diag *d, int32_t source)
{
    const char *text = d->sources.at[source - 1].text;
    Reader r = {a, arena_new(), d, text, text, source, 0};
    Graph *g = expect(&r, "graph") ? read_graph(&r, NULL) : NULL;
    skip_space(&r);
    if (g && *r.p) {
        fail(&r, r.p, "the graph has ended above");
        g = NULL;
    }
    const char *why = g ? graph_verify(r.scratch, g) : NULL;
    if (why) {
        error_at(d, (Span){source, 0, 5}, "%s", why);
        g = NULL;
    }
    arena_free(r.scratch);
    return g;
}
