/* Threefry-2x32 in plain C, and the shuffled order built on it. */
#include "shuffle.h"

static uint32_t rotate(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

/* Rotations and the parity constant: Salmon et al., "Parallel random numbers: as easy as 1, 2,
 * 3" (2011), and the Random123 library. */
void threefry2x32(const uint32_t key[2], const uint32_t counter[2], uint32_t out[2])
{
    static const int turn[8] = {13, 15, 26, 6, 17, 29, 16, 24};
    uint32_t k[3] = {key[0], key[1], 0x1BD11BDAu ^ key[0] ^ key[1]};
    uint32_t x = counter[0] + k[0], y = counter[1] + k[1];
    for (int round = 0; round < 20; round++) {
        x += y;
        y = rotate(y, turn[round % 8]) ^ x;
        if (round % 4 == 3) {
            uint32_t s = (uint32_t)round / 4 + 1;
            x += k[s % 3];
            y += k[(s + 1) % 3] + s;
        }
    }
    out[0] = x;
    out[1] = y;
}

void shuffle_epoch(int64_t seed, int64_t epoch, int64_t n, int64_t *order)
{
    /* The upper halves and a constant of its own keep this apart from the graph's draws, which
     * have (seed, step) as key. */
    uint32_t key[2] = {(uint32_t)seed ^ 0x53687566u, (uint32_t)epoch};
    uint32_t high = (uint32_t)((uint64_t)seed >> 32) ^ (uint32_t)((uint64_t)epoch >> 32);
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        uint32_t counter[2] = {(uint32_t)i, (uint32_t)((uint64_t)i >> 32) ^ high}, word[2];
        threefry2x32(key, counter, word);
        uint64_t random = (uint64_t)word[0] << 32 | word[1];
        int64_t j = (int64_t)((unsigned __int128)random * (uint64_t)(i + 1) >> 64);
        int64_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}
