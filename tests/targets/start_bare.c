/* Start and output on a Cortex-M without a system: the debugger's calls
 * (semihosting) write the file. */
#include "run.h"

enum { SYS_OPEN = 1, SYS_WRITE = 5, SYS_EXIT = 0x18, WRITE_BINARY = 5, EXITED = 0x20026 };

static int file;

static int semihost(int nr, const void *arg)
{
    register int r0 __asm__("r0") = nr;
    register const void *r1 __asm__("r1") = arg;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void put(const void *p, unsigned bytes)
{
    const unsigned args[] = {(unsigned)file, (unsigned)p, bytes};
    if (semihost(SYS_WRITE, args) != 0)
        semihost(SYS_EXIT, (const void *)1);
}

void reset(void);

void reset(void)
{
    static const char name[] = "out.bin";
    const unsigned args[] = {(unsigned)name, WRITE_BINARY, sizeof name - 1};
#ifdef __ARM_FP
    *(volatile unsigned *)0xE000ED88 |= 0xFu << 20; /* CPACR: the floating point unit is on */
    __asm__ volatile("dsb\n isb");
#endif
    file = semihost(SYS_OPEN, args);
    target_run(put);
    semihost(SYS_EXIT, (const void *)EXITED);
}

static void fault(void)
{
    semihost(SYS_EXIT, (const void *)1);
}

extern char stack_top[];
typedef void (*Handler)(void);
__attribute__((section(".vectors"), used)) static const Handler vectors[16] = {
    (Handler)stack_top, reset, fault, fault, fault, fault, fault};
