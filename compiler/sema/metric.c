/* Metrics: what is summed per sample goes into the program, what is computed
 * from the sums at an epoch's end becomes a small graph of its own.
 *
 * A metric's body is cut in two by what its statements mention: those that lead
 * from a sum to the output run in the finishing graph, in double, with the sums
 * as inputs; all others run in the program.
 */
#include "train.h"

#include <string.h>

typedef struct {
    const char *name;        /* of the sum */
    Span span;
    Node *value;             /* per sample, before reduction */
    bool has_dims;
    Shape dims;              /* without N */
} Sum;

typedef struct {
    const char *name;        /* "accuracy", "answer_accuracy" */
    const Definition *def;
    Node *mask;
    LIST(Sum) sums;
    LIST(const char *) late; /* names that stand for sums or what follows from them */
    LIST(const char *) outs; /* the outputs' names: "accuracy/hits" */
    Graph *finish;
} Metric;

/* ---- the first half: sums ---- */

static bool declare_sum(Expander *x, Frame *f, const Stmt *s)
{
    Metric *m = f->data;
    for (int i = 0; i < s->decls.n; i++) {
        const Declarator *d = &s->decls.at[i];
        Sum sum = {.name = d->name, .span = d->span, .has_dims = d->has_dims};
        if (strcmp(s->word, "sum") != 0)
            return error_at(x->d, s->span, "a metric has no %s; it has input and sum", s->word);
        if (!d->init)
            return error_at(x->d, d->span, "the sum '%s' needs a value: sum %s = expression",
                            d->name, d->name);
        for (int k = 0; k < m->sums.n; k++)
            if (!strcmp(m->sums.at[k].name, d->name)) {
                error_at(x->d, d->span, "the sum '%s' is defined twice", d->name);
                note_at(x->d, m->sums.at[k].span, "it is defined here already");
                return false;
            }
        if (d->has_dims && !declared_shape(x, f->scope, d, &sum.dims))
            return false;
        Val v = eval_expr(x, f->scope, d->init);
        if (!(sum.value = val_to_tensor(x, &v, d->init->span)))
            return false;
        list_push(x->a, &m->sums, sum);
    }
    return true;
}

/* The shape that all plain sums share, with N in front. */
static bool common_shape(Expander *x, Metric *m, Shape *out)
{
    *out = shape_of(1, dim_sym(SYM_N));
    for (int i = 0; i < m->sums.n; i++) {
        const Sum *s = &m->sums.at[i];
        Shape joined;
        if (s->has_dims)
            continue;
        if (!shape_broadcast(out, &s->value->shape, &joined)) {
            fail(x, s->span, "the sum '%s' adds %s, another one of '%s' adds %s; give it "
                 "dimensions: sum %s[...]", s->name, shape_words(x, s->value), m->def->name,
                 shape_text(x->a, x->top, out), s->name);
            return false;
        }
        *out = joined;
    }
    return true;
}

static bool emit_sum(Expander *x, Metric *m, const Sum *s, Shape common)
{
    Shape want = common;
    if (s->has_dims) {
        want = shape_of(1, dim_sym(SYM_N));
        for (int i = 0; i < s->dims.rank && want.rank < RANK_MOST; i++)
            want.d[want.rank++] = s->dims.d[i];
    }
    Node *n = broadcast_to(x, to_real(x, s->value), want, s->span,
                           arena_printf(x->a, "the sum '%s'", s->name));
    if (!n)
        return false;
    if (!s->has_dims && n->shape.rank > 1) {
        int axes[RANK_MOST];
        for (int i = 1; i < n->shape.rank; i++)
            axes[i - 1] = i;
        n = make_reduce(x->g, OP_reduce_sum, mask_values(x, n, m->mask), axes,
                        n->shape.rank - 1);
    }
    const char *name = arena_printf(x->state->a, "%s/%s", m->name, s->name);
    graph_output(x->g, ROLE_metric, name, n);
    list_push(x->state->a, &m->outs, name);
    return true;
}

static bool emit_sums(Expander *x, Metric *m)
{
    Shape common;
    if (m->sums.n == 0)
        return error_at(x->d, m->def->stmt->name_span, "the metric %s sums nothing; write "
                        "sum name = expression", m->def->name);
    if (!common_shape(x, m, &common))
        return false;
    bool ok = true;
    for (int i = 0; i < m->sums.n; i++)
        ok &= emit_sum(x, m, &m->sums.at[i], common);
    return ok;
}

