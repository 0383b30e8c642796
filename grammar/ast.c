/* The constructors that the grammar's actions call.
 *
 * They check what a context-free rule cannot say well: what may stand left of `=`,
 * comparisons in a row, a tree's depth. After a message they give poison.
 */
#include "parse.h"

#include <string.h>

/* ---- expressions ---- */

/* Fills in the depth; an expression too deep to be walked is poison. */
static Expr *finish(Parser *p, Expr *e)
{
    int deepest = 0;
    for (int i = 0; i < 3; i++)
        if (e->kid[i] && e->kid[i]->depth > deepest)
            deepest = e->kid[i]->depth;
    for (int i = 0; i < e->args.n; i++) {
        const Arg *arg = &e->args.at[i];
        if (arg->value->depth > deepest)
            deepest = arg->value->depth;
        if (arg->key && arg->key->depth > deepest)
            deepest = arg->key->depth;
    }
    e->depth = deepest + 1;
    if (e->depth <= EXPR_DEPTH_MOST)
        return e;
    if (!p->too_deep)
        unsupported_at(p->diag, e->op_span.file ? e->op_span : e->span,
                       "this expression has more than %d levels: give parts of it names",
                       EXPR_DEPTH_MOST);
    p->too_deep = true;
    Expr *poison = NEW(p->arena, Expr);
    poison->span = e->span;
    return poison;
}

static Expr *expr_new(Parser *p, ExprKind kind, Span at)
{
    Expr *e = NEW(p->arena, Expr);
    e->kind = kind;
    e->span = at;
    return e;
}

Expr *expr_leaf(Parser *p, ExprKind kind, const Token *t)
{
    Expr *e = expr_new(p, kind, t->span);
    e->text = t->text;
    e->integer = t->integer;
    e->number = t->number;
    return finish(p, e);
}

Expr *expr_unary(Parser *p, AstOp op, Span at, Span op_at, Expr *a)
{
    Expr *e = expr_new(p, EX_unary, at);
    e->op = op;
    e->op_span = op_at;
    e->kid[0] = a;
    return finish(p, e);
}

Expr *expr_binary(Parser *p, AstOp op, Span at, Span op_at, Expr *a, Expr *b)
{
    Expr *e = expr_new(p, EX_binary, at);
    e->op = op;
    e->op_span = op_at;
    e->kid[0] = a;
    e->kid[1] = b;
    return finish(p, e);
}

static bool is_comparison(const Expr *e)
{
    return e->kind == EX_binary && e->op >= BIN_lt && e->op <= BIN_ne;
}

/* The text under a span, when it is short enough to be quoted. */
static const char *quoted(Parser *p, Span at)
{
    size_t n = at.hi - at.lo;
    const char *s = p->text + at.lo;
    return n <= 30 && !memchr(s, '\n', n) ? arena_strndup(p->arena, s, n) : NULL;
}

Expr *expr_compare(Parser *p, AstOp op, Span at, Span op_at, Expr *a, Expr *b)
{
    if (!is_comparison(a) || a->parens)
        return expr_binary(p, op, at, op_at, a, b);
    const char *first = quoted(p, a->span), *middle = quoted(p, a->kid[1]->span);
    Span rest = {at.file, op_at.lo, b->span.hi};
    const char *second = quoted(p, rest);
    if (first && middle && second)
        error_at(p->diag, op_at, "comparisons do not chain: write `%s and %s %s`", first, middle,
                 second);
    else
        error_at(p->diag, op_at, "comparisons do not chain: write `a < b and b < c`");
    return expr_new(p, EX_error, at);
}

Expr *expr_arrow(Parser *p, Span at, Span op_at, Expr *a, Expr *b)
{
    Expr *e = expr_new(p, EX_arrow, at);
    e->op_span = op_at;
    e->kid[0] = a;
    e->kid[1] = b;
    return finish(p, e);
}

Expr *expr_if(Parser *p, Span at, Expr *condition, Expr *yes, Expr *no)
{
    Expr *e = expr_new(p, EX_if, at);
    e->kid[0] = condition;
    e->kid[1] = yes;
    e->kid[2] = no;
    return finish(p, e);
}

Expr *expr_attr(Parser *p, Span at, Expr *of, const Token *name)
{
    Expr *e = expr_new(p, EX_attr, at);
    e->op_span = name->span;
    e->text = name->text;
    e->kid[0] = of;
    return finish(p, e);
}

Expr *expr_args(Parser *p, ExprKind kind, Span at, Expr *f, ArgList args)
{
    Expr *e = expr_new(p, kind, at);
    e->kid[0] = f;
    e->args = args;
    return finish(p, e);
}

