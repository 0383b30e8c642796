/* The interpreter's arithmetic on double, for processors whose fused multiply-add
 * is an instruction: the same bits as eval_f64.c, faster. */
#include "ir/eval_fma.h"

#ifdef EVAL_FMA
#define VM_DOUBLE 1
#define REAL_OPS eval_f64_fma
#include "ir/eval_real.inc"
#endif
EVAL_FMA_END
