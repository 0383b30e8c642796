/* Engine: a graph that can be run batch by batch, compiled or interpreted.
 *
 * Both kinds have the ports of runtime/executor.h: the caller binds memory by
 * role and name and runs batches; an updated parameter is one port, changed in
 * place. In float32 both give the same bits.
 */
#ifndef WEFT_ENGINE_H
#define WEFT_ENGINE_H

#include "driver/code.h"
#include "executor.h"
#include "ir/graph.h"

typedef struct Engine Engine;

/* An engine for g, which must outlive it. Reports at `at` what compiled code
 * cannot do (and returns null). */
Engine *engine_new(Arena *a, Diag *d, Span at, const Graph *g, bool interpret,
                   const CodeOptions *code);
void engine_free(Engine *e);

const Graph *engine_graph(const Engine *e);
bool engine_interprets(const Engine *e);
/* What the code was made for; "reference interpreter" without code. */
const char *engine_target(const Engine *e);
int engine_nport(const Engine *e);
const Port *engine_port(const Engine *e, int i);
int engine_find(const Engine *e, Role role, const char *name); /* -1 when absent */

/* The compiled program; null when interpreted. */
Program *engine_program(const Engine *e);

/* See program_bind, program_prepare, program_run, program_bytes. */
void engine_bind(Engine *e, int port, void *memory);
bool engine_prepare(Engine *e, int64_t rows, const int64_t *lengths, int threads);
bool engine_run(Engine *e, int64_t n, const int64_t *order);
size_t engine_bytes(const Engine *e);
size_t engine_worker_bytes(const Engine *e); /* of it, each thread has so much */

/* Runs the batch in the interpreter without changing anything bound and
 * returns the first operation whose finite operands gave NaN or infinity. */
const Node *engine_find_trouble(Engine *e, int64_t n, const int64_t *order);

/* Elements of a row (row ports) or of all (others) and bytes, with the
 * lengths given to engine_prepare (null before: then run-time lengths are 0). */
int64_t port_elements(const Port *p, const int64_t *lengths);
size_t port_bytes(const Port *p, const int64_t *lengths);

/* Memory for values, zeroed, aligned for vectors. */
void *aligned_memory(Arena *a, size_t bytes);

#endif
