/* Nests of rows with features in the vector lanes: the loops over an index
 * domain, of which the last axis lies across the lanes, and over the block's
 * rows. A register tile is some rows by some vectors, so that a vector of
 * weights serves several rows; all rows pass before the next vectors, so that
 * the weights of a tile stay near. */
#include "emit/emit.h"

#include <string.h>

typedef struct {
    const Nest *nest;
    int rows, vectors;       /* of a whole tile */
    bool across;             /* the last axis lies across the lanes; else element by element */
    Ix index[RANK_MOST];
} Columns;

static int reduced_axis(const Node *n)
{
    const Attr *axes = attr_get(n, ATTR_axes);
    return (int)(axes ? axes->u.ints[axes->n - 1] : attr_int(n, ATTR_axis, 0));
}

/* Sums and extremes along the last axis of what they read have their own lanes. */
static bool lies_across(const Emit *e, const Nest *nest)
{
    int64_t extent;
    int rank = nest->domain.rank;
    if (rank == 0 || !dim_const(nest->domain.d[rank - 1], &extent) || extent == 1)
        return false;
    for (int i = 0; i < nest->nodes.n; i++) {
        const Node *n = nest->nodes.at[i];
        if (op_info[n->op].kind == KIND_reduce && reduced_axis(n) == n->in[0]->shape.rank - 1)
            return false;
        if (n->op == OP_words && words_end_in_vector(e, n))
            return false;
    }
    return true;
}

/* Rows and vectors of a register tile: the fewest cycles by a count of fma,
 * loads and the latency of chains, for blocks of about `block` rows. */
static void choose_tile(const Emit *e, int group, int64_t extent, int64_t block, Columns *c)
{
    int64_t total = (extent + e->width - 1) / e->width;
    double least = 1e30;
    c->rows = c->vectors = 1;
    for (int v = 1; v <= 8 && v <= total; v++)
        for (int r = 1; r <= COLUMN_TILE && r <= block; r++) {
            int held = r == 1 ? 2 : group * v + 1;
            if (group * r * v + held > e->registers || group * r * v > 60)
                break;
            int64_t tiles = ((total + v - 1) / v) * ((block + r - 1) / r);
            double fma = group * r * v, loads = group * v + r, cost = fma > loads ? fma : loads;
            cost = cost > 8 ? cost : 8; /* a chain's latency */
            cost = (cost + 0.15 * loads) * (double)tiles;
            if (cost < least) {
                least = cost;
                c->rows = r;
                c->vectors = v;
            }
        }
}

static void emit_rows(Emit *e, const Columns *c, int vectors, int tail)
{
    Ix at[64][RANK_MOST];
    int points = c->rows * vectors, last = c->nest->domain.rank - 1;
    Loop l;
    e->nparts = vectors;
    e->tail = tail;
    e->tile_row = loop_begin(e, &l, const_i64(e, 0), frame_word(e, FRAME_rows), c->rows, NULL, 0);
    for (int p = 0; p < points; p++) {
        memcpy(at[p], c->index, sizeof c->index);
        if (c->across) {
            at[p][last].c += (int64_t)(p % vectors) * e->width;
            at[p][last].step = e->width > 1;
        }
    }
    points_emit(e, c->nest, at, points);
    loop_end(e, &l, NULL);
}

static void emit_vectors(Emit *e, Columns *c)
{
    int last = c->nest->domain.rank - 1;
    int64_t extent = 0, tile = (int64_t)c->vectors * e->width;
    dim_const(c->nest->domain.d[last], &extent);
    int64_t whole = extent / tile * tile, rest = extent - whole;
    if (whole) {
        Loop l;
        V i = loop_begin(e, &l, const_i64(e, 0), const_i64(e, whole), tile, NULL, 0);
        c->index[last] = ix_of(i);
        emit_rows(e, c, c->vectors, e->width);
        loop_end(e, &l, NULL);
    }
    if (rest) {
        int vectors = (int)((rest + e->width - 1) / e->width);
        c->index[last] = ix_const(whole);
        emit_rows(e, c, vectors, (int)(rest - (int64_t)(vectors - 1) * e->width));
    }
}

