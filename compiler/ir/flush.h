/* Denormal numbers count as zero, in and out. The mode is the thread's: each one that computes
 * sets it and puts back what it found. */
#ifndef WEFT_FLUSH_H
#define WEFT_FLUSH_H

#if defined(__SSE__)
#include <xmmintrin.h>
typedef unsigned FlushMode;
static inline FlushMode flush_begin(void)
{
    FlushMode old = _mm_getcsr();
    _mm_setcsr(old | 0x8040); /* results (FTZ) and operands (DAZ) */
    return old;
}

static inline void flush_end(FlushMode old)
{
    _mm_setcsr(old);
}
#elif defined(__aarch64__)
typedef unsigned long FlushMode;
static inline FlushMode flush_begin(void)
{
    FlushMode old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" : : "r"(old | 1ul << 24));
    return old;
}

static inline void flush_end(FlushMode old)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(old));
}
#else
typedef int FlushMode;
static inline FlushMode flush_begin(void)
{
    return 0;
}

static inline void flush_end(FlushMode old)
{
    (void)old;
}
#endif

#endif
