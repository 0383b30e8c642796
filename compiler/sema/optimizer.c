/* Optimizers: a definition's body is expanded once for every parameter.
 *
 * Around any body, also a user's, stand Keras's wrappers, in Keras's order:
 * accumulation of gradients, clip (clipnorm, else global_clipnorm, else
 * clipvalue), weight decay, update, moving average, constraint. Their arguments
 * are added to every optimizer's formals when a file is opened, so that they
 * bind, default and override like the optimizer's own. Scalars stay weak
 * (double) until they meet a tensor.
 */
#include "train.h"

#include <string.h>

/* ---- the arguments that all optimizers take ---- */

static const struct { const char *name; double value; } common[] = {
    {"weight_decay", 0}, {"clipnorm", 0}, {"clipvalue", 0}, {"global_clipnorm", 0},
    {"use_ema", 0}, {"ema_momentum", 0.99}, {"ema_overwrite_frequency", 0},
    {"loss_scale_factor", 0}, {"gradient_accumulation_steps", 0},
};

static bool has_formal(const Stmt *s, const char *name)
{
    for (int i = 0; i < s->formals.n; i++)
        if (strcmp(s->formals.at[i].name, name) == 0)
            return true;
    return false;
}

void optimizer_prepare(Session *s, Definition *d)
{
    if (has_formal(d->stmt, "gradient_accumulation_steps"))
        return;
    Stmt *copy = NEW(s->arena, Stmt);
    *copy = *d->stmt;
    copy->formals = (FormalList){0};
    for (int i = 0; i < d->stmt->formals.n; i++)
        list_push(s->arena, &copy->formals, d->stmt->formals.at[i]);
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
        if (has_formal(copy, common[i].name))
            continue;
        Expr *e = NEW(s->arena, Expr);
        *e = (Expr){.kind = common[i].value != 0 ? EX_float : EX_name, .span = copy->name_span,
                    .text = "none", .number = common[i].value};
        Formal f = {common[i].name, copy->name_span, e};
        list_push(s->arena, &copy->formals, f);
    }
    d->stmt = copy;
}

/* ---- one body ---- */

typedef struct {
    const Declarator *decl;
    const char *name;         /* "lstm/kernel/m" */
    Shape shape;
    Node *before, *after;     /* after: null until m[t] is defined */
    Span defined;
} Slot;

typedef struct {
    const Param *param;
    const Wrap *wrap;
    bool init;                /* only the slots' initial values are wanted */
    Node *weight, *change;    /* change: the sum of the updates so far */
    LIST(Slot) slots;
    int trouble;              /* messages before: a slot that failed is not blamed again */
} Body;

static int messages(const Expander *x)
{
    return x->d->nerror + x->d->nunsupported + x->d->nsuppressed;
}

static Node *slot_input(Expander *x, Frame *f, const Slot *s)
{
    const Body *b = f->data;
    if (!b->init)
        return graph_input(x->g, ROLE_slot, s->name, x->real, s->shape, s->decl->span);
    Param p = {.role = ROLE_slot, .name = s->name, .shape = s->shape, .dtype = x->real,
               .span = s->decl->span, .decl = s->decl->span, .init = s->decl->init,
               .scope = f->scope};
    if (!p.init)
        return make_broadcast(x->g, make_const_of(x->g, x->real, 0), s->shape);
    return param_initial(x, &p);
}

static bool declare_slot(Expander *x, Frame *f, const Stmt *s)
{
    Body *b = f->data;
    if (strcmp(s->word, "slot") != 0)
        return error_at(x->d, s->span, "an optimizer has no %s; what it remembers is a slot",
                        s->word);
    for (int i = 0; i < s->decls.n; i++) {
        const Declarator *d = &s->decls.at[i];
        Slot slot = {.decl = d, .shape = b->weight->shape};
        for (int k = 0; k < b->slots.n; k++)
            if (!strcmp(b->slots.at[k].decl->name, d->name)) {
                error_at(x->d, d->span, "the slot '%s' is declared twice", d->name);
                note_at(x->d, b->slots.at[k].decl->span, "it is declared here already");
                return false;
            }
        if (d->has_dims && !declared_shape(x, f->scope, d, &slot.shape))
            return false;
        slot.name = arena_printf(x->state->a, "%s/%s", b->param->name, d->name);
        if (!(slot.before = slot_input(x, f, &slot)))
            return false;
        slot.before->name = d->name;
        if (b->init)
            graph_output(x->g, ROLE_slot, slot.name, slot.before);
        list_push(x->a, &b->slots, slot);
    }
    return true;
}

