/* Graphs for `weft gradcheck`: each definition of the user's file as a scalar
 * function of its parameters and of its inputs.
 *
 * Arguments and shapes that a definition leaves open are guessed, small first;
 * an attempt that fails is taken back with its messages. Rows of the batch
 * differ by a factor, so that a mix-up of rows shows.
 */
#include "train.h"

#include <string.h>

typedef struct { int rank; int64_t dim[3]; } Guess;

static const Guess guesses[] = {
    {1, {4}}, {2, {3, 4}}, {3, {4, 4, 2}}, {3, {8, 8, 2}}, {0, {0}}, {2, {4, 4}},
};

typedef struct {
    Expander *x;
    const Definition *def;
    const Guess *guess;
    int64_t argument;              /* for formals without a default */
    LIST(const char *) sizes;      /* names in declared shapes: the i-th is 3 + i */
} Trial;

/* ---- inputs ---- */

static int64_t named_size(Trial *t, const char *name)
{
    for (int i = 0; i < t->sizes.n; i++)
        if (!strcmp(t->sizes.at[i], name))
            return 3 + i;
    list_push(t->x->a, &t->sizes, name);
    return 2 + t->sizes.n;
}

static Shape input_shape(Trial *t, const Declarator *d)
{
    Shape s = {0};
    for (int i = 0; d && d->has_dims && i < d->dims.n && s.rank < RANK_MOST - 1; i++) {
        const Expr *e = d->dims.at[i];
        if (e->kind == EX_binary && e->op == BIN_le)
            e = e->kid[0];
        bool formal = false;
        for (int k = 0; e->kind == EX_name && k < t->def->stmt->formals.n; k++)
            formal |= !strcmp(t->def->stmt->formals.at[k].name, e->text);
        int64_t v = e->kind == EX_int              ? e->integer
                    : e->kind == EX_name && !formal ? named_size(t, e->text)
                                                    : t->argument;
        s.d[s.rank++] = dim_int(v);
    }
    for (int i = 0; !(d && d->has_dims) && i < t->guess->rank; i++)
        s.d[s.rank++] = dim_int(t->guess->dim[i]);
    return s;
}

/* [N, s] whose rows are multiples of one parameter; integers are all 1. */
static Node *input_node(Trial *t, const char *name, Shape s, bool integer, Span at)
{
    Expander *x = t->x;
    Graph *g = x->g;
    Shape rows = shape_of(1, dim_sym(SYM_N));
    for (int i = 0; i < s.rank; i++)
        rows.d[rows.rank++] = s.d[i];
    if (integer)
        return make_broadcast(g, make_const_of(g, DT_i32, 1), rows);
    Node *p = graph_input(g, ROLE_param, arena_printf(x->a, "input/%s", name), x->real, s, at);
    Node *row = make_cast(g, node_new(g, OP_row, at, NULL, 0, NULL, 0), x->real);
    Node *factor = node2(g, OP_add, node2(g, OP_mul, row, make_const(g, 0.25)), make_const(g, 1));
    Shape column = shape_of(1, dim_sym(SYM_N));
    for (int i = 0; i < s.rank; i++)
        column.d[column.rank++] = dim_int(1);
    Node *scaled = node2(g, OP_mul, make_reshape(g, factor, column), make_broadcast(g, p, rows));
    return t->def->kind == DEF_loss ? node1(g, OP_sigmoid, scaled) : scaled;
}

static bool collect_inputs(Trial *t, CallArg *out, int *n, int most)
{
    const Stmt *def = t->def->stmt;
    for (int i = 0; i < def->body.n; i++) {
        const Stmt *s = def->body.at[i];
        if (s->kind != ST_decl || strcmp(s->word, "input") != 0)
            continue;
        for (int k = 0; k < s->decls.n; k++) {
            const Declarator *d = &s->decls.at[k];
            Dtype dt = d->dtype ? dtype_by_name(d->dtype) : NDTYPE;
            bool integer = dt != NDTYPE && !dtype_is_float(dt);
            Node *node = input_node(t, d->name, input_shape(t, d), integer, d->span);
            if (*n >= most)
                return false;
            out[(*n)++] = (CallArg){.value = val_tensor(node, d->span), .span = d->span};
        }
    }
    return true;
}

/* ---- one attempt ---- */

enum { ARGS_MOST = 16 };

