/* Start and output on Linux without a C library. */
#include "run.h"

#if defined __x86_64__
enum { CALL_write = 1, CALL_exit = 60 };
static long call(long nr, long a, long b, long c)
{
    long r;
    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return r;
}
#elif defined __aarch64__
enum { CALL_write = 64, CALL_exit = 93 };
static long call(long nr, long a, long b, long c)
{
    register long x8 __asm__("x8") = nr, x0 __asm__("x0") = a, x1 __asm__("x1") = b,
                  x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
#elif defined __arm__
enum { CALL_write = 4, CALL_exit = 1 };
static long call(long nr, long a, long b, long c)
{
    register long r7 __asm__("r7") = nr, r0 __asm__("r0") = a, r1 __asm__("r1") = b,
                  r2 __asm__("r2") = c;
    __asm__ volatile("svc 0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2) : "memory");
    return r0;
}
#else /* riscv */
enum { CALL_write = 64, CALL_exit = 93 };
static long call(long nr, long a, long b, long c)
{
    register long a7 __asm__("a7") = nr, a0 __asm__("a0") = a, a1 __asm__("a1") = b,
                  a2 __asm__("a2") = c;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
    return a0;
}
#endif

static void put(const void *p, unsigned bytes)
{
    for (long done = 0; bytes; bytes -= (unsigned)done, p = (const char *)p + done) {
        done = call(CALL_write, 1, (long)p, (long)bytes);
        if (done <= 0)
            call(CALL_exit, 1, 0, 0);
    }
}

#ifdef __x86_64__
__attribute__((force_align_arg_pointer))
#endif
void _start(void)
{
    target_run(put);
    call(CALL_exit, 0, 0, 0);
}
