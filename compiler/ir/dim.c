/* Extents and shapes: arithmetic in normal form, comparison, text.
 *
 * An extent is floor((mul * sym + add) / div) with div > 0 and mul, div without
 * a common factor; add is then unique too, so that equal functions of a length
 * are equal structs. A plain number has mul 0, div 1. */
#include "ir/check.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b < 0 ? q - 1 : q;
}

static int64_t gcd(int64_t a, int64_t b)
{
    a = a < 0 ? -a : a;
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

Dim dim_int(int64_t v)
{
    return (Dim){SYM_none, 1, 0, v};
}

Dim dim_sym(int sym)
{
    return (Dim){sym, 1, 1, 0};
}

bool dim_equal(Dim a, Dim b)
{
    if (a.sym == SYM_none || b.sym == SYM_none)
        return a.sym == b.sym && a.add == b.add;
    return a.sym == b.sym && a.mul == b.mul && a.add == b.add && a.div == b.div;
}

bool dim_is(Dim a, int64_t v)
{
    return a.sym == SYM_none && a.add == v;
}

bool dim_const(Dim a, int64_t *v)
{
    if (a.sym != SYM_none)
        return false;
    *v = a.add;
    return true;
}

/* floor((mul * sym + add) / div) in normal form. */
static bool normal(int sym, int64_t mul, int64_t add, int64_t div, Dim *out)
{
    if (div <= 0)
        return false;
    if (sym == SYM_none || mul == 0) {
        *out = dim_int(floor_div(add, div));
        return true;
    }
    int64_t g = gcd(mul, div);
    div /= g;
    if (div > INT32_MAX)
        return false;
    *out = (Dim){sym, (int32_t)div, mul / g, floor_div(add, g)};
    return true;
}

bool dim_affine(Dim a, int64_t mul, int64_t add, int64_t div, Dim *out)
{
    int64_t m, b, d;
    if (div <= 0 || mul == INT64_MIN)
        return false;
    if (a.sym == SYM_none || mul == 0) {
        if (__builtin_mul_overflow(mul, a.add, &b) || __builtin_add_overflow(b, add, &b))
            return false;
        return normal(SYM_none, 0, b, div, out);
    }
    if (a.div == 1) {
        if (__builtin_mul_overflow(mul, a.mul, &m) || __builtin_mul_overflow(mul, a.add, &b) ||
            __builtin_add_overflow(b, add, &b) || m == INT64_MIN)
            return false;
        return normal(a.sym, m, b, div, out);
    }
    /* floor((floor(e / d) + add) / div) = floor((e + add * d) / (d * div)) */
    if (mul != 1 || __builtin_mul_overflow(add, (int64_t)a.div, &b) ||
        __builtin_add_overflow(b, a.add, &b) || __builtin_mul_overflow((int64_t)a.div, div, &d))
        return false;
    return normal(a.sym, a.mul, b, d, out);
}

bool dim_add(Dim a, Dim b, Dim *out)
{
    int64_t m, add;
    if (b.sym == SYM_none)
        return dim_affine(a, 1, b.add, 1, out);
    if (a.sym == SYM_none)
        return dim_affine(b, 1, a.add, 1, out);
    if (a.sym != b.sym || a.div != 1 || b.div != 1 || __builtin_add_overflow(a.mul, b.mul, &m) ||
        __builtin_add_overflow(a.add, b.add, &add))
        return false;
    return normal(a.sym, m, add, 1, out);
}

static bool is_symbol(Dim d, int sym)
{
    return d.sym == sym && d.mul == 1 && d.add == 0 && d.div == 1;
}

Shape shape_of(int rank, ...)
{
    Shape s = {.rank = rank};
    va_list ap;
    va_start(ap, rank);
    for (int i = 0; i < rank; i++)
        s.d[i] = va_arg(ap, Dim);
    va_end(ap);
    return s;
}

bool shape_equal(const Shape *a, const Shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (!dim_equal(a->d[i], b->d[i]))
            return false;
    return true;
}

bool shape_has_batch(const Shape *s)
{
    return s->rank > 0 && is_symbol(s->d[0], SYM_N);
}

bool shape_has_shards(const Shape *s)
{
    return s->rank > 0 && is_symbol(s->d[0], SYM_S);
}

bool shape_count(const Shape *s, int from, int64_t *count)
{
    *count = 1;
    for (int i = from; i < s->rank; i++) {
        int64_t v;
        if (s->d[i].sym == SYM_N || s->d[i].sym == SYM_S)
            continue;
        if (!dim_const(s->d[i], &v) || __builtin_mul_overflow(*count, v, count))
            return false;
    }
    return true;
}

bool shape_broadcast(const Shape *a, const Shape *b, Shape *out)
{
    int la = shape_has_batch(a) ? SYM_N : shape_has_shards(a) ? SYM_S : SYM_none;
    int lb = shape_has_batch(b) ? SYM_N : shape_has_shards(b) ? SYM_S : SYM_none;
    if (la && lb && la != lb)
        return false;
    int lead = la ? la : lb, na = a->rank - !!la, nb = b->rank - !!lb, n = na > nb ? na : nb;
    Shape s = {.rank = n + !!lead};
    if (s.rank > RANK_MOST)
        return false;
    if (lead)
        s.d[0] = dim_sym(lead);
    for (int i = 1; i <= n; i++) {
        Dim x = i <= na ? a->d[a->rank - i] : dim_int(1);
        Dim y = i <= nb ? b->d[b->rank - i] : dim_int(1);
        if (!dim_equal(x, y) && !dim_is(x, 1) && !dim_is(y, 1))
            return false;
        s.d[s.rank - i] = dim_is(x, 1) ? y : x;
    }
    *out = s;
    return true;
}

/* ---- text ---- */

const Graph *graph_outermost(const Graph *g)
{
    while (g && g->outer)
        g = g->outer;
    return g;
}

bool is_word(const char *s)
{
    if (!isalpha((unsigned char)*s) && *s != '_')
        return false;
    while (isalnum((unsigned char)*s) || *s == '_')
        s++;
    return !*s;
}

char *quoted(Arena *a, const char *s)
{
    char *out = arena_alloc(a, 4 * strlen(s) + 3), *p = out;
    *p++ = '"';
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            *p++ = '\\';
        if ((unsigned char)*s < ' ')
            p += sprintf(p, "\\x%02x", (unsigned char)*s);
        else
            *p++ = *s;
    }
    *p++ = '"';
    return out;
}

