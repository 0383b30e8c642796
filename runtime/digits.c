/* digits(): handwriting-like digits, made rather than stored.
 *
 * A digit is a few pen strokes given by points in the unit square, drawn through by Catmull-Rom
 * curves. For a sample the points tremble, the curves go through a smooth random distortion and
 * an affine map, are fitted into the image as MNIST's are (the longer side 20 of 28 pixels) and
 * inked with a pen of varying width. Sample i is a function of (seed, part, i) alone, and its
 * arithmetic uses + - * / sqrt in float, so that its bytes are the same on every machine and for
 * any number of threads.
 */
#include "parallel.h"
#include "reader.h"
#include "shuffle.h"

#include <math.h>
#include <string.h>

/* ---- shapes: x to the right, y down, both 0 to 1 ---- */

enum { END, SMOOTH, CORNER, LIFT }; /* LIFT: the pen comes down here for a new stroke */
typedef struct { float x, y; int kind; } Point;
enum { POINTS_MOST = 16, STEPS = 6, PATH_MOST = POINTS_MOST * STEPS + 1 };

#define S(x, y) {x##f / 100, y##f / 100, SMOOTH}
#define C(x, y) {x##f / 100, y##f / 100, CORNER}
#define L(x, y) {x##f / 100, y##f / 100, LIFT}

/* The first stroke begins at the first point without a lift. */
typedef struct { int digit; float width; Point p[POINTS_MOST]; } Glyph;

