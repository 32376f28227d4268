/* Micro mode: a kernel without TVM's runtime. Fills the slots that compiled kernels leave for it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"

/* The error that a kernel raised: of several threads' the first is kept. */
static struct {
  pthread_mutex_t mutex;
  char text[DETAIL_BYTES];
  bool raised, out_of_memory;
} error = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void micro_raise(const char *kind, const char **parts, int32_t n_parts) {
  pthread_mutex_lock(&error.mutex);
  if (!error.raised) {
    size_t size = (size_t)snprintf(error.text, sizeof error.text, "%s: ", kind);
    for (int32_t i = 0; i < n_parts && size < sizeof error.text; i++)
      if (parts[i]) size += (size_t)snprintf(error.text + size, sizeof error.text - size, "%s", parts[i]);
    error.raised = true;
  }
  pthread_mutex_unlock(&error.mutex);
}

void micro_out_of_memory(void) { error.out_of_memory = true; }

/* Kernels import these two by name. In full mode the program's own definitions come first in the search
 * for symbols, also for TVM's libraries, and so hand over to libtvm_ffi. */
void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts, int32_t n_parts) {
  if (!full_raise(kind, parts, n_parts)) micro_raise(kind, parts, n_parts);
}

void TVMFFIErrorSetRaisedFromCStr(const char *kind, const char *message) {
  TVMFFIErrorSetRaisedFromCStrParts(kind, &message, 1);
}

static int needs_full_mode(const char *what) {
  const char *parts[] = {"this kernel calls ", what, ", which needs TVM's runtime: run it in full mode"};
  micro_raise("RuntimeError", parts, 3);
  return -1;
}

static int call_function(TVMFFIObjectHandle function, TVMFFIAny *args, int32_t n_args, TVMFFIAny *result) {
  (void)function, (void)args, (void)n_args, (void)result;
  return needs_full_mode("a function of the runtime");
}

static int look_up(TVMFFIObjectHandle module, const char *name, TVMFFIObjectHandle *out) {
  (void)module, (void)out;
  return needs_full_mode(name);
}

static int initialize_once(void **handle, int (*create)(void **result)) {
  (void)handle, (void)create;
  return needs_full_mode("an initializer of the runtime");
}

static const struct {
  const char *name;
  void *value;
} slots[] = {
    {"__TVMBackendParallelLaunch", (void *)pool_launch},
    {"__TVMBackendParallelBarrier", (void *)pool_barrier},
    {"__TVMBackendAllocWorkspace", (void *)pool_workspace},
    {"__TVMBackendFreeWorkspace", (void *)pool_free_workspace},
    {"__TVMFFIErrorSetRaisedFromCStr", (void *)TVMFFIErrorSetRaisedFromCStr},
    {"__TVMFFIFunctionCall", (void *)call_function},
    {"__TVMFFIEnvModLookupFromImports", (void *)look_up},
    {"__TVMFFIHandleInitOnce", (void *)initialize_once},
};

static TVMFFISafeCallType entry;

static void load(const struct request *request) {
  if (request->kind == KIND_MODEL)
    child_fail(OUTCOME_RUN_ERROR, "a whole model needs TVM's runtime, and this runner is in micro mode");
  void *library = dlopen(request->library, RTLD_NOW | RTLD_LOCAL);
  if (!library) child_fail(OUTCOME_RUN_ERROR, "cannot load the kernel: %s", dlerror());
  for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
    void **slot = dlsym(library, slots[i].name);
    if (slot) *slot = slots[i].value;
  }
  char symbol[512];
  snprintf(symbol, sizeof symbol, "__tvm_ffi_%s", request->entry);
  *(void **)&entry = dlsym(library, symbol);
  if (!entry) child_fail(OUTCOME_RUN_ERROR, "the library has no function %s", request->entry);
}

static void call(TVMFFIAny *args, int32_t n_args) {
  TVMFFIAny result = {.type_index = kTVMFFINone};
  if (entry(NULL, args, n_args, &result) == 0) return;
  child_fail(error.out_of_memory ? OUTCOME_OUT_OF_MEMORY : OUTCOME_RUN_ERROR, "%s",
             error.raised ? error.text : "the kernel failed without a message");
}

/* Kernels write to their arguments and give nothing back. */
static void results(visit_output *visit, void *context) { (void)visit, (void)context; }

static void time_calls(const struct request *request, TVMFFIAny *args, struct timings *to) {
  timer_run(request, call, args, to);
}

static struct tensor adopt(DLTensor *over) {
  return (struct tensor){over, {.type_index = kTVMFFIDLTensorPtr, .v_ptr = over}};
}

const struct backend micro_backend = {load, NULL, adopt, call, results, time_calls};
