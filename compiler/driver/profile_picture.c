/* The fastest step as a picture: a row a thread, a bar a call, coloured by kernel, with the
 * kernel's figures when pointed at; a legend of the kernels that take longest. */
#include "driver/profile.h"

#include "driver/text.h"
#include "system.h"

#include <math.h>
#include <string.h>

enum {
    WIDTH = 1240, LEFT = 80, RIGHT = 1220, TOP = 56, ROW = 40, BAR = 30, LINE = 20, COLOURS = 14
};

static const char *const colours[COLOURS] = {
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1",
    "#9c755f", "#ff9da7", "#86bcb6", "#8cd17d", "#d37295", "#499894", "#f1ce63"};

typedef struct {
    const Profile *p;
    Text *t;
    const int *order;      /* kernels by time */
    int *rank;             /* a kernel's place in it */
} Picture;

/* Text between tags, or in an attribute. */
static const char *escaped(Arena *a, const char *s)
{
    Text t = {.arena = a};
    text_add(&t, "%s", "");
    for (; *s; s++) {
        const char *entity = *s == '&'   ? "&amp;"
                             : *s == '<' ? "&lt;"
                             : *s == '>' ? "&gt;"
                             : *s == '"' ? "&quot;"
                                         : NULL;
        if (entity)
            text_add(&t, "%s", entity);
        else if ((unsigned char)*s >= ' ')
            text_add(&t, "%c", *s);
    }
    return text_string(&t);
}

static const char *colour_of(const Picture *d, int64_t kernel)
{
    if (kernel == PROFILE_wait)
        return "#e8e8e8";
    return d->rank[kernel] < COLOURS ? colours[d->rank[kernel]] : "#a9a9a9";
}

static double x_of(const Profile *p, int64_t cycles)
{
    double share = (double)(cycles - p->step.begin) / (double)(p->step.end - p->step.begin);
    return LEFT + share * (RIGHT - LEFT);
}

static const char *kernel_text(const Picture *d, int64_t kernel)
{
    const Profile *p = d->p;
    Arena *a = p->job->arena;
    if (kernel == PROFILE_wait)
        return "waiting for other threads";
    const ProfileKernel *k = &p->kernel[kernel];
    const char *where = k->line ? arena_printf(a, " %s:%d", k->file, k->line) : "";
    return arena_printf(a, "%s%s  %s", k->name, where, k->what);
}

/* ---- rows ---- */

/* Calls that begin within half a pixel are one bar, that of the longest. */
typedef struct { int64_t kernel, start, end, longest; int calls; } Bar;

static void draw_bar(Picture *d, const Bar *b, double y)
{
    if (!b->calls)
        return;
    double x = x_of(d->p, b->start), w = x_of(d->p, b->end) - x;
    double us = 1e6 * (double)(b->end - b->start) * d->p->tick;
    text_add(d->t, "<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%d\" fill=\"%s\">", x, y,
             w < 0.2 ? 0.2 : w, BAR, colour_of(d, b->kernel));
    text_add(d->t, "<title>");
    if (b->calls == 1)
        text_add(d->t, "%s&#10;%.2f us", escaped(d->p->job->arena, kernel_text(d, b->kernel)), us);
    else
        text_add(d->t, "%d short calls, the longest %s&#10;%.2f us", b->calls,
                 escaped(d->p->job->arena, kernel_text(d, b->kernel)), us);
    text_add(d->t, "</title></rect>\n");
}

static void draw_thread(Picture *d, int thread)
{
    const Profile *p = d->p;
    double y = TOP + thread * ROW;
    Bar bar = {0};
    text_add(d->t, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">thread %d</text>\n", LEFT - 8,
             y + BAR / 2 + 4, thread);
    for (int64_t i = 0; i < p->count[thread]; i++) {
        const ProfileEvent *e = &p->event[thread][i];
        if (!bar.calls || x_of(p, e->end) - x_of(p, bar.start) > 0.5) {
            draw_bar(d, &bar, y);
            bar = (Bar){e->kernel, e->start, e->end, e->end - e->start, 1};
            continue;
        }
        bar.end = e->end;
        bar.calls++;
        if (e->end - e->start > bar.longest) {
            bar.longest = e->end - e->start;
            bar.kernel = e->kernel;
        }
    }
    draw_bar(d, &bar, y);
}

