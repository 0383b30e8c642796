/* Loads and stores of values: where they lie and how they are stored. */
#include "emit/emit.h"

enum { KEY_base = 2000, KEY_load, KEY_splat };

int64_t buffer_last(const Emit *e, const Buffer *b)
{
    return kernel_buffer_last(e->k, b, e->width);
}

/* Elements of a buffer's slot (without lanes), as an index. */
static Ix slot_count(Emit *e, const Buffer *b)
{
    Ix count = ix_const(1);
    for (int i = 0; i < b->shape.rank; i++)
        count = ix_scale(e, count, ix_dim(e, b->shape.d[i]));
    return count;
}

/* The executor lays out blocks and shards in whole cache lines. */
V store_bytes_emit(Emit *e, const Buffer *b)
{
    Ix bytes = ix_const((int64_t)dtype_size(b->dtype) * b->slots * (b->lanes ? e->k->rows : 1));
    int64_t last = buffer_last(e, b);
    for (int i = 0; i < b->shape.rank; i++)
        bytes = ix_scale(e, bytes, last && i == b->shape.rank - 1 ? ix_const(last)
                                                                  : ix_dim(e, b->shape.d[i]));
    return LLVMBuildAnd(e->b, ix_value(e, ix_add(e, bytes, ix_const(63))), const_i64(e, -64), "");
}

static V literal_global(Emit *e, const Node *n)
{
    const char *name = arena_printf(e->arena, "%sliteral.%d", e->prefix, n->id);
    V g = LLVMGetNamedGlobal(e->m, name);
    if (g)
        return g;
    const Attr *values = attr_get(n, ATTR_values);
    LLVMTypeRef type = type_memory(e, n->dtype);
    V *at = NEW_ARRAY(e->arena, V, values->n + 1);
    int lanes = e->lanes;
    e->lanes = 1;
    for (int i = 0; i < values->n; i++)
        at[i] = n->dtype == DT_bool ? LLVMConstInt(e->i8, values->u.floats[i] != 0, 0)
                                    : const_value(e, n->dtype, values->u.floats[i]);
    e->lanes = lanes;
    V all = LLVMConstArray2(type, at, (uint64_t)values->n);
    g = LLVMAddGlobal(e->m, LLVMTypeOf(all), name);
    LLVMSetInitializer(g, all);
    LLVMSetGlobalConstant(g, 1);
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    if (e->version)
        LLVMSetUnnamedAddress(g, LLVMGlobalUnnamedAddr); /* equal ones may be one */
    return g;
}

V at_offset(Emit *e, LLVMTypeRef t, V base, Ix at)
{
    V p = base;
    if (at.v)
        p = LLVMBuildInBoundsGEP2(e->b, t, p, &at.v, 1, "");
    if (at.c) {
        V c = const_i64(e, at.c);
        p = LLVMBuildInBoundsGEP2(e->b, t, p, &c, 1, "");
    }
    return p;
}

V place_base(Emit *e, const Place *p)
{
    const Buffer *b = p->buffer;
    int64_t key = (p->slot * 64 + p->loop + 1) * 2 + p->stacked;
    V base = entry_find(e, b, NULL, key, KEY_base);
    if (base)
        return base;
    if (b->literal)
        return literal_global(e, b->literal);
    base = frame_pointer(e, FRAME_buffer + b->id);
    Elsewhere back = entry_enter(e, MODE_scalar);
    Ix at = ix_const(0);
    if (p->slot == SLOT_now || p->slot == SLOT_next) {
        V parity = LLVMBuildAnd(e->b, frame_word(e, FRAME_count + p->loop), const_i64(e, 1), "");
        if (p->slot == SLOT_next)
            parity = LLVMBuildXor(e->b, parity, const_i64(e, 1), "");
        at = ix_scale(e, ix_of(parity), slot_count(e, b));
    } else if (p->slot == SLOT_final) {
        V parity = LLVMBuildAnd(e->b, dim_emit(e, p->extent), const_i64(e, 1), "");
        at = ix_scale(e, ix_of(parity), slot_count(e, b));
    }
    if (p->stacked) {
        Ix step = ix_const(1);
        for (int i = 1; i < b->shape.rank; i++)
            step = ix_scale(e, step, ix_dim(e, b->shape.d[i]));
        at = ix_add(e, at, ix_scale(e, ix_of(frame_word(e, FRAME_t + p->loop)), step));
    }
    if (b->lanes)
        at = ix_scale(e, at, ix_const(e->k->rows));
    base = at_offset(e, type_memory(e, b->dtype), base, at);
    entry_leave(e, back);
    return entry_keep(e, b, NULL, key, KEY_base, base);
}