static const Glyph glyphs[] = {
    {0, .72f, {S(58., 3.), S(28., 10.), S(8., 48.), S(20., 88.), S(50., 99.), S(82., 84.),
               S(92., 46.), S(78., 12.), S(52., 2.), S(44., 5.)}},
    {0, .58f, {S(70., 8.), S(46., 1.), S(14., 26.), S(8., 68.), S(36., 98.), S(72., 90.),
               S(93., 52.), S(84., 16.), S(62., 4.)}},
    {0, .85f, {S(40., 5.), S(10., 28.), S(6., 68.), S(34., 97.), S(74., 92.), S(96., 58.),
               S(86., 20.), S(54., 2.), S(34., 8.)}},
    {1, .30f, {S(55., 0.), S(52., 50.), S(50., 100.)}},
    {1, .30f, {S(66., 1.), S(50., 52.), S(36., 99.)}},
    {1, .42f, {C(14., 26.), C(60., 1.), S(56., 52.), S(54., 100.)}},
    {1, .50f, {C(18., 24.), C(54., 1.), S(53., 50.), S(52., 98.), L(14., 98.), S(90., 99.)}},
    {2, .74f, {S(10., 28.), S(24., 8.), S(52., 1.), S(80., 12.), S(84., 34.), S(60., 62.),
               C(8., 97.), S(50., 95.), S(94., 94.)}},
    {2, .78f, {S(8., 26.), S(30., 5.), S(62., 2.), S(84., 20.), S(74., 48.), S(44., 80.),
               S(18., 97.), S(5., 86.), S(20., 74.), S(46., 86.), S(72., 98.), S(97., 88.)}},
    {2, .66f, {S(14., 14.), S(46., 0.), S(82., 14.), S(78., 44.), S(48., 74.), C(12., 98.),
               C(92., 99.)}},
    {3, .66f, {S(12., 14.), S(44., 0.), S(80., 13.), S(72., 38.), C(40., 47.), S(78., 57.),
               S(86., 80.), S(54., 100.), S(8., 88.)}},
    {3, .70f, {C(12., 6.), S(46., 4.), C(84., 4.), C(42., 42.), S(80., 52.), S(86., 80.),
               S(52., 100.), S(10., 90.)}},
    {3, .62f, {S(20., 10.), S(56., 1.), S(84., 18.), S(66., 40.), S(44., 46.), S(72., 52.),
               S(88., 74.), S(66., 97.), S(22., 97.), S(6., 86.)}},
    {4, .74f, {S(18., 4.), S(12., 30.), C(10., 56.), S(50., 54.), C(92., 50.), L(74., 8.),
               S(68., 54.), S(64., 100.)}},
    {4, .76f, {C(66., 2.), S(40., 34.), C(6., 68.), S(50., 66.), C(96., 66.), L(67., 3.),
               S(66., 50.), S(65., 100.)}},
    {4, .64f, {S(20., 2.), S(10., 28.), S(20., 50.), S(50., 50.), C(84., 34.), L(86., 4.),
               S(78., 50.), S(70., 100.)}},
    {5, .70f, {C(88., 3.), C(28., 5.), C(20., 44.), S(54., 37.), S(86., 56.), S(80., 87.),
               S(44., 100.), S(8., 88.)}},
    {5, .66f, {S(26., 6.), C(18., 46.), S(50., 36.), S(84., 58.), S(74., 90.), S(38., 100.),
               S(6., 90.), L(26., 6.), S(60., 5.), S(94., 1.)}},
    {5, .74f, {C(96., 2.), S(64., 3.), C(36., 4.), S(26., 34.), S(44., 44.), S(74., 54.),
               S(78., 78.), S(50., 97.), S(4., 94.)}},
    {6, .62f, {S(74., 1.), S(38., 22.), S(12., 60.), S(20., 91.), S(50., 100.), S(84., 84.),
               S(78., 60.), S(48., 52.), S(17., 70.)}},
    {6, .56f, {S(40., 0.), S(16., 34.), S(8., 70.), S(26., 97.), S(62., 98.), S(88., 78.),
               S(72., 58.), S(40., 58.), S(12., 76.)}},
    {6, .70f, {S(88., 6.), S(50., 12.), S(18., 46.), S(12., 82.), S(42., 100.), S(80., 86.),
               S(76., 60.), S(44., 56.), S(22., 74.), S(26., 88.)}},
    {7, .70f, {C(8., 7.), S(48., 5.), C(90., 4.), S(60., 46.), S(42., 100.)}},
    {7, .66f, {S(8., 18.), S(22., 3.), S(54., 9.), C(90., 3.), S(62., 46.), S(48., 100.)}},
    {7, .70f, {C(10., 6.), S(50., 5.), C(90., 4.), S(58., 50.), S(38., 100.), L(26., 52.),
               S(52., 49.), S(82., 48.)}},
    {7, .60f, {C(6., 22.), C(10., 5.), C(90., 3.), S(68., 40.), S(60., 100.)}},
    {8, .60f, {S(82., 14.), S(50., 0.), S(18., 15.), S(30., 38.), S(64., 56.), S(88., 80.),
               S(54., 100.), S(14., 84.), S(30., 60.), S(64., 42.), S(84., 18.), S(70., 4.)}},
    {8, .56f, {S(52., 1.), S(20., 10.), S(20., 36.), S(52., 47.), S(84., 32.), S(78., 8.),
               S(50., 1.), L(52., 47.), S(12., 64.), S(14., 90.), S(50., 100.), S(88., 88.),
               S(86., 62.), S(50., 47.)}},
    {8, .52f, {S(88., 8.), S(52., 0.), S(16., 16.), S(38., 44.), S(78., 66.), S(80., 92.),
               S(40., 100.), S(10., 86.), S(36., 54.), S(76., 28.), S(92., 6.)}},
    {9, .60f, {S(82., 16.), S(50., 1.), S(16., 16.), S(18., 42.), S(52., 50.), C(84., 20.),
               S(78., 60.), S(70., 100.)}},
    {9, .62f, {S(84., 20.), S(56., 1.), S(20., 10.), S(12., 38.), S(42., 50.), C(84., 22.),
               S(86., 62.), S(68., 95.), S(34., 100.), S(10., 90.)}},
    {9, .56f, {S(70., 4.), S(30., 6.), S(10., 32.), S(38., 48.), S(78., 34.), C(86., 4.),
               S(74., 50.), S(50., 100.)}},
};
enum { NGLYPH = sizeof glyphs / sizeof *glyphs };

/* ---- random numbers of one sample ---- */

typedef struct { uint32_t key[2], counter[2], word[2]; int left; } Random;

static uint32_t draw(Random *r)
{
    if (!r->left) {
        threefry2x32(r->key, r->counter, r->word);
        r->counter[1]++;
        r->left = 2;
    }
    return r->word[--r->left];
}

static float uniform(Random *r, float lo, float hi)
{
    return lo + (hi - lo) * ((float)(draw(r) >> 8) * 0x1p-24f);
}