static int find_slot(Expander *x, Frame *f, const char *name)
{
    (void)x;
    const Body *b = f->data;
    for (int i = 0; i < b->slots.n; i++)
        if (!strcmp(b->slots.at[i].decl->name, name))
            return i;
    return -1;
}

static Val read_slot(Expander *x, Frame *f, int index, int back, Span at)
{
    Body *b = f->data;
    Slot *s = &b->slots.at[index];
    const char *name = s->decl->name;
    if (back == 1)
        return val_tensor(s->before, at);
    if (back == 0 && s->after)
        return val_tensor(s->after, at);
    if (back == 0 && messages(x) > b->trouble)
        return val_poison();
    if (back == 0) {
        fail(x, at, "%s[t] is read before it is defined; %s[t-1] is its value before this step",
             name, name);
        note_at(x->d, blame(x, s->decl->span), "the slot is declared here");
        return val_poison();
    }
    if (back < 0)
        return fail(x, at, "%s[t+%d] lies in the future", name, -back);
    return fail(x, at, "a slot remembers one step: %s[t-1], not %s[t-%d]; keep more in further "
                "slots", name, name, back);
}

static bool define_slot(Expander *x, Frame *f, int index, Val v, Span at)
{
    Body *b = f->data;
    Slot *s = &b->slots.at[index];
    if (s->after) {
        fail(x, at, "%s[t] is defined twice", s->decl->name);
        note_at(x->d, blame(x, s->defined), "it is defined here already");
        return false;
    }
    Node *n = val_to_tensor(x, &v, at);
    if (!n || !(n = broadcast_to(x, to_real(x, n), s->shape, at,
                                 arena_printf(x->a, "%s[t]", s->decl->name))))
        return false;
    s->after = n;
    s->defined = at;
    return true;
}

static bool add_update(Expander *x, Frame *f, const Stmt *s)
{
    Body *b = f->data;
    if (s->targets.n)
        return error_at(x->d, s->span, "an optimizer's update has no name: update e adds e to "
                        "the weight");
    Val v = eval_expr(x, f->scope, s->value);
    Node *n = val_to_tensor(x, &v, s->value->span);
    if (!n || !(n = broadcast_to(x, to_real(x, n), b->weight->shape, s->value->span,
                                 "the update")))
        return false;
    b->change = b->change ? node2(x->g, OP_add, b->change, n) : n;
    return true;
}

static bool slots_done(Expander *x, const Body *b)
{
    bool ok = true;
    for (int i = 0; i < b->slots.n; i++) {
        const Slot *s = &b->slots.at[i];
        if (!s->after)
            ok = error_at(x->d, blame(x, s->decl->span), "the slot '%s' is never given its next "
                          "value: %s[t] = ...", s->decl->name, s->decl->name);
        else if (!b->init)
            graph_output(x->g, ROLE_slot, s->name, wrap_due(x, b->wrap, s->after, s->before));
    }
    return ok;
}

static const FrameHooks slot_hooks = {
    .declare = declare_slot, .update = add_update, .find = find_slot, .read = read_slot,
    .define = define_slot,
};

/* The weight after the body's updates; null after reporting. */
static Node *run_body(Expander *x, const Recipe *r, Scope *formals, Body *b, Node *grad, Span at)
{
    const Stmt *def = r->def->stmt;
    Scope *s = scope_new(x->a, formals, r->def->defs);
    scope_set(x->a, s, "weight", val_tensor(b->weight, at));
    scope_set(x->a, s, "grad", val_tensor(grad, at));
    Frame *f = frame_enter(x, r->def, def, DEF_optimizer, s, NULL, at);
    if (!f)
        return NULL;
    f->hooks = &slot_hooks;
    f->data = b;
    f->t = b->wrap->count;
    bool ok = frame_run(x, f, (const Stmt *const *)def->body.at, def->body.n);
    frame_leave(x, f);
    if (!ok || !slots_done(x, b))
        return NULL;
    if (!b->change) {
        error_at(x->d, blame(x, def->name_span), "the optimizer %s never updates the weight; "
                 "write update e", r->def->name);
        return NULL;
    }
    return node2(x->g, OP_add, b->weight, b->change);
}

