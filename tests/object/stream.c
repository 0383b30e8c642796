/* Calls an object's reset, step and run in many ways.
 *   -DNET=name -DNET_H='"net.h"' -DIN=elements of a step -DOUT=elements -DBYTES=state
 * stream STEPS IN.csv OUT.csv: writes a step's samples and answers in a line. */
#include NET_H
#include "check.h"

#define RESET JOIN(NET, _reset)
#define STEP JOIN(NET, _step)
#define RUN JOIN(NET, _run)

static void write_csv(const char *path, const float *x, int steps, int each)
{
    FILE *f = fopen(path, "w");
    if (!f)
        exit(2);
    for (int t = 0; t < steps; t++)
        for (int i = 0; i < each; i++)
            fprintf(f, "%.9g%c", x[t * each + i], i + 1 < each ? ',' : '\n');
    fclose(f);
}

static void refusals(unsigned char *state, const float *x, float *y)
{
    expect(RESET(NULL) == WEFT_NULL, "a null state is reset");
    expect(STEP(NULL, x, y) == WEFT_NULL, "a null state is taken");
    expect(STEP(state, NULL, y) == WEFT_NULL, "a null input is taken");
    expect(STEP(state, x, NULL) == WEFT_NULL, "a null output is taken");
    expect(STEP(state + 8, x, y) == WEFT_MISALIGNED, "a state at 8 is taken");
    expect(RUN(state, x, y, 0) == WEFT_RANGE, "0 steps are taken");
    expect(RUN(state, x, y, -1) == WEFT_RANGE, "-1 steps are taken");
}

int main(int argc, char **argv)
{
    int steps = argc == 4 ? atoi(argv[1]) : 0;
    float *x = (float *)taken(sizeof(float) * IN * (size_t)(steps + 1));
    float *y = (float *)taken(sizeof(float) * OUT * (size_t)(steps + 1));
    float *z = (float *)taken(sizeof(float) * OUT * (size_t)(steps + 1));
    unsigned char *state = (unsigned char *)taken(BYTES + 64);
    unsigned char *other = (unsigned char *)taken(BYTES + 64);
    if (steps < 4)
        return 2;
    for (int i = 0; i < steps * IN; i++)
        x[i] = (float)(((unsigned)i * 2654435761u >> 7) % 1000) / 500 - 1;
    memset(state + BYTES, 0x5A, 64);
    refusals(state, x, y);
    expect(RESET(state) == WEFT_OK, "reset");
    for (int t = 0; t < steps; t++) {
        expect(STEP(state, x + t * IN, y + t * OUT) == WEFT_OK, "a step");
        if (t == 2)
            memcpy(other, state, BYTES);
    }
    /* A copy of a state goes on by itself, in one block; a state begins anew. */
    expect(RUN(other, x + 3 * IN, z + 3 * OUT, steps - 3) == WEFT_OK, "a block");
    expect(memcmp(y + 3 * OUT, z + 3 * OUT, sizeof(float) * OUT * (size_t)(steps - 3)) == 0,
           "a block has other bits");
    expect(RESET(state) == WEFT_OK, "reset again");
    for (int t = 0; t < steps; t += 3)
        expect(RUN(state, x + t * IN, z + t * OUT, steps - t < 3 ? steps - t : 3) == WEFT_OK,
               "blocks");
    expect(memcmp(y, z, sizeof(float) * OUT * (size_t)steps) == 0, "blocks have other bits");
    for (int i = 0; i < 64; i++)
        expect(state[BYTES + i] == 0x5A, "something behind the state is written");
    write_csv(argv[2], x, steps, IN);
    write_csv(argv[3], y, steps, OUT);
    return failed;
}
