/* Nests: the loops over an index domain, and at each tile of it the products,
 * then everything else point by point in registers, then the stores. */
#include "emit/emit.h"

#include <string.h>

Shape place_shape(const Place *p)
{
    Shape s = p->buffer->shape;
    if (p->stacked) {
        s.rank--;
        memmove(s.d, s.d + 1, sizeof(Dim) * (size_t)s.rank);
    }
    return s;
}

static bool is_product(const Node *n)
{
    return n->op == OP_contract;
}

/* The number of products that share their loops, in the nest's largest group. */
static int largest_group(const Nest *nest)
{
    int most = 0;
    for (int i = 0; i < nest->nodes.n; i++) {
        int n = 0;
        for (int j = i; is_product(nest->nodes.at[i]) && j < nest->nodes.n; j++)
            n += is_product(nest->nodes.at[j]) &&
                 contract_joins(nest->nodes.at[i], nest->nodes.at[j]);
        most = n > most ? n : most;
    }
    return most;
}

/* Rows of a register tile and vectors in it: as many accumulators as registers
 * hold beside the operands (rows * vectors + vectors + 1 <= registers); rows
 * that divide the extent are preferred, since a tail is a second tile to
 * generate code for. At least 16 accumulators keep the fma units busy. */
static int tile_rows(const Emit *e, int group, int nparts, int64_t extent)
{
    int most = (e->registers - nparts - 1) / (group * nparts);
    if (most < 1)
        most = 1;
    if (most > extent)
        most = (int)extent;
    int best = 1;
    for (int r = 1; r <= most; r++)
        if (extent % r == 0)
            best = r;
    bool busy = best * group * nparts >= (e->registers > 16 ? 16 : 8);
    return busy || best == most ? best : most;
}

static void emit_stores(Emit *e, const Nest *nest, const Ix *index)
{
    for (int i = 0; i < nest->stores.n; i++) {
        const Store *s = &nest->stores.at[i];
        V value = value_at(e, s->value, index);
        if (e->mode == MODE_flat) {
            store_element(e, &s->to, index[0], value);
            continue;
        }
        Ix at[RANK_MOST] = {{0}};
        memcpy(at, index, sizeof(Ix) * (size_t)nest->domain.rank);
        for (int k = 0; k < s->ncut; k++) {
            const Cut *c = &s->cut[k];
            at[c->axis] =
                ix_add(e, ix_dim(e, c->start), ix_scale(e, at[c->axis], ix_const(c->step)));
        }
        store_element(e, &s->to, place_linear(e, &s->to, at, false), value);
    }
}

static void emit_products(Emit *e, const Nest *nest, Ix (*index)[RANK_MOST], int points)
{
    Node *group[16];
    int most = points > 0 ? 60 / points : 1;
    if (most > 16)
        most = 16;
    bool *done = NEW_ARRAY(e->arena, bool, nest->nodes.n + 1);
    for (int i = 0; i < nest->nodes.n; i++) {
        if (done[i] || !is_product(nest->nodes.at[i]))
            continue;
        int n = 0;
        for (int j = i; j < nest->nodes.n && n < most; j++) {
            if (done[j] || !is_product(nest->nodes.at[j]) ||
                !contract_joins(nest->nodes.at[i], nest->nodes.at[j]))
                continue;
            group[n++] = nest->nodes.at[j];
            done[j] = true;
        }
        contract_emit(e, group, n, index, points);
    }
}

void point_enter(Emit *e, int point)
{
    if (e->mode != MODE_columns) {
        e->part = e->first_part + point % e->nparts;
        return;
    }
    bool tail = e->lanes > 1 && (point + 1) % e->nparts == 0;
    e->row = (Ix){e->tile_row, point / e->nparts, 0};
    e->valid = tail ? e->tail : e->width;
    e->mask = lanes_first(e, e->valid);
}

void points_emit(Emit *e, const Nest *nest, Ix (*index)[RANK_MOST], int points)
{
    e->points = points;
    e->memo = NEW_ARRAY(e->arena, V, nest->nodes.n * points + 1);
    emit_products(e, nest, index, points);
    for (e->point = 0; e->point < points; e->point++) {
        point_enter(e, e->point);
        for (int i = 0; i < nest->nodes.n; i++) {
            Node *n = nest->nodes.at[i];
            if (is_product(n) || INFO(n)->whole)
                continue;
            debug_line(e, n->span);
            e->memo[i * points + e->point] = value_compute(e, n, index[e->point]);
        }
        emit_stores(e, nest, index[e->point]);
    }
}

