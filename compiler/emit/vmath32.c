/* The polynomials of ir/vmath.inc for float32 lanes. */
#include "emit/vector.h"

#include <math.h>
#include <stdint.h>

#define VM_DOUBLE 0
#define VM_FN1(name, x) static V vm32_##name(Emit *em, V x)
#define VM_FN2(name, x, y) static V vm32_##name(Emit *em, V x, V y)
#define VM_CALL1(name, a) vm32_##name(em, a)
#define VM_CALL2(name, a, b) vm32_##name(em, a, b)
#define CF(c) const_value(em, DT_f32, c)
#define CI(c) int_constant(em, em->i32, c)
#define FLOAT_TYPE type_lanes(em, em->f32)
#define INT_TYPE type_lanes(em, em->i32)
#include "ir/vmath.inc"
#define VMATH_TABLE vmath32
#define VMATH(name) vm32_##name
#include "emit/vmath_table.inc"
