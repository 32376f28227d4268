/* The kernel that `agent doctor` runs: destination = source + 1, float32, one dimension, called as a compiled TVM
 * kernel is. ../build.py links it as a shared library beside the runner. */
#include <dlpack/dlpack.h>
#include <stdint.h>
#include <tvm/ffi/c_api.h>

static const DLTensor *tensor(const TVMFFIAny *arg) {
  if (arg->type_index == kTVMFFIDLTensorPtr) return (const DLTensor *)arg->v_ptr;
  if (arg->type_index == kTVMFFITensor) return (const DLTensor *)((const char *)arg->v_obj + sizeof(TVMFFIObject));
  return 0;
}

__attribute__((visibility("default"))) int __tvm_ffi_add_one(void *self, const TVMFFIAny *args, int32_t num_args,
                                                             TVMFFIAny *result) {
  (void)self;
  (void)result;
  const DLTensor *source = num_args == 2 ? tensor(&args[0]) : 0;
  const DLTensor *destination = num_args == 2 ? tensor(&args[1]) : 0;
  if (!source || !destination) return -1;
  const float *from = (const float *)((const char *)source->data + source->byte_offset);
  float *to = (float *)((char *)destination->data + destination->byte_offset);
  for (int64_t i = 0; i < source->shape[0]; ++i) to[i] = from[i] + 1.0f;
  return 0;
}