/* Packed columns: a vector along the last axis begins at a whole number of them. */
static Ix packed_linear(Emit *e, const Shape *s, const Ix *index)
{
    Shape rest = *s;
    Ix at = index[--rest.rank], block = ix_const(0), each = ix_const(e->width), count = each;
    for (int i = 0; i < rest.rank; i++)
        count = ix_scale(e, count, ix_dim(e, s->d[i]));
    if (at.step) {
        e->irregular |= at.step != 1 || at.c % e->width != 0;
        block.v = at.v ? LLVMBuildUDiv(e->b, at.v, const_i64(e, e->width), "") : NULL;
        block.c = at.c / e->width;
        at = (Ix){NULL, 0, 1};
    } else if (at.v) {
        V v = ix_value(e, at);
        block.v = LLVMBuildUDiv(e->b, v, const_i64(e, e->width), "");
        at = ix_of(LLVMBuildURem(e->b, v, const_i64(e, e->width), ""));
    } else {
        block.c = at.c / e->width;
        at.c %= e->width;
    }
    Ix before = ix_scale(e, ix_linear(e, &rest, index, 0), each);
    return ix_add(e, ix_add(e, ix_scale(e, block, count), before), at);
}

Ix place_linear(Emit *e, const Place *p, const Ix *index, bool is_linear)
{
    Shape s = place_shape(p);
    if (p->buffer->packed && is_linear)
        bug("a packed tensor is read in another shape");
    if (p->buffer->packed && e->k->columns)
        return packed_linear(e, &s, index);
    int64_t last = p->buffer->packed ? buffer_last(e, p->buffer) : 0;
    Ix linear = is_linear ? index[0] : ix_linear(e, &s, index, last);
    if (!e->k->columns || !p->buffer->lanes)
        return linear;
    int outer = p->buffer->outer - p->stacked;
    Ix rest = ix_const(1);
    for (int i = outer > 0; i < s.rank; i++)
        rest = ix_scale(e, rest, ix_dim(e, s.d[i]));
    Ix at = ix_add(e, linear, ix_scale(e, e->row, rest));
    if (outer <= 0)
        return at;
    Ix lead = index[0];
    if (is_linear)
        lead = ix_of(divide_emit(e, ix_value(e, linear), ix_value(e, rest), NULL));
    return ix_add(e, at, ix_scale(e, ix_scale(e, lead, rest), ix_const(e->k->rows - 1)));
}

V place_at(Emit *e, const Place *p, Ix linear)
{
    V base = place_base(e, p);
    if (p->buffer->lanes && !e->k->columns) {
        linear = ix_scale(e, linear, ix_const(e->k->block));
        if (e->part_offset)
            linear = ix_add(e, linear, ix_of(e->part_offset));
        else
            linear.c += (int64_t)e->part * e->width;
    }
    return at_offset(e, type_memory(e, p->buffer->dtype), base, linear);
}

