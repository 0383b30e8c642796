/* What the programs that call objects share. Included behind the object's header; C and C++. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)

static int failed;

static void expect(int ok, const char *what)
{
    if (!ok) {
        printf("%s\n", what);
        failed = 1;
    }
}

/* Aligned memory of so many bytes, none of them 0; what lies behind them is filled, too. */
static void *taken(size_t bytes)
{
    char *p = (char *)malloc(bytes + 2 * WEFT_ALIGN);
    if (!p)
        exit(2);
    memset(p, 0xA5, bytes + 2 * WEFT_ALIGN);
    return p + (WEFT_ALIGN - (size_t)p % WEFT_ALIGN);
}
