/* Products over the batch: out[s, k.., m] += sum over (time, others, rows) of
 * K[row, .., k] * M[row, .., m], one fma chain per element of a shard.
 *
 * The operand with the output's last axis lies across the lanes (transposed
 * beforehand: row by row, its index contiguous), the other one is broadcast
 * row by row; a register tile of the output stays in accumulators through all
 * rows and time steps of a block. Where both operands have that axis, both lie
 * across. Without such an operand: element by element.
 */
#include "emit/batch.h"

#include <string.h>

/* Order of ir/contract.h: run-time lengths descending, then the others. */
static void order_sums(Batch *b)
{
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < b->c.term[0].nsum; i++) {
            int l = b->c.term[0].sum[i];
            bool length = b->extent[l].sym >= SYM_length;
            if (b->c.label[l] == 'n' || length != (pass == 0))
                continue;
            b->down[b->nouter] = length;
            b->outer[b->nouter++] = l;
        }
}

Ix batch_out_linear(Emit *e, const Batch *b)
{
    Shape shape = shape_inner(&b->n->shape);
    Ix at[RANK_MOST];
    for (int i = 1; i < b->c.nout; i++)
        at[i - 1] = b->label[i];
    Ix linear = ix_linear(e, &shape, at, 0);
    return b->back ? ix_add(e, linear, ix_of(b->back)) : linear;
}

/* Do both operands lie across the lanes? */
static bool both_across(const Batch *b)
{
    return b->vector >= 0 && contract_has(&b->c, 0, !b->s->vector, b->vector);
}

enum { KEY_vector = 4000 };

/* A vector of an operand for row r of the tile: one load for all of them, unless
 * the tile's label `last` moves it. */
static V tile_vector(Emit *e, const Batch *b, int o, V row, Ix at, int last, int r)
{
    int key = KEY_vector + (contract_has(&b->c, 0, o, last) ? 2 * r : 0) + o;
    V m = block_find(e, row, at.v, at.c, key);
    return m ? m : block_keep(e, row, at.v, at.c, key, batch_vector(e, b, o, row, at));
}

/* The tile's vector v to be read: its lanes beyond the end are masked. Returns its label m. */
static Ix vector_enter(Emit *e, const OutTile *t, int v)
{
    e->mask = NULL;
    e->valid = e->width;
    if (e->mode == MODE_columns && e->lanes > 1) {
        e->valid = v == t->vectors - 1 ? t->tail : e->width;
        e->mask = lanes_first(e, e->valid);
    }
    return (Ix){t->m.v, t->m.c + (int64_t)v * e->width, 0};
}

/* Where vector v of a row stands in the panel. */
static V panel_at(Emit *e, const Batch *b, const OutTile *t, V row, int v)
{
    V base = frame_pointer(e, FRAME_buffer + b->s->panel->id);
    Ix at = ix_of(b->panel_row ? LLVMBuildAdd(e->b, b->panel_row, row, "") : row);
    at = ix_scale(e, at, ix_const((int64_t)t->vectors * e->width));
    at.c += (int64_t)v * e->width;
    return at_offset(e, type_memory(e, b->n->dtype), base, at);
}

static V panel_vector(Emit *e, const Batch *b, const OutTile *t, V row, int v)
{
    V found = block_find(e, b->s, row, v, KEY_vector);
    if (found)
        return found;
    LLVMTypeRef type = type_lanes(e, type_memory(e, b->n->dtype));
    return block_keep(e, b->s, row, v, KEY_vector, load_plain(e, type, panel_at(e, b, t, row, v)));
}

void batch_set_row(Batch *b, const OutTile *t, int r)
{
    if (b->fold == 1)
        b->label[b->keep[b->nkeep - 1]] = (Ix){t->k.v, t->k.c + r, 0};
    for (int i = b->nkeep - 1; b->fold > 1 && i >= b->nkeep - b->fold; i--) {
        int64_t extent = 1;
        dim_const(b->extent[b->keep[i]], &extent);
        b->label[b->keep[i]] = ix_const(r % extent);
        r /= (int)extent;
    }
}

