/* The polynomials of ir/vmath.inc for float64 lanes. */
#include "emit/vector.h"

#include <math.h>
#include <stdint.h>

#define VM_DOUBLE 1
#define VM_FN1(name, x) static V vm64_##name(Emit *em, V x)
#define VM_FN2(name, x, y) static V vm64_##name(Emit *em, V x, V y)
#define VM_CALL1(name, a) vm64_##name(em, a)
#define VM_CALL2(name, a, b) vm64_##name(em, a, b)
#define CF(c) const_value(em, DT_f64, c)
#define CI(c) int_constant(em, em->i64, c)
#define FLOAT_TYPE type_lanes(em, em->f64)
#define INT_TYPE type_lanes(em, em->i64)
#include "ir/vmath.inc"
#define VMATH_TABLE vmath64
#define VMATH(name) vm64_##name
#include "emit/vmath_table.inc"