V memory_to_value(Emit *e, Dtype dt, V v)
{
    if (dt != DT_bool)
        return v;
    return LLVMBuildICmp(e->b, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
}

V value_to_memory(Emit *e, Dtype dt, V v)
{
    return dt == DT_bool ? LLVMBuildZExt(e->b, v, type_lanes(e, e->i8), "") : v;
}

static unsigned plain_alignment(LLVMTypeRef t)
{
    LLVMTypeRef element = LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t;
    switch (LLVMGetTypeKind(element)) {
    case LLVMDoubleTypeKind: return 8;
    case LLVMFloatTypeKind: return 4;
    case LLVMIntegerTypeKind: return LLVMGetIntTypeWidth(element) / 8;
    default: return 1;
    }
}

V load_plain(Emit *e, LLVMTypeRef t, V p)
{
    V v = LLVMBuildLoad2(e->b, t, p, "");
    LLVMSetAlignment(v, plain_alignment(t));
    return v;
}

void store_plain(Emit *e, V value, V p)
{
    V s = LLVMBuildStore(e->b, value, p);
    LLVMSetAlignment(s, plain_alignment(LLVMTypeOf(value)));
}

V masked_load(Emit *e, LLVMTypeRef t, V p, V mask)
{
    LLVMTypeRef types[] = {t, e->ptr};
    V args[] = {p, LLVMConstInt(e->i32, plain_alignment(t), 0), mask, LLVMConstNull(t)};
    return call_intrinsic(e, "llvm.masked.load", types, 2, args, 4);
}

void masked_store(Emit *e, V value, V p, V mask)
{
    LLVMTypeRef types[] = {LLVMTypeOf(value), e->ptr};
    V args[] = {value, p, LLVMConstInt(e->i32, plain_alignment(LLVMTypeOf(value)), 0), mask};
    call_intrinsic(e, "llvm.masked.store", types, 2, args, 4);
}

V lanes_below(Emit *e, V limit)
{
    V lane[64];
    for (int i = 0; i < e->width; i++)
        lane[i] = LLVMConstInt(e->i32, (unsigned)i, 0);
    V all = LLVMConstVector(lane, (unsigned)e->width);
    int lanes = e->lanes;
    e->lanes = e->width;
    /* Only whether the limit is beyond the lanes matters: 32 bits will do. */
    V width = const_i64(e, e->width);
    V less = LLVMBuildICmp(e->b, LLVMIntSLT, limit, width, "");
    V clamped = LLVMBuildSelect(e->b, less, limit, width, "");
    V wide = splat(e, LLVMBuildTrunc(e->b, clamped, e->i32, ""));
    e->lanes = lanes;
    return LLVMBuildICmp(e->b, LLVMIntSLT, all, wide, "");
}

V lanes_first(Emit *e, int n)
{
    V lane[64];
    for (int i = 0; i < e->width; i++)
        lane[i] = LLVMConstInt(e->i1, i < n, 0);
    return n < e->width ? LLVMConstVector(lane, (unsigned)e->width) : NULL;
}

V lanes_insert(Emit *e, V vector, V scalar, int lane)
{
    if (!vector)
        vector = LLVMConstNull(LLVMVectorType(LLVMTypeOf(scalar), (unsigned)e->width));
    V at = LLVMConstInt(e->i32, (unsigned)lane, 0);
    return LLVMBuildInsertElement(e->b, vector, scalar, at, "");
}

/* Elements of a row some way apart, one by one. */
static V load_apart(Emit *e, const Place *p, Ix linear)
{
    V all = NULL;
    for (int i = 0; i < e->valid; i++) {
        Ix at = {linear.v, linear.c + linear.step * i, 0};
        V one = load_plain(e, type_memory(e, p->buffer->dtype), place_at(e, p, at));
        all = lanes_insert(e, all, one, i);
    }
    return memory_to_value(e, p->buffer->dtype, all);
}

static V load_new(Emit *e, const Place *p, Ix linear)
{
    const Buffer *b = p->buffer;
    LLVMTypeRef element = type_memory(e, b->dtype);
    if (e->mode == MODE_columns && linear.step != 0 && linear.step != 1)
        return load_apart(e, p, linear);
    V at = place_at(e, p, linear);
    bool vector = e->mode == MODE_columns ? linear.step == 1 : b->lanes || e->mode == MODE_flat;
    if (vector && !(e->k->columns && e->mode == MODE_scalar)) {
        LLVMTypeRef t = type_lanes(e, element);
        V v = e->mask ? masked_load(e, t, at, e->mask) : load_plain(e, t, at);
        return memory_to_value(e, b->dtype, v);
    }
    int lanes = e->lanes;
    e->lanes = 1;
    V v = memory_to_value(e, b->dtype, load_plain(e, element, at));
    e->lanes = lanes;
    return splat(e, v);
}

V load_element(Emit *e, const Place *p, Ix linear)
{
    /* One load of a place and index in a block: many products share operands. */
    V base = place_base(e, p);
    int op = KEY_load + e->part * 8 + (e->mask != NULL) + 2 * (linear.step == 1) +
             4 * (e->lanes == 1);
    if (linear.step != 0 && linear.step != 1)
        return load_new(e, p, linear);
    V v = block_find(e, base, linear.v, linear.c, op);
    if (v)
        return v;
    return block_keep(e, base, linear.v, linear.c, op, load_new(e, p, linear));
}

void store_element(Emit *e, const Place *p, Ix linear, V value)
{
    value = value_to_memory(e, p->buffer->dtype, value);
    if (e->mode == MODE_columns && e->lanes > 1 && linear.step != 1) {
        for (int i = 0; i < e->valid; i++) {
            V one = LLVMBuildExtractElement(e->b, value, LLVMConstInt(e->i32, (unsigned)i, 0), "");
            Ix to = {linear.v, linear.c + linear.step * i, 0};
            store_plain(e, one, place_at(e, p, to));
        }
        return;
    }
    V at = place_at(e, p, linear);
    if (e->mask)
        masked_store(e, value, at, e->mask);
    else
        store_plain(e, value, at);
}