/* The vector v of the operand across the lanes, as row r of the tile reads it. */
static V across_vector(Emit *e, const Batch *b, const OutTile *t, V row, int v, int r, int last)
{
    Ix at = vector_enter(e, t, v);
    return b->s->panel ? panel_vector(e, b, t, row, v)
                       : tile_vector(e, b, b->s->vector, row, at, last, r);
}

/* One row of the batch. */
static void multiply_row(Emit *e, Batch *b, OutTile *t, V row)
{
    int last = b->nkeep ? b->keep[b->nkeep - 1] : -1, other = !b->s->vector;
    bool both = both_across(b);
    for (int r = 0; r < t->rows; r++) {
        batch_set_row(b, t, r);
        e->mask = NULL;
        V k = b->vector < 0 ? batch_element(e, b, 0, row)
              : both        ? NULL
                            : batch_splat(e, b, other, row);
        for (int v = 0; v < t->vectors; v++) {
            Ix at = vector_enter(e, t, v);
            V x = both ? tile_vector(e, b, other, row, at, last, r) : k;
            V y = b->vector < 0 ? batch_element(e, b, 1, row)
                                : across_vector(e, b, t, row, v, r, last);
            V *acc = &t->acc[r * t->vectors + v];
            *acc = fma_emit(e, x, y, *acc);
        }
    }
    e->mask = NULL;
}

/* Two rows of the batch, one after the other in each chain. */
static void multiply_two(Emit *e, Batch *b, OutTile *t, V row)
{
    int last = b->nkeep ? b->keep[b->nkeep - 1] : -1;
    V next = LLVMBuildAdd(e->b, row, const_i64(e, 1), "");
    for (int r = 0; r < t->rows; r++) {
        batch_set_row(b, t, r);
        e->mask = NULL;
        V x = batch_splat_pair(e, b, !b->s->vector, row, next);
        for (int v = 0; v < t->vectors; v++) {
            V y = pair_words(e, across_vector(e, b, t, row, v, r, last),
                             across_vector(e, b, t, next, v, r, last));
            V *acc = &t->acc[r * t->vectors + v];
            *acc = pair_emit(e, x, y, *acc);
        }
    }
    e->mask = NULL;
}

static bool takes_pairs(const Emit *e, const Batch *b)
{
    return b->vector >= 0 && !both_across(b) && pair_suits(e, batch_operand(b, 0)) &&
           pair_suits(e, batch_operand(b, 1));
}

static void multiply_rows(Emit *e, Batch *b, OutTile *t)
{
    int nacc = t->rows * t->vectors;
    V rows = frame_word(e, FRAME_rows), from = const_i64(e, 0);
    Loop l;
    if (takes_pairs(e, b)) {
        V even = LLVMBuildAnd(e->b, rows, const_i64(e, -2), "");
        V row = loop_begin(e, &l, from, even, 2, t->acc, nacc);
        multiply_two(e, b, t, row);
        loop_end(e, &l, t->acc);
        from = even;
    }
    V row = loop_begin(e, &l, from, rows, 1, t->acc, nacc);
    multiply_row(e, b, t, row);
    loop_end(e, &l, t->acc);
}

/* Begins the loop over a summed label, with the tile's accumulators if there are any. */
static void sum_begin(Emit *e, Batch *b, Loop *l, int level, V *acc, int nacc)
{
    int label = b->outer[level];
    V extent = dim_emit(e, b->extent[label]);
    bool part = b->s->panel && level == 0;
    V from = part ? b->from : const_i64(e, 0);
    V i = loop_begin(e, l, from, part ? b->to : extent, 1, acc, nacc);
    if (part)
        b->panel_row = LLVMBuildMul(e->b, LLVMBuildSub(e->b, i, from, ""),
                                    const_i64(e, e->k->block), "");
    if (b->down[level])
        i = LLVMBuildSub(e->b, LLVMBuildSub(e->b, extent, const_i64(e, 1), ""), i, "");
    b->label[label] = ix_of(i);
}

