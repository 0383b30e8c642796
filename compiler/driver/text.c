/* Growing strings, and numbers as people read them. */
#include "driver/text.h"

#include <stdio.h>
#include <string.h>

void text_add(Text *t, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (t->n + n + 1 > t->cap) {
        int want = 2 * (t->n + n + 1) + 64;
        t->at = arena_grow(t->arena, t->at, (size_t)t->n, (size_t)want);
        t->cap = want;
    }
    vsnprintf(t->at + t->n, (size_t)n + 1, format, again);
    va_end(again);
    t->n += n;
}

char *text_string(Text *t)
{
    if (!t->at)
        text_add(t, "%s", "");
    t->at[t->n] = 0;
    return t->at;
}

int text_columns(const char *s)
{
    int n = 0;
    for (; *s; s++)
        n += (*s & 0xC0) != 0x80;
    return n;
}

char *text_count(Arena *a, int64_t n)
{
    char digits[32], out[48];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n), k = 0;
    for (int i = 0; i < len; i++) {
        out[k++] = digits[i];
        int left = len - 1 - i;
        if (left && left % 3 == 0 && digits[i] != '-')
            out[k++] = ',';
    }
    out[k] = 0;
    return arena_strdup(a, out);
}

char *text_bytes(Arena *a, double bytes)
{
    static const char *const unit[] = {"B", "KB", "MB", "GB", "TB", "PB"};
    int u = 0;
    while (bytes >= 1000 && u < 5) {
        bytes /= 1000;
        u++;
    }
    return arena_printf(a, u ? "%.2f %s" : "%.0f %s", bytes, unit[u]);
}
