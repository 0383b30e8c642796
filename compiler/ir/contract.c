/* Products in index notation: parsing, printing, and their shape rule. */
#include "ir/contract.h"
#include "ir/check.h"

#include <ctype.h>
#include <string.h>

/* ---- parsing ---- */

static int label_index(const Contract *c, char l)
{
    for (int i = 0; i < c->nlabel; i++)
        if (c->label[i] == l)
            return i;
    return -1;
}

static bool is_label(char l)
{
    return (l >= 'a' && l <= 'z') || (l >= 'A' && l <= 'Z');
}

/* One operand's labels at *s; new ones are appended to the table. */
static bool parse_operand(const char **s, Contract *c, int t, int o, const char **why)
{
    int rank = 0;
    for (; is_label(**s); ++*s) {
        int l = label_index(c, **s);
        if (rank == RANK_MOST) {
            *why = "an operand has too many labels";
            return false;
        }
        if (l < 0 && c->nlabel == LABELS_MOST) {
            *why = "too many labels";
            return false;
        }
        if (l < 0) {
            l = c->nlabel;
            c->label[c->nlabel++] = **s;
        }
        for (int i = 0; i < rank; i++)
            if (c->term[t].axis[o][i] == l) {
                *why = "an operand has a label twice";
                return false;
            }
        c->term[t].axis[o][rank++] = l;
    }
    c->term[t].rank[o] = rank;
    return true;
}

static bool parse_output(const char *s, Contract *c, const char **why)
{
    for (; is_label(*s); s++) {
        if (label_index(c, *s) >= 0) {
            *why = "the output has a label twice";
            return false;
        }
        if (c->nlabel == RANK_MOST) {
            *why = "the output has too many labels";
            return false;
        }
        c->label[c->nlabel++] = *s;
    }
    if (*s) {
        *why = "the output is not letters";
        return false;
    }
    c->nout = c->nlabel;
    return true;
}

static bool parse_terms(const char *s, const char *end, Contract *c, const char **why)
{
    for (;; s++) {
        int t = c->nterm++;
        if (t == TERMS_MOST) {
            *why = "too many terms";
            return false;
        }
        if (!parse_operand(&s, c, t, 0, why))
            return false;
        if (*s++ != ',') {
            *why = "a term is two operands with a comma between them";
            return false;
        }
        if (!parse_operand(&s, c, t, 1, why))
            return false;
        if (s == end)
            return true;
        if (*s != '+') {
            *why = "terms are joined by +";
            return false;
        }
    }
}

static bool term_has(const Contract *c, int t, int l)
{
    for (int o = 0; o < 2; o++)
        for (int i = 0; i < c->term[t].rank[o]; i++)
            if (c->term[t].axis[o][i] == l)
                return true;
    return false;
}

static void find_sums(Contract *c, int t)
{
    for (int o = 0; o < 2; o++)
        for (int i = 0; i < c->term[t].rank[o]; i++) {
            int l = c->term[t].axis[o][i];
            bool had = l < c->nout;
            for (int k = 0; k < c->term[t].nsum; k++)
                had |= c->term[t].sum[k] == l;
            if (!had)
                c->term[t].sum[c->term[t].nsum++] = l;
        }
}

/* Where 'n' and 's' may stand. */
static bool check_batch_labels(Contract *c, const char **why)
{
    int n = label_index(c, 'n'), s = label_index(c, 's');
    c->batch = n >= c->nout;
    *why = NULL;
    if (c->batch && (s != 0 || c->nterm != 1))
        *why = "a product over the batch is one term and its output begins with s";
    else if (c->batch && term_has(c, 0, s))
        *why = "a product over the batch has no operand of shards";
    else if (s >= c->nout)
        *why = "shards are not summed in a product";
    else if ((n > 0 && n < c->nout) || (s > 0 && s < c->nout))
        *why = "n or s is the output's first label";
    return !*why;
}

bool contract_parse(const char *spec, Contract *c, const char **why)
{
    memset(c, 0, sizeof *c);
    const char *arrow = strstr(spec, "->");
    if (!arrow) {
        *why = "there is no ->";
        return false;
    }
    if (!parse_output(arrow + 2, c, why) || !parse_terms(spec, arrow, c, why))
        return false;
    for (int l = 0; l < c->nout; l++) {
        bool had = c->label[l] == 's' && label_index(c, 'n') >= c->nout;
        for (int t = 0; t < c->nterm; t++)
            had |= term_has(c, t, l);
        if (!had) {
            *why = "a label of the output is in no operand";
            return false;
        }
    }
    for (int t = 0; t < c->nterm; t++)
        find_sums(c, t);
    return check_batch_labels(c, why);
}

