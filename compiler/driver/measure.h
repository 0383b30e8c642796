/* Loss and metrics on the part of the data that a command is about. */
#ifndef WEFT_MEASURE_H
#define WEFT_MEASURE_H

#include "driver/tally.h"

typedef struct { const char *name; bool test; int64_t first, count; } Part;
typedef struct { Figure *figures; int n; double seconds; } Measure;

/* The part that --split names; else the test part where there is one, validation, or the
 * training samples. Data are read. False after a report. */
bool part_choose(Job *j, Part *p);
/* The figures of weights in a store, computed as the job's passes have it. False after a report
 * (also when a signal asked to stop) or with *stopped. */
bool measure(Job *j, Store *store, const Part *part, Measure *m, bool *stopped);

#endif
