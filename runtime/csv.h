/* Rows and cells of CSV text. Not for use outside runtime/. */
#ifndef WEFT_CSV_H
#define WEFT_CSV_H

#include "base/arena.h"
#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CSV_COLUMNS_MOST = 1 << 20 };

typedef struct { const char *at; size_t n; bool quoted; } Cell; /* without its quotes */

typedef struct {
    const char *path;
    Span at;
    const char *text, *end;   /* *end is NUL */
    char separator;
    bool has_header;
    int ncol;
    int64_t nrow;             /* without the header */
} Table;

typedef struct { const Table *t; const char *p; int64_t line, begin; } Cursor;

/* The one of , ; tab | that the first line has most of. */
char csv_separator(const Table *t);
/* The next row that is not blank: its number of cells (only `most` of them are stored), 0 at
 * the end, -1 when a quote has no end. c->begin is its first line. */
int csv_row(Cursor *c, Cell *cells, int most);
/* The cell with doubled quotes made single. */
char *csv_text(Arena *a, const Cell *c);
/* Empty, ?, NA, N/A, NaN or null, not in quotes. */
bool csv_missing(const Cell *c);
/* A finite decimal number. */
bool csv_number(const Cell *c, double *v);

#endif
