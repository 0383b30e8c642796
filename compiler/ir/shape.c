/* What an operation's result is: the table of rules, and the rules of maps,
 * reductions, gather and scan. Views are in shape_view.c, products in
 * contract.c. A rule either fills in dtype and shape or leaves a sentence that
 * a user can act on; shapes in sentences leave the batch out. */
#include "ir/check.h"

#include <inttypes.h>
#include <string.h>

bool check_fail(Check *c, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    c->why = arena_vprintf(c->g->arena, format, ap);
    va_end(ap);
    return false;
}

int64_t check_int(const Check *c, AttrKey k)
{
    const Attr *a = attr_find(c->attr, c->nattr, k);
    return a ? a->u.i : 0;
}

const char *check_shape(const Check *c, int i)
{
    return shape_text(c->g->arena, c->g, &c->in[i]->shape);
}

/* ---- maps ---- */

typedef enum { MAP_float, MAP_number, MAP_compare, MAP_bool, MAP_select, MAP_any } MapType;

static const struct { MapType type; const char *phrase; } maps[NOP] = {
    [OP_neg] = {MAP_number, NULL},      [OP_abs] = {MAP_number, NULL},
    [OP_add] = {MAP_number, "add"},     [OP_sub] = {MAP_number, "subtract"},
    [OP_mul] = {MAP_number, "multiply"}, [OP_div] = {MAP_float, "divide"},
    [OP_max] = {MAP_number, NULL},      [OP_min] = {MAP_number, NULL},
    [OP_mod] = {MAP_number, NULL},      [OP_lt] = {MAP_compare, "compare"},
    [OP_le] = {MAP_compare, "compare"}, [OP_gt] = {MAP_compare, "compare"},
    [OP_ge] = {MAP_compare, "compare"}, [OP_eq] = {MAP_compare, "compare"},
    [OP_ne] = {MAP_compare, "compare"}, [OP_not] = {MAP_bool, NULL},
    [OP_and] = {MAP_bool, NULL},        [OP_or] = {MAP_bool, NULL},
    [OP_select] = {MAP_select, NULL},   [OP_stop_gradient] = {MAP_any, NULL},
};

bool is_weak(const Node *n)
{
    return n->dtype == DT_f64 && n->shape.rank == 0;
}

bool map_meets(Node *const *in, int from, int nin, Dtype *dt)
{
    bool strong = false;
    *dt = DT_f64;
    for (int i = from; i < nin; i++) {
        if (is_weak(in[i]))
            continue;
        if (strong && in[i]->dtype != *dt)
            return false;
        strong = true;
        *dt = in[i]->dtype;
    }
    for (int i = from; i < nin; i++) {
        if (in[i]->dtype == *dt || dtype_is_float(*dt))
            continue;
        if (*dt != DT_i32 || in[i]->op != OP_const)
            return false;
        double v = attr_get(in[i], ATTR_value)->u.f;
        if (!(v >= INT32_MIN && v <= INT32_MAX) || v != (double)(int32_t)v)
            return false;
    }
    return true;
}

static bool clash(Check *c, const char *x, const char *y)
{
    const char *phrase = maps[c->op].phrase;
    if (phrase && strcmp(phrase, "multiply"))
        return check_fail(c, "cannot %s %s and %s", phrase, x, y);
    if (phrase)
        return check_fail(c, "cannot multiply %s by %s", x, y);
    return check_fail(c, "%s cannot combine %s and %s", op_info[c->op].name, x, y);
}