static void sum_loops(Emit *e, Batch *b, OutTile *t, int level)
{
    if (level == b->nouter) {
        multiply_rows(e, b, t);
        return;
    }
    Loop l;
    sum_begin(e, b, &l, level, t->acc, t->rows * t->vectors);
    sum_loops(e, b, t, level + 1);
    loop_end(e, &l, t->acc);
}

/* Copies the vectors of the tiles at m into the panel, in the order they are read. */
static void fill_panel(Emit *e, Batch *b, const OutTile *t)
{
    Loop l, rows;
    if (b->nouter)
        sum_begin(e, b, &l, 0, NULL, 0);
    V row = loop_begin(e, &rows, const_i64(e, 0), frame_word(e, FRAME_rows), 1, NULL, 0);
    for (int v = 0; v < t->vectors; v++) {
        V x = batch_vector(e, b, b->s->vector, row, vector_enter(e, t, v));
        store_plain(e, x, panel_at(e, b, t, row, v));
    }
    e->mask = NULL;
    loop_end(e, &rows, NULL);
    if (b->nouter)
        loop_end(e, &l, NULL);
}

static void emit_out_tile(Emit *e, Batch *b, OutTile *t)
{
    LLVMTypeRef element = type_memory(e, b->n->dtype), vector = type_lanes(e, element);
    V at[64], mask = NULL;
    bool masked = b->vector >= 0 && b->m % e->width;
    if (masked) {
        Ix rest = ix_const(b->m - t->m.c - (int64_t)(t->vectors - 1) * e->width);
        V limit = const_i64(e, rest.c);
        if (t->m.v)
            limit = LLVMBuildSub(e->b, limit, t->m.v, "");
        mask = lanes_below(e, limit);
    }
    for (int r = 0; r < t->rows; r++)
        for (int v = 0; v < t->vectors; v++) {
            batch_set_row(b, t, r);
            if (b->vector >= 0)
                b->label[b->vector] = (Ix){t->m.v, t->m.c + (int64_t)v * e->width, 0};
            int i = r * t->vectors + v;
            at[i] = at_offset(e, element, place_base(e, &b->s->place), batch_out_linear(e, b));
            if (!b->s->fresh)
                t->acc[i] = tile_load(e, t, i, vector, at[i], mask);
        }
    tile_fetch(e, b, t);
    if (b->s->fresh)
        tile_begin(e, t, at, mask, vector);
    sum_loops(e, b, t, b->around);
    if (b->s->total)
        tile_end(e, b, t, at, mask, vector);
    for (int i = 0; !b->s->total && i < t->rows * t->vectors; i++)
        tile_store(e, t, i, t->acc[i], at[i], mask);
}

/* The kept labels' loops, the last one by the tile's rows. */
static void keep_loops(Emit *e, Batch *b, OutTile *t, int level)
{
    if (level >= b->nkeep) {
        t->rows = 1;
        emit_out_tile(e, b, t);
        return;
    }
    if (b->fold > 1 && level == b->nkeep - b->fold) {
        emit_out_tile(e, b, t);
        return;
    }
    int label = b->keep[level], rows = t->rows;
    bool last = level + 1 == b->nkeep;
    int64_t count = 0, by = last ? rows : 1;
    bool known = dim_const(b->extent[label], &count);
    if (!known)
        by = 1;
    int64_t whole = count / by * by;
    if (!known || whole) {
        Loop l;
        V to = known ? const_i64(e, whole) : dim_emit(e, b->extent[label]);
        if (b->low)
            to = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, b->high, to, ""), b->high,
                                 to, "");
        V i = loop_begin(e, &l, b->low ? b->low : const_i64(e, 0), to, by, NULL, 0);
        b->label[label] = t->k = ix_of(i);
        t->rows = last ? (int)by : rows;
        if (last)
            emit_out_tile(e, b, t);
        else
            keep_loops(e, b, t, level + 1);
        loop_end(e, &l, NULL);
    }
    if (known && count > whole) {
        Loop l;
        if (b->low) /* once, in the last unit */
            loop_begin(e, &l, const_i64(e, whole), b->high, by, NULL, 0);
        b->label[label] = t->k = ix_const(whole);
        t->rows = (int)(count - whole);
        emit_out_tile(e, b, t);
        if (b->low)
            loop_end(e, &l, NULL);
    }
    t->rows = rows;
}

