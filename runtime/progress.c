/* The bar and the lines. A frame is built whole and written at once; on a terminal it
 * ends with "erase to the end of the line", never fills the last column, and so never wraps while
 * it is redrawn. */
#define _GNU_SOURCE
#include "progress.h"

#include "system.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR = 20, FRAME_MOST = 1024 };
static const double redraw_seconds = 0.05;

struct Progress {
    FILE *out;
    ProgressMode mode;
    bool utf8, open;      /* open: the cursor stands behind a frame */
    int64_t epoch, epochs, steps, samples;
    int64_t done_steps, done_samples;  /* of this epoch */
    int64_t first_samples;             /* done before we began: not part of the speed */
    double began, drawn;
};

static bool speaks_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *v = getenv(names[i]);
        if (v && *v)
            return strcasestr(v, "utf-8") || strcasestr(v, "utf8");
    }
    return false;
}

Progress *progress_new(Arena *a, FILE *out, ProgressMode mode)
{
    Progress *p = NEW(a, Progress);
    p->out = out;
    p->mode = mode;
    if (mode == PROGRESS_auto) {
        const char *term = getenv("TERM");
        bool bar = isatty(fileno(out)) && term && strcmp(term, "dumb");
        p->mode = bar ? PROGRESS_bar : PROGRESS_lines;
    }
    p->utf8 = speaks_utf8();
    return p;
}

/* ---- one frame ---- */

typedef struct { char text[FRAME_MOST]; int n, columns; } Frame;

/* Appends when it leaves the last column free; says whether it did. */
static bool append(Frame *f, int width, const char *text)
{
    int bytes = (int)strlen(text), columns = 0;
    for (const char *c = text; *c; c++)
        columns += (*c & 0xC0) != 0x80;
    if (f->columns + columns >= width || f->n + bytes >= FRAME_MOST - 16)
        return false;
    memcpy(f->text + f->n, text, (size_t)bytes + 1);
    f->n += bytes;
    f->columns += columns;
    return true;
}

static void duration_text(char *to, size_t size, double seconds)
{
    long s = seconds < 360000 ? (long)(seconds + 0.5) : 360000;
    if (s < 60)
        snprintf(to, size, "%lds", s);
    else if (s < 3600)
        snprintf(to, size, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(to, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

static void speed_text(char *to, size_t size, double samples_per_second)
{
    double v = samples_per_second;
    if (v >= 1e6)
        snprintf(to, size, "%.2fM/s", v * 1e-6);
    else if (v >= 1e4)
        snprintf(to, size, "%.1fk/s", v * 1e-3);
    else
        snprintf(to, size, v < 10 ? "%.2f/s" : "%.0f/s", v);
}

/* " - loss: 0.1234": four digits behind the point, or an exponent where they would say nothing. */
static void figure_text(char *to, size_t size, const Figure *f)
{
    double v = fabs(f->value);
    bool plain = v == 0 || (v >= 1e-3 && v < 1e6);
    snprintf(to, size, plain ? " - %s: %.4f" : " - %s: %.4e", f->name, f->value);
}

static void append_bar(Frame *f, const Progress *p, int width, bool over)
{
    char bar[BAR * 3 + 32];
    int n = 0;
    int64_t full = over || p->steps <= 0 ? BAR : BAR * p->done_steps / p->steps;
    const char *on = p->utf8 ? "━" : "=", *off = p->utf8 ? "╌" : ".";
    bar[n++] = ' ';
    for (int i = 0; i < BAR; i++)
        n += snprintf(bar + n, sizeof bar - (size_t)n, "%s",
                      i < full ? on : !p->utf8 && i == full ? ">" : off);
    append(f, width, bar);
}

static void build(Frame *f, const Progress *p, int width, bool bar, bool over,
                  const Figure *figures, int n)
{
    char text[160], part[64];
    double seconds = system_seconds() - p->began;
    int64_t fresh = p->done_samples - p->first_samples;
    double speed = seconds > 0 ? (double)fresh / seconds : 0;
    if (bar) {
        int digits = snprintf(part, sizeof part, "%lld", (long long)p->steps);
        snprintf(text, sizeof text, "%*lld/%lld", digits, (long long)p->done_steps,
                 (long long)p->steps);
        append(f, width, text);
        append_bar(f, p, width, over);
    }
    double left = speed > 0 ? (double)(p->samples - p->done_samples) / speed : 0;
    duration_text(part, sizeof part, over ? seconds : left);
    if (over || speed > 0) {
        snprintf(text, sizeof text, over ? "%s%s" : "%sETA %s", f->n ? " " : "", part);
        append(f, width, text);
    }
    if (speed > 0) {
        speed_text(part, sizeof part, speed);
        snprintf(text, sizeof text, " %s", part);
        append(f, width, text);
    }
    for (int i = 0; i < n; i++) {
        figure_text(text, sizeof text, &figures[i]);
        if (!append(f, width, text))
            break;
    }
}

static int terminal_width(const Progress *p)
{
    struct winsize w;
    if (ioctl(fileno(p->out), TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
        return w.ws_col;
    return 80;
}

static void draw(Progress *p, bool over, const Figure *figures, int n)
{
    Frame f = {.n = 0};
    bool bar = p->mode == PROGRESS_bar;
    /* The last frame stays, so it may wrap rather than lose figures. */
    build(&f, p, bar && !over ? terminal_width(p) : FRAME_MOST, bar, over, figures, n);
    if (bar)
        fprintf(p->out, "\r%s\x1b[K%s", f.text, over ? "\n" : "");
    else if (p->epochs)
        fprintf(p->out, "epoch %lld/%lld - %s\n", (long long)p->epoch, (long long)p->epochs,
                f.text);
    else
        fprintf(p->out, "%s\n", f.text);
    fflush(p->out);
    p->open = bar && !over;
    p->drawn = system_seconds();
}

/* ---- what callers see ---- */

void progress_begin(Progress *p, int64_t epoch, int64_t epochs, int64_t steps, int64_t samples,
                    int64_t done_steps, int64_t done_samples)
{
    p->epoch = epoch;
    p->epochs = epochs;
    p->steps = steps;
    p->samples = samples;
    p->done_steps = done_steps;
    p->done_samples = p->first_samples = done_samples;
    p->began = system_seconds();
    p->drawn = 0;
    if (p->mode == PROGRESS_bar && epochs)
        fprintf(p->out, "Epoch %lld/%lld\n", (long long)epoch, (long long)epochs);
    if (p->mode == PROGRESS_bar)
        draw(p, false, NULL, 0);
}

bool progress_wants(Progress *p)
{
    return p->mode == PROGRESS_bar && system_seconds() - p->drawn >= redraw_seconds;
}

void progress_step(Progress *p, int64_t steps, int64_t samples, const Figure *figures, int n)
{
    p->done_steps = steps;
    p->done_samples = samples;
    if (progress_wants(p))
        draw(p, false, figures, n);
}

void progress_end(Progress *p, const Figure *figures, int n)
{
    p->done_steps = p->steps; /* also when no step was worth telling us */
    p->done_samples = p->samples;
    if (p->mode != PROGRESS_none)
        draw(p, true, figures, n);
}

void progress_break(Progress *p)
{
    if (p->open)
        fputc('\n', p->out);
    fflush(p->out);
    p->open = false;
    p->drawn = 0;
}
