/* Tells a wave while it comes: reads a number from each line of stdin and answers at once with
 * the probabilities of sine, square and saw-tooth. An empty line begins a new wave.
 *   cc -O2 stream.c stream.o -o stream        where stream.h and stream.o are what
 *                                             weft compile RUN --stream -o stream.o wrote */
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Alignas(WEFT_ALIGN) unsigned char state[STREAM_STATE_BYTES];

int main(void)
{
    char line[100];
    stream_reset(state);
    while (fgets(line, sizeof line, stdin)) {
        float x[STREAM_STEP_IN_x], y[STREAM_STEP_OUT_output];
        if (line[strspn(line, " \t\r\n")] == 0) {
            stream_reset(state);
            continue;
        }
        x[0] = strtof(line, NULL);
        if (stream_step(state, x, y) != WEFT_OK)
            return 1;
        printf("%.9g,%.9g,%.9g\n", y[0], y[1], y[2]);
        fflush(stdout);
    }
    return 0;
}