static void emit_axes(Emit *e, Columns *c, int axis)
{
    if (axis == c->nest->domain.rank - c->across) {
        if (c->across)
            emit_vectors(e, c);
        else
            emit_rows(e, c, 1, 1);
        return;
    }
    Loop l;
    V i = loop_begin(e, &l, const_i64(e, 0), dim_emit(e, c->nest->domain.d[axis]), 1, NULL, 0);
    c->index[axis] = ix_of(i);
    emit_axes(e, c, axis + 1);
    loop_end(e, &l, NULL);
}

void columns_emit(Emit *e, const Nest *nest, int group)
{
    Columns c = {.nest = nest, .rows = 1, .vectors = 1, .across = lies_across(e, nest)};
    int64_t extent = 1, n = e->k->graph->columns;
    int64_t block = n < shard_rows(n) ? n : shard_rows(n);
    block = block < BLOCK_ROWS ? block : BLOCK_ROWS;
    if (c.across)
        dim_const(nest->domain.d[nest->domain.rank - 1], &extent);
    else
        e->lanes = 1;
    if (group > 0 && !e->target->small)
        choose_tile(e, group, c.across ? extent : 1, block, &c);
    emit_axes(e, &c, 0);
}

/* ---- sums ---- */

V columns_sum(Emit *e, Node *n, const Ix *index, Ix count, V (*at)(Emit *, Node *, const Ix *, Ix))
{
    enum { PARTIALS = 16 };
    const Attr *axes = attr_get(n, ATTR_axes);
    int parts = PARTIALS / e->width;
    if (e->lanes > 1 || count.v || parts < 1 || (axes && axes->n > 1) ||
        reduced_axis(n) != n->in[0]->shape.rank - 1)
        return NULL;
    V acc[PARTIALS];
    e->lanes = e->width;
    for (int p = 0; p < parts; p++)
        acc[p] = const_value(e, n->dtype, 0);
    V zero = acc[0];
    int64_t whole = count.c / PARTIALS * PARTIALS;
    Loop l;
    V i = loop_begin(e, &l, const_i64(e, 0), const_i64(e, whole), PARTIALS, acc, parts);
    for (int p = 0; p < parts; p++) {
        V x = at(e, n, index, (Ix){i, (int64_t)p * e->width, e->width > 1});
        acc[p] = dtype_is_float(n->dtype) ? LLVMBuildFAdd(e->b, acc[p], x, "")
                                          : LLVMBuildAdd(e->b, acc[p], x, "");
    }
    loop_end(e, &l, acc);
    for (int p = 0; p < parts; p++) {
        int64_t first = whole + (int64_t)p * e->width, left = count.c - first;
        if (left <= 0)
            break;
        e->valid = left < e->width ? (int)left : e->width;
        e->mask = lanes_first(e, e->valid);
        V x = at(e, n, index, (Ix){NULL, first, e->width > 1});
        if (e->mask) /* partials begin at +0: adding +0 leaves them as they are */
            x = LLVMBuildSelect(e->b, e->mask, x, zero, "");
        acc[p] = dtype_is_float(n->dtype) ? LLVMBuildFAdd(e->b, acc[p], x, "")
                                          : LLVMBuildAdd(e->b, acc[p], x, "");
    }
    e->valid = e->width;
    e->mask = NULL;
    V lane[PARTIALS];
    for (int j = 0; j < PARTIALS; j++)
        lane[j] = e->width == 1
                      ? acc[j]
                      : LLVMBuildExtractElement(
                            e->b, acc[j / e->width],
                            LLVMConstInt(e->i32, (unsigned)(j % e->width), 0), "");
    e->lanes = 1;
    for (int s = PARTIALS / 2; s > 0; s /= 2)
        for (int j = 0; j < s; j++)
            lane[j] = dtype_is_float(n->dtype) ? LLVMBuildFAdd(e->b, lane[j], lane[j + s], "")
                                               : LLVMBuildAdd(e->b, lane[j], lane[j + s], "");
    return lane[0];
}
