/* What people and programs see of a training while it runs.
 *
 * On a terminal a bar in Keras's spirit, redrawn in place; in a log one line per epoch; with
 * --json one object a line on stdout.
 */
#ifndef WEFT_PROGRESS_H
#define WEFT_PROGRESS_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct { const char *name; double value; } Figure; /* loss, accuracy, val_loss, ... */

typedef enum {
    PROGRESS_auto,  /* a bar when out is a terminal, else lines */
    PROGRESS_bar,
    PROGRESS_lines,
    PROGRESS_none
} ProgressMode;

typedef struct Progress Progress;

Progress *progress_new(Arena *a, FILE *out, ProgressMode mode);

/* An epoch begins (counted from 1) with `steps` steps over `samples` samples; a resumed one
 * begins with done_steps, done_samples behind it. `epochs` 0: no "Epoch" line (evaluate). */
void progress_begin(Progress *p, int64_t epoch, int64_t epochs, int64_t steps, int64_t samples,
                    int64_t done_steps, int64_t done_samples);
/* After a step: steps and samples done so far in this epoch. Cheap when nothing is drawn:
 * ask progress_wants first to spare computing the figures. */
bool progress_wants(Progress *p);
void progress_step(Progress *p, int64_t steps, int64_t samples, const Figure *figures, int n);
/* The epoch is over: the last line with all figures (also val_...). */
void progress_end(Progress *p, const Figure *figures, int n);
/* Leaves the bar so that another message may be printed. */
void progress_break(Progress *p);

/* ---- one JSON object a line ---- */

typedef enum { JSON_number, JSON_integer, JSON_text, JSON_bool } JsonKind;
typedef struct {
    const char *name;
    JsonKind kind;
    double number;    /* NaN and infinity become null */
    int64_t integer;  /* also of a bool */
    const char *text; /* null becomes null */
} JsonField;

#define json_field_number(n, v) ((JsonField){.name = (n), .kind = JSON_number, .number = (v)})
#define json_field_integer(n, v) ((JsonField){.name = (n), .kind = JSON_integer, .integer = (v)})
#define json_field_text(n, v) ((JsonField){.name = (n), .kind = JSON_text, .text = (v)})
#define json_field_bool(n, v) ((JsonField){.name = (n), .kind = JSON_bool, .integer = (v)})

/* (The names keep clear of jansson's json_object and the like, which a program links as well.)
 * The object's text in the arena, members in order, without newline; numbers in the fewest digits
 * that keep their bits. */
char *json_fields_text(Arena *a, const JsonField *fields, int n);
/* The same with a line for every member, and a newline at the end. */
char *json_fields_lines(Arena *a, const JsonField *fields, int n);
/* Prints {"event": event, ...} and a newline, and flushes. */
void json_line(FILE *out, const char *event, const JsonField *fields, int n);

#endif
