/* Products in index notation.
 *
 *   spec := term ('+' term)* '->' out        term := labels ',' labels
 *   "nk,km->nm"          x @ W
 *   "nk,km+nj,jm->nm"    x @ W + h @ U in one chain (inputs x W h U)
 *   "nik,njk->nij"       q @ k' per sample
 *   "nk,nm->skm"         batch_contract: a weight's gradient
 *   "ntk,ntm->skm"       the same over time as well
 *   "n,nm->sm"           a bias's gradient (the first operand is a constant 1)
 *
 * A label is one letter and names one axis of an operand. 'n' always is the
 * batch N and 's' the shards S; other letters are free. Labels that are not in
 * the output are summed. With attribute acc = 1 the first input is the value
 * (of the output's shape) that the chains continue; else they start at +0.
 *
 * Order, which fixes the bits. Each output element is one chain
 * acc = fma(a, b, acc) over the terms in order.
 *   contract: within a term the summed labels run ascending, nested in the
 *   order of their first appearance in the term (the first is outermost).
 *   batch_contract (exactly one term; 'n' is summed): for each shard, its
 *   blocks of 32 rows ascending; in a block the summed labels of run-time
 *   length descending (outermost first), then the other summed labels
 *   ascending, then the block's rows ascending, rows beyond n left out.
 * So a product inside a reversed scan that continues a carry has the bits of
 * one product over the stacked operands after the scan.
 *
 * Factors are f32 or f64; a bfloat16 form may be added. Broadcasting of an
 * operand along a label is written by leaving the label out.
 */
#ifndef WEFT_CONTRACT_H
#define WEFT_CONTRACT_H

#include "ir/graph.h"

enum { LABELS_MOST = 16, TERMS_MOST = 16 };

typedef struct {
    int nlabel;
    char label[LABELS_MOST];       /* output labels first, then summed ones by first appearance */
    int nout;                      /* labels [0, nout) are the output's axes */
    int nterm;
    struct {
        int rank[2];
        int axis[2][RANK_MOST];    /* axis[o][i]: the label index of operand o's axis i */
        int nsum, sum[LABELS_MOST];/* the term's summed labels, outermost first */
    } term[TERMS_MOST];
    bool batch;                    /* 'n' is summed into 's' */
} Contract;

/* Parses a spec; false when malformed (*why says how). */
bool contract_parse(const char *spec, Contract *c, const char **why);
/* The spec of a parsed product; the inverse of contract_parse. */
char *contract_text(Arena *a, const Contract *c);
/* Parses the spec of a contract or batch_contract node (a bug if malformed). */
void contract_of(const Node *n, Contract *c);
/* The extent of each label, from the node's operands. */
void contract_extents(const Node *n, const Contract *c, Dim *extent);

#endif
