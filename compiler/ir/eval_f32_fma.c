/* The interpreter's arithmetic on float, for processors whose fused multiply-add
 * is an instruction: the same bits as eval_f32.c, faster. */
#include "ir/eval_fma.h"

#ifdef EVAL_FMA
#define VM_DOUBLE 0
#define REAL_OPS eval_f32_fma
#include "ir/eval_real.inc"
#endif
EVAL_FMA_END