/* ---- around them ---- */

/* 1, 2 or 5 times a power of ten: about eight to the axis. */
static double tick_step(double length)
{
    double power = pow(10, floor(log10(length / 8))), m = length / 8 / power;
    return power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

static void draw_axis(Picture *d)
{
    const Profile *p = d->p;
    double ms = 1e3 * p->step.seconds, step = tick_step(ms);
    int y = TOP + p->threads * ROW;
    for (int i = 0; i * step <= ms; i++) {
        double x = LEFT + i * step / ms * (RIGHT - LEFT);
        text_add(d->t, "<path d=\"M%.1f %d V%d\" stroke=\"#cccccc\"/>\n"
                       "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.6g</text>\n",
                 x, TOP - 4, y, x, y + 14, i * step);
    }
    text_add(d->t, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">ms</text>\n", LEFT - 8, y + 14);
}

static void legend_line(Picture *d, int line, const char *fill, double seconds, const char *text)
{
    int y = TOP + d->p->threads * ROW + 44 + line * LINE;
    text_add(d->t,
             "<rect x=\"%d\" y=\"%d\" width=\"14\" height=\"12\" fill=\"%s\"/>"
             "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%.4f ms</text>"
             "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%.1f %%</text>"
             "<text x=\"%d\" y=\"%d\">%s</text>\n",
             LEFT, y - 10, fill, LEFT + 100, y, 1e3 * seconds, LEFT + 160, y,
             100 * seconds / d->p->step.seconds, LEFT + 176, y,
             escaped(d->p->job->arena, text));
}

static int draw_legend(Picture *d)
{
    const Profile *p = d->p;
    int n = p->nkernel < COLOURS ? p->nkernel : COLOURS;
    double others = 0, wait = 0;
    for (int i = 0; i < n; i++)
        legend_line(d, i, colours[i], profile_seconds(p, d->order[i]), kernel_text(d, d->order[i]));
    for (int i = n; i < p->nkernel; i++)
        others += profile_seconds(p, d->order[i]);
    for (int i = 0; i < p->threads; i++)
        wait += p->wait[i] / p->threads;
    legend_line(d, n, "#a9a9a9", others, arena_printf(p->job->arena, "%d other kernels",
                                                      p->nkernel - n));
    legend_line(d, n + 1, colour_of(d, PROFILE_wait), wait, kernel_text(d, PROFILE_wait));
    return n + 2;
}

bool profile_picture(const Profile *p, const int *order, const char *path)
{
    Arena *a = p->job->arena;
    Text t = {.arena = a}, body = {.arena = a};
    Picture d = {p, &body, order, NEW_ARRAY(a, int, p->nkernel + 1)};
    for (int i = 0; i < p->nkernel; i++)
        d.rank[order[i]] = i;
    draw_axis(&d);
    for (int i = 0; i < p->threads; i++)
        draw_thread(&d, i);
    int lines = draw_legend(&d), height = TOP + p->threads * ROW + 44 + lines * LINE;
    text_add(&t, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                 "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n"
                 "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n"
                 "<text x=\"%d\" y=\"24\" font-size=\"16\">%s: a training step of %lld samples, "
                 "%d thread%s, %.4f ms</text>\n",
             WIDTH, height, WIDTH, height, LEFT, escaped(a, p->job->unit->name), (long long)p->rows,
             p->threads, p->threads == 1 ? "" : "s", 1e3 * p->step.seconds);
    Bytes parts[] = {{t.at, (size_t)t.n}, {body.at, (size_t)body.n}, {"</svg>\n", 7}};
    return file_write(p->job->diag, (Span){0}, path, parts, 3);
}
