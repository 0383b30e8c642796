/* Runs compiled programs with OpenMP: one parallel region a batch, a barrier
 * after each phase. The unit of work in a row phase is a shard of the batch,
 * whose blocks run in order, so that no sum depends on the number of threads. */
#include "lay_out.h"

#include "base/diag.h"
#include "system.h"

#include <math.h>
#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Where threads wait for each other. Barriers are some microseconds apart, so
 * waiting begins with spinning; on a busy machine the thread that is waited for
 * may have no processor, so it goes on with yielding. */
typedef struct {
    atomic_int waiting;
    atomic_uint round;
    int spins;             /* 0 when there are more threads than processors */
} Gate;

typedef struct ProgramState {
    int threads;
    Gate gate;
    int64_t most_rows;
    int64_t lengths[SYM_MOST];
    void **port;           /* bound memory */
    Frame **frame;         /* one a thread */
    char *arena;
    size_t bytes;
    LayOut at;             /* of the stores */
    char **base;           /* of each store; a worker's: of thread 0 */
    size_t worker_bytes;   /* from one thread's workspace to the next */
} ProgramState;

enum { SPINS = 20000 };

static void spin_once(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void gate_wait(Gate *g, int threads)
{
    unsigned round = atomic_load_explicit(&g->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&g->waiting, 1, memory_order_acq_rel) + 1 == threads) {
        atomic_store_explicit(&g->waiting, 0, memory_order_relaxed);
        atomic_store_explicit(&g->round, round + 1, memory_order_release);
        return;
    }
    for (int i = 0; atomic_load_explicit(&g->round, memory_order_acquire) == round; i++) {
        if (i < g->spins)
            spin_once();
        else
            sched_yield();
    }
}

static ProgramState *state_of(Program *p)
{
    if (!p->state) {
        p->state = calloc(1, sizeof *p->state);
        if (p->state)
            p->state->port = calloc((size_t)p->nport + 1, sizeof(void *));
    }
    return p->state;
}

int program_nport(const Program *p)
{
    return p->nport;
}

const Port *program_port(const Program *p, int i)
{
    return &p->port[i];
}

const char *program_target(const Program *p)
{
    return p->target;
}

int program_find(const Program *p, Role role, const char *name)
{
    for (int i = 0; i < p->nport; i++)
        if (p->port[i].role == role && !strcmp(p->port[i].name, name))
            return i;
    return -1;
}

void program_bind(Program *p, int port, void *memory)
{
    ProgramState *s = state_of(p);
    if (s)
        s->port[port] = memory;
}

static void release_memory(ProgramState *s)
{
    for (int i = 0; s->frame && i < s->threads; i++) {
        if (s->frame[i])
            free(s->frame[i]->log);
        free(s->frame[i]);
    }
    free(s->frame);
    free(s->arena);
    free(s->at.size);
    free(s->at.room);
    free(s->at.offset);
    free(s->base);
    s->frame = NULL;
    s->arena = NULL;
    s->at.size = NULL;
    s->at.room = NULL;
    s->at.offset = NULL;
    s->base = NULL;
    s->bytes = 0;
}

/* Memory for the stores: workers' regions first, thread after thread, then the common one. */
static bool take_memory(Program *p, ProgramState *s)
{
    LayOut *l = &s->at;
    if (!lay_out(p, s->most_rows, s->lengths, l))
        return false;
    s->worker_bytes = lay_out_worker_bytes(l);
    s->bytes = lay_out_bytes(l, s->threads);
    if (posix_memalign((void **)&s->arena, 4096, s->bytes))
        return false;
    size_t common = s->worker_bytes * (size_t)s->threads;
    for (int i = 0; i < p->nstore; i++)
        if (p->store[i].kind != STORE_port)
            s->base[i] = s->arena + l->offset[i] + (p->store[i].kind == STORE_worker ? 0 : common);
    return true;
}

/* No two threads' frames share a cache line: their words are written all the time. */
static Frame *frame_new(int nstore)
{
    enum { APART = 128 };
    void *frame;
    size_t bytes = sizeof(Frame) + sizeof(char *) * (size_t)nstore;
    bytes = (bytes + APART - 1) / APART * APART;
    if (posix_memalign(&frame, APART, bytes))
        return NULL;
    return memset(frame, 0, bytes);
}

bool program_prepare(Program *p, int64_t rows, const int64_t *lengths, int threads)
{
    ProgramState *s = state_of(p);
    if (!s)
        return false;
    if (block_room(rows) > p->block)
        bug("code for small batches is asked for one of %lld rows", (long long)rows);
    release_memory(s);
    s->threads = threads > 0 ? threads : system_threads();
    s->gate.spins = s->threads <= system_threads() ? SPINS : 0;
    s->most_rows = rows;
    for (int i = SYM_length; lengths && i < SYM_MOST; i++)
        s->lengths[i] = lengths[i];
    s->lengths[SYM_N] = rows;
    s->lengths[SYM_S] = shard_count(rows);
    s->at.size = calloc((size_t)p->nstore + 1, sizeof *s->at.size);
    s->at.room = calloc((size_t)p->nstore + 1, sizeof *s->at.room);
    s->at.offset = calloc((size_t)p->nstore + 1, sizeof *s->at.offset);
    s->base = calloc((size_t)p->nstore + 1, sizeof *s->base);
    s->frame = calloc((size_t)s->threads, sizeof *s->frame);
    if (!s->at.size || !s->at.room || !s->at.offset || !s->base || !s->frame || !take_memory(p, s))
        return false;
    for (int i = 0; i < s->threads; i++) {
        if (!(s->frame[i] = frame_new(p->nstore)))
            return false;
        if (p->nkernel && !(s->frame[i]->log = calloc(1, sizeof *s->frame[i]->log)))
            return false; /* code that notes its calls does so in every run */
        for (int j = 0; j < p->nstore; j++)
            s->frame[i]->buffer[j] = p->store[j].kind == STORE_worker
                                         ? s->base[j] + s->worker_bytes * (size_t)i
                                         : s->base[j];
    }
    return true;
}

