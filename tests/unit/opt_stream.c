/* What a stream refuses and the language does not write: operations of gradients. */
#include "opt/stream.h"

#include <stdio.h>
#include <string.h>

static const char text[] =
    "graph t {\n"
    "  length T\n"
    "  %x = input {role=data, name=\"x\"} : f32[N, T, 2]\n"
    "  %1 = pad %x {axis=1, start=0, size=2*T, step=2} : f32[N, 2*T, 2]\n"
    "  output result \"y\" %1\n"
    "}\n";

int main(void)
{
    Arena *a = arena_new();
    Diag d = {.arena = a};
    Stream s;
    Graph *g = graph_read(a, &d, diag_source(&d, "t.graph", text, strlen(text), false));
    bool made = g && stream_make(g, &d, &s);
    const char *found = d.messages.n ? d.messages.at[0].text : "nothing";
    bool ok = g && !made && strstr(found, "pad does not go step by step along time");
    if (!ok)
        printf("expected a message, found: %s\n", found);
    arena_free(a);
    return !ok;
}
