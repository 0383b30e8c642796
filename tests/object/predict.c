/* Calls an object's predict in many ways: as C and as C++, in batches of every size, on threads,
 * with arguments that it must refuse.
 *   -DNET=name -DNET_H='"net.h"' -DIN=elements -DOUT=elements -DBATCH=n -DBYTES=workspace
 *   -DTHREAD_BYTES=more for a thread
 * predict ROWS IN.npy OUT.bin: writes its samples as NPY, its answers as bytes. */
#include NET_H
#include "check.h"
#include <pthread.h>

#define PREDICT JOIN(NET, _predict)
#define PARALLEL JOIN(NET, _predict_parallel)
#define INFO JOIN(NET, _info)

enum { THREADS = 3 };

/* ---- a parallel_for with threads ---- */

typedef struct { weft_body body; void *argument; int32_t i; } Call;

static void *run_call(void *p)
{
    Call *c = (Call *)p;
    c->body(c->argument, c->i);
    return NULL;
}

static void threads_for(void *context, int32_t count, weft_body body, void *argument)
{
    pthread_t thread[THREADS];
    Call call[THREADS];
    ++*(int *)context;
    for (int32_t i = 0; i < count; i++) {
        call[i].body = body;
        call[i].argument = argument;
        call[i].i = i;
        if (pthread_create(&thread[i], NULL, run_call, &call[i]))
            exit(2);
    }
    for (int32_t i = 0; i < count; i++)
        pthread_join(thread[i], NULL);
}

/* ---- the samples ---- */

static void write_npy(const char *path, const float *x, int rows)
{
    char head[128];
    FILE *f = fopen(path, "wb");
    int n;
    if (!f)
        exit(2);
    n = snprintf(head, sizeof head, "\x93NUMPY%c%c%c%c{'descr': '<f4', 'fortran_order': False, "
                 "'shape': (%d, %s), }", 1, 0, 118, 0, rows, SHAPE);
    memset(head + n, ' ', sizeof head - (size_t)n);
    head[127] = '\n';
    fwrite(head, 1, 128, f);
    fwrite(x, sizeof *x, (size_t)rows * IN, f);
    fclose(f);
}

static void refusals(const float *x, float *y, void *ws)
{
    int calls = 0;
    expect(PREDICT(NULL, y, 1, ws) == WEFT_NULL, "a null input is taken");
    expect(PREDICT(x, NULL, 1, ws) == WEFT_NULL, "a null output is taken");
    expect(PREDICT(x, y, 1, NULL) == WEFT_NULL, "a null workspace is taken");
    expect(PREDICT(x, y, 0, ws) == WEFT_RANGE, "0 rows are taken");
    expect(PREDICT(x, y, -1, ws) == WEFT_RANGE, "-1 rows are taken");
    expect(PREDICT(x, y, BATCH + 1, ws) == WEFT_RANGE, "too many rows are taken");
    expect(PREDICT(x, y, 1, (char *)ws + 8) == WEFT_MISALIGNED, "a workspace at 8");
    expect(PREDICT((const float *)((const char *)x + 1), y, 1, ws) == WEFT_MISALIGNED,
           "an input at 1");
    expect(PARALLEL(x, y, 1, ws, 0, threads_for, &calls) == WEFT_RANGE, "0 threads");
    expect(PARALLEL(x, y, 1, ws, 1, NULL, &calls) == WEFT_NULL, "no parallel_for");
    expect(calls == 0, "a refused call computes");
}

int main(int argc, char **argv)
{
    int rows = atoi(argv[1]), calls = 0;
    float *x = (float *)taken(sizeof(float) * IN * (size_t)rows);
    float *y = (float *)taken(sizeof(float) * OUT * (size_t)rows);
    float *z = (float *)taken(sizeof(float) * OUT * (size_t)rows);
    size_t guard = (size_t)BYTES + (THREADS - 1) * (size_t)THREAD_BYTES;
    unsigned char *ws = (unsigned char *)taken(guard + 64);
    if (argc != 4)
        return 2;
    for (size_t i = 0; i < (size_t)rows * IN; i++)
        x[i] = (float)((i * 2654435761u >> 7) % 1000) / 999;
    write_npy(argv[2], x, rows);
    refusals(x, y, ws);
    /* One by one, then in batches of every size: the same bits. */
    memset(ws + BYTES, 0x5A, 64);
    for (int i = 0; i < rows; i++)
        expect(PREDICT(x + (size_t)i * IN, y + (size_t)i * OUT, 1, ws) == WEFT_OK, "a row");
    for (int n = 1; n <= BATCH && n <= rows; n += n < 18 ? 1 : 7) {
        memset(z, 0, sizeof(float) * OUT * (size_t)rows);
        for (int i = 0; i < rows; i += n)
            expect(PREDICT(x + (size_t)i * IN, z + (size_t)i * OUT,
                           rows - i < n ? rows - i : n, ws) == WEFT_OK, "a batch");
        expect(memcmp(y, z, sizeof(float) * OUT * (size_t)rows) == 0, "a batch has other bits");
    }
    for (int i = 0; i < 64; i++)
        expect(ws[BYTES + i] == 0x5A, "something behind the workspace is written");
    memset(z, 0, sizeof(float) * OUT * (size_t)rows);
    for (int i = 0; i < rows; i += BATCH)
        expect(PARALLEL(x + (size_t)i * IN, z + (size_t)i * OUT,
                        rows - i < BATCH ? rows - i : BATCH, ws, THREADS, threads_for,
                        &calls) == WEFT_OK, "on threads");
    expect(calls > 0, "parallel_for is not called");
    expect(memcmp(y, z, sizeof(float) * OUT * (size_t)rows) == 0, "threads have other bits");
    expect(strstr(INFO(), "\"model\"") != NULL, "no info");
    FILE *f = fopen(argv[3], "wb");
    if (!f)
        return 2;
    fwrite(y, sizeof *y, (size_t)rows * OUT, f);
    fclose(f);
    return failed;
}
