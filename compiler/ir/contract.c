/* Products in index notation: parsing, printing, and their shape rule. */
#include "ir/contract.h"
#include "ir/check.h"

#include <ctype.h>
#include <stdio.h>
#include <inttypes.h>
#include <string.h>

int axis_label(const ContractAxis *x)
{
    return x->n == 1 && x->coef[0] == 1 ? x->label[0] : -1;
}

bool contract_has(const Contract *c, int term, int o, int label)
{
    for (int i = 0; i < c->term[term].rank[o]; i++)
        for (int k = 0; k < c->term[term].axis[o][i].n; k++)
            if (c->term[term].axis[o][i].label[k] == label)
                return true;
    return false;
}

bool contract_is_affine(const Contract *c)
{
    for (int t = 0; t < c->nterm; t++)
        for (int o = 0; o < 2; o++)
            for (int i = 0; i < c->term[t].rank[o]; i++)
                if (axis_label(&c->term[t].axis[o][i]) < 0)
                    return true;
    return false;
}

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

/* The index of the label at *s in the table, where new ones are appended. */
static int parse_label(const char **s, Contract *c, int t, int o, const char **why)
{
    int l = label_index(c, **s);
    if (l < 0 && c->nlabel == LABELS_MOST) {
        *why = "too many labels";
        return -1;
    }
    if (l < 0) {
        l = c->nlabel;
        c->label[c->nlabel++] = **s;
    }
    if (contract_has(c, t, o, l)) {
        *why = "an operand has a label twice";
        return -1;
    }
    ++*s;
    return l;
}

/* A number from 1 on at *s. */
static bool parse_number(const char **s, int32_t *out)
{
    int32_t v = 0;
    for (; isdigit((unsigned char)**s) && v <= COEF_MOST; ++*s)
        v = 10 * v + (**s - '0');
    *out = v;
    return v >= 1 && v <= COEF_MOST;
}

/* "(2h+i:3)" at *s, as the operand's axis x, which is counted already. */
static bool parse_sum(const char **s, Contract *c, int t, int o, ContractAxis *x, const char **why)
{
    *why = "a sum of labels is like (2h+i)";
    do {
        int32_t coef = 1, extent = 0;
        ++*s;
        if (isdigit((unsigned char)**s) && !parse_number(s, &coef))
            return false;
        if (!is_label(**s) || **s == 'n' || **s == 's' || x->n == PARTS_MOST)
            return false;
        int l = parse_label(s, c, t, o, why);
        if (l < 0)
            return false;
        if (**s == ':' && (++*s, !parse_number(s, &extent)))
            return false;
        if (extent)
            c->written[l] = extent;
        x->label[x->n] = (int8_t)l;
        x->coef[x->n++] = coef;
    } while (**s == '+');
    if (*(*s)++ != ')' || axis_label(x) >= 0)
        return false;
    return true;
}

/* One operand's axes at *s; new labels are appended to the table. */
static bool parse_operand(const char **s, Contract *c, int t, int o, const char **why)
{
    int *rank = &c->term[t].rank[o];
    while (is_label(**s) || **s == '(') {
        if (*rank == RANK_MOST) {
            *why = "an operand has too many labels";
            return false;
        }
        ContractAxis *x = &c->term[t].axis[o][*rank];
        ++*rank;
        if (**s == '(') {
            if (!parse_sum(s, c, t, o, x, why))
                return false;
            continue;
        }
        int l = parse_label(s, c, t, o, why);
        if (l < 0)
            return false;
        *x = (ContractAxis){1, {(int8_t)l}, {1}};
    }
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
    return contract_has(c, t, 0, l) || contract_has(c, t, 1, l);
}

static void add_sum(Contract *c, int t, int l)
{
    for (int k = 0; k < c->term[t].nsum; k++)
        if (c->term[t].sum[k] == l)
            return;
    if (l >= c->nout)
        c->term[t].sum[c->term[t].nsum++] = l;
}

