/* A string that grows in an arena. */
#ifndef WEFT_TEXT_H
#define WEFT_TEXT_H

#include "base/arena.h"

#include <stdint.h>

typedef struct { Arena *arena; char *at; int n, cap; } Text;

void text_add(Text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The text so far, NUL-terminated; valid until the next addition. */
char *text_string(Text *t);
/* Columns that a UTF-8 string takes on a terminal (each code point one). */
int text_columns(const char *s);
/* 1234567 as "1,234,567"; bytes as "5.52 MB". */
char *text_count(Arena *a, int64_t n);
char *text_bytes(Arena *a, double bytes);

#endif