static Val run_definition(Trial *t)
{
    Expander *x = t->x;
    const Definition *d = t->def;
    CallArg make[ARGS_MOST], in[ARGS_MOST];
    int nmake = 0, nin = 0;
    Span at = d->stmt->name_span;
    Val callee = {.kind = VAL_definition, .span = at};
    callee.u.def = d;
    for (int i = 0; i < d->stmt->formals.n; i++) {
        const Formal *f = &d->stmt->formals.at[i];
        if (f->init || nmake >= ARGS_MOST)
            continue;
        bool tensor = d->kind == DEF_function && !d->has_inputs;
        Val v = tensor ? val_tensor(input_node(t, f->name, input_shape(t, NULL), false, f->span),
                                    f->span)
                       : val_int(t->argument, f->span);
        make[nmake++] = (CallArg){.name = f->name, .name_span = f->span, .value = v,
                                  .span = f->span};
    }
    if (!collect_inputs(t, in, &nin, ARGS_MOST))
        return val_poison();
    Val made = nmake || !d->has_inputs ? call_value(x, &callee, make, nmake, at) : callee;
    if (!d->has_inputs || made.kind == VAL_poison)
        return made;
    return apply(x, &made, 1u << d->kind, in, nin, at);
}

/* The sum of all outputs and of half their squares, over the batch's rows. */
static Node *scalar_of(Expander *x, const Val *v, Node *total)
{
    Graph *g = x->g;
    if (v->kind == VAL_tuple || v->kind == VAL_list) {
        for (int i = 0; i < v->u.list.n; i++)
            total = scalar_of(x, &v->u.list.at[i], total);
        return total;
    }
    if (v->kind != VAL_tensor || !dtype_is_float(v->u.t.node->dtype))
        return total;
    Node *n = to_real(x, v->u.t.node);
    Node *half = node2(g, OP_mul, node2(g, OP_mul, n, n), make_const(g, 0.5));
    n = node2(g, OP_add, n, half);
    int axes[RANK_MOST], k = 0, from = shape_has_batch(&n->shape) ? 1 : 0;
    for (int i = from; i < n->shape.rank; i++)
        axes[k++] = i;
    n = k ? make_reduce(g, OP_reduce_sum, n, axes, k) : n;
    n = from ? make_batch_sum(g, n) : n;
    return total ? node2(g, OP_add, total, n) : n;
}

static Graph *attempt(Unit *u, const Definition *def, const Guess *guess, int64_t argument)
{
    UnitState *st = NEW(u->state->a, UnitState);
    *st = *u->state;
    memset(&st->params, 0, sizeof st->params);
    memset(&st->buffers, 0, sizeof st->buffers);
    memset(&st->states, 0, sizeof st->states);
    Unit *copy = NEW(u->state->a, Unit);
    *copy = *u;
    copy->state = st;
    Diag *d = u->session->diag, before = *d;
    Graph *g = graph_new(u->state->a, def->name);
    Trial t = {.x = expander_new(copy, g, FORWARD_evaluate, false), .def = def, .guess = guess,
               .argument = argument};
    t.x->differentiated = true;
    Val v = run_definition(&t);
    Node *total = scalar_of(t.x, &v, NULL);
    bool ok = diag_ok(d) && total;
    if (!ok || d->messages.n > before.messages.n) {
        d->messages.n = before.messages.n;
        d->nerror = before.nerror;
        d->nunsupported = before.nunsupported;
        d->nsuppressed = before.nsuppressed;
    }
    if (!ok)
        return NULL;
    graph_output(g, ROLE_loss, "loss", total);
    return g;
}

static bool is_checked(const Definition *d)
{
    return d->kind == DEF_layer || d->kind == DEF_cell || d->kind == DEF_loss ||
           d->kind == DEF_function;
}

int unit_gradchecks(Unit *u, Graph ***graphs)
{
    const Definitions *defs = u->state->defs;
    LIST(Graph *) all = {0};
    for (int i = 0; i < defs->at.n; i++) {
        const Definition *d = defs->at.at[i];
        Graph *g = NULL;
        if (!is_checked(d) || d->is_prelude)
            continue;
        static const int64_t arguments[] = {4, 2, 8};
        for (size_t k = 0; !g && k < sizeof arguments / sizeof *arguments; k++)
            for (size_t j = 0; !g && j < sizeof guesses / sizeof *guesses; j++)
                g = attempt(u, d, &guesses[j], arguments[k]);
        if (g)
            list_push(u->state->a, &all, g);
        else
            warning_at(u->session->diag, d->stmt->name_span, "gradcheck: no arguments and inputs "
                       "were found that suit the %s '%s'", def_kind_name(d->kind), d->name);
    }
    *graphs = all.at;
    return all.n;
}
