/* Words of four bytes (operation words), and the steps of products that read them.
 *
 * A step adds four products of bytes to 32 bits. Processors have that as one instruction
 * (vpdpbusd, sdot) or as one on pairs of 16 bits (pmaddwd, smlad), for which a word is
 * taken apart into its even and its odd bytes. All sums are exact: the bits are the same. */
#include "emit/vector.h"

#include <string.h>

enum { BYTES = 4 };

/* ---- making words ---- */

/* 32 bits whose low byte is x as a byte. */
static V low_byte(Emit *e, const Node *n, V x)
{
    int64_t more = attr_int(n, ATTR_unsigned, 0) ? 128 : 0;
    if (n->in[0]->dtype == DT_i8)
        return LLVMBuildAdd(e->b, cast_emit(e, DT_i8, DT_i32, x),
                            const_value(e, DT_i32, (double)more), "");
    V least = const_value(e, DT_f32, -127), most = const_value(e, DT_f32, 127);
    x = LLVMBuildFMul(e->b, x, const_value(e, DT_f32, attr_get(n, ATTR_value)->u.f), "");
    x = LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOGT, x, least, ""), x, least, "");
    x = LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOLT, x, most, ""), x, most, "");
    double magic = 0x1.8p23; /* the numbers from here on are whole, their low byte is x's */
    x = LLVMBuildFAdd(e->b, x, const_value(e, DT_f32, magic + (double)more), "");
    return LLVMBuildBitCast(e->b, x, type_lanes(e, e->i32), "");
}

/* Byte k of the words at `index`. */
static V byte_at(Emit *e, Node *n, const Ix *index, int axis, int64_t extent, int k)
{
    Ix at[RANK_MOST];
    memcpy(at, index, sizeof at);
    at[axis] = ix_add(e, ix_scale(e, index[axis], ix_const(BYTES)), ix_const(k));
    bool beyond = extent % BYTES && k >= extent % BYTES;
    if (!beyond || (!at[axis].v && !at[axis].step && at[axis].c < extent))
        return low_byte(e, n, value_at(e, n->in[0], at));
    V i = ix_value(e, (Ix){at[axis].v, at[axis].c, 0}), last = const_i64(e, extent - 1);
    V inside = LLVMBuildICmp(e->b, LLVMIntSLE, i, last, "");
    at[axis] = ix_of(LLVMBuildSelect(e->b, inside, i, last, ""));
    V x = value_at(e, n->in[0], at);
    return low_byte(e, n, LLVMBuildSelect(e->b, inside, x, LLVMConstNull(LLVMTypeOf(x)), ""));
}

/* Each lane's own word, from bytes that are lanes of four values. */
static V by_shifts(Emit *e, Node *n, const Ix *index, int axis, int64_t extent)
{
    V word = NULL, low = int_constant(e, e->i32, 0xff);
    for (int k = 0; k < BYTES; k++) {
        V x = byte_at(e, n, index, axis, extent, k);
        if (k + 1 < BYTES)
            x = LLVMBuildAnd(e->b, x, low, "");
        if (k)
            x = LLVMBuildShl(e->b, x, int_constant(e, e->i32, 8 * k), "");
        word = word ? LLVMBuildOr(e->b, word, x, "") : x;
    }
    return word;
}

static V joined(Emit *e, V a, V b, int each)
{
    V lane[4 * 64];
    for (int i = 0; i < 2 * each; i++)
        lane[i] = LLVMConstInt(e->i32, (unsigned)i, 0);
    return LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(lane, 2 * (unsigned)each), "");
}

static int64_t extent_of(const Node *n, int axis)
{
    int64_t extent = 0;
    dim_const(shape_inner(&n->in[0]->shape).d[axis], &extent);
    return extent;
}

static int axis_of(const Node *n)
{
    return (int)attr_int(n, ATTR_axis, 0) - kernel_lead(n);
}

