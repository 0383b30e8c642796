/* Messages with places: three doors for trouble.
 *
 *   error_at        the user's mistake   collected, exit code 1
 *   unsupported_at  a limit of ours      collected, exit code 2
 *   bug             our mistake          prints and aborts
 *
 * A Span is a byte range in one of the session's sources. Line and column are
 * computed only when a message is printed. Up to DIAG_MOST messages are kept;
 * one mistake is one message (callers poison what follows from it).
 */
#ifndef WEFT_DIAG_H
#define WEFT_DIAG_H

#include "arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { DIAG_MOST = 20 };

typedef struct { int32_t file; uint32_t lo, hi; } Span; /* file 0: no place */

typedef struct {
    const char *name; /* as the user wrote it */
    const char *text; /* NUL-terminated */
    size_t size;
    bool is_prelude;  /* compiled in: never blamed while a caller's place is known */
} Source;

typedef enum { DIAG_error, DIAG_unsupported, DIAG_warning, DIAG_note } DiagKind;

typedef struct { DiagKind kind; Span span; const char *text; } Message;

typedef struct {
    Arena *arena;
    LIST(Source) sources;   /* Span.file is an index + 1 */
    LIST(Message) messages; /* notes follow what they belong to */
    int nerror, nunsupported, nsuppressed;
    bool json;
} Diag;

/* Registers a source; returns its Span.file. The text is copied. */
int32_t diag_source(Diag *d, const char *name, const char *text, size_t size, bool is_prelude);

/* Each formats one sentence: what was found, what was needed, the numbers;
 * lower case, no full stop. They return false, for `return error_at(...)`. */
bool error_at(Diag *d, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool unsupported_at(Diag *d, Span at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void warning_at(Diag *d, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Attaches a place to the last message. */
void note_at(Diag *d, Span at, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Moves what `from`, the diag of another thread with an arena of its own, has collected. */
void diag_move(Diag *d, Diag *from);

/* True while nothing was reported as error or unsupported. */
bool diag_ok(const Diag *d);
/* 0, 1 (an error) or 2 (only limits of ours). */
int diag_exit_code(const Diag *d);
/* Prints all messages with source line and caret to f; empties the list. */
void diag_print(Diag *d, FILE *f);

/* 1-based line and column (in characters, UTF-8) of a byte offset. */
void diag_line_column(const Diag *d, Span at, int *line, int *column);
/* The name of a span's source, "" for none. */
const char *diag_file(const Diag *d, Span at);
Span span_join(Span a, Span b);

/* Our mistake: prints "weft: bug: ..." to stderr and aborts. */
_Noreturn void bug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The candidate nearest to `word` by edit distance (swaps count one), or null
 * when none is near enough to be meant (distance > (length + 2) / 4). */
const char *nearest_name(const char *word, const char *const *candidates, int n);

#endif