/* Nearly normal, between -3.5 and 3.5: the sum of four uniforms. */
static float normal(Random *r)
{
    uint32_t a = draw(r), b = draw(r);
    int32_t sum = (int32_t)(a >> 16) + (int32_t)(a & 65535) + (int32_t)(b >> 16) +
                  (int32_t)(b & 65535) - 2 * 65535;
    return (float)sum * (1.7320508f / 65536);
}

/* ---- from points to a path in pixels ---- */

typedef struct { float x, y; bool down; } Step; /* down: a line comes here from the step before */
typedef struct { int n; Step at[PATH_MOST]; } Path;

static void tremble(const Glyph *g, Random *r, float amount, Point *p, int *n)
{
    for (*n = 0; *n < POINTS_MOST && g->p[*n].kind != END; ++*n) {
        p[*n] = g->p[*n];
        p[*n].x += amount * normal(r) / g->width;
        p[*n].y += amount * normal(r);
    }
}

/* A neighbour for the curve's direction; beyond a corner or an end the curve comes in straight. */
static Point neighbour(const Point *p, int at, int other, bool cut)
{
    Point q = p[at];
    if (!cut)
        return p[other];
    q.x = 2 * p[at].x - p[other].x;
    q.y = 2 * p[at].y - p[other].y;
    return q;
}

static void trace(const Point *p, int n, Path *path)
{
    path->n = 0;
    for (int i = 0; i < n; i++) {
        bool first = i == 0 || p[i].kind == LIFT;
        if (first)
            path->at[path->n++] = (Step){p[i].x, p[i].y, false};
        if (i + 1 == n || p[i + 1].kind == LIFT)
            continue;
        bool cut_a = first || p[i].kind == CORNER;
        bool cut_b = i + 2 >= n || p[i + 2].kind == LIFT || p[i + 1].kind == CORNER;
        Point a = neighbour(p, i, cut_a ? i + 1 : i - 1, cut_a), b = p[i], c = p[i + 1];
        Point d = neighbour(p, i + 1, cut_b ? i : i + 2, cut_b);
        for (int k = 1; k <= STEPS; k++) {
            float t = (float)k / STEPS, t2 = t * t, t3 = t2 * t;
            float wa = -t3 + 2 * t2 - t, wb = 3 * t3 - 5 * t2 + 2, wc = -3 * t3 + 4 * t2 + t,
                  wd = t3 - t2;
            path->at[path->n++] = (Step){0.5f * (wa * a.x + wb * b.x + wc * c.x + wd * d.x),
                                         0.5f * (wa * a.y + wb * b.y + wc * c.y + wd * d.y), true};
        }
    }
}

enum { GRID = 6, CELLS = 3 }; /* control values of a cubic B-spline over -0.25 .. 1.25 */
typedef struct { float x[GRID][GRID], y[GRID][GRID]; } Elastic;

static void spline_weights(float v, int *cell, float w[4])
{
    float s = (v + 0.25f) * (CELLS / 1.5f);
    s = s < 0 ? 0 : s > CELLS ? CELLS : s;
    *cell = s >= CELLS ? CELLS - 1 : (int)s;
    float t = s - (float)*cell, u = 1 - t;
    w[0] = u * u * u / 6;
    w[1] = (3 * t * t * t - 6 * t * t + 4) / 6;
    w[2] = (3 * u * u * u - 6 * u * u + 4) / 6;
    w[3] = t * t * t / 6;
}

static void distort(Path *path, const Elastic *e)
{
    for (int i = 0; i < path->n; i++) {
        int cx, cy;
        float wx[4], wy[4], dx = 0, dy = 0;
        spline_weights(path->at[i].x, &cx, wx);
        spline_weights(path->at[i].y, &cy, wy);
        for (int r = 0; r < 4; r++)
            for (int c = 0; c < 4; c++) {
                dx += wy[r] * wx[c] * e->x[cy + r][cx + c];
                dy += wy[r] * wx[c] * e->y[cy + r][cx + c];
            }
        path->at[i].x += dx;
        path->at[i].y += dy;
    }
}