/* Neighbouring words from four vectors of neighbouring elements. */
static V from_neighbours(Emit *e, Node *n, const Ix *index, int axis)
{
    Ix at[RANK_MOST];
    V part[BYTES], mask = e->mask;
    int valid = e->valid;
    int64_t extent = extent_of(n, axis), words = (extent + BYTES - 1) / BYTES;
    int64_t left = valid < e->width ? extent - BYTES * (words - valid) : BYTES * e->width;
    memcpy(at, index, sizeof at);
    at[axis] = ix_scale(e, (Ix){index[axis].v, index[axis].c, 0}, ix_const(BYTES));
    at[axis].step = 1;
    for (int k = 0; k < BYTES; k++, left -= e->width, at[axis].c += e->width) {
        V x = LLVMConstNull(type_value(e, n->in[0]->dtype));
        if (left > 0) {
            e->valid = left < e->width ? (int)left : e->width;
            e->mask = lanes_first(e, e->valid);
            V found = value_at(e, n->in[0], at);
            x = e->mask ? LLVMBuildSelect(e->b, e->mask, found, x, "") : found;
        }
        part[k] = LLVMBuildTrunc(e->b, low_byte(e, n, x), type_lanes(e, e->i8), "");
    }
    e->valid = valid;
    e->mask = mask;
    V low = joined(e, part[0], part[1], e->width), high = joined(e, part[2], part[3], e->width);
    return LLVMBuildBitCast(e->b, joined(e, low, high, 2 * e->width), type_lanes(e, e->i32), "");
}

bool words_end_in_vector(const Emit *e, const Node *n)
{
    int axis = axis_of(n);
    int64_t extent = extent_of(n, axis), words = (extent + BYTES - 1) / BYTES;
    return axis + 1 == shape_inner(&n->shape).rank && extent % BYTES && words % e->width == 0;
}

V words_emit(Emit *e, Node *n, const Ix *index)
{
    int axis = axis_of(n);
    if (e->mode == MODE_columns && e->lanes > 1 && index[axis].step == 1)
        return from_neighbours(e, n, index, axis);
    return by_shifts(e, n, index, axis, extent_of(n, axis));
}

/* ---- reading them ---- */

/* Even or odd bytes as 16 bits with or without a sign, two to a word. */
static V halves(Emit *e, V word, bool odd, bool is_unsigned)
{
    enum { KEY_halves = 6000 };
    V found = block_find(e, word, NULL, 0, KEY_halves + odd * 2 + is_unsigned);
    if (found)
        return found;
    V all[2 * 64], eight = LLVMConstInt(e->i16, 8, 0);
    for (int i = 0; i < 2 * e->lanes; i++)
        all[i] = eight;
    V by = LLVMConstVector(all, 2 * (unsigned)e->lanes);
    V v = LLVMBuildBitCast(e->b, word, LLVMTypeOf(by), "");
    if (!odd)
        v = LLVMBuildShl(e->b, v, by, "");
    v = is_unsigned ? LLVMBuildLShr(e->b, v, by, "") : LLVMBuildAShr(e->b, v, by, "");
    return block_keep(e, word, NULL, 0, KEY_halves + odd * 2 + is_unsigned, v);
}

/* The intrinsics of whole vectors: on words, or on pairs of 16 bits and to be added. */
static const struct { Dot dot; const char *triple, *name; int lanes; } whole[] = {
    {DOT_mixed, "x86_64", "llvm.x86.avx512.vpdpbusd.512", 16},
    {DOT_mixed, "x86_64", "llvm.x86.avx512.vpdpbusd.256", 8},
    {DOT_mixed, "x86_64", "llvm.x86.avx512.vpdpbusd.128", 4},
    {DOT_pairs, "x86_64", "llvm.x86.avx512.pmaddw.d.512", 16},
    {DOT_pairs, "x86_64", "llvm.x86.avx2.pmadd.wd", 8},
    {DOT_pairs, "x86_64", "llvm.x86.sse2.pmadd.wd", 4},
    {DOT_pairs, "wasm", "llvm.wasm.dot", 4},
};

