/* Memory that code generation leaves behind. */
#ifndef WEFT_EMIT_PAGES_H
#define WEFT_EMIT_PAGES_H

/* Returns free heap and libLLVM's unmodified pages to the system. Any thread
 * may be inside LLVM meanwhile: the pages come back as they are touched. */
void pages_give_back(void);

#endif
