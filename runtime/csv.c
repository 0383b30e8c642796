/* Rows and cells of CSV text, in place: RFC 4180 with any separator and any line ends. */
#include "csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

char csv_separator(const Table *t)
{
    static const char some[] = ",;\t|";
    int count[4] = {0}, best = 0;
    bool quoted = false;
    for (const char *p = t->text; p < t->end && (*p != '\n' || quoted); p++) {
        const char *s = strchr(some, *p);
        quoted ^= *p == '"';
        if (s && *s && !quoted)
            count[s - some]++;
    }
    for (int i = 1; i < 4; i++)
        if (count[i] > count[best])
            best = i;
    return some[best];
}

static void trim(Cell *c)
{
    while (!c->quoted && c->n && (*c->at == ' ' || *c->at == '\t')) {
        c->at++;
        c->n--;
    }
    while (!c->quoted && c->n && (c->at[c->n - 1] == ' ' || c->at[c->n - 1] == '\t'))
        c->n--;
}

int csv_row(Cursor *c, Cell *cells, int most)
{
    const char *end = c->t->end;
    while (c->p < end && (*c->p == '\n' || *c->p == '\r'))
        c->line += *c->p++ == '\n';
    if (c->p >= end)
        return 0;
    c->begin = c->line;
    for (int n = 0;; n++) {
        Cell cell = {c->p, 0, *c->p == '"'};
        if (cell.quoted) {
            cell.at = ++c->p;
            for (; c->p < end && (*c->p != '"' || c->p[1] == '"'); c->p++) {
                c->line += *c->p == '\n';
                c->p += *c->p == '"';
            }
            if (c->p >= end)
                return -1;
            cell.n = (size_t)(c->p++ - cell.at);
        }
        const char *rest = c->p;
        while (c->p < end && *c->p != c->t->separator && *c->p != '\n' && *c->p != '\r')
            c->p++;
        if (!cell.quoted)
            cell.n = (size_t)(c->p - rest);
        trim(&cell);
        if (n < most)
            cells[n] = cell;
        if (c->p < end && *c->p == c->t->separator && n < CSV_COLUMNS_MOST) {
            c->p++;
            continue;
        }
        return n + 1;
    }
}

char *csv_text(Arena *a, const Cell *c)
{
    char *s = arena_alloc(a, c->n + 1), *p = s;
    for (size_t i = 0; i < c->n; i++) {
        *p++ = c->at[i];
        i += c->quoted && c->at[i] == '"';
    }
    return s;
}

bool csv_missing(const Cell *c)
{
    static const char *const words[] = {"", "?", "NA", "N/A", "NaN", "nan", "null", "NULL"};
    if (c->quoted || (c->n && (c->n > 4 || c->at[0] <= '9')))
        return false; /* most cells */
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == c->n && !memcmp(words[i], c->at, c->n))
            return true;
    return false;
}

/* Up to 15 digits and powers to 22 the double is exact by one operation; the rest goes to
 * strtod. */
bool csv_number(const Cell *c, double *v)
{
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *p = c->at, *end = p + c->n;
    bool negative = p < end && *p == '-';
    uint64_t digits = 0;
    int ndigit = 0, any = 0, exponent = 0, point = 0;
    p += p < end && (*p == '-' || *p == '+');
    for (; p < end && ((*p >= '0' && *p <= '9') || (*p == '.' && !point)); p++) {
        if (*p == '.') {
            point = 1;
            continue;
        }
        any = 1;
        ndigit += ndigit > 0 || *p != '0';
        if (ndigit <= 15)
            digits = digits * 10 + (uint64_t)(*p - '0');
        exponent -= point;
    }
    if (!any)
        return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        int e = 0, sign = 1;
        p++;
        if (p < end && (*p == '-' || *p == '+'))
            sign = *p++ == '-' ? -1 : 1;
        if (p >= end)
            return false;
        for (; p < end && *p >= '0' && *p <= '9'; p++)
            e = e < 10000 ? e * 10 + (*p - '0') : e;
        exponent += sign * e;
    }
    if (p != end)
        return false;
    if (ndigit <= 15 && exponent >= -22 && exponent <= 22) {
        *v = exponent < 0 ? (double)digits / power[-exponent] : (double)digits * power[exponent];
        *v = negative ? -*v : *v;
        return true;
    }
    char buf[512];
    if (c->n >= sizeof buf)
        return false;
    memcpy(buf, c->at, c->n);
    buf[c->n] = 0;
    *v = strtod(buf, NULL);
    return isfinite(*v);
}
