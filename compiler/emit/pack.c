/* Copies of weights in the order in which products read them (Buffer.packed), made
 * once a step, a part of the first axis in each call.
 *
 * Stored vectors lie along the copy's last axis. Where the weights lie along that
 * one too, vectors are moved; where they lie along another, squares of width x
 * width elements are exchanged; else they are moved element by element. */
#include "emit/emit.h"

#include <string.h>

typedef struct {
    const Step *s;
    Node *from;
    Shape shape;
    int along;              /* the axis along which the weights lie in memory, or -1 */
    V begin, end;           /* this call's part of axis 0 */
    Ix index[RANK_MOST];
} Pack;

/* Is the next element along an axis the next one in memory? */
static bool lies_along(Emit *e, Node *from, int axis)
{
    Ix at[RANK_MOST + 1] = {{0}};
    bool is_linear;
    at[axis].step = 1;
    e->irregular = false;
    Node *base = value_base(e, from, at, &is_linear);
    Ix linear = is_linear ? at[0] : ix_linear(e, &base->shape, at, 0);
    bool yes = !e->irregular && linear.step == 1;
    e->irregular = false;
    return yes;
}

static V extent_of(Emit *e, const Pack *p, int axis)
{
    return dim_emit(e, p->shape.d[axis]);
}

static V pack_begin(Emit *e, const Pack *p, Loop *l, int axis, int64_t by)
{
    V from = axis ? const_i64(e, 0) : p->begin, to = axis ? extent_of(e, p, axis) : p->end;
    return loop_begin(e, l, from, to, by, NULL, 0);
}

/* Lanes from `at` on that the axis has. */
static V mask_at(Emit *e, const Pack *p, int axis, V at)
{
    return lanes_below(e, LLVMBuildSub(e->b, extent_of(e, p, axis), at, ""));
}

static void store_packed(Emit *e, const Pack *p, V value)
{
    store_element(e, &p->s->place, place_linear(e, &p->s->place, p->index, false), value);
}

/* A vector, or an element, at each place along the last axis. */
static void move(Emit *e, Pack *p, int64_t by)
{
    Loop l;
    int last = p->shape.rank - 1;
    V i = pack_begin(e, p, &l, last, by);
    e->mask = by > 1 ? mask_at(e, p, last, i) : NULL;
    p->index[last] = (Ix){i, 0, by > 1};
    store_packed(e, p, value_at(e, p->from, p->index));
    e->mask = NULL;
    loop_end(e, &l, NULL);
}

static void exchange_square(Emit *e, Pack *p, V first, V i)
{
    V row[64], last = LLVMBuildSub(e->b, extent_of(e, p, p->shape.rank - 1), const_i64(e, 1), "");
    e->mask = mask_at(e, p, p->along, first);
    for (int r = 0; r < e->width; r++) { /* beyond the end: the last once more, not stored */
        V at = LLVMBuildAdd(e->b, i, const_i64(e, r), "");
        V in = LLVMBuildICmp(e->b, LLVMIntSLT, at, last, "");
        p->index[p->along] = (Ix){first, 0, 1};
        p->index[p->shape.rank - 1] = ix_of(LLVMBuildSelect(e->b, in, at, last, ""));
        row[r] = value_at(e, p->from, p->index);
    }
    exchange_emit(e, row);
    V all = mask_at(e, p, p->shape.rank - 1, i), none = LLVMConstNull(LLVMTypeOf(all));
    p->index[p->shape.rank - 1] = (Ix){i, 0, 1};
    for (int r = 0; r < e->width; r++) {
        V at = LLVMBuildAdd(e->b, first, const_i64(e, r), "");
        V in = LLVMBuildICmp(e->b, LLVMIntSLT, at, extent_of(e, p, p->along), "");
        e->mask = LLVMBuildSelect(e->b, in, all, none, "");
        p->index[p->along] = ix_of(at);
        store_packed(e, p, row[r]);
    }
    e->mask = NULL;
}

static void pack_axes(Emit *e, Pack *p, int axis)
{
    Loop l;
    int last = p->shape.rank - 1;
    if (axis < last) {
        if (axis == p->along) {
            pack_axes(e, p, axis + 1);
            return;
        }
        p->index[axis] = ix_of(pack_begin(e, p, &l, axis, 1));
        pack_axes(e, p, axis + 1);
        loop_end(e, &l, NULL);
    } else if (p->along < 0 || p->along == last) {
        e->lanes = p->along < 0 ? 1 : e->width;
        move(e, p, e->lanes);
        e->lanes = e->width;
    } else {
        Loop inner;
        V first = pack_begin(e, p, &l, p->along, e->width);
        V i = pack_begin(e, p, &inner, last, e->width);
        exchange_square(e, p, first, i);
        loop_end(e, &inner, NULL);
        loop_end(e, &l, NULL);
    }
}

/* Where a part of an axis of n elements begins, cut at multiples of `by`. */
static V part_begin(Emit *e, int64_t n, int64_t by, V part)
{
    V at = LLVMBuildMul(e->b, const_i64(e, (n + by - 1) / by), part, "");
    at = LLVMBuildUDiv(e->b, at, const_i64(e, PACK_PARTS), "");
    at = LLVMBuildMul(e->b, at, const_i64(e, by), "");
    V most = const_i64(e, n), in = LLVMBuildICmp(e->b, LLVMIntSLT, at, most, "");
    return LLVMBuildSelect(e->b, in, at, most, "");
}

V pack_emit(Emit *e, const Step *s)
{
    if (!function_begin(e, step_name(e->arena, s), MODE_columns, true))
        return e->fn;
    Pack p = {.s = s, .from = s->node->in[0], .shape = s->node->shape, .along = -1};
    for (int i = 0; e->width > 1 && i < p.shape.rank; i++)
        if (lies_along(e, p.from, i))
            p.along = i;
    int64_t n = 0, by = p.along == 0 ? e->width : 1;
    dim_const(p.shape.d[0], &n);
    V unit = frame_word(e, FRAME_unit);
    p.begin = part_begin(e, n, by, unit);
    p.end = part_begin(e, n, by, LLVMBuildAdd(e->b, unit, const_i64(e, 1), ""));
    pack_axes(e, &p, 0);
    function_end(e);
    return e->fn;
}
