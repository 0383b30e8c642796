/* A whole program for a Cortex-M7 without a system: the model of stream.model tells a square wave
 * sample by sample. Here the samples are made up and the answers go to a debugger or emulator
 * (semihosting); on a board an ADC and a pin take their places.
 *   weft compile RUN --stream --target cortex-m7 --size -o stream.o
 *   arm-none-eabi-gcc -mcpu=cortex-m7 -mfloat-abi=hard -O2 -nostdlib -ffreestanding \
 *       -T bare.ld bare.c stream.o -o bare.elf
 *   qemu-system-arm -M mps2-an500 -nographic -semihosting -kernel bare.elf */
#include "stream.h"

static _Alignas(WEFT_ALIGN) unsigned char state[STREAM_STATE_BYTES];

/* ---- the debugger ---- */

enum { SYS_WRITE0 = 4, SYS_EXIT = 0x18, STOPPED = 0x20023, EXITED = 0x20026 };

static void debugger(int what, const void *argument)
{
    register int r0 __asm__("r0") = what;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

/* "12 square 0.973 3cb43958 3f790d1b 3a83126f": the best of the answers, the bits of all. */
static void tell(unsigned t, const char *name, float p, const float *y)
{
    char line[40 + 9 * STREAM_STEP_OUT_output];
    unsigned at = sizeof line - 1, length = 0, parts = (unsigned)(p * 1000 + 0.5f);
    line[at] = 0;
    line[--at] = '\n';
    for (int k = STREAM_STEP_OUT_output; k-- > 0; line[--at] = ' ') {
        union { float number; unsigned bits; } v = {y[k]};
        for (int i = 0; i < 8; i++, v.bits >>= 4)
            line[--at] = "0123456789abcdef"[v.bits & 15];
    }
    for (int i = 0; i < 3; i++, parts /= 10)
        line[--at] = (char)('0' + parts % 10);
    line[--at] = '.';
    line[--at] = (char)('0' + parts);
    line[--at] = ' ';
    while (name[length])
        length++;
    while (length)
        line[--at] = name[--length];
    line[--at] = ' ';
    do
        line[--at] = (char)('0' + t % 10);
    while (t /= 10);
    debugger(SYS_WRITE0, line + at);
}

/* ---- the program ---- */

/* Not inlined: reset may hold no floating point before the unit is on. */
__attribute__((noinline)) static int run(void)
{
    static const char *const names[STREAM_STEP_OUT_output] = {"sine", "square", "saw-tooth"};
    if (stream_reset(state) != WEFT_OK)
        return 1;
    for (unsigned t = 0; t < 48; t++) {
        float x[STREAM_STEP_IN_x] = {t % 12 < 6 ? -1 : 1}, y[STREAM_STEP_OUT_output];
        int best = 0;
        if (stream_step(state, x, y) != WEFT_OK)
            return 1;
        for (int k = 1; k < STREAM_STEP_OUT_output; k++)
            if (y[k] > y[best])
                best = k;
        tell(t, names[best], y[best], y);
    }
    return 0;
}

/* ---- start: memory that is named in bare.ld, the floating point unit, the table of vectors ---- */

extern unsigned zeros_begin[], zeros_end[];
extern char stack_top[];

void reset(void);

void reset(void)
{
    for (volatile unsigned *p = zeros_begin; p < zeros_end; p++)
        *p = 0;
    *(volatile unsigned *)0xE000ED88 |= 0xFu << 20; /* CPACR: full access */
    __asm__ volatile("dsb\n isb");
    debugger(SYS_EXIT, (const void *)(run() == 0 ? EXITED : STOPPED));
}

static void fault(void)
{
    debugger(SYS_EXIT, (const void *)STOPPED);
}

typedef void (*Handler)(void);
__attribute__((section(".vectors"), used)) static const Handler vectors[16] = {
    (Handler)stack_top, reset, fault, fault, fault, fault, fault};
