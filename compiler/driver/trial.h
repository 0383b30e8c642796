/* Trial: a training step that runs again and again on the first batch, to be measured. */
#ifndef WEFT_TRIAL_H
#define WEFT_TRIAL_H

#include "driver/job.h"

/* The lengths of a graph fed with the job's data, N and S set for the batch of the train block
 * (at most all samples). Reports; false when data do not fit the graph. */
bool trial_sizes(Job *j, const Graph *g, int64_t lengths[SYM_MOST]);

/* Memory for all ports of the step's engine, weights at initial values, learning rate 0: they
 * stay there. The engine is prepared for the sizes and threads (0: all). Null after a report. */
Store *trial_bind(Job *j, Engine *e, const int64_t *lengths, int threads);

#endif
