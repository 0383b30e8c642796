/* The data block: its reader's arguments and fields, its transforms.
 *
 * Fields come into the graph as they are stored (bytes, say) and become
 * numbers of the real type where the transforms compute with them, so that the
 * conversion is part of the compiled step.
 */
#include "train.h"

#include <string.h>

/* ---- the reader ---- */

static const char *word_of(const Expr *e)
{
    return e->kind == EX_name || e->kind == EX_string ? e->text : NULL;
}

static bool list_arg(Expander *x, const Val *v, ReaderArg *out, Span at)
{
    bool numbers = true, texts = true;
    int n = out->n = v->u.list.n;
    double *number = NEW_ARRAY(x->state->a, double, n + 1);
    const char **text = NEW_ARRAY(x->state->a, const char *, n + 1);
    for (int i = 0; i < n; i++) {
        const Val *e = &v->u.list.at[i];
        bool is_number = e->kind == VAL_int || e->kind == VAL_number;
        numbers = numbers && is_number;
        texts = texts && e->kind == VAL_string;
        if (is_number)
            number[i] = e->kind == VAL_int ? (double)e->u.i : e->u.f;
        else if (e->kind == VAL_string)
            text[i] = e->u.text.s;
    }
    if (n && !numbers && !texts)
        return error_at(x->d, at, "a list in a reader's arguments must be all numbers or all "
                        "strings");
    out->kind = texts ? RA_list_text : RA_list_number;
    out->numbers = number;
    out->texts = text;
    return true;
}

/* `key`: what --set calls the argument; null: it cannot. */
static bool reader_arg(Expander *x, Scope *s, const Arg *arg, const char *data, const char *key,
                       ReaderArg *out)
{
    const Expr *e = arg->value;
    if (key)
        e = setting(x, arena_printf(x->a, "%s.%s", data, key), e);
    out->name = arg->name;
    out->span = arg->name ? span_join(arg->name_span, arg->value->span) : e->span;
    if (e->kind == EX_string) {
        out->kind = RA_text;
        out->text = e->text;
        return true;
    }
    Val v = eval_expr(x, s, e);
    switch (v.kind) {
    case VAL_poison: return false;
    case VAL_int:
    case VAL_number:
        out->kind = RA_number;
        out->number = v.kind == VAL_int ? (double)v.u.i : v.u.f;
        return true;
    case VAL_bool:
        out->kind = RA_bool;
        out->number = v.u.b;
        return true;
    case VAL_string:
        out->kind = RA_text;
        out->text = v.u.text.s;
        return true;
    case VAL_list:
    case VAL_tuple: return list_arg(x, &v, out, e->span);
    default:
        if (!word_of(e))
            return error_at(x->d, e->span, "a reader takes numbers, strings and lists of them, "
                            "not %s", val_text(x, &v));
        out->kind = RA_text;
        out->text = word_of(e);
        return true;
    }
}

static bool check_counts(Expander *x, const DataSchema *data)
{
    const TrainState *t = train_state(x->state);
    if (!x->state->train)
        return true;
    if (t->info.validation_test && data->test_count == 0)
        return error_at(x->d, t->key_span[TRAIN_validation_data], "the data '%s' has no test set; "
                        "write validation_split = 0.1 instead", x->state->data->name);
    int64_t held = (int64_t)((double)data->count * t->info.validation_split);
    int64_t left = data->count - held;
    if (t->info.validation_split > 0 && held == 0)
        return error_at(x->d, t->key_span[TRAIN_validation_split], "validation_split = %g of "
                        "%lld samples is none", t->info.validation_split, (long long)data->count);
    Span at = t->attr[TRAIN_batch_size] ? t->attr[TRAIN_batch_size]->span : t->info.span;
    if (t->attr[TRAIN_batch_size] && t->info.batch_size > left)
        return error_at(x->d, at, "batch_size is %lld, but there are only %lld training samples",
                        (long long)t->info.batch_size, (long long)left);
    return true;
}

