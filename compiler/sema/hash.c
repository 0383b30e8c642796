/* A hash of definitions' meaning: of the tree, not of spaces and comments. */
#include "sema/internal.h"

#include <string.h>

/* FNV-1a, 64 bits. */
static void mix(uint64_t *h, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++)
        *h = (*h ^ p[i]) * 0x100000001B3u;
}

static void mix_int(uint64_t *h, int64_t v)
{
    mix(h, &v, sizeof v);
}

static void mix_text(uint64_t *h, const char *s)
{
    mix(h, s ? s : "", s ? strlen(s) + 1 : 1);
}

static void hash_expr(uint64_t *h, const Expr *e)
{
    mix_int(h, e ? (int64_t)e->kind : -1);
    if (!e)
        return;
    mix_int(h, e->op);
    mix_text(h, e->text);
    mix_int(h, e->integer);
    mix(h, &e->number, sizeof e->number);
    for (int i = 0; i < 3; i++)
        hash_expr(h, e->kid[i]);
    mix_int(h, e->args.n);
    for (int i = 0; i < e->args.n; i++) {
        mix_text(h, e->args.at[i].name);
        hash_expr(h, e->args.at[i].key);
        hash_expr(h, e->args.at[i].value);
    }
}

static void hash_body(uint64_t *h, Stmt *const *body, int n)
{
    mix_int(h, n);
    for (int i = 0; i < n; i++)
        hash_stmt(h, body[i]);
}

static void hash_declarator(uint64_t *h, const Declarator *d)
{
    mix_text(h, d->name);
    mix_int(h, d->has_dims ? d->dims.n : -1);
    for (int i = 0; i < d->dims.n; i++)
        hash_expr(h, d->dims.at[i]);
    mix_text(h, d->dtype);
    hash_expr(h, d->init);
    hash_body(h, d->extra.at, d->extra.n);
}

void hash_stmt(uint64_t *h, const Stmt *s)
{
    mix_int(h, s->kind);
    mix_text(h, s->word);
    mix_text(h, s->name);
    mix_text(h, s->text);
    mix_int(h, s->targets.n);
    for (int i = 0; i < s->targets.n; i++)
        hash_expr(h, s->targets.at[i]);
    hash_expr(h, s->value);
    hash_expr(h, s->mask);
    for (int i = 0; i < s->decls.n; i++)
        hash_declarator(h, &s->decls.at[i]);
    for (int i = 0; i < s->formals.n; i++) {
        mix_text(h, s->formals.at[i].name);
        hash_expr(h, s->formals.at[i].init);
    }
    hash_body(h, s->body.at, s->body.n);
    hash_body(h, s->orelse.at, s->orelse.n);
}

void note_used(Expander *x, const Definition *d)
{
    UnitState *st = x->state;
    bool part = d->kind == DEF_layer || d->kind == DEF_cell || d->kind == DEF_function;
    if (!part || st->published)
        return;
    for (int i = 0; i < st->used.n; i++)
        if (st->used.at[i] == d)
            return;
    list_push(st->a, &st->used, d);
    hash_stmt(&st->hash, d->stmt);
}
