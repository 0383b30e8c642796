/* Compiles what follows for AVX2 and FMA, where that is an option (EVAL_FMA). */
#ifndef WEFT_EVAL_FMA_H
#define WEFT_EVAL_FMA_H

#include "ir/eval_in.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__) && defined(__clang__)
#define EVAL_FMA 1
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define EVAL_FMA_END _Pragma("clang attribute pop")
#elif defined(__x86_64__)
#define EVAL_FMA 1
#pragma GCC target("avx2,fma")
#define EVAL_FMA_END
#else
#define EVAL_FMA_END
#endif

#endif
