/* threefry.inc read in C. */
#ifndef WEFT_THREEFRY_C_H
#define WEFT_THREEFRY_C_H

#include <stdint.h>

#define VT uint32_t
#define T_ADD(a, b) ((uint32_t)((a) + (b)))
#define T_XOR(a, b) ((a) ^ (b))
#define T_ROTL(a, c) ((uint32_t)((a) << (c) | (a) >> (32 - (c))))
#define T_CONST(c) ((uint32_t)(c))
#define TF_FN(name, k0, k1, c0, c1, second)                                                        \
    static inline uint32_t name(uint32_t k0, uint32_t k1, uint32_t c0, uint32_t c1,                \
                                uint32_t *second)
#define TF_STORE(second, v) (*(second) = (v))
#include "ir/threefry.inc"
#undef VT
#undef T_ADD
#undef T_XOR
#undef T_ROTL
#undef T_CONST
#undef TF_FN
#undef TF_STORE

#endif