/* A kernel over few channels: a tile through several labels, all of them, since
 * the last alone leaves most registers idle. Returns its rows, 0 where not so. */
static int fold_rows(Batch *b)
{
    enum { FOLD_MOST = 12 };
    int64_t rows = 1, extent;
    int fold = 0;
    while (fold < b->nkeep) {
        int label = b->keep[b->nkeep - 1 - fold];
        if (contract_has(&b->c, 0, b->s->vector, label) || !dim_const(b->extent[label], &extent) ||
            rows * extent > FOLD_MOST)
            break;
        rows *= extent;
        fold++;
    }
    if (fold < 2 || !contract_is_affine(&b->c) || both_across(b))
        return 0;
    b->fold = fold;
    return (int)rows;
}

/* Rows and vectors of the tile: the fewest cycles by a count of fma and loads,
 * with a charge for each further variant that must be compiled. */
static void choose_tile(const Emit *e, Batch *b, int *rows, int *vectors)
{
    int64_t k = 1, v = (b->m + e->width - 1) / e->width;
    *rows = *vectors = 1;
    if (e->target->small)
        return;
    *rows = fold_rows(b);
    if (*rows) {
        *vectors = (e->registers - 1) / (*rows + 1);
        *vectors = *vectors < 1 ? 1 : *vectors > 4 ? 4 : *vectors;
        *vectors = *vectors > v ? (int)v : *vectors;
        return;
    }
    if (b->nkeep)
        dim_const(b->extent[b->keep[b->nkeep - 1]], &k);
    double least = 1e30;
    *rows = *vectors = 1;
    int most = b->s->panel || b->s->total ? PANEL_WIDTH / e->width : 8;
    if (b->s->total && k > UNIT_ROWS)
        k = UNIT_ROWS;
    for (int nv = 1; nv <= most && nv <= v; nv++)
        for (int r = 1; r <= k && r * nv + nv + 1 <= e->registers; r++) {
            if (b->s->total && most % nv) /* strips are read tile by tile */
                continue;
            int64_t tiles = ((k + r - 1) / r) * ((v + nv - 1) / nv);
            double fma = (double)k * (double)v, loads = (double)tiles * (r + nv);
            double latency = (double)tiles * 8; /* a chain's latency: fma in flight at least */
            double cost = fma > loads ? fma : loads;
            cost = cost > latency ? cost : latency;
            cost += 0.15 * loads + 1.0 * (double)tiles;
            cost *= 1 + 0.04 * (k % r != 0) + 0.04 * (v % nv != 0);
            if (cost < least) {
                least = cost;
                *rows = r;
                *vectors = nv;
            }
        }
}

/* The tiles at t->m: all of the kept labels. */
static void emit_strip(Emit *e, Batch *b, OutTile *t)
{
    if (b->s->panel)
        fill_panel(e, b, t);
    keep_loops(e, b, t, 0);
}

