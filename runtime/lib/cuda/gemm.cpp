#include "cuda/cast.h"
using namespace te_rt;
te_rt_status cuda::gemm(te_rt_context *c, const te_rt_tensor *, const te_rt_tensor *, const te_rt_tensor *, const te_rt_tensor *, const te_rt_tensor *, const te_rt_tensor *, const te_rt_tensor *, int64_t, int64_t, int64_t, int64_t, int64_t) { return c->fail(TE_RT_UNSUPPORTED, "products: not yet on cuda"); }
te_rt_status cuda::grouped_gemm(te_rt_context *c, const te_rt_tensor *, const te_rt_tensor *, te_rt_tensor_list, te_rt_tensor_list, te_rt_tensor_list, const te_rt_tensor *, te_rt_tensor_list, int64_t, int64_t, int64_t, int64_t) { return c->fail(TE_RT_UNSUPPORTED, "products: not yet on cuda"); }