bool check_map(Check *c)
{
    MapType type = maps[c->op].type;
    int from = type == MAP_select;
    const char *name = op_info[c->op].name;
    if (from && c->in[0]->dtype != DT_bool)
        return check_fail(c, "a condition is a bool, found %s", dtype_name(c->in[0]->dtype));
    if (c->nin - from > 1 && !map_meets(c->in, from, c->nin, &c->dt)) {
        Dtype x = c->in[from]->dtype, y = c->in[from + 1]->dtype;
        if (x == y || x == DT_bool || y == DT_bool)
            return check_fail(c, "%s cannot combine %s and %s", name, dtype_name(x), dtype_name(y));
        return check_fail(c, "%s and %s do not mix: write float(x)", dtype_name(x), dtype_name(y));
    }
    if (c->nin == 1)
        c->dt = c->in[0]->dtype;
    bool is_float = dtype_is_float(c->dt);
    if (type == MAP_bool && c->dt != DT_bool)
        return check_fail(c, "%s needs bool, found %s", name, dtype_name(c->dt));
    if (type == MAP_float && !is_float)
        return check_fail(c, "%s needs a float, found %s: write float(x)", name, dtype_name(c->dt));
    if ((type == MAP_number || type == MAP_compare) && !is_float && c->dt != DT_i32)
        return check_fail(c, "%s needs f32, f64 or i32, found %s: write float(x)", name,
                          dtype_name(c->dt));
    c->s = c->in[0]->shape;
    for (int i = 1; i < c->nin; i++) {
        Shape s = c->s;
        if (!shape_broadcast(&s, &c->in[i]->shape, &c->s))
            return clash(c, shape_text(c->g->arena, c->g, &s), check_shape(c, i));
    }
    if (type == MAP_compare)
        c->dt = DT_bool;
    return true;
}

/* ---- reductions, gather, batch ---- */

static bool is_lead(const Shape *s, int64_t axis)
{
    return axis == 0 && (shape_has_batch(s) || shape_has_shards(s));
}

bool check_reduce(Check *c)
{
    const Shape *x = &c->in[0]->shape;
    int64_t one = check_int(c, ATTR_axis);
    const Attr *axes = attr_find(c->attr, c->nattr, ATTR_axes);
    const int64_t *axis = axes ? axes->u.ints : &one;
    int n = axes ? axes->n : 1;
    Dtype dt = c->in[0]->dtype;
    if (!dtype_is_float(dt) && dt != DT_i32)
        return check_fail(c, "%s needs f32, f64 or i32, found %s: write float(x)",
                          op_info[c->op].name, dtype_name(dt));
    if (n < 1)
        return check_fail(c, "%s needs an axis", op_info[c->op].name);
    for (int i = 0; i < n; i++) {
        if (axis[i] < 0 || axis[i] >= x->rank)
            return check_fail(c, "%s has no axis %" PRId64, check_shape(c, 0), axis[i]);
        if (is_lead(x, axis[i]))
            return check_fail(c, "%s cannot reduce the batch", op_info[c->op].name);
        if (i && axis[i] <= axis[i - 1])
            return check_fail(c, "axis %" PRId64 " is not above axis %" PRId64, axis[i],
                              axis[i - 1]);
    }
    c->dt = c->op == OP_argmax ? DT_i32 : dt;
    c->s.rank = 0;
    for (int a = 0, i = 0; a < x->rank; a++) {
        if (i < n && axis[i] == a)
            i++;
        else
            c->s.d[c->s.rank++] = x->d[a];
    }
    return true;
}

static bool check_sum_shards(Check *c)
{
    const Node *x = c->in[0];
    if (!shape_has_shards(&x->shape) || !dtype_is_float(x->dtype))
        return check_fail(c, "the operand is not a tensor of shards");
    c->dt = x->dtype;
    c->s.rank = x->shape.rank - 1;
    for (int i = 0; i < c->s.rank; i++)
        c->s.d[i] = x->shape.d[i + 1];
    return true;
}

/* y, its arriving, then pairs whose second has the shape that the first is broadcast to. */
static bool check_own_gradient(Check *c)
{
    Shape s;
    if (c->nin < 2 || c->nin % 2 || c->in[1]->op != OP_arriving || c->in[1]->in[0] != c->in[0])
        return check_fail(c, "the operands are y, its arriving gradient and pairs x, dx");
    for (int i = 2; i < c->nin; i += 2) {
        const Node *x = c->in[i], *dx = c->in[i + 1];
        if (x->dtype != dx->dtype || !shape_broadcast(&x->shape, &dx->shape, &s) ||
            !shape_equal(&s, &dx->shape))
            return check_fail(c, "the gradient of %s is %s", check_shape(c, i),
                              check_shape(c, i + 1));
    }
    c->dt = c->in[0]->dtype;
    c->s = c->in[0]->shape;
    return true;
}

