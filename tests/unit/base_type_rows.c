/* Batches of up to n rows never have more blocks or shards than room is made for. */
#include "base/type.h"

#include <stdio.h>

int main(void)
{
    int wrong = 0;
    int64_t blocks = 0, shards = 0;
    for (int64_t n = 1; n <= 10000; n++) {
        int64_t b = (n + block_rows(n) - 1) / block_rows(n);
        blocks = b > blocks ? b : blocks;
        shards = shard_count(n) > shards ? shard_count(n) : shards;
        if (block_count_most(n) != blocks || shard_count_most(n) != shards) {
            printf("up to %lld rows: %lld blocks, %lld shards; room for %lld and %lld\n",
                   (long long)n, (long long)blocks, (long long)shards,
                   (long long)block_count_most(n), (long long)shard_count_most(n));
            wrong++;
        }
        if (block_rows(n) > block_room(n) || shard_count(n) > SHARDS_MOST)
            wrong++;
    }
    return wrong != 0;
}
