/* Small questions about the syntax of a train block's values and of bodies. */
#include "train.h"

#include <string.h>

static bool among(const char *s, const char *const *names, int n)
{
    for (int i = 0; s && i < n; i++)
        if (strcmp(s, names[i]) == 0)
            return true;
    return false;
}

const Expr *expr_mentions(const Expr *e, const char *const *names, int n)
{
    if (!e)
        return NULL;
    if (e->kind == EX_name && among(e->text, names, n))
        return e;
    for (int i = 0; i < 3; i++) {
        const Expr *found = expr_mentions(e->kid[i], names, n);
        if (found)
            return found;
    }
    for (int i = 0; i < e->args.n; i++) {
        const Expr *found = expr_mentions(e->args.at[i].value, names, n);
        if (found)
            return found;
    }
    return NULL;
}

const Expr *stmt_mentions(const Stmt *s, const char *const *names, int n)
{
    const Expr *found = expr_mentions(s->value, names, n);
    for (int i = 0; !found && i < s->targets.n; i++)
        if (s->targets.at[i]->kind != EX_name)
            found = expr_mentions(s->targets.at[i], names, n);
    for (int i = 0; !found && i < s->decls.n; i++)
        found = expr_mentions(s->decls.at[i].init, names, n);
    for (int i = 0; !found && i < s->body.n; i++)
        found = stmt_mentions(s->body.at[i], names, n);
    for (int i = 0; !found && i < s->orelse.n; i++)
        found = stmt_mentions(s->orelse.at[i], names, n);
    return found;
}

static const Arg *name_arg(const Expr *e)
{
    for (int i = 0; e->kind == EX_call && i < e->args.n; i++) {
        const Arg *arg = &e->args.at[i];
        if (arg->name && !strcmp(arg->name, "name") &&
            (arg->value->kind == EX_string || arg->value->kind == EX_name))
            return arg;
    }
    return NULL;
}

const char *spoken_name(Arena *a, const Expr *e)
{
    const Arg *named = name_arg(e);
    if (named)
        return named->value->text;
    const Expr *f = e->kind == EX_call ? e->kid[0] : e;
    return f->kind == EX_name || f->kind == EX_string ? snake_case(a, f->text) : expr_text(a, f);
}

const Expr *without_name(Arena *a, const Expr *e)
{
    const Arg *named = name_arg(e);
    if (!named)
        return e;
    Expr *copy = NEW(a, Expr);
    *copy = *e;
    copy->args = (ArgList){0};
    for (int i = 0; i < e->args.n; i++)
        if (&e->args.at[i] != named)
            list_push(a, &copy->args, e->args.at[i]);
    return copy;
}

const char *dict_key(const Arg *arg)
{
    if (arg->name)
        return arg->name;
    bool word = arg->key && (arg->key->kind == EX_string || arg->key->kind == EX_name);
    return word ? arg->key->text : NULL;
}

const Expr *for_output(const Expr *e, const char *output)
{
    if (!e || e->kind != EX_dict)
        return e;
    for (int i = 0; output && i < e->args.n; i++)
        if (among(dict_key(&e->args.at[i]), &output, 1))
            return e->args.at[i].value;
    return NULL;
}

bool check_output_keys(Expander *x, const Expr *e, const char *what, const char *const *names,
                       int n)
{
    bool ok = true;
    for (int i = 0; e && e->kind == EX_dict && i < e->args.n; i++) {
        const Arg *arg = &e->args.at[i];
        const char *key = dict_key(arg);
        bool known_key = false;
        for (int k = 0; key && k < n; k++)
            known_key |= names[k] && !strcmp(names[k], key);
        if (known_key)
            continue;
        const char **all = NEW_ARRAY(x->a, const char *, n + 1);
        int known = 0;
        for (int k = 0; k < n; k++)
            if (names[k])
                all[known++] = names[k];
        const char *near = key ? nearest_name(key, all, known) : NULL;
        Span at = arg->name ? arg->name_span : arg->value->span;
        ok = error_at(x->d, at, "%s: the model has no output '%s'%s%s", what,
                      key ? key : "?", near ? "; did you mean " : "",
                      near ? near : "");
    }
    return ok;
}