/* ---- groups: {decoder: Adam(1e-3), default: Adam(1e-4)} ---- */

typedef struct {
    const char *key;           /* null: all that no other takes */
    const Expr *expr;
    Span span;
    const Recipe *recipe;
    Scope *formals;
    Wrap wrap;
    bool used;
} Group;

typedef LIST(Group) Groups;

/* --set train.optimizer.NAME=value, for each formal. */
static bool override_args(Expander *x, Recipe *r, const Group *g)
{
    Scope *s = train_scope(x);
    const char *path = g->key && strcmp(g->key, "default") != 0
                           ? arena_printf(x->a, "train.optimizer.%s", g->key)
                           : "train.optimizer";
    for (int i = 0; i < r->def->stmt->formals.n; i++) {
        const char *name = r->def->stmt->formals.at[i].name;
        const Expr *e = setting_arg(x, arena_printf(x->a, "%s.%s", path, name), g->expr, name, i);
        if (!e)
            continue;
        r->arg[i] = eval_expr(x, s, e);
        r->given[i] = true;
        if (r->arg[i].kind == VAL_poison)
            return false;
    }
    return true;
}

static bool open_group(Expander *x, Group *g)
{
    Val v;
    if (g->expr) {
        v = eval_expr_as(x, train_scope(x), g->expr, 1u << DEF_optimizer);
    } else {
        v = (Val){.kind = VAL_definition, .span = g->span};
        v.u.def = definition_find(x->state->defs, "RMSprop", 1u << DEF_optimizer);
    }
    Recipe *r = recipe_of(x, &v, 1u << DEF_optimizer, "optimizer", g->span);
    if (!r || !override_args(x, r, g) || !(g->formals = recipe_scope(x, r, g->span)))
        return false;
    g->recipe = r;
    return wrap_open(x, &g->wrap, r->def, g->formals, g->span);
}

static bool open_groups(Expander *x, Groups *all)
{
    const TrainState *t = train_state(x->state);
    const Expr *e = t->attr[TRAIN_optimizer];
    if (!e || e->kind != EX_dict) {
        Group g = {.expr = e, .span = e ? e->span : t->info.span};
        list_push(x->a, all, g);
    }
    for (int i = 0; e && e->kind == EX_dict && i < e->args.n; i++) {
        const Arg *arg = &e->args.at[i];
        Group g = {.key = dict_key(arg), .expr = arg->value, .span = arg->value->span};
        if (!g.key)
            return error_at(x->d, arg->value->span, "the keys of optimizer are layers' names");
        list_push(x->a, all, g);
    }
    if (all->n == 0)
        return error_at(x->d, e->span, "no optimizer is given; write optimizer = Adam()");
    bool ok = true;
    for (int i = 0; i < all->n; i++)
        ok &= open_group(x, &all->at[i]);
    return ok;
}

/* The group whose key is the longest beginning of the parameter's path. */
static Group *group_of(Groups *all, const char *param)
{
    Group *best = NULL;
    size_t most = 0;
    for (int i = 0; i < all->n; i++) {
        Group *g = &all->at[i];
        bool rest = !g->key || !strcmp(g->key, "default");
        size_t n = rest ? 0 : strlen(g->key);
        bool fits = rest || (!strncmp(param, g->key, n) && (param[n] == '/' || !param[n]));
        if (fits && (!best || n > most)) {
            best = g;
            most = n;
        }
    }
    return best;
}

static bool check_groups(Expander *x, const Groups *all)
{
    const Unit *u = x->unit;
    const char **names = NEW_ARRAY(x->a, const char *, u->nparam + 1);
    bool ok = true;
    for (int i = 0; i < u->nparam; i++) {
        const char *slash = strchr(u->param[i].name, '/');
        names[i] = slash ? arena_strndup(x->a, u->param[i].name,
                                         (size_t)(slash - u->param[i].name))
                         : u->param[i].name;
    }
    for (int i = 0; i < all->n; i++) {
        const Group *g = &all->at[i];
        if (g->used || !g->key || !strcmp(g->key, "default"))
            continue;
        const char *near = nearest_name(g->key, names, u->nparam);
        ok = error_at(x->d, g->span, "optimizer: no layer '%s' has trainable parameters%s%s",
                      g->key, near ? "; did you mean " : "", near ? near : "");
    }
    return ok;
}