static bool check_arriving(Check *c)
{
    if (!dtype_is_float(c->in[0]->dtype))
        return check_fail(c, "no gradient arrives at %s", dtype_name(c->in[0]->dtype));
    c->dt = c->in[0]->dtype;
    c->s = c->in[0]->shape;
    return true;
}

/* The shape of rows of `table` taken by `indices`. */
static bool rows_of(Check *c, const Shape *table, const Node *indices, Shape *out)
{
    if (table->rank < 1 || is_lead(table, 0))
        return check_fail(c, "the table has no rows to index, found %s",
                          shape_text(c->g->arena, c->g, table));
    if (indices->dtype != DT_i32)
        return check_fail(c, "indices are i32, found %s", dtype_name(indices->dtype));
    *out = indices->shape;
    if (out->rank + table->rank - 1 > RANK_MOST)
        return check_fail(c, "the result has more than %d axes", RANK_MOST);
    for (int i = 1; i < table->rank; i++)
        out->d[out->rank++] = table->d[i];
    return true;
}

static bool check_gather(Check *c)
{
    c->dt = c->in[0]->dtype;
    return rows_of(c, &c->in[0]->shape, c->in[1], &c->s);
}

static bool check_scatter_add(Check *c)
{
    const Shape table = attr_find(c->attr, c->nattr, ATTR_shape)->u.shape;
    Shape rows;
    if (!rows_of(c, &table, c->in[0], &rows))
        return false;
    if (!dtype_is_float(c->in[1]->dtype))
        return check_fail(c, "values are floats, found %s", dtype_name(c->in[1]->dtype));
    if (!shape_equal(&rows, &c->in[1]->shape))
        return check_fail(c, "values are %s, needed %s", check_shape(c, 1),
                          shape_text(c->g->arena, c->g, &rows));
    c->dt = c->in[1]->dtype;
    c->s = table;
    return true;
}

static bool check_scan(Check *c)
{
    int64_t ncarry = check_int(c, ATTR_ncarry), nseq = check_int(c, ATTR_nseq);
    if (ncarry < 0 || nseq < 0 || ncarry > c->nin || nseq > c->nin - ncarry)
        return check_fail(c, "%" PRId64 " carries and %" PRId64 " sequences in %d operands", ncarry,
                          nseq, c->nin);
    c->dt = DT_f32;
    return true;
}

static bool check_result(Check *c)
{
    if (c->in[0]->op != OP_scan || !c->in[0]->body)
        return check_fail(c, "the operand is not a scan");
    if (!scan_result(c->in[0], check_int(c, ATTR_index), &c->dt, &c->s))
        return check_fail(c, "the scan has no result %" PRId64, check_int(c, ATTR_index));
    return true;
}

/* ---- the table ---- */

typedef bool (*Rule)(Check *c);

static const Rule rules[NOP] = {
#define MAP1(name, ...) [OP_##name] = check_map,
#define MAP2(name, ...) [OP_##name] = check_map,
#define MAP3(name, ...) [OP_##name] = check_map,
#include "ir/op.def"
    [OP_input] = check_leaf,
    [OP_const] = check_leaf,
    [OP_tensor] = check_leaf,
    [OP_iota] = check_leaf,
    [OP_dim] = check_leaf,
    [OP_row] = check_leaf,
    [OP_random] = check_random,
    [OP_orthogonal] = check_orthogonal,
    [OP_own_gradient] = check_own_gradient,
    [OP_arriving] = check_arriving,
    [OP_cast] = check_cast,
    [OP_broadcast] = check_broadcast,
    [OP_reshape] = check_reshape,
    [OP_transpose] = check_transpose,
    [OP_slice] = check_slice,
    [OP_pad] = check_pad,
    [OP_concat] = check_concat,
    [OP_reduce_sum] = check_reduce,
    [OP_reduce_max] = check_reduce,
    [OP_reduce_min] = check_reduce,
    [OP_argmax] = check_reduce,
    [OP_contract] = check_contract,
    [OP_words] = check_words,
    [OP_batch_contract] = check_contract,
    [OP_sum_shards] = check_sum_shards,
    [OP_gather] = check_gather,
    [OP_scatter_add] = check_scatter_add,
    [OP_scan] = check_scan,
    [OP_result] = check_result,
};

