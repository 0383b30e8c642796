/* LLVM types of dtypes, and constants. */
#include "emit/emit.h"

LLVMTypeRef type_memory(Emit *e, Dtype dt)
{
    switch (dt) {
    case DT_f32: return e->f32;
    case DT_f64: return e->f64;
    case DT_i32: return e->i32;
    case DT_i16: return e->i16;
    default: return e->i8;
    }
}

LLVMTypeRef type_lanes(Emit *e, LLVMTypeRef t)
{
    return e->lanes == 1 ? t : LLVMVectorType(t, (unsigned)e->lanes);
}

LLVMTypeRef type_value(Emit *e, Dtype dt)
{
    return type_lanes(e, dt == DT_bool ? e->i1 : type_memory(e, dt));
}

V const_i64(Emit *e, int64_t v)
{
    return LLVMConstInt(e->index, (unsigned long long)v, 1);
}

bool is_vector(V v)
{
    return LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind;
}

V splat(Emit *e, V scalar)
{
    if (e->lanes == 1)
        return scalar;
    LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), (unsigned)e->lanes);
    V one = LLVMBuildInsertElement(e->b, LLVMGetPoison(type), scalar,
                                   LLVMConstInt(e->i32, 0, 0), "");
    V zeros = LLVMConstNull(LLVMVectorType(e->i32, (unsigned)e->lanes));
    return LLVMBuildShuffleVector(e->b, one, LLVMGetPoison(type), zeros, "");
}

V const_value(Emit *e, Dtype dt, double v)
{
    V scalar = dtype_is_float(dt) ? LLVMConstReal(type_memory(e, dt), dt == DT_f32 ? (float)v : v)
               : dt == DT_bool
                   ? LLVMConstInt(e->i1, v != 0, 0)
                   : LLVMConstInt(type_memory(e, dt), (unsigned long long)(int64_t)v, 1);
    if (e->lanes == 1)
        return scalar;
    V all[64];
    for (int i = 0; i < e->lanes; i++)
        all[i] = scalar;
    return LLVMConstVector(all, (unsigned)e->lanes);
}