Expr *expr_range(Parser *p, Span at, Expr *from, Expr *to, Expr *step)
{
    Expr *e = expr_new(p, EX_range, at);
    e->kid[0] = from;
    e->kid[1] = to;
    e->kid[2] = step;
    return finish(p, e);
}

static Expr *tuple_of(Parser *p, Span at, ExprList items)
{
    ArgList args = {0};
    for (int i = 0; i < items.n; i++)
        list_push(p->arena, &args, arg_positional(items.at[i]));
    return expr_args(p, EX_tuple, at, NULL, args);
}

Expr *expr_parens(Parser *p, Span at, ExprList items, bool comma)
{
    if (items.n == 1 && !comma) {
        items.at[0]->parens = true;
        items.at[0]->span = at;
        return items.at[0];
    }
    return tuple_of(p, at, items);
}

Expr *expr_several(Parser *p, Span at, ExprList items)
{
    return items.n == 1 ? items.at[0] : tuple_of(p, at, items);
}

Arg arg_positional(Expr *value)
{
    return (Arg){.value = value};
}

Arg arg_named(const Token *name, Expr *value)
{
    return (Arg){.name = name->text, .name_span = name->span, .value = value};
}

Arg arg_entry(Expr *key, Expr *value)
{
    Arg arg = {.name_span = key->span, .value = value};
    if ((key->kind == EX_name || key->kind == EX_string) && !key->parens)
        arg.name = key->text;
    else
        arg.key = key;
    return arg;
}

/* ---- statements ---- */

Stmt *stmt_new(Parser *p, StmtKind kind, Span at, const Token *word)
{
    Stmt *s = NEW(p->arena, Stmt);
    s->kind = kind;
    s->span = at;
    s->word = word ? word->text : NULL;
    return s;
}

/* Whether a bare expression is Keras's Python: model.add(...) and the like. */
static bool report_python(Parser *p, const Expr *e)
{
    static const struct { const char *method, *instead; } known[] = {
        {"add", "layers are written one a line in `model NAME { ... }`, without add"},
        {"compile", "loss and optimizer are written in `train { ... }`"},
        {"fit", "data, epochs and batch_size are written in `train { ... }`"},
        {"summary", "the command is `weft summary FILE`"},
        {"evaluate", "the command is `weft evaluate FILE`"},
        {"predict", "the command is `weft predict FILE`"},
    };
    if (e->kind != EX_call || e->kid[0]->kind != EX_attr || e->kid[0]->kid[0]->kind != EX_name)
        return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(e->kid[0]->text, known[i].method)) {
            error_at(p->diag, e->kid[0]->op_span, "there are no methods: %s", known[i].instead);
            return true;
        }
    return false;
}

Stmt *stmt_expr(Parser *p, Span at, ExprList values)
{
    Stmt *s = stmt_new(p, ST_expr, at, NULL);
    Expr *e = s->value = values.at[0];
    bool wrong = values.n > 1;
    if (wrong)
        error_at(p->diag, values.at[1]->span, "a statement is one layer or call: write each on a "
                 "line of its own");
    else if (e->kind == EX_binary && e->op == BIN_eq && !e->parens && (wrong = true))
        error_at(p->diag, e->op_span, "`==` compares; to give a value write `=`");
    else
        wrong = report_python(p, e);
    if (wrong)
        s->kind = ST_error;
    return s;
}

/* The name that a target names, or null: name, or name[...] where indices are allowed. */
static bool check_target(Parser *p, const Expr *e, bool index)
{
    if (e->kind == EX_error || (e->kind == EX_name && !e->parens))
        return true;
    bool of_name = e->kid[0] && e->kid[0]->kind == EX_name;
    if (e->kind == EX_index && of_name && index)
        return true;
    if (e->kind == EX_call && of_name)
        return error_at(p->diag, e->span, "a call cannot stand left of `=`; a function is written "
                        "`function %s(...) = ...`", e->kid[0]->text);
    if (e->kind == EX_string)
        return error_at(p->diag, e->span, "left of `=` stands a name, without quotes");
    return error_at(p->diag, e->span, "left of `=` stands a name%s", index ? " or name[t]" : "");
}

static bool check_targets(Parser *p, ExprList *targets, bool index)
{
    Expr *first = targets->at[0];
    if (targets->n == 1 && first->kind == EX_tuple && first->args.n) { /* (a, b) = ... */
        ExprList flat = {0};
        for (int i = 0; i < first->args.n; i++)
            list_push(p->arena, &flat, first->args.at[i].value);
        *targets = flat;
    }
    for (int i = 0; i < targets->n; i++)
        if (!check_target(p, targets->at[i], index))
            return false;
    return true;
}

