/* The functions of vmath.inc against libm in long double: the greatest error of
 * each over wide ranges, and their values at the special places. */
#include "ir/threefry_c.h"
#define VM_DOUBLE 0
#include "ir/vmath_c.inc"
#undef VM_DOUBLE
#define VM_DOUBLE 1
#include "ir/vmath_c.inc"
#undef VM_DOUBLE

#include <float.h>
#include <stdio.h>

static int failures;

typedef long double (*Ref)(long double);
typedef struct {
    const char *name;
    float (*f)(float);
    double (*d)(double);
    Ref ref;
    double lo, hi;        /* range of the arguments */
    double limit_f, limit_d; /* relative error allowed */
    double floor;         /* the error is relative to max(|value|, floor) */
} Row;

static long double ref_sigmoid(long double x)
{
    return 1 / (1 + expl(-x));
}

static long double ref_softplus(long double x)
{
    return (x > 0 ? x : 0) + log1pl(expl(-fabsl(x)));
}

/* Newton's method on the distribution function, from below the median. */
static long double ref_bfloat16(long double x)
{
    int e;
    long double m = frexpl(x, &e);
    return ldexpl(nearbyintl(ldexpl(m, 8)), e - 8);
}

static long double ref_probit(long double p)
{
    if (p > 0.5L)
        return -ref_probit(1 - p);
    long double x = p > 0.02L ? 0 : -sqrtl(-2 * logl(p));
    for (int i = 0; i < 100; i++) {
        long double e = erfcl(-x / sqrtl(2)) / 2 - p;
        long double d = e * sqrtl(2 * acosl(-1)) * expl(x * x / 2);
        x -= d / (1 + x * d / 2);
    }
    return x;
}

static const Row rows[] = {
    {"exp", vmf_exp, vmd_exp, expl, -86.5, 88.7, 1e-7, 5e-16, 0},
    {"exp far", NULL, vmd_exp, expl, -707, 709.7, 0, 5e-16, 0},
    {"expm1", vmf_expm1, vmd_expm1, expm1l, -30, 30, 3e-7, 8e-16, 0},
    {"expm1 near", vmf_expm1, vmd_expm1, expm1l, -0.8, 0.8, 3e-7, 8e-16, 0},
    {"log", vmf_log, vmd_log, logl, 1e-30, 3, 1.5e-7, 5e-16, 0},
    {"log far", vmf_log, vmd_log, logl, 1, 1e38, 1.5e-7, 5e-16, 0},
    {"log1p", vmf_log1p, vmd_log1p, log1pl, -0.99, 3, 2.5e-7, 8e-16, 0},
    {"log1p near", vmf_log1p, vmd_log1p, log1pl, -1e-3, 1e-3, 2.5e-7, 8e-16, 0},
    {"tanh", vmf_tanh, vmd_tanh, tanhl, -12, 12, 4e-7, 8e-16, 0},
    {"tanh near", vmf_tanh, vmd_tanh, tanhl, -1e-2, 1e-2, 4e-7, 8e-16, 0},
    {"sigmoid", vmf_sigmoid, vmd_sigmoid, ref_sigmoid, -86.5, 100, 2.5e-7, 8e-16, 0},
    {"softplus", vmf_softplus, vmd_softplus, ref_softplus, -86, 100, 3e-7, 1e-15, 0},
    {"erf", vmf_erf, vmd_erf, erfl, -7, 7, 4e-7, 1e-15, 0},
    {"erf near", vmf_erf, vmd_erf, erfl, -1e-2, 1e-2, 4e-7, 1e-15, 0},
    {"sin", vmf_sin, vmd_sin, sinl, -20, 20, 2e-7, 4e-16, 1e-1},
    {"sin far", vmf_sin, vmd_sin, sinl, -3e5, 3e5, 2e-7, 4e-16, 1e-1},
    {"cos", vmf_cos, vmd_cos, cosl, -20, 20, 2e-7, 4e-16, 1e-1},
    {"cos far", vmf_cos, vmd_cos, cosl, -3e5, 3e5, 2e-7, 4e-16, 1e-1},
    {"floor", vmf_floor, vmd_floor, floorl, -1e8, 1e8, 0, 0, 1},
    {"floor near", vmf_floor, vmd_floor, floorl, -4, 4, 0, 0, 1},
    {"probit", vmf_probit, vmd_probit, ref_probit, 0.01, 0.99, 1e-6, 2e-15, 1e-1},
    {"bfloat16", vmf_bfloat16, vmd_bfloat16, ref_bfloat16, -9, 9, 0, 0, 0},
    {"probit tail", vmf_probit, vmd_probit, ref_probit, 3e-8, 0.01, 2e-6, 2e-15, 0},
};

