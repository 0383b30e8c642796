/* Names and sizes of the shared types. */
#include "type.h"

#include <stddef.h>
#include <string.h>

static const struct { const char *name; int size; bool is_float; } dtypes[NDTYPE] = {
    [DT_f32] = {"f32", 4, true},  [DT_f64] = {"f64", 8, true},  [DT_i32] = {"i32", 4, false},
    [DT_u8] = {"u8", 1, false},   [DT_i8] = {"i8", 1, false},   [DT_i16] = {"i16", 2, false},
    [DT_bool] = {"bool", 1, false},
};

static const struct { const char *name; Dtype dt; } aliases[] = {
    {"float", DT_f32},   {"float32", DT_f32}, {"float64", DT_f64}, {"double", DT_f64},
    {"int", DT_i32},     {"int32", DT_i32},   {"uint8", DT_u8},    {"int16", DT_i16},
    {"int8", DT_i8},     {"boolean", DT_bool},
};

const char *dtype_name(Dtype dt)
{
    return dtypes[dt].name;
}

Dtype dtype_by_name(const char *name)
{
    for (int i = 0; i < NDTYPE; i++)
        if (!strcmp(dtypes[i].name, name))
            return (Dtype)i;
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (!strcmp(aliases[i].name, name))
            return aliases[i].dt;
    return NDTYPE;
}

int dtype_size(Dtype dt)
{
    return dtypes[dt].size;
}

bool dtype_is_float(Dtype dt)
{
    return dtypes[dt].is_float;
}

int64_t dim_value(Dim d, const int64_t *lengths)
{
    if (d.sym == SYM_none)
        return d.add;
    int64_t top = d.mul * lengths[d.sym] + d.add, q = top / d.div;
    return top % d.div < 0 ? q - 1 : q;
}

const char *role_name(Role r)
{
    static const char *const names[NROLE] = {"data",   "param",  "slot", "buffer",
                                             "state",  "scalar", "loss", "metric",
                                             "result", "grad",   "body"};
    return names[r];
}

int64_t block_room(int64_t n)
{
    return n <= BLOCK_ROWS ? BLOCK_ROWS_FEW : BLOCK_ROWS;
}

int64_t block_rows(int64_t n)
{
    int64_t room = n <= 2 * BLOCK_ROWS_LEAST ? BLOCK_ROWS_LEAST : block_room(n);
    int64_t blocks = (n + room - 1) / room;
    return n < 1 || n > ONE_BLOCK_MOST ? room : (n + blocks - 1) / blocks;
}

int64_t shard_rows(int64_t n)
{
    return block_rows(n) * (n > ONE_BLOCK_MOST ? (n + ONE_BLOCK_MOST - 1) / ONE_BLOCK_MOST : 1);
}

int64_t shard_count(int64_t n)
{
    return n ? (n + shard_rows(n) - 1) / shard_rows(n) : 0;
}

/* Of n rows and of the most rows under each of the rules above: within one, more rows never
 * make fewer blocks, and beyond the last there are no more shards than at its end. */
static int64_t most_of(int64_t n, int64_t (*count)(int64_t))
{
    static const int64_t ends[] = {2 * BLOCK_ROWS_LEAST, BLOCK_ROWS, ONE_BLOCK_MOST};
    int64_t most = count(n);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends[i] < n && count(ends[i]) > most)
            most = count(ends[i]);
    return most;
}

static int64_t block_count(int64_t n)
{
    return n ? (n + block_rows(n) - 1) / block_rows(n) : 0;
}

int64_t block_count_most(int64_t n)
{
    return most_of(n, block_count);
}

int64_t shard_count_most(int64_t n)
{
    return most_of(n, shard_count);
}
