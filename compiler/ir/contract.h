/* Products in index notation.
 *
 *   spec := term ('+' term)* '->' out        term := operand ',' operand
 *   operand := axis*      axis := label | '(' part ('+' part)* ')'
 *   part := [coefficient] label [':' extent]
 *   "nk,km->nm"          x @ W
 *   "nk,km+nj,jm->nm"    x @ W + h @ U in one chain (inputs x W h U)
 *   "nik,njk->nij"       q @ k' per sample
 *   "nk,nm->skm"         batch_contract: a weight's gradient
 *   "ntk,ntm->skm"       the same over time as well
 *   "n,nm->sm"           a bias's gradient (the first operand is a constant 1)
 *   "n(2h+i)(w+3j)c,ijco->nhwo"       a convolution: stride 2 and 1, dilation 1 and 3
 *   "n(2h+i:3)(w+3j:5)c,nhwo->sijco"  its kernel's gradient
 *
 * A label is one letter and names one axis of an operand. 'n' always is the
 * batch N and 's' the shards S; other letters are free. Labels that are not in
 * the output are summed. With attribute acc = 1 the first input is the value
 * (of the output's shape) that the chains continue; else they start at +0.
 *
 * A sum in parentheses is an axis that is read at the sum of coefficient times
 * label (a window that slides). Its labels are neither n nor s, and an operand
 * has a label once. The extent of a label is that of an axis it names alone, of
 * whatever operand; else the one written behind it; else, when it is the only
 * one unknown in a sum, as many as fit into that axis:
 * floor((dim - 1 - sum of coefficient * (extent - 1) of the others) / coefficient) + 1.
 * A sum may stop short of its axis's end, but not go beyond: nothing is checked
 * when it is computed, and padding is a node before the product.
 *
 * Order, which fixes the bits. Each output element is one chain
 * acc = fma(a, b, acc) over the terms in order.
 *   contract: within a term the summed labels run ascending, nested in the
 *   order of their first appearance in the term (the first is outermost; sums
 *   in parentheses are read from left to right like everything else).
 *   batch_contract (exactly one term; 'n' is summed): for each shard, its
 *   blocks of rows ascending (block_rows and shard_rows of n); in a
 *   block the summed labels of run-time length descending (outermost first),
 *   then the other summed labels ascending, then the block's rows ascending,
 *   rows beyond n left out.
 * So a product inside a reversed scan that continues a carry has the bits of
 * one product over the stacked operands after the scan.
 *
 * Factors are f32 or f64; or, in a contract, i8, or i32 that are words of four bytes (operation
 * words), of which a step adds the four products: then the chain is one of i32 that wraps.
 * Broadcasting of an operand along a label is written by leaving the label out.
 */
#ifndef WEFT_CONTRACT_H
#define WEFT_CONTRACT_H

#include "ir/graph.h"

enum { LABELS_MOST = 16, TERMS_MOST = 16, PARTS_MOST = 3, COEF_MOST = 1 << 20 };

/* An axis of an operand: the index is the sum of coef[i] * label[i]. Most have
 * one label with coefficient 1. */
typedef struct {
    int8_t n, label[PARTS_MOST];
    int32_t coef[PARTS_MOST];
} ContractAxis;

typedef struct {
    int nlabel;
    char label[LABELS_MOST];       /* output labels first, then summed ones by first appearance */
    int32_t written[LABELS_MOST];  /* the extent written behind a label, or 0 */
    int nout;                      /* labels [0, nout) are the output's axes */
    int nterm;
    struct {
        int rank[2];
        ContractAxis axis[2][RANK_MOST]; /* axis[o][i]: operand o's axis i */
        int nsum, sum[LABELS_MOST];/* the term's summed labels, outermost first */
    } term[TERMS_MOST];
    bool batch;                    /* 'n' is summed into 's' */
} Contract;

/* Parses a spec; false when malformed (*why says how). */
bool contract_parse(const char *spec, Contract *c, const char **why);
/* The spec of a parsed product; the inverse of contract_parse. */
char *contract_text(Arena *a, const Contract *c);
/* The labels of one operand, as in the spec. */
char *contract_operand(Arena *a, const Contract *c, int term, int o);
/* Parses the spec of a contract or batch_contract node (a bug if malformed). */
void contract_of(const Node *n, Contract *c);
/* The extent of each label, from the node's operands. */
void contract_extents(const Node *n, const Contract *c, Dim *extent);
/* The same from the factors of all terms (a bug where they do not fit). */
void contract_extents_of(Node *const *factor, const Contract *c, Dim *extent);

/* The label that the axis is, -1 when it is a sum. */
int axis_label(const ContractAxis *x);
/* Does operand o of the term have the label, alone or in a sum? */
bool contract_has(const Contract *c, int term, int o, int label);
/* Is an axis of any operand a sum? */
bool contract_is_affine(const Contract *c);

#endif
