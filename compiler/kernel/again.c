/* Lowering: which values are computed again wherever they are read.
 *
 * What another nest than its own reads must be stored and loaded: some cycles a vector, and
 * room in the nearest cache. Where a few operations make it of what is stored anyway, each nest
 * that reads it does better to compute it, and a sum to compute its operand as it goes. It is
 * the same operations on the same values: no bit changes.
 *
 * The nests are not known yet. What stands for them is a node's stage: how many times on the way
 * to it something is read at another index than its own, so that it had to be complete.
 */
#include "kernel/lower.h"

#include "ir/cost.h"

/* Cycles a vector, roughly: an operation and a load take one. */
enum { STORE_COST = 3, CONE_MOST = 12 };
static const double small_load = 0.5; /* of what is the same for many elements */

typedef LIST(int) Places;

typedef struct {
    bool may;      /* cheap, and read by reductions and at its own index alone */
    bool stored;   /* whatever becomes of its readers */
    int stage;
    Places places; /* where it is computed: stages, and -1 - id of reductions */
} Value;

typedef struct { Arena *arena; const Graph *g; Value *value; } Again;

static bool is_reduction(const Node *n)
{
    return op_info[n->op].kind == KIND_reduce;
}

/* What is there before any nest of the graph. */
static bool is_given(const Node *n)
{
    return n->op == OP_input || op_info[n->op].kind == KIND_leaf || INFO(n)->cls == CLASS_host;
}

static Node *behind_views(Node *n)
{
    while (kernel_is_view(n))
        n = n->in[0];
    return n;
}

static void find_stages(Again *a)
{
    for (int i = 0; i < a->g->nodes.n; i++) {
        Node *n = a->g->nodes.at[i];
        int stage = 0;
        for (int j = 0; j < n->nin; j++) {
            Node *x = behind_views(n->in[j]);
            bool apart = x != n->in[j] || !lower_same_index(n, j);
            int least = is_given(x) ? 0 : a->value[x->id].stage + apart;
            stage = least > stage ? least : stage;
        }
        a->value[i].stage = stage;
    }
}

static void find_candidates(Again *a)
{
    const Graph *g = a->g;
    for (int i = 0; i < g->nodes.n; i++) {
        const Node *n = g->nodes.at[i];
        a->value[i].may = INFO(n)->cls == CLASS_row && n->shape.rank > 1 && cost_is_least(n->op);
        for (int j = 0; j < n->nin; j++) {
            Value *x = &a->value[n->in[j]->id];
            bool same = lower_same_index(n, j);
            x->may &= (same || is_reduction(n)) && INFO(n->in[j])->phase == INFO(n)->phase;
            x->stored |= !same || a->value[i].stage > x->stage;
        }
    }
    for (int i = 0; i < g->outputs.n; i++) {
        a->value[g->outputs.at[i].node->id].may = false;
        a->value[g->outputs.at[i].node->id].stored = true;
    }
}

static void add_place(Again *a, Places *to, int place)
{
    for (int i = 0; i < to->n; i++)
        if (to->at[i] == place)
            return;
    list_push(a->arena, to, place);
}

/* What it takes to compute x of what is stored: its operations and loads; `seen` are counted. */
static double cone_cost(const Again *a, Node *x, const Node **seen, int *nseen)
{
    double cost = 1;
    for (int j = 0; j < x->nin; j++) {
        Node *in = x->in[j], *base = behind_views(in);
        bool known = false;
        for (int i = 0; i < *nseen; i++)
            known |= seen[i] == in;
        if (known || INFO(in)->cls == CLASS_host)
            continue;
        if (*nseen == CONE_MOST)
            return CONE_MOST;
        seen[(*nseen)++] = in;
        if (!lower_same_index(x, j) || INFO(in)->cls != CLASS_row)
            cost += small_load;
        else if (a->value[in->id].may)
            cost += cone_cost(a, in, seen, nseen);
        else
            cost += 1 + (is_given(base) || a->value[base->id].stored ? 0 : STORE_COST);
    }
    return cost;
}

/* Once and a store and a load in each place, or as often as there are places? */
static bool is_better_again(const Again *a, Node *x)
{
    const Value *v = &a->value[x->id];
    const Node *seen[CONE_MOST];
    int nseen = 0, n = v->places.n;
    if (!v->may || n == 0 || (n == 1 && v->places.at[0] == v->stage))
        return false;
    return n == 1 || (n - 1) * cone_cost(a, x, seen, &nseen) <= STORE_COST + n;
}

void lower_again(const Graph *g)
{
    Arena *scratch = arena_new();
    Again a = {scratch, g, NEW_ARRAY(scratch, Value, g->nodes.n + 1)};
    find_stages(&a);
    find_candidates(&a);
    for (int i = g->nodes.n - 1; i >= 0; i--) { /* places: those of all users are known */
        Node *n = g->nodes.at[i];
        Value *v = &a.value[i];
        INFO(n)->again = is_better_again(&a, n);
        if (!INFO(n)->again) {
            v->places.n = 0;
            add_place(&a, &v->places, v->stage);
        }
        for (int j = 0; j < n->nin; j++) {
            Places *to = &a.value[n->in[j]->id].places;
            if (is_reduction(n))
                add_place(&a, to, -1 - i);
            for (int k = 0; k < v->places.n && !is_reduction(n); k++)
                add_place(&a, to, v->places.at[k]);
        }
    }
    arena_free(scratch);
}
