/* digits(), the generator of random words and the shuffled order: the same everywhere. */
#include "runtime_check.h"
#include "shuffle.h"

#include <xxhash.h>

static void test_threefry(Check *c)
{
    /* Known answers of the Random123 library. */
    static const uint32_t known[3][6] = {
        {0, 0, 0, 0, 0x6b200159, 0x99ba4efe},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7},
        {0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0}};
    for (int i = 0; i < 3; i++) {
        uint32_t out[2];
        threefry2x32(known[i], known[i] + 2, out);
        EXPECT(c, out[0] == known[i][4] && out[1] == known[i][5]);
    }
}

static void test_shuffle(Check *c)
{
    enum { N = 1000 };
    int64_t a[N], b[N], same = 0, fixed = 0;
    char seen[N] = {0};
    shuffle_epoch(1, 0, N, a);
    shuffle_epoch(1, 0, N, b);
    EXPECT(c, !memcmp(a, b, sizeof a));
    EXPECT(c, XXH64(a, sizeof a, 0) == 0x6FE7B0ED8486C9D2u);
    for (int i = 0; i < N; i++) {
        EXPECT(c, a[i] >= 0 && a[i] < N && !seen[a[i]]);
        seen[a[i]] = 1;
        fixed += a[i] == i;
    }
    EXPECT(c, fixed < 10);
    for (int other = 0; other < 3; other++) {
        shuffle_epoch(other == 0 ? 2 : other == 1 ? 1 + ((int64_t)1 << 32) : 1, other == 2, N, b);
        same = 0;
        for (int i = 0; i < N; i++)
            same += a[i] == b[i];
        EXPECT(c, same < 10);
    }
    shuffle_epoch(1, 0, 0, b);
    /* every place takes every value about as often: chi square, 9 degrees of freedom */
    int count[10][10] = {{0}};
    for (int64_t epoch = 0; epoch < 10000; epoch++) {
        shuffle_epoch(7, epoch, 10, b);
        for (int i = 0; i < 10; i++)
            count[i][b[i]]++;
    }
    for (int i = 0; i < 10; i++) {
        double chi = 0;
        for (int k = 0; k < 10; k++)
            chi += (count[i][k] - 1000.0) * (count[i][k] - 1000.0) / 1000;
        EXPECT(c, chi < 30);
    }
}

static void test_digits(Check *c)
{
    Dataset *ds = OPEN(c, "digits", number_arg("train", 2005), number_arg("test", 300));
    EXPECT(c, ds && ds->count == 2005 && ds->test_count == 300 && ds->nclass == 10);
    EXPECT(c, ds && ds->field[0].train == NULL && load(c, ds));
    if (!ds || !ds->loaded)
        return;
    EXPECT(c, XXH64(ds->field[0].train, 2005 * 784, 0) == 0x806FCF0CD3BD798Fu);
    EXPECT(c, XXH64(ds->field[0].test, 300 * 784, 0) == 0x876137CD7FE9116Au);
    int count[10] = {0}, ink = 0;
    for (int64_t i = 0; i < ds->count; i++) {
        double label = dataset_value(ds, 1, false, i, 0);
        EXPECT(c, label >= 0 && label < 10);
        count[(int)label]++;
        int lit = 0;
        for (int k = 0; k < 784; k++)
            lit += dataset_value(ds, 0, false, i, k) > 127;
        EXPECT(c, lit >= 15 && lit < 400);
        ink += lit;
    }
    for (int k = 0; k < 10; k++)
        EXPECT(c, count[k] == 200 || count[k] == 201);
    EXPECT(c, ink / ds->count > 60 && ink / ds->count < 160); /* MNIST: about 105 */
    /* another size, no test part */
    Dataset *more = load(c, OPEN(c, "digits", number_arg("train", 10), number_arg("test", 0),
                                 number_arg("seed", 2), number_arg("size", 64)));
    EXPECT(c, more && more->test_count == 0 && more->field[0].dim[1] == 64);
}

static void test_errors(Check *c)
{
    EXPECT(c, !OPEN(c, "digits", number_arg("train", 0)));
    REPORTED(c, "'train' of digits is 0", "1 to 10000000");
    EXPECT(c, !OPEN(c, "digits", number_arg("size", 28.5)));
    REPORTED(c, "28.5", "8 to 256");
    EXPECT(c, !OPEN(c, "digits", number_arg("test", -1)));
    REPORTED(c, "-1");
    EXPECT(c, !OPEN(c, "digits", text_arg("seed", "a")));
    REPORTED(c, "a number is needed");
}

int main(void)
{
    Check c = check_begin();
    test_threefry(&c);
    test_shuffle(&c);
    test_digits(&c);
    test_errors(&c);
    return check_end(&c);
}