static const char *symbol_text(Arena *a, const Graph *g, int sym, bool quote)
{
    g = graph_outermost(g);
    if (sym == SYM_N)
        return "N";
    if (sym == SYM_S)
        return "S";
    if (!g || sym < SYM_length || sym - SYM_length >= g->lengths.n)
        return arena_printf(a, "length_%d", sym - SYM_length);
    const char *name = g->lengths.at[sym - SYM_length];
    bool odd = !is_word(name) || !strcmp(name, "N") || !strcmp(name, "S");
    return quote && odd ? quoted(a, name) : name;
}

static char *extent_text(Arena *a, const Graph *g, Dim d, bool quote)
{
    if (d.sym == SYM_none)
        return arena_printf(a, "%" PRId64, d.add);
    const char *t = symbol_text(a, g, d.sym, quote);
    if (d.mul == -1)
        t = arena_printf(a, "-%s", t);
    else if (d.mul != 1)
        t = arena_printf(a, "%" PRId64 "*%s", d.mul, t);
    if (d.add)
        t = arena_printf(a, "%s%+" PRId64, t, d.add);
    if (d.div == 1)
        return arena_strdup(a, t);
    return arena_printf(a, d.add ? "(%s)/%d" : "%s/%d", t, (int)d.div);
}

static char *extents_text(Arena *a, const Graph *g, const Shape *s, int from, bool quote)
{
    char *t = arena_strdup(a, "[");
    for (int i = from; i < s->rank; i++)
        t = arena_printf(a, i > from ? "%s, %s" : "%s%s", t, extent_text(a, g, s->d[i], quote));
    return arena_printf(a, "%s]", t);
}

static char *whole_type(Arena *a, const Graph *g, const Node *n, bool quote)
{
    if (n->op == OP_scan)
        return arena_strdup(a, "scan");
    return arena_printf(a, "%s%s", dtype_name(n->dtype),
                        n->shape.rank ? extents_text(a, g, &n->shape, 0, quote) : "");
}

char *dim_text(Arena *a, const Graph *g, Dim d)
{
    return extent_text(a, g, d, false);
}

char *dim_text_quoted(Arena *a, const Graph *g, Dim d)
{
    return extent_text(a, g, d, true);
}

char *shape_text(Arena *a, const Graph *g, const Shape *s)
{
    return extents_text(a, g, s, shape_has_batch(s), false);
}

char *type_text(Arena *a, const Graph *g, const Node *n)
{
    return whole_type(a, g, n, false);
}

char *type_text_quoted(Arena *a, const Graph *g, const Node *n)
{
    return whole_type(a, g, n, true);
}