/* Every declared attribute is there, of its type, and nothing else. */
static bool check_attrs(Check *c)
{
    const char *name = op_info[c->op].name;
    for (int i = 0; i < c->nattr; i++) {
        const Attr *a = &c->attr[i];
        if (a->key >= NATTR || !op_takes(c->op, a->key))
            return check_fail(c, "%s takes no attribute %s", name,
                              a->key < NATTR ? attr_key_name(a->key) : "of that key");
        if (a->type != attr_key_type(a->key))
            return check_fail(c, "attribute %s is of the wrong type", attr_key_name(a->key));
        if (attr_find(c->attr, i, a->key))
            return check_fail(c, "attribute %s is given twice", attr_key_name(a->key));
        if (a->type == AT_shape && (a->u.shape.rank < 0 || a->u.shape.rank > RANK_MOST))
            return check_fail(c, "a shape has more than %d axes", RANK_MOST);
        if (a->key == ATTR_dtype && (a->u.i < 0 || a->u.i >= NDTYPE))
            return check_fail(c, "attribute dtype is no dtype");
        if (a->key == ATTR_role && (a->u.i < 0 || a->u.i >= NROLE))
            return check_fail(c, "attribute role is no role");
    }
    for (int k = 0; k < NATTR; k++)
        if (op_takes(c->op, k) && !attr_optional(k) && !attr_find(c->attr, c->nattr, k))
            return check_fail(c, "attribute %s is missing", attr_key_name(k));
    return true;
}

static const char *result_shape(Check *c)
{
    return shape_text(c->g->arena, c->g, &c->s);
}

/* What every result satisfies: N and S plain and leading, other extents at
 * least 1, and few enough elements that sizes in bytes cannot overflow. */
static bool check_extents(Check *c)
{
    const int64_t most = INT64_C(1) << 40;
    int64_t count = 1, v;
    for (int i = 0; i < c->s.rank; i++) {
        Dim d = c->s.d[i];
        if ((d.sym == SYM_N || d.sym == SYM_S) && !is_lead(&c->s, i))
            return check_fail(c, "the batch is axis 0 alone, found %s", result_shape(c));
        if (!dim_const(d, &v))
            continue;
        if (v < 1)
            return check_fail(c, "%s has an extent of %" PRId64 ", needed at least 1",
                              result_shape(c), v);
        if (__builtin_mul_overflow(count, v, &count) || count > most)
            return check_fail(c, "%s has too many elements", result_shape(c));
    }
    return true;
}

bool shape_check(Graph *g, Op op, Node *const *in, int nin, const Attr *attr, int nattr,
                 Dtype *dt, Shape *s, const char **why)
{
    Check c = {.g = g, .op = op, .in = in, .nin = nin, .attr = attr, .nattr = nattr};
    bool ok = true;
    if (op_info[op].arity >= 0 && nin != op_info[op].arity)
        ok = check_fail(&c, "%s takes %d operand%s, found %d", op_info[op].name, op_info[op].arity,
                        op_info[op].arity == 1 ? "" : "s", nin);
    for (int i = 0; ok && op != OP_result && i < nin; i++)
        if (in[i]->op == OP_scan)
            ok = check_fail(&c, "operand %d is a scan, whose results are meant", i);
    ok = ok && check_attrs(&c) && rules[op](&c) && check_extents(&c);
    if (!ok) {
        *why = c.why;
        return false;
    }
    *dt = c.dt;
    *s = c.s;
    return true;
}