/* ---- cutting the body ---- */

static void late_names(Arena *a, Metric *m, const Stmt *s)
{
    bool sum = s->kind == ST_decl && !strcmp(s->word, "sum");
    for (int i = 0; sum && i < s->decls.n; i++)
        list_push(a, &m->late, s->decls.at[i].name);
    for (int i = 0; i < s->body.n; i++)
        late_names(a, m, s->body.at[i]);
    for (int i = 0; i < s->orelse.n; i++)
        late_names(a, m, s->orelse.at[i]);
}

static bool is_late(const Metric *m, const Stmt *s)
{
    return s->kind == ST_output || stmt_mentions(s, m->late.at, m->late.n);
}

typedef LIST(const Stmt *) Stmts;

static void cut(Arena *a, Metric *m, Stmts *early, Stmts *late)
{
    const Stmt *def = m->def->stmt;
    for (int i = 0; i < def->body.n; i++)
        late_names(a, m, def->body.at[i]);
    for (int i = 0; i < def->body.n; i++) {
        const Stmt *s = def->body.at[i];
        if (!is_late(m, s)) {
            list_push(a, early, s);
            continue;
        }
        list_push(a, late, s);
        for (int k = 0; s->kind == ST_assign && k < s->targets.n; k++)
            if (s->targets.at[k]->kind == EX_name)
                list_push(a, &m->late, s->targets.at[k]->text);
    }
}

/* ---- the second half: the end of an epoch ---- */

/* Per-sample tensors are gone by then: mentioning one is the user's mistake. */
static bool check_late(Expander *x, const Scope *early, const Stmt *s)
{
    for (int i = 0; i < early->names.n; i++) {
        const Binding *b = &early->names.at[i];
        bool tensor = b->val.kind == VAL_tensor && b->val.u.t.node->op != OP_const;
        if (tensor && stmt_mentions(s, &b->name, 1)) {
            const Expr *e = s->value ? expr_mentions(s->value, &b->name, 1) : NULL;
            return error_at(x->d, e ? e->span : s->span, "'%s' belongs to a sample; a metric's "
                            "output is computed from its sums when the epoch ends", b->name);
        }
    }
    return true;
}

static Scope *late_scope(Expander *x, const Metric *m, const Scope *early, Scope *parent)
{
    Scope *s = scope_new(x->a, parent, m->def->defs);
    for (int i = 0; i < early->names.n; i++)
        if (early->names.at[i].val.kind != VAL_tensor)
            scope_set(x->a, s, early->names.at[i].name, early->names.at[i].val);
    for (int i = 0; i < m->sums.n; i++) {
        Shape shape = m->sums.at[i].has_dims ? m->sums.at[i].dims : (Shape){0};
        Node *n = graph_input(m->finish, ROLE_scalar, m->outs.at[i], DT_f64, shape,
                              m->sums.at[i].span);
        n->name = m->sums.at[i].name;
        scope_set(x->a, s, m->sums.at[i].name, val_tensor(n, m->sums.at[i].span));
    }
    return s;
}

static bool take_output(Expander *x, Metric *m, Frame *f)
{
    const Stmt *def = m->def->stmt;
    if (f->outputs.n != 1)
        return error_at(x->d, def->name_span, "the metric %s must have one output, found %d",
                        m->def->name, f->outputs.n);
    Node *n = val_to_tensor(x, &f->outputs.at[0], f->output_spans.at[0]);
    if (!n)
        return false;
    if (n->shape.rank != 0) {
        fail(x, f->output_spans.at[0], "a metric's output must be one number, not %s",
             shape_words(x, n));
        return false;
    }
    graph_output(m->finish, ROLE_metric, m->name, make_cast(x->g, n, DT_f64));
    return true;
}

