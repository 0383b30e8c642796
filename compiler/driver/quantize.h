/* Quantisation, as the command line asks for it: calibration, and the parameters in bytes. */
#ifndef WEFT_DRIVER_QUANTIZE_H
#define WEFT_DRIVER_QUANTIZE_H

#include "driver/job.h"

/* Does --quantize ask for it? Reports what it cannot be. */
bool quantize_asked(Job *j, bool *asked);

/* Calibrates on the training samples (data are read, weights in the store), adds the parameters
 * in bytes and their scales to the store, and from then on has the job's pipelines without a
 * gradient use them (j->passes.quantize). Null after a report, or with *stopped. */
Quantize *quantize_calibrate(Job *j, Store *store, bool *stopped);

/* For weft compile: reads the data, calibrates as above, and prints figures and sizes before and
 * after. Null after a report. */
Quantize *quantize_compare(Job *j, Store *store);

#endif
