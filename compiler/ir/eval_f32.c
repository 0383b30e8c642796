/* The interpreter's arithmetic on float. */
#define VM_DOUBLE 0
#define REAL_OPS eval_f32
#include "ir/eval_real.inc"
