/* The page of operations names every operation and attribute. */
#include "ir/graph.h"
#include "ir/opdoc.h"

#include <stdlib.h>
#include <string.h>

int main(void)
{
    char *text = NULL;
    size_t size = 0;
    int failures = 0;
    FILE *f = open_memstream(&text, &size);
    opdoc_print(f);
    fclose(f);
    static const char *const rows[] = {
        "| sigmoid | `sigmoid(x)` | x: `g * (r * (1 - r))` | 1 / (1 + exp(-x)) |",
        "| add | `x + y` | x: `g`, y: `g` | x + y |",
        "| div | `x / y` | x: `g / y`, y: `-((g / y) * r)` | x / y |",
        "| floor | `floor(x)` | none |",
        "| concat | any number | axis |",
        "| ncarry | carries of a scan |",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strstr(text, rows[i])) {
            printf("missing: %s\n", rows[i]);
            failures++;
        }
    for (int op = 0; op < NOP; op++) {
        char row[64];
        snprintf(row, sizeof row, "\n| %s | ", op_info[op].name);
        if (!strstr(text, row)) {
            printf("no row for %s\n", op_info[op].name);
            failures++;
        }
    }
    free(text);
    return failures != 0;
}