/* What each argument of the call is named, written or by its place; null: nothing. */
static const char **arg_names(Expander *x, const Expr *call, const char *reader)
{
    int n = call->kind == EX_call ? call->args.n : 0, positional = 0;
    const char **names = NEW_ARRAY(x->a, const char *, n + 1);
    ReaderParamFn param = x->session->reader_param;
    for (int i = 0; i < n; i++) {
        names[i] = call->args.at[i].name;
        if (!names[i] && param)
            names[i] = param(reader, positional++);
    }
    return names;
}

/* --set d.NAME=value for an argument that the call does not write. */
static int set_args(Expander *x, const Expr *call, const char *const *names, const char *data,
                    Arg *out, int most)
{
    Session *s = x->session;
    size_t head = strlen(data);
    int n = 0;
    for (int i = 0; i < s->settings.n && n < most; i++) {
        const char *path = s->settings.at[i].path, *name = path + head + 1;
        if (strncmp(path, data, head) != 0 || path[head] != '.' || strchr(name, '.'))
            continue;
        bool given = false;
        for (int k = 0; call->kind == EX_call && k < call->args.n; k++)
            given |= names[k] && !strcmp(names[k], name);
        for (int k = 0; k < n; k++)
            given |= !strcmp(out[k].name, name);
        const Expr *e = given ? NULL : setting_arg(x, path, call, name, -1);
        if (e)
            out[n++] = (Arg){.name = name, .name_span = e->span, .value = (Expr *)e};
    }
    return n;
}

bool data_open(Unit *u, Expander *x)
{
    enum { SET_MOST = 32 };
    const Stmt *block = u->state->data;
    const Expr *call = block->value;
    u->data_name = block->name;
    if (!call)
        return error_at(x->d, block->span, "a data block names its reader: data %s = mnist(...)",
                        block->name ? block->name : "d");
    const Expr *f = call->kind == EX_call ? call->kid[0] : call;
    if (f->kind == EX_error)
        return false;
    if (f->kind != EX_name)
        return error_at(x->d, call->span, "a data block takes a reader, such as mnist(\"folder\") "
                        "or csv(\"file.csv\")");
    int n = call->kind == EX_call ? call->args.n : 0;
    const char *name = block->name ? block->name : "data";
    Arg more[SET_MOST];
    const char **names = arg_names(x, call, f->text);
    int nmore = set_args(x, call, names, name, more, SET_MOST);
    ReaderArg *args = NEW_ARRAY(u->state->a, ReaderArg, n + nmore + 1);
    Scope *s = train_scope(x);
    bool ok = true;
    for (int i = 0; i < n; i++)
        ok &= reader_arg(x, s, &call->args.at[i], name, names[i], &args[i]);
    for (int i = 0; i < nmore; i++)
        ok &= reader_arg(x, s, &more[i], name, more[i].name, &args[n + i]);
    if (!ok)
        return false;
    Session *ses = u->session;
    if (!ses->schema || (!ses->generate && data_is_generated(block)))
        return unsupported_at(x->d, f->span, "this program reads no data");
    if (data_is_generated(block)) {
        const Graph *g = data_graph(u);
        u->data = g ? ses->generate(ses->schema_context, x->d, f->span, g, args, n + nmore) : NULL;
    } else {
        u->data = ses->schema(ses->schema_context, x->d, f->span, f->text, args, n + nmore);
    }
    return u->data && check_counts(x, u->data);
}

/* ---- facts ---- */

bool data_name(const Expander *x, const char *name, Span at, Val *out)
{
    const Definitions *defs = x->state ? x->state->defs : NULL;
    for (int i = 0; defs && i < defs->blocks.n; i++) {
        const Stmt *block = defs->blocks.at[i];
        if (strcmp(block->word, "data") == 0 && block->name && !strcmp(block->name, name)) {
            *out = (Val){.kind = VAL_data, .span = at};
            out->u.data.block = block;
            return true;
        }
    }
    return false;
}

