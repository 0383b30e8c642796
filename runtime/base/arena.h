/* Arenas: memory that dies together.
 *
 * Whoever allocates takes the Arena first; who takes none does not allocate.
 * The session arena holds sources and definitions, the unit arena one model's
 * graphs, a scratch arena one pass's worklists. Nothing is freed singly.
 */
#ifndef WEFT_ARENA_H
#define WEFT_ARENA_H

#include <stdarg.h>
#include <stddef.h>

typedef struct Arena Arena;

Arena *arena_new(void);
void arena_free(Arena *a);

/* Zeroed memory, aligned to 16 bytes. Never null: exhausted memory ends the
 * program with a message and exit code 1. */
void *arena_alloc(Arena *a, size_t size);
/* A copy of old's `had` bytes in `want` bytes, the rest zero. */
void *arena_grow(Arena *a, const void *old, size_t had, size_t want);
char *arena_strdup(Arena *a, const char *s);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *format, va_list ap);

#define NEW(arena, T) ((T *)arena_alloc((arena), sizeof(T)))
#define NEW_ARRAY(arena, T, n) ((T *)arena_alloc((arena), sizeof(T) * (size_t)(n)))

/* A growable array in an arena: LIST(int) xs = {0}; list_push(a, &xs, 3). */
#define LIST(T) struct { T *at; int n, cap; }
#define list_push(arena, l, v)                                                        \
    do {                                                                              \
        if ((l)->n == (l)->cap) {                                                     \
            int want_ = (l)->cap ? 2 * (l)->cap : 8;                                  \
            (l)->at = arena_grow((arena), (l)->at, sizeof(*(l)->at) * (size_t)(l)->n, \
                                 sizeof(*(l)->at) * (size_t)want_);                   \
            (l)->cap = want_;                                                         \
        }                                                                             \
        (l)->at[(l)->n++] = (v);                                                      \
    } while (0)

#endif
