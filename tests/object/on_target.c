/* Calls an object's predict on another processor, where no C library is; started by
 * tests/targets/start_*.c. The samples are those of predict.c.
 *   -DNET=name -DIN=elements -DOUT=elements -DROWS=n -DBATCH=n -DBYTES=workspace */
#include "net.h"
#include "run.h"

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
#define PREDICT JOIN(NET, _predict)

static float x[ROWS * IN], y[ROWS * OUT];
static char workspace[BYTES] __attribute__((aligned(WEFT_ALIGN)));

void target_run(void (*put)(const void *, unsigned))
{
    for (unsigned long long i = 0; i < ROWS * IN; i++) {
        unsigned long long v = i * 2654435761u >> 7; /* % 1000, by 32 bits: 2^32 leaves 296 */
        unsigned k = ((unsigned)(v >> 32) % 1000 * 296 + (unsigned)v % 1000) % 1000;
        x[i] = (float)k / 999;
    }
    for (int i = 0; i < ROWS; i += BATCH) {
        int n = ROWS - i < BATCH ? ROWS - i : BATCH;
        if (PREDICT(x + i * IN, y + i * OUT, n, workspace) != WEFT_OK)
            return;
    }
    put(y, sizeof y);
}
