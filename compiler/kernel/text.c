/* Loop trees as text: what `--emit-dump=kernel` prints. */
#include "kernel/kernel.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const mem_names[] = {"port", "worker", "block", "shard", "shared"};

const char *const step_kinds[] = {"nest", "loop",  "batch", "across",
                                  "load", "store", "zero",  "scatter", "pack", "orthogonal"};

static void print_place(FILE *f, const Place *p)
{
    static const char *const slots[] = {"", ".first", ".now", ".next", ".final"};
    fprintf(f, "b%d%s%s", p->buffer->id, slots[p->slot], p->stacked ? "[t]" : "");
}

static void print_nest(FILE *f, Arena *a, const Kernel *k, const Nest *nest, int indent)
{
    fprintf(f, "%*snest k%d %s%s {\n", indent, "", nest->id, shape_text(a, k->graph, &nest->domain),
            nest->flat ? " flat" : "");
    for (int i = 0; i < nest_operations(nest); i++) {
        const Node *n = nest_operation(nest, i);
        const char *spec = attr_str(n, ATTR_spec);
        fprintf(f, "%*s  %s %s%s%s\n", indent, "", op_info[n->op].name, n->name ? n->name : "",
                spec ? " " : "", spec ? spec : "");
    }
    for (int i = 0; i < nest->stores.n; i++) {
        const Node *n = nest->stores.at[i].value;
        fprintf(f, "%*s  store %s -> ", indent, "", n->name ? n->name : op_info[n->op].name);
        print_place(f, &nest->stores.at[i].to);
        fputc('\n', f);
    }
    fprintf(f, "%*s}\n", indent, "");
}

static void print_steps(FILE *f, Arena *a, const Kernel *k, Step *const *steps, int n, int indent)
{
    for (int i = 0; i < n; i++) {
        const Step *s = steps[i];
        if (s->kind == STEP_nest) {
            print_nest(f, a, k, s->nest, indent);
        } else if (s->kind == STEP_loop) {
            fprintf(f, "%*sloop t%d %s%s {\n", indent, "", s->loop,
                    dim_text(a, k->graph, s->extent), s->reverse ? " reverse" : "");
            print_steps(f, a, k, s->body.at, s->body.n, indent + 2);
            fprintf(f, "%*s}\n", indent, "");
        } else {
            fprintf(f, "%*s%s %s ", indent, "", step_kinds[s->kind], s->name ? s->name : "");
            if (s->node && attr_str(s->node, ATTR_spec))
                fprintf(f, "%s ", attr_str(s->node, ATTR_spec));
            print_place(f, &s->place);
            fputc('\n', f);
        }
    }
}

char *kernel_text(Arena *a, const Kernel *k)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return arena_strdup(a, "");
    for (int i = 0; i < k->buffers.n; i++) {
        const Buffer *b = k->buffers.at[i];
        fprintf(f, "b%d %s %s%s %s %s\n", b->id, mem_names[b->mem], dtype_name(b->dtype),
                b->lanes ? " lanes" : "", shape_text(a, k->graph, &b->shape),
                b->name ? b->name : "");
    }
    for (int i = 0; i < k->phases.n; i++) {
        const Phase *p = k->phases.at[i];
        fprintf(f, "phase %d %s {\n", i, p->rows ? "rows" : "parameters");
        print_steps(f, a, k, p->steps.at, p->steps.n, 2);
        fprintf(f, "}\n");
    }
    fclose(f);
    char *out = arena_strdup(a, text);
    free(text);
    return out;
}