Stmt *stmt_assign(Parser *p, StmtKind kind, Span at, const Token *word, ExprList targets,
                  Expr *value)
{
    Stmt *s = stmt_new(p, kind, at, word);
    if (!check_targets(p, &targets, kind == ST_assign))
        s->kind = ST_error;
    s->targets = targets;
    s->value = value;
    return s;
}

Stmt *stmt_value(Parser *p, StmtKind kind, Span at, const Token *word, Expr *target, Expr *value)
{
    Stmt *s = stmt_new(p, kind, at, word);
    s->value = value;
    if (target) {
        if (!check_target(p, target, false))
            s->kind = ST_error;
        list_push(p->arena, &s->targets, target);
    }
    return s;
}

Stmt *stmt_mask(Parser *p, Stmt *output, const Token *name, Expr *mask)
{
    if (strcmp(name->text, "mask")) {
        error_at(p->diag, name->span, "unexpected `%s` after an output: only `: mask = ...` may "
                 "follow", name->text);
        output->kind = ST_error;
    }
    output->mask = mask;
    return output;
}

Stmt *stmt_decl(Parser *p, Span at, const Token *word, DeclaratorList decls)
{
    Stmt *s = stmt_new(p, ST_decl, at, word);
    s->decls = decls;
    return s;
}

Declarator decl_new(const Token *name)
{
    return (Declarator){.name = name->text, .span = name->span};
}

Stmt *stmt_body(Stmt *s, StmtList body)
{
    s->body = body;
    s->has_body = true;
    return s;
}

Stmt *stmt_for(Parser *p, Span at, const Token *word, ExprList names, Expr *in, StmtList body)
{
    Stmt *s = stmt_new(p, ST_for, at, word);
    if (!check_targets(p, &names, false))
        s->kind = ST_error;
    s->targets = names;
    s->value = in;
    return stmt_body(s, body);
}

Stmt *stmt_if(Parser *p, Span at, const Token *word, Expr *condition, StmtList body)
{
    Stmt *s = stmt_new(p, ST_if, at, word);
    s->value = condition;
    return stmt_body(s, body);
}

void stmt_else(Parser *p, Stmt *s, StmtList orelse)
{
    int levels = 1;
    const Stmt *inner = s;
    for (const StmtList *l = &orelse; l->n == 1 && l->at[0]->kind == ST_if; l = &inner->orelse) {
        inner = l->at[0];
        levels++;
    }
    if (levels > NESTING_MOST) {
        unsupported_at(p->diag, s->span, "more than %d `else if` in a row", NESTING_MOST);
        s->kind = ST_error;
        return;
    }
    s->orelse = orelse;
    s->has_orelse = true;
}

/* ---- definitions ---- */

/* The start of the line before the one that starts at `line`. */
static const char *line_above(const char *text, const char *line)
{
    line--;
    while (line > text && line[-1] != '\n')
        line--;
    return line;
}

/* What may stand left of a line's first token: the layout filter drops it. */
static const char blanks[] = " \t\r\f\v;\xEF\xBB\xBF";

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, blanks);
}

/* The comment lines right above the line at `lo`, without # and the space after it. */
static const char *doc_above(Parser *p, uint32_t lo)
{
    const char *end = p->text + lo;
    while (end > p->text && strchr(blanks, end[-1]))
        end--;
    const char *line = end;
    while (line > p->text && line[-1] == '\n' && *skip_blanks(line_above(p->text, line)) == '#')
        line = line_above(p->text, line);
    if (line == end)
        return NULL;
    LIST(char) doc = {0};
    while (line < end) {
        const char *s = skip_blanks(line) + 1, *stop = s + strcspn(s, "\n");
        line = stop + 1;
        s += *s == ' ';
        while (stop > s && strchr(" \t\r", stop[-1]))
            stop--;
        for (; s < stop; s++)
            list_push(p->arena, &doc, *s);
        list_push(p->arena, &doc, line < end ? '\n' : '\0');
    }
    return doc.at;
}

Stmt *stmt_named(Parser *p, StmtKind kind, Span head, const Token *word, const Token *name)
{
    Stmt *s = stmt_new(p, kind, head, word);
    if (name) {
        s->name = name->text;
        s->name_span = name->span;
    }
    s->doc = doc_above(p, word->span.lo);
    return s;
}

Stmt *stmt_import(Parser *p, Span at, const Token *word, const Token *path)
{
    Stmt *s = stmt_new(p, ST_import, at, word);
    s->text = path->text;
    s->name_span = path->span;
    return s;
}

void check_language(Parser *p, const Token *version)
{
    enum { KNOWN = 1 };
    if (version->integer != KNOWN)
        unsupported_at(p->diag, version->span, "this file is written in version %lld of the "
                       "language; this weft knows version %d", (long long)version->integer, KNOWN);
}
