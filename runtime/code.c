/* Programs as bytes, and images of code as functions. */
#define _GNU_SOURCE
#include "code.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

/* ---- mapping ---- */

typedef struct {
    Arena *arena;
    void *map;
    size_t size;
} Owner;

static void release(void *owner)
{
    Owner *o = owner;
    munmap(o->map, o->size);
    arena_free(o->arena);
}

bool code_map(Arena *a, Program *p, const CodeImage *image)
{
    char *map = mmap(NULL, image->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return false;
    memcpy(map, image->at, image->size);
    float (*single)(float, float, float) = fmaf;
    double (*twice)(double, double, double) = fma;
    char *imports = map + image->text;
    memcpy(imports + CODE_FMAF * sizeof(void *), &single, sizeof(void *));
    memcpy(imports + CODE_FMA * sizeof(void *), &twice, sizeof(void *));
    if (mprotect(map, image->text, PROT_READ | PROT_EXEC) != 0 ||
        (image->size > image->text &&
         mprotect(map + image->text, image->size - image->text, PROT_READ) != 0)) {
        int why = errno;
        munmap(map, image->size);
        errno = why;
        return false;
    }
    for (int i = 0; i < p->nphase; i++)
        for (int j = 0; j < p->phase[i].ntask; j++)
            p->phase[i].task[j].run = (KernelFn)(uintptr_t)(map + p->phase[i].task[j].code);
    Owner *o = NEW(a, Owner);
    *o = (Owner){a, map, image->size};
    p->owner = o;
    p->release = release;
    return true;
}

/* ---- bytes ---- */

/* The same walk over a program writes and reads. Structures go as they lie in
 * memory (whoever keeps the bytes knows the build that made them), the strings
 * and arrays that they point to behind them. */
typedef struct {
    Arena *arena;
    char *at;
    size_t done, size;
    bool reads, bad;
} Walk;

static void walk_bytes(Walk *w, void *p, size_t n)
{
    if (w->reads && n > w->size - w->done)
        w->bad = true;
    if (w->bad)
        return;
    if (!w->reads && n > w->size - w->done) {
        size_t want = (w->size + n) * 2;
        w->at = arena_grow(w->arena, w->at, w->size, want);
        w->size = want;
    }
    if (w->reads)
        memcpy(p, w->at + w->done, n);
    else
        memcpy(w->at + w->done, p, n);
    w->done += n;
}

static void walk_text(Walk *w, const char **text)
{
    uint32_t n = w->reads ? 0 : (uint32_t)strlen(*text);
    walk_bytes(w, &n, sizeof n);
    if (!w->reads) {
        walk_bytes(w, (char *)*text, n);
        return;
    }
    w->bad |= n > w->size - w->done;
    *text = w->bad ? "" : arena_strndup(w->arena, w->at + w->done, n);
    w->done += w->bad ? 0 : n;
}

/* The memory of an array whose count has been read, or the array that is written. */
static void *walk_array(Walk *w, void *array, int count, size_t size)
{
    if (!w->reads)
        return array;
    w->bad |= count < 0 || (size_t)count > (w->size - w->done) / size;
    return arena_alloc(w->arena, ((w->bad ? 0 : (size_t)count) + 1) * size);
}

static void walk_phase(Walk *w, ProgramPhase *phase)
{
    Task *task = phase->task;
    phase->task = NULL; /* addresses are nobody's: the same program is the same bytes */
    walk_bytes(w, phase, sizeof *phase);
    phase->task = walk_array(w, task, phase->ntask, sizeof *task);
    for (int i = 0; !w->bad && i < phase->ntask; i++) {
        Task t = phase->task[i];
        const char *name = t.name;
        t.name = NULL;
        t.run = NULL;
        walk_bytes(w, &t, sizeof t);
        walk_text(w, &name);
        t.name = name;
        phase->task[i] = t;
    }
}

static void walk_program(Walk *w, Program *p)
{
    Program was = *p, bare = *p;
    bare.target = NULL;
    bare.port = NULL;
    bare.store = NULL;
    bare.phase = NULL;
    bare.kernel = NULL; /* profiled code is not kept */
    bare.release = NULL;
    bare.owner = NULL;
    bare.state = NULL;
    walk_bytes(w, &bare, sizeof bare);
    *p = bare;
    p->target = was.target;
    walk_text(w, &p->target);
    p->port = walk_array(w, was.port, p->nport, sizeof *p->port);
    for (int i = 0; !w->bad && i < p->nport; i++) {
        Port port = p->port[i];
        const char *name = port.name;
        port.name = NULL;
        walk_bytes(w, &port, sizeof port);
        walk_text(w, &name);
        port.name = name;
        p->port[i] = port;
    }
    p->store = walk_array(w, was.store, p->nstore, sizeof *p->store);
    walk_bytes(w, p->store, w->bad ? 0 : (size_t)p->nstore * sizeof *p->store);
    p->phase = walk_array(w, was.phase, p->nphase, sizeof *p->phase);
    for (int i = 0; !w->bad && i < p->nphase; i++)
        walk_phase(w, &p->phase[i]);
}

Bytes code_pack(Arena *a, const Program *p, const CodeImage *image)
{
    Program copy = *p;
    copy.phase = NEW_ARRAY(a, ProgramPhase, p->nphase + 1);
    for (int i = 0; i < p->nphase; i++) {
        ProgramPhase *to = &copy.phase[i];
        *to = p->phase[i];
        to->task = NEW_ARRAY(a, Task, to->ntask + 1);
        memcpy(to->task, p->phase[i].task, (size_t)to->ntask * sizeof *to->task);
    }
    uint64_t sizes[] = {image->text, image->size};
    Walk w = {.arena = a, .at = arena_alloc(a, 4096), .size = 4096};
    walk_program(&w, &copy);
    walk_bytes(&w, sizes, sizeof sizes);
    walk_bytes(&w, image->at, image->size);
    return (Bytes){w.at, w.done};
}

static bool is_sound(const Program *p, const CodeImage *image)
{
    bool ok = image->text % CODE_PAGE == 0 && image->text > 0 && image->text <= image->size &&
              image->size - image->text >= CODE_IMPORTS * sizeof(void *);
    for (int i = 0; ok && i < p->nstore; i++)
        ok = p->store[i].kind != STORE_port || (unsigned)p->store[i].port < (unsigned)p->nport;
    for (int i = 0; ok && i < p->nphase; i++)
        for (int j = 0; ok && j < p->phase[i].ntask; j++)
            ok = (uint64_t)p->phase[i].task[j].code < image->text;
    return ok && p->loss_port < p->nport && !p->nkernel;
}

Program *code_unpack(Arena *a, Bytes bytes, CodeImage *image)
{
    Program *p = NEW(a, Program);
    uint64_t sizes[2] = {0};
    Walk w = {.arena = a, .at = (char *)bytes.at, .size = bytes.size, .reads = true};
    walk_program(&w, p);
    walk_bytes(&w, sizes, sizeof sizes);
    *image = (CodeImage){w.at + w.done, sizes[0], sizes[1]};
    return !w.bad && image->size == w.size - w.done && is_sound(p, image) ? p : NULL;
}
