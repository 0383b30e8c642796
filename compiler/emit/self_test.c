/* NAME_self_test(workspace): a row that is in the object through `predict`, and its outputs
 * against those computed when compiling. */
#include "emit/module.h"

#include <string.h>

typedef struct { V fn; LLVMTypeRef type; const ObjectEntry *entry; } Predict;

static int64_t aligned(int64_t bytes)
{
    return (bytes + OBJECT_ALIGN - 1) / OBJECT_ALIGN * OBJECT_ALIGN;
}

static Predict find_predict(Emit *e, const ObjectSpec *o)
{
    const char *version = e->version ? e->version->name : NULL;
    const char *name = entry_symbol(e->arena, o, "predict", version);
    Predict p = {LLVMGetNamedFunction(e->m, name), NULL, NULL};
    for (int i = 0; i < o->nentry; i++)
        if (!strcmp(o->entry[i].name, "predict"))
            p.entry = &o->entry[i];
    if (!p.fn || !p.entry)
        bug("a self test without predict");
    p.type = LLVMGlobalGetValueType(p.fn);
    return p;
}

static int64_t port_count(const SelfTest *t, const Port *p)
{
    int64_t n = 1;
    for (int i = 1; i < p->shape.rank; i++)
        n *= dim_value(p->shape.d[i], t->lengths);
    return n;
}

static V load_number(Emit *e, V base, V i, Dtype dt)
{
    LLVMTypeRef t = type_memory(e, dt);
    return LLVMBuildLoad2(e->b, t, LLVMBuildInBoundsGEP2(e->b, t, base, &i, 1, ""), "");
}

/* Is it as near as it should be? NaN is not. */
static V is_near(Emit *e, V got, V want, Dtype dt, double tolerance)
{
    if (!dtype_is_float(dt))
        return LLVMBuildICmp(e->b, LLVMIntEQ, got, want, "");
    V d = LLVMBuildFSub(e->b, got, want, ""), most = const_value(e, dt, tolerance);
    V high = LLVMBuildFCmp(e->b, LLVMRealOLE, d, most, "");
    V low = LLVMBuildFCmp(e->b, LLVMRealOGE, d, const_value(e, dt, -tolerance), "");
    return LLVMBuildAnd(e->b, high, low, "");
}

/* Refuses where an element is further off than the tolerance. */
static void compare(Emit *e, const SelfTest *t, const Port *p, int i, V got)
{
    int64_t count = port_count(t, p);
    V want = bytes_once(e, arena_printf(e->arena, "test.out.%s", p->name), t->out[i],
                        count * dtype_size(p->dtype), 16);
    Loop l;
    V at = loop_begin(e, &l, const_i64(e, 0), const_i64(e, count), 1, NULL, 0);
    V near = is_near(e, load_number(e, got, at, p->dtype), load_number(e, want, at, p->dtype),
                     p->dtype, t->tolerance[i]);
    refuse(e, LLVMBuildNot(e->b, near, ""), STATUS_self_test);
    loop_end(e, &l, NULL);
}

static void zero(Emit *e, V to, int64_t bytes)
{
    Loop l;
    V i = loop_begin(e, &l, const_i64(e, 0), const_i64(e, bytes / 8), 1, NULL, 0);
    LLVMBuildStore(e->b, LLVMConstInt(e->i64, 0, 0),
                   LLVMBuildInBoundsGEP2(e->b, e->i64, to, &i, 1, ""));
    loop_end(e, &l, NULL);
}

void self_test_emit(Emit *e, ObjectSpec *o)
{
    SelfTest *t = o->test;
    Predict p = find_predict(e, o);
    V fn = begin_entry(e, o, "self_test", LLVMFunctionType(e->i32, &e->ptr, 1, 0));
    V ws = LLVMGetParam(fn, 0), arg[64], *out = NEW_ARRAY(e->arena, V, p.entry->nout + 1);
    unsigned n = 0;
    refuse(e, LLVMBuildICmp(e->b, LLVMIntEQ, ws, LLVMConstNull(e->ptr), ""), STATUS_null);
    t->bytes = p.entry->base + p.entry->worker;
    if (o->blob[BLOB_state].n) {
        arg[n++] = at_byte(e, ws, t->bytes);
        zero(e, arg[n - 1], o->blob[BLOB_state].bytes);
        t->bytes += aligned(o->blob[BLOB_state].bytes);
    }
    for (int i = 0; i < p.entry->nin; i++) {
        const Port *in = &p.entry->in[i];
        arg[n++] = bytes_once(e, arena_printf(e->arena, "test.in.%s", in->name), t->in[i],
                              port_count(t, in) * dtype_size(in->dtype), 16);
    }
    for (int i = 0; i < p.entry->nout; i++) {
        out[i] = arg[n++] = at_byte(e, ws, t->bytes);
        t->bytes += aligned(port_count(t, &p.entry->out[i]) * dtype_size(p.entry->out[i].dtype));
    }
    arg[n++] = LLVMConstInt(e->i32, 1, 0);
    for (int s = SYM_length; s < SYM_MOST; s++)
        if (o->lengths[s])
            arg[n++] = LLVMConstInt(e->i32, (unsigned long long)t->lengths[s], 0);
    arg[n++] = ws;
    V status = LLVMBuildCall2(e->b, p.type, p.fn, arg, n, "");
    LLVMBasicBlockRef stop = LLVMAppendBasicBlockInContext(e->cx, fn, "stop");
    LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(e->cx, fn, "next");
    V ok = LLVMBuildICmp(e->b, LLVMIntEQ, status, LLVMConstInt(e->i32, STATUS_ok, 0), "");
    LLVMBuildCondBr(e->b, ok, next, stop);
    LLVMPositionBuilderAtEnd(e->b, stop);
    LLVMBuildRet(e->b, status);
    LLVMPositionBuilderAtEnd(e->b, next);
    for (int i = 0; i < p.entry->nout; i++)
        compare(e, t, &p.entry->out[i], i, out[i]);
    LLVMBuildRet(e->b, LLVMConstInt(e->i32, STATUS_ok, 0));
}