/* ---- all parameters ---- */

static bool one_param(Expander *x, Group *g, const Param *p, Node *weight, Node *grad, bool init)
{
    Wrap *w = &g->wrap;
    Span at = g->span;
    Body b = {.param = p, .wrap = w, .init = init, .weight = wrap_decay(x, w, weight),
              .trouble = messages(x)};
    Node *clipped = wrap_clip(x, w, grad);
    Span user = x->user;
    x->user = at;
    Node *next = run_body(x, g->recipe, g->formals, &b, clipped, at);
    x->user = user;
    if (!next)
        return false;
    next = wrap_average(x, w, p, weight, wrap_due(x, w, next, weight), init);
    if (init)
        return true;
    if (p->constraint.kind != VAL_none && p->constraint.kind != VAL_poison) {
        Val v = apply1(x, &p->constraint, 1u << DEF_function, val_tensor(next, p->decl), p->span);
        Node *n = val_to_tensor(x, &v, p->span);
        if (!n || !(next = broadcast_to(x, to_real(x, n), weight->shape, p->constraint.span,
                                        "what the constraint gives")))
            return false;
    }
    graph_output(x->g, ROLE_param, p->name, next);
    return true;
}

bool optimizer_expand(Expander *x, Node *const *weight, Node *const *grad, bool init)
{
    const UnitState *st = x->state;
    int n = st->params.n;
    Groups all = {0};
    if (!open_groups(x, &all))
        return false;
    Group **group = NEW_ARRAY(x->a, Group *, n + 1);
    Node **sum = NEW_ARRAY(x->a, Node *, n + 1);
    const Param *without = NULL;
    for (int i = 0; i < n; i++) {
        const Param *p = st->params.at[i];
        if (!p->trainable || !weight[i] || !grad[i])
            continue;
        if (!(group[i] = group_of(&all, p->name))) {
            without = p;
            continue;
        }
        group[i]->used = true;
        sum[i] = wrap_accumulate(x, &group[i]->wrap, p, grad[i], init);
        wrap_collect(x, &group[i]->wrap, sum[i]);
    }
    if (!check_groups(x, &all))
        return false;
    if (without)
        return error_at(x->d, all.at[0].span, "no optimizer is given for %s; add default: Adam()",
                        without->name);
    for (int i = 0; i < all.n; i++)
        wrap_norm(x, &all.at[i].wrap);
    for (int i = 0; i < n; i++)
        if (group[i] && !one_param(x, group[i], st->params.at[i], weight[i], sum[i], init))
            return false;
    return true;
}

bool unit_optimizer(Unit *u, Graph *g, Node *const *grad)
{
    Expander *x = expander_new(u, g, FORWARD_train, true);
    Node **weight = NEW_ARRAY(x->a, Node *, u->nparam + 1);
    for (int i = 0; i < u->nparam; i++)
        weight[i] = graph_find_input(g, ROLE_param, u->param[i].name);
    return optimizer_expand(x, weight, grad, false);
}

bool optimizer_check(Expander *x)
{
    TrainState *t = train_state(x->state);
    if (t->optimizer_checked)
        return true;
    t->optimizer_checked = true;
    const UnitState *st = x->state;
    Graph *g = graph_new(x->a, "check");
    Expander *y = expander_new(x->unit, g, FORWARD_train, true);
    Node **weight = NEW_ARRAY(x->a, Node *, st->params.n + 1);
    Node **grad = NEW_ARRAY(x->a, Node *, st->params.n + 1);
    for (int i = 0; i < st->params.n; i++) {
        const Param *p = st->params.at[i];
        if (!p->trainable)
            continue;
        weight[i] = graph_input(g, ROLE_param, p->name, p->dtype, p->shape, p->decl);
        grad[i] = graph_input(g, ROLE_grad, p->name, p->dtype, p->shape, p->decl);
    }
    return optimizer_expand(y, weight, grad, false);
}