Val data_fact(Expander *x, const Val *data, const char *name, Span at)
{
    static const char *const facts[] = {"train", "test", "count", "classes", "class_names"};
    const DataSchema *d = x->unit ? x->unit->data : NULL;
    Val v = *data;
    v.span = at;
    if (!strcmp(name, "train") || !strcmp(name, "test")) {
        v.u.data.test = name[1] == 'e';
        return v;
    }
    const char *near = nearest_name(name, facts, sizeof facts / sizeof *facts);
    bool known = near && !strcmp(near, name);
    if (!known)
        return fail(x, at, "a data set has no '%s'%s%s; there are train, test, count, classes, "
                    "class_names", name, near ? "; did you mean " : "", near ? near : "");
    if (!d && !diag_ok(x->d))
        return val_poison(); /* it could not be opened, which was said */
    if (!d || data->u.data.block != x->state->data)
        return fail(x, at, "'%s' of data that is not used in training is not known", name);
    if (!strcmp(name, "count"))
        return val_int(data->u.data.test ? d->test_count : d->count, at);
    if (!d->nclass)
        return fail(x, at, "the data '%s' knows no classes", data->u.data.block->name);
    if (!strcmp(name, "classes"))
        return val_int(d->nclass, at);
    if (!d->classes)
        return fail(x, at, "the classes of the data '%s' have no names", data->u.data.block->name);
    Val *names = NEW_ARRAY(x->a, Val, d->nclass);
    for (int i = 0; i < d->nclass; i++)
        names[i] = val_string(d->classes[i], at);
    return val_list(x->a, VAL_list, names, d->nclass, at);
}

/* ---- fields and transforms ---- */

char *field_names(Arena *a, const DataSchema *d)
{
    char *all = arena_strdup(a, "");
    for (int i = 0; i < d->nfield; i++) {
        const DataField *f = &d->field[i];
        all = arena_printf(a, "%s%s%s [", all, i ? ", " : "", f->name);
        for (int k = 0; k < f->rank; k++)
            all = arena_printf(a, "%s%s%lld", all, k ? ", " : "", (long long)f->dim[k]);
        all = arena_printf(a, "%s]", all);
    }
    return all;
}

static void bind_field(Expander *x, Scope *fields, const DataField *f, Span at)
{
    Shape s = shape_of(1, dim_sym(SYM_N));
    for (int i = 0; i < f->rank && s.rank < RANK_MOST; i++)
        s.d[s.rank++] = dim_int(f->dim[i]);
    Node *n = graph_input(x->g, ROLE_data, f->name, f->dtype, s, at);
    n->name = f->name;
    scope_set(x->a, fields, f->name, val_tensor(n, at));
}

bool data_run(Expander *x, Scope *fields)
{
    const Stmt *block = x->state->data;
    for (int i = 0; i < block->body.n; i++) {
        const Stmt *s = block->body.at[i];
        if (s->kind == ST_decl || s->kind == ST_expr || s->kind == ST_output)
            return error_at(x->d, s->span, "a data block holds transforms of the form field = "
                            "expression");
    }
    Frame *f = frame_enter(x, NULL, block, DEF_function, fields, NULL, block->span);
    if (!f)
        return false;
    x->in_data = true;
    bool ok = frame_run(x, f, (const Stmt *const *)block->body.at, block->body.n);
    x->in_data = false;
    frame_leave(x, f);
    return ok;
}

/* How often a word stands in a text, comments apart. */
static int count_word(const char *text, const char *word)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    size_t n = strlen(word);
    int count = 0;
    for (const char *p = text; *p;) {
        size_t length = strspn(p, letters);
        count += length == n && !memcmp(p, word, n);
        p += length;
        if (*p == '#')
            p += strcspn(p, "\n");
        else if (*p)
            p++;
    }
    return count;
}