/* Width, slant and turn, then fitted into the image: the longer side is `side` pixels. */
static void place(Path *path, Random *r, float width, int size)
{
    float turn = 0.11f * normal(r), slant = 0.12f + 0.20f * normal(r);
    float stretch = width * (1 + 0.14f * normal(r)), unit = (float)size / 28;
    float t2 = turn * turn; /* Taylor: |turn| < 0.4 */
    float sine = turn * (1 - t2 / 6 * (1 - t2 / 20)), cosine = 1 - t2 / 2 * (1 - t2 / 12);
    float x0 = 1e9f, x1 = -1e9f, y0 = 1e9f, y1 = -1e9f;
    for (int i = 0; i < path->n; i++) {
        Step *s = &path->at[i];
        float x = (s->x - 0.5f) * stretch - slant * (s->y - 0.5f), y = s->y - 0.5f;
        s->x = cosine * x - sine * y;
        s->y = sine * x + cosine * y;
        x0 = s->x < x0 ? s->x : x0;
        x1 = s->x > x1 ? s->x : x1;
        y0 = s->y < y0 ? s->y : y0;
        y1 = s->y > y1 ? s->y : y1;
    }
    float longer = x1 - x0 > y1 - y0 ? x1 - x0 : y1 - y0;
    float scale = unit * (18 + 1.2f * normal(r)) / longer;
    float sx = (float)size / 2 + unit * 1.1f * normal(r) - scale * (x0 + x1) / 2;
    float sy = (float)size / 2 + unit * 0.9f * normal(r) - scale * (y0 + y1) / 2;
    for (int i = 0; i < path->n; i++) {
        path->at[i].x = scale * path->at[i].x + sx;
        path->at[i].y = scale * path->at[i].y + sy;
    }
}

/* ---- ink ---- */

enum { SIZE_MOST = 256 };

static int clamp(float v, int lo, int hi)
{
    return v < (float)lo ? lo : v > (float)hi ? hi : (int)v;
}

/* Raises field to radius less distance for the pixels near a line from a to b. */
static void ink_line(float *field, int size, Step a, Step b, float radius, float reach)
{
    float left = a.x < b.x ? a.x : b.x, right = a.x < b.x ? b.x : a.x;
    float top = a.y < b.y ? a.y : b.y, bottom = a.y < b.y ? b.y : a.y;
    int x0 = clamp(left - reach, 0, size), x1 = clamp(right + reach + 1, 0, size);
    int y0 = clamp(top - reach, 0, size), y1 = clamp(bottom + reach + 1, 0, size);
    float dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
    float inverse = length2 > 1e-12f ? 1 / length2 : 0;
    for (int y = y0; y < y1; y++) {
        float py = (float)y + 0.5f - a.y;
        float *row = field + y * size;
#pragma omp simd
        for (int x = x0; x < x1; x++) {
            float px = (float)x + 0.5f - a.x;
            float t = (px * dx + py * dy) * inverse;
            t = t < 0 ? 0 : t > 1 ? 1 : t;
            float ex = px - t * dx, ey = py - t * dy;
            float v = radius - sqrtf(ex * ex + ey * ey);
            row[x] = row[x] < v ? v : row[x];
        }
    }
}

static void draw_digit(int64_t seed, int part, int64_t index, int digit, int size, uint8_t *image)
{
    float field[SIZE_MOST * SIZE_MOST];
    Random r = {.key = {(uint32_t)seed, 0x64696769u + (uint32_t)part},
                .counter = {(uint32_t)index}};
    int choice[NGLYPH], nchoice = 0, n;
    for (int i = 0; i < NGLYPH; i++)
        if (glyphs[i].digit == digit)
            choice[nchoice++] = i;
    const Glyph *g = &glyphs[choice[draw(&r) % (uint32_t)nchoice]];
    Point p[POINTS_MOST];
    Path path;
    Elastic e;
    tremble(g, &r, 0.027f, p, &n);
    trace(p, n, &path);
    for (int i = 0; i < GRID; i++)
        for (int k = 0; k < GRID; k++) {
            e.x[i][k] = 0.125f * normal(&r) / g->width;
            e.y[i][k] = 0.125f * normal(&r);
        }
    distort(&path, &e);
    place(&path, &r, g->width, size);

    float unit = (float)size / 28;
    float pen = 1.15f + 0.34f * normal(&r);
    pen = unit * (pen < 0.6f ? 0.6f : pen);
    float press = 0.12f * normal(&r), soft = unit * uniform(&r, 0.9f, 1.5f);
    float tone = uniform(&r, 225, 265), grain = uniform(&r, 4, 22);
    int pixels = size * size;
    for (int i = 0; i < pixels; i++)
        field[i] = -1e9f;
    for (int i = 1; i < path.n; i++)
        if (path.at[i].down) {
            float along = (float)i / (float)path.n - 0.5f;
            float radius = pen * (1 + press * 2 * along);
            ink_line(field, size, path.at[i - 1], path.at[i], radius, radius + soft);
        }
    for (int i = 0; i < pixels; i++) {
        image[i] = 0;
        float cover = 0.5f + field[i] / soft;
        if (cover > 0) {
            float v = (cover < 1 ? cover : 1) * tone;
            v += (cover < 1 ? cover : 1) * grain * normal(&r);
            image[i] = (uint8_t)clamp(v + 0.5f, 0, 255);
        }
    }
}

