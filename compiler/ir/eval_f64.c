/* The interpreter's arithmetic on double. */
#define VM_DOUBLE 1
#define REAL_OPS eval_f64
#include "ir/eval_real.inc"
