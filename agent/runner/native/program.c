/* What a child does with its request: arguments, one call for the outputs, the timings. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"

void *aligned(size_t nbytes) {
  void *data;
  if (posix_memalign(&data, ALIGNMENT, nbytes ? nbytes : 1) != 0)
    child_fail(OUTCOME_OUT_OF_MEMORY, "no memory for %zu bytes", nbytes);
  return data;
}

/* The result's body: outputs, then seconds; see ../protocol.py. */
static FILE *result;

static void put(const void *from, size_t size) {
  if (size && fwrite(from, size, 1, result) != 1) child_fail(OUTCOME_RUN_ERROR, "cannot keep its results: %s", strerror(errno));
}

static size_t tensor_bytes(const DLTensor *tensor) {
  size_t nbytes = ((size_t)tensor->dtype.bits * tensor->dtype.lanes + 7) / 8;
  for (int i = 0; i < tensor->ndim; i++) nbytes *= (size_t)tensor->shape[i];
  return nbytes;
}

static bool compact(const DLTensor *tensor) {
  if (!tensor->strides) return true;
  int64_t expected = 1;
  for (int i = tensor->ndim - 1; i >= 0; i--) {
    if (tensor->shape[i] == 0) return true;
    if (tensor->shape[i] != 1 && tensor->strides[i] != expected) return false;
    expected *= tensor->shape[i];
  }
  return true;
}

static void put_tensor(const DLTensor *tensor, void *context) {
  (void)context;
  if (tensor->device.device_type != kDLCPU) child_fail(OUTCOME_RUN_ERROR, "a result is not in the CPU's memory");
  if (!compact(tensor)) child_fail(OUTCOME_RUN_ERROR, "a result is not compact");
  uint8_t ndim = (uint8_t)tensor->ndim;
  uint64_t nbytes = tensor_bytes(tensor);
  put(&tensor->dtype, sizeof tensor->dtype);
  put(&ndim, sizeof ndim);
  put(tensor->shape, sizeof(int64_t) * ndim);
  put(&nbytes, sizeof nbytes);
  put((const char *)tensor->data + tensor->byte_offset, (size_t)nbytes);
}

static void count_tensor(const DLTensor *tensor, void *context) {
  (void)tensor;
  ++*(uint32_t *)context;
}

static void put_kernel_outputs(const struct request *request, const struct tensor *tensors) {
  put(&request->n_outputs, sizeof request->n_outputs);
  for (uint32_t i = 0; i < request->n_outputs; i++) put_tensor(tensors[request->outputs[i]].dl, NULL);
}

static void put_model_outputs(const struct backend *backend) {
  uint32_t count = 0;
  backend->results(count_tensor, &count);
  put(&count, sizeof count);
  backend->results(put_tensor, NULL);
}

/* An argument of a kernel, in either mode, on memory of ours. */
static struct tensor over(const struct backend *backend, void *data, const struct argument *like) {
  DLTensor *tensor = calloc(1, sizeof *tensor);
  int64_t *strides = calloc((size_t)like->ndim + 1, sizeof *strides);
  if (!tensor || !strides) child_fail(OUTCOME_OUT_OF_MEMORY, "no memory for a tensor");
  int64_t stride = 1;
  for (int i = like->ndim - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= like->shape[i];
  }
  tensor->data = data;
  tensor->device = (DLDevice){kDLCPU, 0};
  tensor->ndim = like->ndim;
  tensor->dtype = like->dtype;
  tensor->shape = (int64_t *)like->shape;
  tensor->strides = strides;
  return backend->adopt(tensor);
}

static void set_values(const struct tensor *tensor, const struct argument *argument) {
  void *data = tensor->dl->data;
  const void *kept = tensors_values(argument);
  if (kept) memcpy(data, kept, argument->nbytes);
  else if (argument->source == SOURCE_DATA) memcpy(data, argument->data, argument->nbytes);
  else if (argument->source == SOURCE_PARAM) memcpy(data, params_find(argument->param, argument), argument->nbytes);
  else if (!fill(data, argument->dtype, argument->nbytes, argument->seed))
    child_fail(OUTCOME_RUN_ERROR, "cannot fill a tensor of dtype code %d with %d bits", argument->dtype.code, argument->dtype.bits);
}

static struct tensor make(const struct backend *backend, const struct argument *argument) {
  void *inherited = tensors_inherited(argument);
  if (inherited) return over(backend, inherited, argument);
  struct tensor tensor =
      backend->allocate ? backend->allocate(argument) : over(backend, aligned(argument->nbytes), argument);
  set_values(&tensor, argument);
  return tensor;
}

_Noreturn void program_run(const struct request *request, struct board *board, int body) {
  const struct backend *backend = settings.mode == MODE_FULL ? &full_backend : &micro_backend;
  result = fdopen(body, "wb");
  struct tensor *tensors = calloc(request->n_args + 1, sizeof *tensors);
  TVMFFIAny *args = calloc(request->n_args + 1, sizeof *args);
  struct timings timings = {.run_secs = calloc((size_t)request->plan.repeat, sizeof(double))};
  if (!result || !tensors || !args || !timings.run_secs) child_fail(OUTCOME_OUT_OF_MEMORY, "no memory to begin");
  if (access(request->library, R_OK) != 0) child_fail(OUTCOME_RUN_ERROR, "cannot read %s: %s", request->library, strerror(errno));
  uint64_t asked = 0;
  for (uint32_t i = 0; i < request->n_args; i++) asked += request->args[i].nbytes;
  if (request->memory_bytes && asked > request->memory_bytes)
    child_fail(OUTCOME_OUT_OF_MEMORY, "no memory for %llu bytes of arguments", (unsigned long long)asked);
  /* TVM's kernels have their outputs last, most of them one. */
  if (request->n_args) tensors_own(&request->args[request->n_args - 1]);
  backend->load(request);
  if (request->params[0]) params_open(request->params);
  for (uint32_t i = 0; i < request->n_args; i++) {
    tensors[i] = make(backend, &request->args[i]);
    args[i] = tensors[i].any;
  }

  board->started_s = now_s();
  board->stage = STAGE_EXECUTING;
  if (request->n_outputs) {
    /* Before the timing: a kernel may change its arguments, and what comes back is of one call on those given. */
    backend->call(args, (int32_t)request->n_args);
    if (request->kind == KIND_KERNEL) put_kernel_outputs(request, tensors);
    else put_model_outputs(backend);
  } else {
    uint32_t none = 0;
    put(&none, sizeof none);
  }
  backend->time(request, args, &timings);
  board->finished_s = now_s();
  uint8_t cut_short = timings.cut_short;
  put(&timings.count, sizeof timings.count);
  put(timings.run_secs, sizeof(double) * timings.count);
  put(&cut_short, sizeof cut_short);
  if (fflush(result) != 0) child_fail(OUTCOME_RUN_ERROR, "cannot keep its results: %s", strerror(errno));
  board->outcome = OUTCOME_OK;
  board->stage = STAGE_DONE;
  _exit(0);
}