/* `imge = image / 255` makes a field, and the model goes on with the bytes. */
bool fields_used(const Unit *u)
{
    const Stmt *block = u->state->data;
    const DataSchema *d = u->data;
    const char **names = NEW_ARRAY(u->state->a, const char *, d->nfield + 1);
    const char *text = u->session->diag->sources.at[u->state->source - 1].text;
    bool ok = true;
    for (int i = 0; i < d->nfield; i++)
        names[i] = d->field[i].name;
    for (int i = 0; i < block->body.n && !u->session->settings.n; i++) {
        const Stmt *s = block->body.at[i];
        const Expr *e = s->kind == ST_assign && s->targets.n == 1 ? s->targets.at[0] : NULL;
        if (!e || e->kind != EX_name || count_word(text, e->text) > 1)
            continue;
        const char *near = nearest_name(e->text, names, d->nfield);
        if (near && strcmp(near, e->text))
            ok = error_at(u->session->diag, e->span, "the field '%s' is made and used nowhere; did "
                          "you mean '%s'?", e->text, near);
    }
    return ok;
}

bool data_expand(Expander *x, Scope *fields)
{
    const Stmt *block = x->state->data;
    const DataSchema *d = x->unit->data;
    if (!block || !d)
        return true;
    for (int i = 0; i < d->nfield; i++)
        bind_field(x, fields, &d->field[i], block->value->span);
    return data_is_generated(block) || data_run(x, fields);
}

char *unit_transforms(const Unit *u, Arena *a)
{
    const Stmt *block = u->state->data;
    char *all = arena_strdup(a, "");
    for (int i = 0; block && i < block->body.n; i++) {
        Span at = block->body.at[i]->span;
        const char *text = u->session->diag->sources.at[at.file - 1].text;
        all = arena_printf(a, "%s%.*s\n", all, (int)(at.hi - at.lo), text + at.lo);
    }
    return all;
}

/* ---- what feeds the model ---- */

/* Could the field's shape be the declared one, by the sizes that are plain numbers? */
static bool may_fit(const Declarator *d, const Node *n)
{
    if (n->shape.rank != d->dims.n + 1 || !shape_has_batch(&n->shape))
        return false;
    for (int i = 0; i < d->dims.n; i++)
        if (d->dims.at[i]->kind == EX_int && !dim_is(n->shape.d[i + 1], d->dims.at[i]->integer))
            return false;
    return true;
}

Val data_bind(Expander *x, Scope *fields, const Declarator *input)
{
    for (int i = 0; i < fields->names.n; i++)
        if (!strcmp(fields->names.at[i].name, input->name)) {
            Val v = fields->names.at[i].val;
            if (v.kind == VAL_tensor || v.kind == VAL_poison)
                return v;
            Node *n = val_to_tensor(x, &v, input->span);
            return n ? val_tensor(n, v.span) : val_poison();
        }
    const Expr *target = train_state(x->state)->attr[TRAIN_target];
    const Binding *only = NULL;
    int found = 0, n = fields->names.n;
    const char **names = NEW_ARRAY(x->a, const char *, n + 1);
    for (int i = 0; i < n; i++) {
        const Binding *b = &fields->names.at[i];
        names[i] = b->name;
        bool is_target = target && word_of(target) && !strcmp(word_of(target), b->name);
        if (b->val.kind == VAL_tensor && !is_target && may_fit(input, b->val.u.t.node)) {
            only = b;
            found++;
        }
    }
    if (found == 1)
        return only->val;
    /* Of one letter every other is near. */
    const char *near = input->name[1] ? nearest_name(input->name, names, n) : NULL;
    char *all = arena_strdup(x->a, "");
    for (int i = 0; i < n; i++) {
        const Val *v = &fields->names.at[i].val;
        all = arena_printf(x->a, "%s%s%s %s", all, i ? ", " : "", names[i],
                           v->kind == VAL_tensor ? shape_words(x, v->u.t.node) : "");
    }
    Val bad = fail(x, input->span, "no field of the data '%s' fits the input '%s'%s%s; its fields "
                   "are %s", x->state->data ? x->state->data->name : "", input->name,
                   near ? "; did you mean " : "", near ? near : "", all);
    if (x->state->data)
        note_at(x->d, x->state->data->name_span, "the data is declared here");
    return bad;
}
