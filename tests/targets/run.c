/* Runs the cases on the target: what runtime/executor.c does, on one thread and
 * without a library. */
#include "run.h"
#include "frame.h" /* FRAME_, written with the cases */

#include <stdint.h>

enum { STORE_port, STORE_worker, STORE_block, STORE_shard }; /* StoreKind */
enum { POOL = 3 << 20, WORDS = 1024, ALIGN = 64 };

static union { char byte[POOL]; int64_t word; } pool __attribute__((aligned(ALIGN)));
static int64_t frame[WORDS];

void *memcpy(void *to, const void *from, __SIZE_TYPE__ n);
void *memset(void *to, int c, __SIZE_TYPE__ n);

static int64_t word_of(const void *p)
{
    return (int64_t)(uintptr_t)p;
}

static char *take(unsigned *used, unsigned bytes)
{
    char *p = pool.byte + *used;
    *used += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (*used > POOL)
        __builtin_trap();
    return p;
}

/* Points the frame at the buffers of a block and shard. */
static void point(const TargetCase *c, char *const *port, char *worker, char *common, int block,
                  int shard)
{
    for (int i = 0; i < c->nstore; i++) {
        const TargetStore *s = &c->store[i];
        char *p = s->kind == STORE_port     ? port[s->port]
                  : s->kind == STORE_worker ? worker + s->offset
                                            : common + s->offset;
        if (s->kind == STORE_block)
            p += s->size * (unsigned)block;
        else if (s->kind == STORE_shard)
            p += s->size * (unsigned)shard;
        frame[c->words + i] = word_of(p);
    }
}

static void run_rows(const TargetCase *c, const TargetPhase *phase, char *const *port, char *worker,
                     char *common)
{
    for (int shard = 0, block = 0; shard < c->shards; shard++) {
        int begin = shard * c->per, end = begin + c->per < c->n ? begin + c->per : c->n;
        for (int row = begin; row < end; row += c->block, block++) {
            frame[FRAME_row0] = row;
            frame[FRAME_rows] = end - row < c->block ? end - row : c->block;
            frame[FRAME_first] = row == begin;
            point(c, port, worker, common, block, shard);
            phase->task[0].run(frame);
        }
    }
    point(c, port, worker, common, 0, 0);
}

static void run_case(const TargetCase *c, void (*put)(const void *, unsigned))
{
    unsigned used = 0;
    char *port[64];
    if (c->nport > 64 || c->words + c->nstore > WORDS)
        __builtin_trap();
    for (int i = 0; i < c->nport; i++) {
        port[i] = take(&used, c->port[i].bytes);
        memset(port[i], 0, c->port[i].bytes);
        if (c->port[i].value)
            memcpy(port[i], c->port[i].value, c->port[i].bytes);
    }
    char *worker = take(&used, c->worker), *common = take(&used, c->common);
    memset(frame, 0, sizeof frame);
    memset(worker, 0x7f, c->worker); /* nobody may count on zeros */
    memset(common, 0x7f, c->common);
    frame[FRAME_n] = c->n;
    frame[FRAME_shards] = c->shards;
    frame[FRAME_lengths] = word_of(c->lengths);
    point(c, port, worker, common, 0, 0);
    for (int i = 0; i < c->nphase; i++) {
        const TargetPhase *phase = &c->phase[i];
        if (phase->rows)
            run_rows(c, phase, port, worker, common);
        for (int level = 0; !phase->rows && level < phase->nlevel; level++)
            for (int k = 0; k < phase->ntask; k++)
                for (int u = 0; phase->task[k].level == level && u < phase->task[k].units; u++) {
                    frame[FRAME_unit] = u;
                    phase->task[k].run(frame);
                }
    }
    for (int i = 0; i < c->nport; i++)
        if (c->port[i].is_output)
            put(port[i], c->port[i].bytes);
}

void target_run(void (*put)(const void *, unsigned))
{
    for (int i = 0; i < target_ncase; i++)
        run_case(&target_cases[i], put);
}