/* One tile: `rows` indices along the last axis, all parts in turns of nparts. */
static void emit_tile(Emit *e, const Nest *nest, const Ix *index, int rows, int nparts)
{
    int parts = e->mode == MODE_lanes ? e->parts : 1, last = nest->domain.rank - 1;
    Ix at[64][RANK_MOST];
    for (int p = 0; p < rows * nparts; p++) {
        memcpy(at[p], index, sizeof(Ix) * RANK_MOST);
        if (last >= 0)
            at[p][last].c += p / nparts;
    }
    e->nparts = nparts;
    for (e->first_part = 0; e->first_part < parts; e->first_part += nparts)
        points_emit(e, nest, at, rows * nparts);
}

static void emit_axes(Emit *e, const Nest *nest, Ix *index, int axis, int rows, int nparts)
{
    Dim extent = axis < nest->domain.rank ? nest->domain.d[axis] : dim_int(1);
    if (nest->domain.rank == 0) {
        emit_tile(e, nest, index, 1, nparts);
        return;
    }
    bool last = axis + 1 == nest->domain.rank;
    int64_t count = 0, by = last ? rows : 1;
    bool known = dim_const(extent, &count);
    int64_t whole = count / by * by;
    if (!known || whole > 0) {
        Loop l;
        V to = known ? const_i64(e, whole) : dim_emit(e, extent);
        V i = loop_begin(e, &l, const_i64(e, 0), to, by, NULL, 0);
        index[axis] = ix_of(i);
        if (last)
            emit_tile(e, nest, index, (int)by, nparts);
        else
            emit_axes(e, nest, index, axis + 1, rows, nparts);
        loop_end(e, &l, NULL);
    }
    if (known && count > whole) {
        index[axis] = ix_const(whole);
        emit_tile(e, nest, index, (int)(count - whole), nparts);
    }
}

static int64_t domain_count(const Nest *nest)
{
    int64_t count = 1, extent;
    for (int i = 0; i < nest->domain.rank; i++)
        count *= dim_const(nest->domain.d[i], &extent) ? extent : 1;
    return count;
}

int64_t nest_units(const Emit *e, const Nest *nest)
{
    if (kernel_has_whole(nest))
        return whole_units(e, nest);
    return nest->flat ? (domain_count(nest) + CHUNK - 1) / CHUNK : 1;
}

void flat_emit(Emit *e, const Nest *nest, int64_t each)
{
    int64_t count = domain_count(nest);
    V begin = LLVMBuildMul(e->b, frame_word(e, FRAME_unit), const_i64(e, each), "");
    V end = LLVMBuildAdd(e->b, begin, const_i64(e, each), "");
    e->unit_begin = begin;
    V total = const_i64(e, count);
    end = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, end, total, ""), end, total, "");
    Loop l;
    V i = loop_begin(e, &l, begin, end, e->width, NULL, 0);
    if (count % e->width || each % e->width)
        e->mask = lanes_below(e, LLVMBuildSub(e->b, end, i, ""));
    Ix index[RANK_MOST] = {{i, 0, 0}};
    emit_tile(e, nest, index, 1, 1);
    loop_end(e, &l, NULL);
    e->mask = NULL;
}

V nest_emit(Emit *e, const Step *s, bool rows)
{
    const Nest *nest = s->nest;
    int group = largest_group(nest);
    if (kernel_has_whole(nest))
        return whole_emit(e, s);
    e->span = nest->span;
    Mode mode = rows ? (e->k->columns ? MODE_columns : MODE_lanes)
                     : (nest->flat ? MODE_flat : MODE_scalar);
    if (!function_begin(e, step_name(e->arena, s), mode, group > 0))
        return e->fn;
    e->nest = nest;
    if (mode == MODE_columns) {
        columns_emit(e, nest, group);
        function_end(e);
        return e->fn;
    }
    Ix index[RANK_MOST] = {{0}};
    int nparts = rows ? e->parts : 1, tile = 1;
    int64_t extent = 0;
    if (group > 0 && !e->target->small) {
        while (nparts > 1 && (group + 1) * nparts + 1 > e->registers)
            nparts /= 2;
        bool known =
            nest->domain.rank > 0 && dim_const(nest->domain.d[nest->domain.rank - 1], &extent);
        if (known && rows && extent > 0)
            tile = tile_rows(e, group, nparts, extent);
    }
    if (nest->flat)
        flat_emit(e, nest, CHUNK);
    else
        emit_axes(e, nest, index, 0, tile, nparts);
    function_end(e);
    return e->fn;
}