/* ---- the reader ---- */

typedef struct { int64_t count[2], seed; int size; } Digits;

static bool digits_open(Opening *o)
{
    Digits *s = NEW(o->a, Digits);
    int64_t size;
    if (!opening_integer(o, 0, 1, 10000000, 60000, &s->count[0]) ||
        !opening_integer(o, 1, 0, 10000000, 10000, &s->count[1]) ||
        !opening_integer(o, 2, 0, INT32_MAX, 1, &s->seed) ||
        !opening_integer(o, 3, 8, SIZE_MOST, 28, &size))
        return false;
    s->size = (int)size;
    opening_field(o, "image", DT_u8, 2, (int64_t[]){size, size});
    opening_field(o, "label", DT_u8, 0, NULL);
    o->ds->count = s->count[0];
    o->ds->test_count = s->count[1];
    o->ds->nclass = 10;
    o->ds->classes = number_names(o->a, 10);
    o->ds->class_field = 1;
    o->ds->state->own = s;
    o->ds->state->recipe = arena_printf(o->a, "digits %lld", (long long)s->seed);
    return true;
}

/* Every digit as often as the others, but for a remainder, in an order of its own. */
static void fill_labels(const Digits *s, int part, int64_t *order, uint8_t *label)
{
    shuffle_epoch(s->seed, -1 - part, s->count[part], order);
    for (int64_t i = 0; i < s->count[part]; i++)
        label[i] = (uint8_t)(order[i] % 10);
}

typedef struct { const Digits *set; int part; const uint8_t *label; uint8_t *image; } Drawing;

enum { DRAWN = 256 };

static void draw_some(void *context, int piece)
{
    const Drawing *w = context;
    int64_t from = (int64_t)piece * DRAWN, to = from + DRAWN, most = w->set->count[w->part];
    size_t pixels = (size_t)w->set->size * (size_t)w->set->size;
    for (int64_t i = from; i < to && i < most; i++)
        draw_digit(w->set->seed, w->part, i, w->label[i], w->set->size,
                   w->image + (size_t)i * pixels);
}

static bool digits_load(Dataset *ds, Diag *d)
{
    const Digits *s = ds->state->own;
    Arena *a = ds->state->arena;
    size_t bytes = dataset_bytes(ds), pixels = (size_t)s->size * (size_t)s->size;
    if (!memory_suffices(d, ds->state->at, "digits()", bytes))
        return false;
    for (int part = 0; part < 2; part++) {
        int64_t n = s->count[part];
        uint8_t *image = arena_alloc(a, pixels * (size_t)n + 1);
        uint8_t *label = arena_alloc(a, (size_t)n + 1);
        Arena *scratch = arena_new();
        fill_labels(s, part, NEW_ARRAY(scratch, int64_t, n + 1), label);
        arena_free(scratch);
        Drawing w = {s, part, label, image};
        parallel_each((int)((n + DRAWN - 1) / DRAWN), draw_some, &w);
        *(part ? &ds->field[0].test : &ds->field[0].train) = image;
        *(part ? &ds->field[1].test : &ds->field[1].train) = label;
    }
    return true;
}

static const ReaderParam digits_params[] = {
    {"train", TAKES_number, false, "60000", "how many training samples"},
    {"test", TAKES_number, false, "10000", "how many test samples"},
    {"seed", TAKES_number, false, "1", "the same seed gives the same samples"},
    {"size", TAKES_number, false, "28", "width and height of a picture"}};

const Reader reader_digits = {
    "digits", digits_params, sizeof digits_params / sizeof *digits_params,
    "Draws handwritten digits like MNIST's; no file is needed.",
    "image [size, size] u8 (0 to 255), label u8 (0 to 9); with a test set.",
    digits_open, digits_load};