static double error_of(double got, long double want, double floor)
{
    long double scale = fabsl(want) > floor ? fabsl(want) : floor;
    return got == want ? 0 : (double)(fabsl(got - want) / scale);
}

static void run_row(const Row *r)
{
    double worst_f = 0, worst_d = 0, at_f = 0, at_d = 0;
    enum { STEPS = 40000 };
    for (int i = 0; i <= STEPS; i++) {
        /* The step is irrational, so that the mantissas vary. */
        double u = fmod(i * 0.6180339887498949, 1.0), x = r->lo + (r->hi - r->lo) * u;
        if (i % 2 && r->lo > 0) /* evenly in the logarithm as well */
            x = r->lo * exp(log(r->hi / r->lo) * u);
        if (r->f) {
            double e = error_of(r->f((float)x), r->ref((float)x), r->floor);
            if (!(e <= worst_f)) {
                worst_f = e;
                at_f = (float)x;
            }
        }
        double e = error_of(r->d(x), r->ref(x), r->floor);
        if (!(e <= worst_d)) {
            worst_d = e;
            at_d = x;
        }
    }
    bool bad = !(worst_f <= r->limit_f) || !(worst_d <= r->limit_d);
    failures += bad;
    printf("%-12s [%g, %g] float %.2e at %.9g, double %.2e at %.17g%s\n", r->name, r->lo, r->hi,
           worst_f, at_f, worst_d, at_d, bad ? "  TOO LARGE" : "");
}

static void run_pow(void)
{
    double worst_f = 0, worst_d = 0, at_f[2] = {0}, at_d[2] = {0};
    for (int i = 1; i < 300; i++)
        for (int j = 1; j < 300; j++) {
            double x = exp((i - 150) * 0.0718), y = (j - 150) * 0.137;
            long double want = powl((float)x, (float)y);
            if (want > 1e-37L && want < 1e38L) {
                double e = error_of(vmf_pow((float)x, (float)y), want, 0);
                if (!(e <= worst_f)) {
                    worst_f = e;
                    at_f[0] = (float)x;
                    at_f[1] = (float)y;
                }
            }
            want = powl(x, y);
            double e = error_of(vmd_pow(x, y), want, 0);
            if (want > 1e-306L && want < 1e308L && !(e <= worst_d)) {
                worst_d = e;
                at_d[0] = x;
                at_d[1] = y;
            }
        }
    bool bad = !(worst_f <= 1e-6) || !(worst_d <= 1e-13);
    failures += bad;
    printf("%-12s float %.2e at (%.9g, %.9g), double %.2e at (%.17g, %.17g)%s\n", "pow", worst_f,
           at_f[0], at_f[1], worst_d, at_d[0], at_d[1], bad ? "  TOO LARGE" : "");
}

static void expect(const char *what, double got, double want)
{
    if (!(got == want || (isnan(got) && isnan(want)))) {
        printf("%s is %.17g, not %.17g\n", what, got, want);
        failures++;
    }
}