static void emit_strips(Emit *e, Batch *b, int rows, int vectors)
{
    int64_t total = (b->m + e->width - 1) / e->width, whole = total / vectors * vectors;
    if (e->k->columns) /* operands are not padded: the tail is a tile of its own */
        whole = b->m / e->width / vectors * vectors;
    OutTile *t = NEW(e->arena, OutTile);
    t->rows = rows;
    t->vectors = vectors;
    t->tail = e->width;
    if (whole) {
        Loop l;
        V i = loop_begin(e, &l, const_i64(e, 0), const_i64(e, whole * e->width),
                         (int64_t)vectors * e->width, NULL, 0);
        t->m = ix_of(i);
        emit_strip(e, b, t);
        loop_end(e, &l, NULL);
    }
    if (total > whole) {
        t->rows = rows;
        t->vectors = (int)(total - whole);
        t->tail = (int)(b->m - (total - 1) * e->width);
        t->m = ix_const(whole * e->width);
        emit_strip(e, b, t);
    }
}

/* With a panel, as much of the outermost sum as it holds at a time: the tiles wait
 * in memory meanwhile, and every chain goes on where it was. */
static void emit_vectors(Emit *e, Batch *b)
{
    int rows, vectors;
    choose_tile(e, b, &rows, &vectors);
    if (!b->s->panel || !b->nouter) {
        emit_strips(e, b, rows, vectors);
        return;
    }
    Loop l;
    int64_t by = PANEL_ROWS / e->k->block;
    V extent = dim_emit(e, b->extent[b->outer[0]]);
    b->from = loop_begin(e, &l, const_i64(e, 0), extent, by, NULL, 0);
    b->to = LLVMBuildAdd(e->b, b->from, const_i64(e, by), "");
    V within = LLVMBuildICmp(e->b, LLVMIntSLT, b->to, extent, "");
    b->to = LLVMBuildSelect(e->b, within, b->to, extent, "");
    emit_strips(e, b, rows, vectors);
    loop_end(e, &l, NULL);
}

static Batch *batch_of(const Emit *e, const Step *s)
{
    Batch *b = NEW(e->arena, Batch);
    b->s = s;
    b->n = s->node;
    contract_of(s->node, &b->c);
    contract_extents(s->node, &b->c, b->extent);
    order_sums(b);
    b->vector = s->vector >= 0 ? b->c.nout - 1 : -1;
    for (int i = 1; i < b->c.nout; i++)
        if (i != b->vector)
            b->keep[b->nkeep++] = i;
    b->fold = b->nkeep > 0;
    if (b->vector >= 0 && !dim_const(b->extent[b->vector], &b->m))
        bug("a product's axis across the lanes has an extent known only at run time");
    return b;
}

int64_t batch_unit_rows(const Emit *e, const Step *s)
{
    int rows, vectors;
    choose_tile(e, batch_of(e, s), &rows, &vectors);
    return UNIT_ROWS / rows * rows;
}

V batch_emit(Emit *e, const Step *s)
{
    Batch *b = batch_of(e, s);
    Mode mode = e->k->columns ? MODE_columns : b->vector >= 0 ? MODE_lanes : MODE_scalar;
    if (!function_begin(e, step_name(e->arena, s), mode, true))
        return e->fn;
    if (b->vector < 0)
        e->lanes = 1;
    if (s->total)
        batch_enter_unit(e, b);
    /* Windows read the same rows for every tap: one line of them after the other
     * stays in the cache through all tiles, which wait in memory meanwhile. */
    Loop l[LABELS_MOST];
    b->around = contract_is_affine(&b->c) && b->nouter > 1 ? b->nouter - 1 : 0;
    for (int i = 0; i < b->around; i++)
        sum_begin(e, b, &l[i], i, NULL, 0);
    if (b->vector >= 0) {
        emit_vectors(e, b);
    } else {
        OutTile *t = NEW(e->arena, OutTile);
        t->rows = t->vectors = 1;
        keep_loops(e, b, t, 0);
    }
    for (int i = b->around - 1; i >= 0; i--)
        loop_end(e, &l[i], NULL);
    function_end(e);
    return e->fn;
}