static void find_sums(Contract *c, int t)
{
    for (int o = 0; o < 2; o++)
        for (int i = 0; i < c->term[t].rank[o]; i++)
            for (int k = 0; k < c->term[t].axis[o][i].n; k++)
                add_sum(c, t, c->term[t].axis[o][i].label[k]);
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

/* Characters that an axis takes at most: "(1048576a:1048576+...)". */
enum { AXIS_TEXT = 20 * PARTS_MOST };

static char *write_axis(char *p, const Contract *c, const ContractAxis *x)
{
    if (axis_label(x) >= 0) {
        *p++ = c->label[axis_label(x)];
        return p;
    }
    for (int i = 0; i < x->n; i++) {
        int32_t extent = c->written[x->label[i]];
        *p++ = i ? '+' : '(';
        if (x->coef[i] != 1)
            p += sprintf(p, "%d", (int)x->coef[i]);
        *p++ = c->label[x->label[i]];
        if (extent)
            p += sprintf(p, ":%d", (int)extent);
    }
    *p++ = ')';
    return p;
}

static char *write_operand(char *p, const Contract *c, int t, int o)
{
    for (int i = 0; i < c->term[t].rank[o]; i++)
        p = write_axis(p, c, &c->term[t].axis[o][i]);
    return p;
}

char *contract_operand(Arena *a, const Contract *c, int term, int o)
{
    char *text = arena_alloc(a, (size_t)c->term[term].rank[o] * AXIS_TEXT + 1);
    *write_operand(text, c, term, o) = 0;
    return text;
}

char *contract_text(Arena *a, const Contract *c)
{
    size_t axes = RANK_MOST + 3;
    for (int t = 0; t < c->nterm; t++)
        axes += (size_t)(c->term[t].rank[0] + c->term[t].rank[1] + 2);
    char *text = arena_alloc(a, axes * AXIS_TEXT), *p = text;
    for (int t = 0; t < c->nterm; t++) {
        p = write_operand(p, c, t, 0);
        *p++ = ',';
        p = write_operand(p, c, t, 1);
        if (t + 1 < c->nterm)
            *p++ = '+';
    }
    *p++ = '-';
    *p++ = '>';
    for (int l = 0; l < c->nout; l++)
        *p++ = c->label[l];
    *p = 0;
    return text;
}

void contract_of(const Node *n, Contract *c)
{
    const char *why, *spec = attr_str(n, ATTR_spec);
    if (!contract_parse(spec, c, &why))
        bug("product \"%s\": %s", spec, why);
}

/* ---- extents ---- */

/* What the sum without part `skip` (or none: -1) reaches at most; false while an
 * extent is not known or has no form. */
static bool sum_reach(const ContractAxis *x, int skip, const Dim *extent, const bool *known,
                      Dim *reach)
{
    *reach = dim_int(0);
    for (int i = 0; i < x->n; i++) {
        Dim by;
        if (i == skip)
            continue;
        if (!known[x->label[i]] ||
            !dim_affine(extent[x->label[i]], x->coef[i], -x->coef[i], 1, &by) ||
            !dim_add(*reach, by, reach))
            return false;
    }
    return true;
}

/* The one label of a sum whose extent is not known: as many as fit. */
static bool derive(const ContractAxis *x, Dim dim, Dim *extent, bool *known)
{
    int open = -1, n = 0;
    for (int i = 0; i < x->n; i++)
        if (!known[x->label[i]]) {
            open = i;
            n++;
        }
    Dim reach, rest;
    if (n != 1 || !sum_reach(x, open, extent, known, &reach) ||
        !dim_affine(reach, -1, -1, 1, &reach) || !dim_add(dim, reach, &rest) ||
        !dim_affine(rest, 1, x->coef[open], x->coef[open], &extent[x->label[open]]))
        return false;
    known[x->label[open]] = true;
    return true;
}

/* Extents that no axis gives directly; false when one is left without. */
static bool derive_all(const Contract *c, Node *const *factor, Dim *extent, bool *known)
{
    for (int l = 0; l < c->nlabel; l++)
        if (!known[l] && c->written[l]) {
            extent[l] = dim_int(c->written[l]);
            known[l] = true;
        }
    for (bool more = true; more;) {
        more = false;
        for (int t = 0; t < c->nterm; t++)
            for (int o = 0; o < 2; o++)
                for (int i = 0; i < c->term[t].rank[o]; i++)
                    more |= derive(&c->term[t].axis[o][i], factor[2 * t + o]->shape.d[i], extent,
                                   known);
    }
    for (int l = 0; l < c->nlabel; l++)
        if (!known[l])
            return false;
    return true;
}

void contract_extents_of(Node *const *factor, const Contract *c, Dim *extent)
{
    bool known[LABELS_MOST] = {false};
    if (c->batch) {
        extent[0] = dim_sym(SYM_S);
        known[0] = true;
    }
    for (int t = 0; t < c->nterm; t++)
        for (int o = 0; o < 2; o++)
            for (int i = 0; i < c->term[t].rank[o]; i++) {
                int l = axis_label(&c->term[t].axis[o][i]);
                if (l < 0)
                    continue;
                extent[l] = factor[2 * t + o]->shape.d[i];
                known[l] = true;
            }
    if (!derive_all(c, factor, extent, known))
        bug("a label of a product has no extent");
}

void contract_extents(const Node *n, const Contract *c, Dim *extent)
{
    contract_extents_of(n->in + attr_int(n, ATTR_acc, 0), c, extent);
}

/* ---- shape rule ---- */

typedef struct { bool known; Dim d; int operand; } Extent;

/* Operand k's axes against the extents known so far. */
static bool match_operand(Check *c, const Contract *p, const ContractAxis *axis, int k,
                          Extent *extent)
{
    const Shape *s = &c->in[k]->shape;
    for (int i = 0; i < s->rank; i++) {
        int label = axis_label(&axis[i]);
        char l = label < 0 ? 0 : p->label[label];
        bool lead = i == 0 && (shape_has_batch(s) || shape_has_shards(s));
        if (lead != (l == 'n' || l == 's') || (lead && (l == 'n') != shape_has_batch(s)))
            return check_fail(c, "operand %d of \"%s\" is %s: n labels the batch and s the shards",
                              k, attr_find(c->attr, c->nattr, ATTR_spec)->u.s,
                              shape_has_batch(s) ? "per sample" : check_shape(c, k));
        if (label < 0)
            continue;
        Extent *e = &extent[label];
        if (!e->known) {
            *e = (Extent){true, s->d[i], k};
        } else if (!dim_equal(e->d, s->d[i])) {
            Arena *a = c->g->arena;
            return check_fail(c, "cannot multiply %s by %s: %s %s and %s differ",
                              check_shape(c, e->operand), check_shape(c, k),
                              label < p->nout ? "sizes" : "inner sizes",
                              dim_text(a, c->g, e->d), dim_text(a, c->g, s->d[i]));
        }
    }
    return true;
}

/* Sums: extents that only they give, and no window beyond the end of its axis. */
static bool match_sums(Check *c, const Contract *p, int acc, Extent *extent)
{
    Dim dim[LABELS_MOST], reach;
    bool known[LABELS_MOST] = {false};
    const char *spec = attr_find(c->attr, c->nattr, ATTR_spec)->u.s;
    int64_t v, most;
    for (int l = 0; l < p->nlabel; l++) {
        dim[l] = extent[l].d;
        known[l] = extent[l].known;
    }
    if (p->batch)
        known[0] = true;
    if (!derive_all(p, c->in + acc, dim, known))
        return check_fail(c, "the extent of a label of \"%s\" is not known", spec);
    for (int l = 0; l < p->nlabel; l++)
        extent[l].d = dim[l];
    for (int t = 0; t < p->nterm; t++)
        for (int o = 0; o < 2; o++)
            for (int i = 0; i < p->term[t].rank[o]; i++) {
                const ContractAxis *x = &p->term[t].axis[o][i];
                if (axis_label(x) >= 0 || !sum_reach(x, -1, dim, known, &reach) ||
                    !dim_const(reach, &v) ||
                    !dim_const(c->in[acc + 2 * t + o]->shape.d[i], &most))
                    continue;
                bool fits = v < most;
                for (int k = 0; k < x->n; k++)
                    fits &= !dim_const(dim[x->label[k]], &v) || v >= 1;
                if (!fits)
                    return check_fail(c, "a window of \"%s\" does not fit into %s", spec,
                                      check_shape(c, acc + 2 * t + o));
            }
    return true;
}

static bool check_factors(Check *c, const Contract *p, int acc)
{
    if (c->nin != acc + 2 * p->nterm)
        return check_fail(c, "%d operands for \"%s\"", c->nin,
                          attr_find(c->attr, c->nattr, ATTR_spec)->u.s);
    Dtype factor = c->in[c->nin - 1]->dtype;
    int64_t is_unsigned = check_int(c, ATTR_unsigned);
    bool whole = c->op == OP_contract && (factor == DT_i8 || factor == DT_i32);
    c->dt = whole ? DT_i32 : c->in[0]->dtype;
    if (is_unsigned && (factor != DT_i32 || is_unsigned < 0 || is_unsigned > 3))
        return check_fail(c, "attribute unsigned is %" PRId64 " with factors of %s", is_unsigned,
                          dtype_name(factor));
    for (int i = 0; i < c->nin; i++) {
        if (whole && c->in[i]->dtype == (i < acc ? DT_i32 : factor))
            continue;
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
    if (!match_sums(c, &p, acc, extent))
        return false;
    c->s.rank = p.nout;
    for (int l = 0; l < p.nout; l++)
        c->s.d[l] = p.batch && l == 0 ? dim_sym(SYM_S) : extent[l].d;
    if (acc && !shape_equal(&c->s, &c->in[0]->shape))
        return check_fail(c, "the chains continue %s, the product is %s", check_shape(c, 0),
                          shape_text(c->g->arena, c->g, &c->s));
    return true;
}

bool check_words(Check *c)
{
    const Shape *x = &c->in[0]->shape;
    int64_t axis = check_int(c, ATTR_axis), is_unsigned = check_int(c, ATTR_unsigned), extent;
    if (c->in[0]->dtype != DT_f32 && c->in[0]->dtype != DT_i8)
        return check_fail(c, "words are made of f32 or i8, found %s",
                          dtype_name(c->in[0]->dtype));
    if (axis < 0 || axis >= x->rank || !dim_const(x->d[axis], &extent))
        return check_fail(c, "%s has no axis %" PRId64 " of known extent", check_shape(c, 0), axis);
    if (is_unsigned != 0 && is_unsigned != 1)
        return check_fail(c, "attribute unsigned is %" PRId64, is_unsigned);
    c->dt = DT_i32;
    c->s = *x;
    c->s.d[axis] = dim_int((extent + 3) / 4);
    return true;
}