static void run_shard(const Program *p, const ProgramState *s, const ProgramPhase *phase, Frame *f,
                      int64_t shard)
{
    int64_t block = block_rows(f->n), per = shard_rows(f->n), begin = shard * per;
    int64_t end = begin + per < f->n ? begin + per : f->n;
    for (int64_t row = begin; row < end; row += block) {
        f->row0 = row;
        f->rows = end - row < block ? end - row : block;
        f->first = row == begin;
        for (int i = 0; i < p->nstore; i++) {
            if (p->store[i].kind == STORE_block)
                f->buffer[i] = s->base[i] + s->at.size[i] * (row / block);
            else if (p->store[i].kind == STORE_shard)
                f->buffer[i] = s->base[i] + s->at.size[i] * shard;
        }
        phase->task[0].run(f);
    }
    for (int i = 0; i < p->nstore; i++)
        if (p->store[i].kind == STORE_shard || p->store[i].kind == STORE_block)
            f->buffer[i] = s->base[i];
}

static void run_level(const ProgramPhase *phase, Frame *f, int level, int thread, int threads)
{
    int64_t total = 0, at = 0;
    for (int i = 0; i < phase->ntask; i++)
        total += phase->task[i].level == level ? phase->task[i].units : 0;
    int64_t lo = total * thread / threads, hi = total * (thread + 1) / threads;
    for (int i = 0; i < phase->ntask; i++) {
        const Task *task = &phase->task[i];
        if (task->level != level)
            continue;
        for (int64_t u = 0; u < task->units; u++, at++) {
            if (at < lo || at >= hi)
                continue;
            f->unit = u;
            int64_t start = f->log ? profile_cycles() : 0;
            task->run(f);
            if (f->log)
                profile_note(f, task->number, start);
        }
    }
}

static bool loss_is_finite(const Program *p, const ProgramState *s)
{
    if (p->loss_port < 0)
        return true;
    const void *loss = s->port[p->loss_port];
    return p->port[p->loss_port].dtype == DT_f64 ? isfinite(*(const double *)loss)
                                                 : isfinite(*(const float *)loss);
}

/* One thread's part of a batch; all threads take the same way through it. */
static bool run_phases(const Program *p, ProgramState *s, Frame *f, int thread, int threads)
{
    for (int i = 0; i < p->nphase; i++) {
        const ProgramPhase *phase = &p->phase[i];
        if (phase->rows) {
            int64_t lo = f->shards * thread / threads, hi = f->shards * (thread + 1) / threads;
            for (int64_t shard = lo; shard < hi; shard++)
                run_shard(p, s, phase, f, shard);
            int64_t start = f->log ? profile_cycles() : 0;
            gate_wait(&s->gate, threads);
            if (f->log)
                profile_note(f, PROFILE_wait, start);
            continue;
        }
        for (int level = 0; level < phase->nlevel; level++) {
            run_level(phase, f, level, thread, threads);
            int64_t start = f->log ? profile_cycles() : 0;
#pragma omp barrier
            if (f->log)
                profile_note(f, PROFILE_wait, start);
            /* Nobody writes the loss behind its level: all threads see the same. */
            if (i == p->loss_phase && level == p->loss_level && !loss_is_finite(p, s))
                return false;
        }
    }
    return true;
}

bool program_run(Program *p, int64_t n, const int64_t *order)
{
    ProgramState *s = p->state;
    s->lengths[SYM_N] = n;
    s->lengths[SYM_S] = shard_count(n);
    for (int i = 0; i < s->threads; i++) {
        Frame *f = s->frame[i];
        f->n = n;
        f->shards = shard_count(n);
        f->order = order;
        f->lengths = s->lengths;
        for (int j = 0; j < p->nstore; j++)
            if (p->store[j].kind == STORE_port)
                f->buffer[j] = s->port[p->store[j].port];
    }
    if (s->threads == 1)
        run_phases(p, s, s->frame[0], 0, 1);
    else
#pragma omp parallel num_threads(s->threads)
        run_phases(p, s, s->frame[omp_get_thread_num()], omp_get_thread_num(),
                   omp_get_num_threads());
    return loss_is_finite(p, s);
}

size_t program_bytes(const Program *p)
{
    return p->state ? p->state->bytes : 0;
}

size_t program_worker_bytes(const Program *p)
{
    return p->state ? p->state->worker_bytes : 0;
}

int program_barriers(const Program *p)
{
    int n = 0;
    for (int i = 0; i < p->nphase; i++)
        n += p->phase[i].rows ? 1 : p->phase[i].nlevel;
    return n;
}

int program_threads(const Program *p)
{
    return p->state->threads;
}

Frame *program_frame(const Program *p, int thread)
{
    return p->state->frame[thread];
}

void program_free(Program *p)
{
    if (!p)
        return;
    if (p->state) {
        release_memory(p->state);
        free(p->state->port);
        free(p->state);
    }
    p->release(p->owner);
}