char *contract_text(Arena *a, const Contract *c)
{
    char *text = arena_alloc(a, (size_t)c->nterm * (2 * RANK_MOST + 2) + RANK_MOST + 3), *p = text;
    for (int t = 0; t < c->nterm; t++) {
        for (int o = 0; o < 2; o++) {
            for (int i = 0; i < c->term[t].rank[o]; i++)
                *p++ = c->label[c->term[t].axis[o][i]];
            if (!o)
                *p++ = ',';
        }
        if (t + 1 < c->nterm)
            *p++ = '+';
    }
    *p++ = '-';
    *p++ = '>';
    for (int l = 0; l < c->nout; l++)
        *p++ = c->label[l];
    return text;
}

void contract_of(const Node *n, Contract *c)
{
    const char *why, *spec = attr_str(n, ATTR_spec);
    if (!contract_parse(spec, c, &why))
        bug("product \"%s\": %s", spec, why);
}

void contract_extents(const Node *n, const Contract *c, Dim *extent)
{
    int acc = (int)attr_int(n, ATTR_acc, 0);
    for (int t = 0; t < c->nterm; t++)
        for (int o = 0; o < 2; o++)
            for (int i = 0; i < c->term[t].rank[o]; i++)
                extent[c->term[t].axis[o][i]] = n->in[acc + 2 * t + o]->shape.d[i];
    if (c->batch)
        extent[0] = dim_sym(SYM_S);
}

/* ---- shape rule ---- */

typedef struct { bool known; Dim d; int operand; } Extent;

/* Operand k's axes against the extents known so far. */
static bool match_operand(Check *c, const Contract *p, const int *axis, int k, Extent *extent)
{
    const Shape *s = &c->in[k]->shape;
    for (int i = 0; i < s->rank; i++) {
        Extent *e = &extent[axis[i]];
        char l = p->label[axis[i]];
        bool lead = i == 0 && (shape_has_batch(s) || shape_has_shards(s));
        if (lead != (l == 'n' || l == 's') || (lead && (l == 'n') != shape_has_batch(s)))
            return check_fail(c, "operand %d of \"%s\" is %s: n labels the batch and s the shards",
                              k, attr_find(c->attr, c->nattr, ATTR_spec)->u.s,
                              shape_has_batch(s) ? "per sample" : check_shape(c, k));
        if (!e->known) {
            *e = (Extent){true, s->d[i], k};
        } else if (!dim_equal(e->d, s->d[i])) {
            Arena *a = c->g->arena;
            return check_fail(c, "cannot multiply %s by %s: %s %s and %s differ",
                              check_shape(c, e->operand), check_shape(c, k),
                              axis[i] < p->nout ? "sizes" : "inner sizes",
                              dim_text(a, c->g, e->d), dim_text(a, c->g, s->d[i]));
        }
    }
    return true;
}

static bool check_factors(Check *c, const Contract *p, int acc)
{
    if (c->nin != acc + 2 * p->nterm)
        return check_fail(c, "%d operands for \"%s\"", c->nin,
                          attr_find(c->attr, c->nattr, ATTR_spec)->u.s);
    c->dt = c->in[0]->dtype;
    for (int i = 0; i < c->nin; i++) {
        if (!dtype_is_float(c->in[i]->dtype))
            return check_fail(c, "a product needs floats, found %s: write float(x)",
                              dtype_name(c->in[i]->dtype));
        if (c->in[i]->dtype != c->dt)
            return check_fail(c, "%s and %s do not mix: write float(x)", dtype_name(c->dt),
                              dtype_name(c->in[i]->dtype));
    }
    return true;
}

bool check_contract(Check *c)
{
    const char *spec = attr_find(c->attr, c->nattr, ATTR_spec)->u.s, *why;
    int acc = (int)check_int(c, ATTR_acc);
    Contract p;
    Extent extent[LABELS_MOST] = {0};
    if (acc != 0 && acc != 1)
        return check_fail(c, "attribute acc is %d", acc);
    if (!contract_parse(spec, &p, &why))
        return check_fail(c, "\"%s\": %s", spec, why);
    if (p.batch != (c->op == OP_batch_contract))
        return check_fail(c, "\"%s\" %s the batch", spec,
                          p.batch ? "sums over" : "does not sum over");
    if (!check_factors(c, &p, acc))
        return false;
    for (int t = 0; t < p.nterm; t++)
        for (int o = 0; o < 2; o++) {
            int k = acc + 2 * t + o;
            if (c->in[k]->shape.rank != p.term[t].rank[o])
                return check_fail(c, "%s has %d axes, \"%s\" names %d",
                                  type_text(c->g->arena, c->g, c->in[k]), c->in[k]->shape.rank,
                                  spec, p.term[t].rank[o]);
            if (!match_operand(c, &p, p.term[t].axis[o], k, extent))
                return false;
        }
    c->s.rank = p.nout;
    for (int l = 0; l < p.nout; l++)
        c->s.d[l] = p.batch && l == 0 ? dim_sym(SYM_S) : extent[l].d;
    if (acc && !shape_equal(&c->s, &c->in[0]->shape))
        return check_fail(c, "the chains continue %s, the product is %s", check_shape(c, 0),
                          shape_text(c->g->arena, c->g, &c->s));
    return true;
}
