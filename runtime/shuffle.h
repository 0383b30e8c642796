/* The order of samples in an epoch, a function of seed and epoch alone. */
#ifndef WEFT_SHUFFLE_H
#define WEFT_SHUFFLE_H

#include <stdint.h>

/* Threefry-2x32 with 20 rounds (Salmon et al. 2011): key and counter to two random words. */
void threefry2x32(const uint32_t key[2], const uint32_t counter[2], uint32_t out[2]);

/* Fills order with a permutation of 0 .. n-1 (Fisher-Yates). Batch b of the epoch takes
 * order[b * batch_size ...]; who resumes in mid-epoch computes it again and skips. */
void shuffle_epoch(int64_t seed, int64_t epoch, int64_t n, int64_t *order);

#endif