#define IS(call, want)                          \
    do {                                        \
        expect("float " #call, vmf_##call, want);  \
        expect("double " #call, vmd_##call, want); \
    } while (0)

static void run_special(void)
{
    const double inf = INFINITY, nan_ = NAN;
    IS(exp(0), 1);
    IS(exp(inf), inf);
    IS(exp(-inf), 0);
    IS(exp(710), inf);
    IS(exp(-746), 0);
    IS(exp(nan_), nan_);
    IS(expm1(0), 0);
    IS(expm1(inf), inf);
    IS(expm1(-inf), -1);
    IS(expm1(nan_), nan_);
    IS(log(0), -inf);
    IS(log(-0.0), -inf);
    IS(log(1), 0);
    IS(log(-1), nan_);
    IS(log(-inf), nan_);
    IS(log(inf), inf);
    IS(log(nan_), nan_);
    IS(log1p(0), 0);
    IS(log1p(-1), -inf);
    IS(log1p(-2), nan_);
    IS(log1p(inf), inf);
    IS(log1p(nan_), nan_);
    IS(log1p(0x1p-100), 0x1p-100);
    IS(tanh(0), 0);
    IS(tanh(40), 1);
    IS(tanh(-40), -1);
    IS(tanh(inf), 1);
    IS(tanh(-inf), -1);
    IS(tanh(nan_), nan_);
    IS(sigmoid(0), 0.5);
    IS(sigmoid(inf), 1);
    IS(sigmoid(-inf), 0);
    IS(sigmoid(nan_), nan_);
    IS(softplus(inf), inf);
    IS(softplus(-inf), 0);
    IS(softplus(nan_), nan_);
    IS(erf(0), 0);
    IS(erf(inf), 1);
    IS(erf(-inf), -1);
    IS(erf(nan_), nan_);
    IS(sin(0), 0);
    IS(cos(0), 1);
    IS(sin(inf), nan_);
    IS(cos(nan_), nan_);
    IS(floor(2.5), 2);
    IS(floor(-2.5), -3);
    IS(floor(-3), -3);
    IS(floor(4194304.5), 4194304);
    IS(floor(-4194304.5), -4194305);
    IS(floor(0x1p60), 0x1p60);
    IS(floor(-0x1p-30), -1);
    IS(floor(inf), inf);
    IS(floor(nan_), nan_);
    IS(bfloat16(1 + 0x1p-8), 1);
    IS(bfloat16(1 + 0x3p-8), 1 + 0x1p-6);
    IS(bfloat16(-inf), -inf);
    IS(bfloat16(nan_), nan_);
    IS(probit(0.5), 0);
    IS(probit(0), -inf);
    IS(probit(1), inf);
    IS(probit(nan_), nan_);
    IS(probit(-1), nan_);
    IS(max(1, 2), 2);
    IS(max(nan_, 2), nan_);
    IS(max(2, nan_), nan_);
    IS(min(1, 2), 1);
    IS(min(nan_, 2), nan_);
    IS(min(2, nan_), nan_);
    IS(mod(7, 3), 1);
    IS(mod(-7, 3), 2);
    IS(mod(7, -3), -2);
    IS(mod(-7, -3), -1);
    IS(mod(6, 3), 0);
    IS(pow(0, 0), 1);
    IS(pow(0, 2), 0);
    IS(pow(0, -1), inf);
    IS(pow(nan_, 0), 1);
    IS(pow(nan_, 2), nan_);
    IS(pow(2, nan_), nan_);
    IS(pow(2, 10), 1024);
    IS(pow(-2, 3), -8);
    IS(pow(-2, 2), 4);
    IS(pow(-2, 0.5), nan_);
    IS(pow(4, 0.5), 2);
    IS(pow(inf, 0.5), inf);
    IS(pow(inf, -0.5), 0);
    IS(pow(2, inf), inf);
    IS(pow(2, -inf), 0);
    IS(pow(1e30, 1e30), inf);
    IS(pow(1e30, -1e30), 0);
    IS(pow(1, 1000), 1);
}

/* Values stay where mathematics has them, although they are rounded. */
static void run_bounds(void)
{
    for (int i = 0; i < 2000000; i++) {
        float x = (float)i * 1e-5f;
        if (!(fabsf(vmf_tanh(x)) <= 1 && fabsf(vmf_erf(x)) <= 1 && vmf_sigmoid(x) <= 1)) {
            printf("beyond 1 at %.9g: tanh %.9g erf %.9g sigmoid %.9g\n", x, vmf_tanh(x),
                   vmf_erf(x), vmf_sigmoid(x));
            failures++;
            return;
        }
    }
    if (vmf_tanh(9) != 1 || fabsf(vmf_sin(1e30f)) > 1 || fabs(vmd_cos(1e300)) > 1) {
        printf("tanh(9) is %.9g, sin(1e30) %.9g, cos(1e300) %.17g\n", vmf_tanh(9), vmf_sin(1e30f),
               vmd_cos(1e300));
        failures++;
    }
}

/* Random123's known-answer vectors (kat_vectors, threefry2x32, 20 rounds). */
static void run_threefry(void)
{
    static const uint32_t kat[][6] = {
        {0, 0, 0, 0, 0x6b200159, 0x99ba4efe},
        {~0u, ~0u, ~0u, ~0u, 0x1cb996fc, 0xbb002be7},
        {0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t b, a = threefry(kat[i][0], kat[i][1], kat[i][2], kat[i][3], &b);
        if (a != kat[i][4] || b != kat[i][5]) {
            printf("threefry vector %d: %08x %08x, not %08x %08x\n", i, a, b, kat[i][4], kat[i][5]);
            failures++;
        }
    }
}

int main(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        run_row(&rows[i]);
    run_pow();
    run_special();
    run_bounds();
    run_threefry();
    if (failures)
        printf("%d failures\n", failures);
    return failures != 0;
}
