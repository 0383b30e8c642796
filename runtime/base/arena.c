/* Arenas as a chain of chunks, each twice the last up to a megabyte. */
#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef TEST_SMALL
enum { FIRST_CHUNK = 64, LAST_CHUNK = 64 };
#else
enum { FIRST_CHUNK = 1 << 14, LAST_CHUNK = 1 << 20 };
#endif

typedef struct Chunk {
    struct Chunk *next;
    size_t used, size;
    _Alignas(16) char bytes[];
} Chunk;

struct Arena {
    Chunk *top;
    size_t grain;
};

static _Noreturn void out_of_memory(size_t size)
{
    fprintf(stderr, "weft: out of memory (%zu bytes more were needed)\n", size);
    exit(1);
}

Arena *arena_new(void)
{
    Arena *a = calloc(1, sizeof *a);
    if (!a)
        out_of_memory(sizeof *a);
    a->grain = FIRST_CHUNK;
    return a;
}

void arena_free(Arena *a)
{
    if (!a)
        return;
    for (Chunk *c = a->top, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(a);
}

void *arena_alloc(Arena *a, size_t size)
{
    if (size > PTRDIFF_MAX / 2)
        out_of_memory(size);
    size = (size + 15) & ~(size_t)15;
    if (!a->top || a->top->size - a->top->used < size) {
        size_t want = size > a->grain ? size : a->grain;
        Chunk *c = calloc(1, sizeof *c + want);
        if (!c)
            out_of_memory(want);
        c->size = want;
        c->next = a->top;
        a->top = c;
        if (a->grain < LAST_CHUNK)
            a->grain *= 2;
    }
    void *p = a->top->bytes + a->top->used;
    a->top->used += size;
    return p;
}

void *arena_grow(Arena *a, const void *old, size_t had, size_t want)
{
    void *p = arena_alloc(a, want);
    if (had)
        memcpy(p, old, had);
    return p;
}

char *arena_strndup(Arena *a, const char *s, size_t n)
{
    char *p = arena_alloc(a, n + 1);
    memcpy(p, s, n);
    return p;
}

char *arena_strdup(Arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(Arena *a, const char *format, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, format, again);
    va_end(again);
    return p;
}

char *arena_printf(Arena *a, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    char *p = arena_vprintf(a, format, ap);
    va_end(ap);
    return p;
}
