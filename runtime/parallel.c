/* Threads for some milliseconds: they take the next piece until none is left. OpenMP's would go
 * on spinning, beside whatever else runs while a training starts. */
#include "parallel.h"

#include "system.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct {
    void (*fn)(void *, int);
    void *context;
    int n;
    atomic_int next;
} Work;

static void *take(void *p)
{
    Work *w = p;
    for (int i; (i = atomic_fetch_add(&w->next, 1)) < w->n;)
        w->fn(w->context, i);
    return NULL;
}

void parallel_each(int n, void (*fn)(void *context, int i), void *context)
{
    enum { THREADS_MOST = 64 };
    pthread_t thread[THREADS_MOST];
    Work w = {.fn = fn, .context = context, .n = n};
    int threads = n > 1 ? system_threads() : 1, started = 0;
    threads = threads < n ? threads : n;
    threads = threads < THREADS_MOST ? threads : THREADS_MOST;
    while (started + 1 < threads && pthread_create(&thread[started], NULL, take, &w) == 0)
        started++;
    take(&w);
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
}