static const char *whole_name(const Emit *e, Dot dot)
{
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (whole[i].dot == dot && whole[i].lanes == e->lanes &&
            !strncmp(e->target->triple, whole[i].triple, strlen(whole[i].triple)))
            return whole[i].name;
    return NULL;
}

static V by_pairs(Emit *e, const char *name, V x, V y, V acc, unsigned is_unsigned)
{
    for (int odd = 0; odd < 2; odd++) {
        V in[] = {halves(e, x, odd, is_unsigned & 1), halves(e, y, odd, is_unsigned >> 1)};
        acc = LLVMBuildAdd(e->b, acc, call_intrinsic(e, name, NULL, 0, in, 2), "");
    }
    return acc;
}

/* sdot: bytes with signs. */
static V by_signed(Emit *e, V x, V y, V acc)
{
    LLVMTypeRef bytes = LLVMVectorType(e->i8, BYTES * (unsigned)e->lanes);
    LLVMTypeRef types[] = {LLVMTypeOf(acc), bytes};
    V in[] = {acc, LLVMBuildBitCast(e->b, x, bytes, ""), LLVMBuildBitCast(e->b, y, bytes, "")};
    return call_intrinsic(e, "llvm.aarch64.neon.sdot", types, 2, in, 3);
}

/* smlad on a word's even bytes, then on its odd ones, which sxtb16 turns first. */
static V by_halfwords(Emit *e, V x, V y, V acc, unsigned is_unsigned)
{
    V in[2] = {x, y}, eight = LLVMConstInt(e->i32, 8, 0);
    for (int odd = 0; odd < 2; odd++) {
        V half[3] = {NULL, NULL, acc};
        for (int o = 0; o < 2; o++) {
            const char *name = is_unsigned >> o & 1 ? "llvm.arm.uxtb16" : "llvm.arm.sxtb16";
            V turned[] = {in[o], in[o], eight}, v = in[o];
            half[o] = block_find(e, in[o], NULL, odd, 6000 + o);
            if (half[o])
                continue;
            if (odd)
                v = call_intrinsic(e, "llvm.fshr", &e->i32, 1, turned, 3);
            half[o] = block_keep(e, in[o], NULL, odd, 6000 + o,
                                 call_intrinsic(e, name, NULL, 0, &v, 1));
        }
        acc = call_intrinsic(e, "llvm.arm.smlad", NULL, 0, half, 3);
    }
    return acc;
}

static V byte_of(Emit *e, V word, int k, bool is_unsigned)
{
    V up = LLVMBuildShl(e->b, word, int_constant(e, e->i32, 8 * (BYTES - 1 - k)), "");
    V by = int_constant(e, e->i32, 8 * (BYTES - 1));
    return is_unsigned ? LLVMBuildLShr(e->b, up, by, "") : LLVMBuildAShr(e->b, up, by, "");
}

V words_step(Emit *e, V x, V y, V acc, unsigned is_unsigned)
{
    const char *mixed = e->target->dot == DOT_mixed ? whole_name(e, DOT_mixed) : NULL;
    const char *pairs = e->target->dot >= DOT_pairs ? whole_name(e, DOT_pairs) : NULL;
    if (mixed && (is_unsigned == 1 || is_unsigned == 2)) {
        V in[] = {acc, is_unsigned == 1 ? x : y, is_unsigned == 1 ? y : x};
        return call_intrinsic(e, mixed, NULL, 0, in, 3);
    }
    if (e->target->dot == DOT_signed && e->lanes == 4 && !is_unsigned)
        return by_signed(e, x, y, acc);
    if (pairs)
        return by_pairs(e, pairs, x, y, acc, is_unsigned);
    if (e->target->dot == DOT_halfwords && e->lanes == 1)
        return by_halfwords(e, x, y, acc, is_unsigned);
    for (int k = 0; k < BYTES; k++)
        acc = LLVMBuildAdd(e->b, acc,
                           LLVMBuildMul(e->b, byte_of(e, x, k, is_unsigned & 1),
                                        byte_of(e, y, k, is_unsigned >> 1), ""), "");
    return acc;
}