/* Runs the late statements with the expander turned to the finishing graph. */
static bool finish_metric(Expander *x, Metric *m, const Scope *early, Scope *formals,
                          const Stmts *late, Span at)
{
    Expander saved = *x;
    m->finish = graph_new(x->state->a, m->name);
    x->g = x->top = m->finish;
    x->loop = NULL;
    x->real = DT_f64;
    x->seed = x->step = x->epoch = NULL;
    bool ok = true;
    for (int i = 0; i < late->n; i++)
        ok &= check_late(x, early, late->at[i]);
    Scope *scope = late_scope(x, m, early, formals);
    Frame *f = ok ? frame_enter(x, m->def, m->def->stmt, DEF_metric, scope, NULL, at) : NULL;
    if (f) {
        ok = frame_run(x, f, late->at, late->n) && take_output(x, m, f);
        frame_leave(x, f);
    }
    x->g = saved.g;
    x->top = saved.top;
    x->loop = saved.loop;
    x->real = saved.real;
    x->seed = saved.seed;
    x->step = saved.step;
    x->epoch = saved.epoch;
    return ok && f;
}

/* ---- one metric ---- */

static bool run_definition(Expander *x, Metric *m, const Recipe *r, Val *in, Span at)
{
    static const FrameHooks hooks = {.declare = declare_sum};
    Stmts early = {0}, late = {0};
    LIST(const Declarator *) decls = {0};
    cut(x->a, m, &early, &late);
    const Stmt *def = m->def->stmt;
    for (int i = 0; i < late.n; i++)
        if (late.at[i]->kind == ST_decl)
            return error_at(x->d, late.at[i]->span, "a sum cannot be made of other sums; compute "
                            "from them in the output");
    for (int i = 0; i < def->body.n; i++)
        for (int k = 0; !strcmp(def->body.at[i]->word ? def->body.at[i]->word : "", "input") &&
                        k < def->body.at[i]->decls.n; k++)
            list_push(x->a, &decls, &def->body.at[i]->decls.at[k]);
    if (decls.n != 2)
        return error_at(x->d, def->name_span, "a metric has the inputs y_true and y_pred; %s has "
                        "%d", m->def->name, decls.n);
    Scope *formals = recipe_scope(x, r, at);
    if (!formals)
        return false;
    Scope *scope = scope_new(x->a, formals, m->def->defs);
    Frame *f = frame_enter(x, m->def, def, DEF_metric, scope, NULL, at);
    if (!f)
        return false;
    f->hooks = &hooks;
    f->data = m;
    f->in = in;
    f->nin = 2;
    f->in_decl = decls.at;
    bool ok = frame_run(x, f, early.at, early.n);
    frame_leave(x, f);
    if (!ok || !emit_sums(x, m))
        return false;
    return finish_metric(x, m, scope, formals, &late, at);
}

/* A loss as a metric: the mean of its values. */
static bool run_loss(Expander *x, Metric *m, const Recipe *r, Val target, Val output, Span at)
{
    Val v = loss_values(x, r, target, output, at);
    if (v.kind != VAL_tensor)
        return false;
    Sum sums[] = {{.name = "sum", .span = at, .value = v.u.t.node},
                  {.name = "count", .span = at, .value = make_const(x->g, 1)}};
    list_push(x->a, &m->sums, sums[0]);
    list_push(x->a, &m->sums, sums[1]);
    if (!emit_sums(x, m))
        return false;
    Graph *g = m->finish = graph_new(x->state->a, m->name);
    Node *part[2];
    for (int i = 0; i < 2; i++)
        part[i] = graph_input(g, ROLE_scalar, m->outs.at[i], DT_f64, (Shape){0}, at);
    graph_output(g, ROLE_metric, m->name, node2(g, OP_div, part[0], part[1]));
    return true;
}

/* The shapes that the prelude's accuracies want. */
static bool shapes_suit(Expander *x, const Definition *d, const Node *t, const Node *p, Span at)
{
    bool sparse = strncmp(d->name, "sparse_", 7) == 0;
    Shape want = p->shape;
    want.rank -= sparse;
    if (!d->is_prelude || (want.rank >= 1 && shape_equal(&want, &t->shape)))
        return true;
    fail(x, at, "%s needs a target of the shape %s for an output of the shape %s, found %s",
         d->name, want.rank >= 1 ? shape_text(x->a, x->top, &want) : "of its classes",
         shape_words(x, p), shape_words(x, t));
    return false;
}

static bool run_metric(Expander *x, const Expr *e, const char *name, Val target, Val output,
                       MetricInfo *info)
{
    unsigned kinds = 1u << DEF_metric | 1u << DEF_loss;
    Node *t = val_to_tensor(x, &target, e->span), *p = val_to_tensor(x, &output, e->span);
    if (!t || !p)
        return false;
    const Expr *plain = without_name(x->a, e);
    Scope *s = train_scope(x);
    Val v = resolve_by_shapes(x, s, plain, t, p, kinds);
    static const char *const by_shape[] = {"accuracy"};
    if (v.kind == VAL_string && nearest_name(v.u.text.s, by_shape, 1))
        return error_at(x->d, e->span, "unknown metric '%s'; did you mean 'accuracy'?",
                        v.u.text.s);
    const Recipe *r = recipe_of(x, &v, kinds, "metric", e->span);
    if (!r)
        return false;
    Metric m = {.name = name, .def = r->def};
    m.mask = output.u.t.mask;
    bool flat = t->shape.rank == 1 && p->shape.rank == 1;
    Val in[2] = {val_tensor(flat ? with_axis(x, t) : t, target.span),
                 val_tensor(flat ? with_axis(x, p) : p, output.span)};
    in[1].u.t.mask = m.mask;
    Span user = x->user;
    x->user = e->span;
    bool ok = r->def->kind == DEF_metric
                  ? shapes_suit(x, r->def, t, p, e->span) && run_definition(x, &m, r, in, e->span)
                  : run_loss(x, &m, r, target, output, e->span);
    x->user = user;
    if (ok)
        *info = (MetricInfo){name, m.outs.n, m.outs.at, m.finish};
    return ok;
}

/* ---- all of them ---- */

typedef LIST(MetricInfo) Infos;

static const char *free_name(Expander *x, const Infos *all, const char *name)
{
    const char *free = name;
    for (int k = 0, i = 0; i < all->n; i++)
        if (!strcmp(all->at[i].name, free)) {
            free = arena_printf(x->state->a, "%s_%d", name, ++k);
            i = -1;
        }
    return free;
}

static bool output_metrics(Expander *x, const Expr *e, const char *prefix, Val target, Val output,
                           Infos *all)
{
    int n = e->kind == EX_list || e->kind == EX_tuple ? e->args.n : 1;
    bool ok = true;
    for (int i = 0; i < n; i++) {
        const Expr *one = e->kind == EX_list || e->kind == EX_tuple ? e->args.at[i].value : e;
        const char *name = arena_printf(x->state->a, "%s%s", prefix, spoken_name(x->a, one));
        MetricInfo info;
        if (run_metric(x, one, free_name(x, all, name), target, output, &info))
            list_push(x->state->a, all, info);
        else
            ok = false;
    }
    return ok;
}

/* With several outputs each one's loss is shown too: "answer_loss". */
static bool output_loss(Expander *x, const Expr *e, const char *output, Val target, Val value,
                        Infos *all)
{
    const char *name = arena_printf(x->state->a, "%s_loss", output);
    MetricInfo info;
    if (!e || e->kind == EX_dict)
        return true;
    if (!run_metric(x, e, free_name(x, all, name), target, value, &info))
        return false;
    list_push(x->state->a, all, info);
    return true;
}

bool metrics_expand(Expander *x, Scope *fields, const Val *outputs, const char *const *names, int n)
{
    TrainState *t = train_state(x->state);
    const Expr *e = t->attr[TRAIN_metrics];
    Infos all = {0};
    bool ok = check_output_keys(x, e, "metrics", names, n);
    for (int i = 0; ok && i < n; i++) {
        const Expr *mine = for_output(e, names[i]);
        const Expr *loss = n > 1 ? for_output(t->attr[TRAIN_loss], names[i]) : NULL;
        bool wanted = mine && (mine->kind != EX_list || mine->args.n > 0);
        if (n > 1 && (!e || e->kind != EX_dict) && !for_output(t->attr[TRAIN_target], names[i]))
            wanted = false;
        if (!wanted && !loss)
            continue;
        Val target = target_of(x, fields, t->attr[TRAIN_target], names, n, i);
        if (target.kind != VAL_tensor || outputs[i].kind != VAL_tensor)
            return false;
        const char *prefix = n > 1 && names[i] ? arena_printf(x->a, "%s_", names[i]) : "";
        ok &= output_loss(x, loss, names[i], target, outputs[i], &all);
        if (wanted)
            ok &= output_metrics(x, mine, prefix, target, outputs[i], &all);
    }
    if (ok && !x->unit->metric) {
        x->unit->metric = all.at;
        x->unit->nmetric = all.n;
    }
    return ok;
}
