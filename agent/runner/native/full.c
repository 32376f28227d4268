/* Full mode: TVM's own runtime, thread pool and timer, from the two libraries on this board. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"

enum { SPECIFY_ONE_CORE_PER_THREAD = -2, ZERO_TIMES_LIMIT = 100, POOLED_ALLOCATOR = 2 };

/* Declared by the header under their own names; reached by dlsym, since no board must have them. */
static struct {
  __typeof__(&TVMFFIFunctionGetGlobal) get_global;
  __typeof__(&TVMFFIFunctionCall) call;
  __typeof__(&TVMFFIErrorMoveFromRaised) move_error;
  __typeof__(&TVMFFIErrorSetRaisedFromCStrParts) raise;
  __typeof__(&TVMFFIObjectDecRef) release;
  __typeof__(&TVMFFIGetVersion) version;
  __typeof__(&TVMFFITensorFromDLPack) from_dlpack;
} ffi;

bool full_raise(const char *kind, const char **parts, int32_t n_parts) {
  if (!ffi.raise) return false;
  ffi.raise(kind, parts, n_parts);
  return true;
}

static void *symbol(void *library, const char *name) {
  void *found = dlsym(library, name);
  if (!found) die("%s has no %s: it is no libtvm_ffi that this runner knows", settings.ffi, name);
  return found;
}

static int threads_of_pool(void);

void full_open(void) {
  char threads[16];
  snprintf(threads, sizeof threads, "%d", cpus_count());
  setenv("TVM_NUM_THREADS", threads, 1);
  unsetenv("TVM_BIND_THREADS"); /* the binding is ours: see configure_pool */
  void *library = dlopen(settings.ffi, RTLD_NOW | RTLD_GLOBAL);
  if (!library) die("cannot load libtvm_ffi: %s", dlerror());
  *(void **)&ffi.get_global = symbol(library, "TVMFFIFunctionGetGlobal");
  *(void **)&ffi.call = symbol(library, "TVMFFIFunctionCall");
  *(void **)&ffi.move_error = symbol(library, "TVMFFIErrorMoveFromRaised");
  *(void **)&ffi.release = symbol(library, "TVMFFIObjectDecRef");
  *(void **)&ffi.version = symbol(library, "TVMFFIGetVersion");
  *(void **)&ffi.from_dlpack = symbol(library, "TVMFFITensorFromDLPack");
  *(void **)&ffi.raise = symbol(library, "TVMFFIErrorSetRaisedFromCStrParts");
  if (!dlopen(settings.runtime, RTLD_NOW | RTLD_GLOBAL)) die("cannot load libtvm_runtime: %s", dlerror());
  if (settings.extra && access(settings.extra, R_OK) != 0) die("cannot read %s", settings.extra);
}

const char *full_ffi_version(void) {
  static char text[48];
  TVMFFIVersion version;
  ffi.version(&version);
  snprintf(text, sizeof text, "%u.%u.%u", version.major, version.minor, version.patch);
  return text;
}

/* TVM reports a failed allocation as an error like any other; its message is that of std::bad_alloc. */
static _Noreturn void fail_with_raised(const char *what) {
  TVMFFIObjectHandle handle = NULL;
  ffi.move_error(&handle);
  if (!handle) child_fail(OUTCOME_RUN_ERROR, "%s failed without a message", what);
  const TVMFFIErrorCell *cell = (const TVMFFIErrorCell *)((const char *)handle + sizeof(TVMFFIObject));
  const char *kind = cell->kind.data, *message = cell->message.data;
  int kind_size = (int)cell->kind.size, size = (int)cell->message.size;
  bool memory = (kind_size == 11 && !memcmp(kind, "MemoryError", 11)) || memmem(message, cell->message.size, "bad_alloc", 9);
  child_fail(memory ? OUTCOME_OUT_OF_MEMORY : OUTCOME_RUN_ERROR, "%.*s: %.*s", kind_size, kind, size, message);
}

static TVMFFIAny integer(int64_t value) { return (TVMFFIAny){.type_index = kTVMFFIInt, .v_int64 = value}; }
static TVMFFIAny text(const char *value) { return (TVMFFIAny){.type_index = kTVMFFIRawStr, .v_c_str = value}; }
static TVMFFIAny boolean(bool value) { return (TVMFFIAny){.type_index = kTVMFFIBool, .v_int64 = value}; }
static const TVMFFIAny none = {.type_index = kTVMFFINone};

static void drop(TVMFFIAny *value) {
  if (value->type_index >= kTVMFFIStaticObjectBegin) ffi.release(value->v_obj);
  *value = none;
}

static TVMFFIAny invoke(const char *what, TVMFFIObjectHandle function, TVMFFIAny *args, int32_t n_args) {
  TVMFFIAny result = none;
  if (ffi.call(function, args, n_args, &result) != 0) fail_with_raised(what);
  return result;
}

static TVMFFIAny invoke_global(const char *name, TVMFFIAny *args, int32_t n_args) {
  TVMFFIByteArray bytes = {name, strlen(name)};
  TVMFFIObjectHandle function = NULL;
  if (ffi.get_global(&bytes, &function) != 0 || !function)
    child_fail(OUTCOME_RUN_ERROR, "this TVM runtime has no function %s", name);
  return invoke(name, function, args, n_args);
}

/* TVM binds the threads that it makes and leaves the calling one to every CPU (threading_backend.cc,
   SetMainThreadFullCpuAffinity). On a host whose other CPU runs something at idle priority the two then share one CPU for
   whole repeats: half the speed. So the caller is bound too, once the pool exists. */
static void configure_pool(void) {
  cpus_begin_here();
  int count = cpus_count();
  char numbers[count][8];
  TVMFFIAny cpus[count];
  for (int i = 0; i < count; i++) {
    snprintf(numbers[i], sizeof numbers[i], "%d", cpus_at(i));
    cpus[i] = text(numbers[i]);
  }
  TVMFFIAny args[] = {integer(SPECIFY_ONE_CORE_PER_THREAD), integer(count), invoke_global("ffi.Array", cpus, count)};
  invoke_global("runtime.config_threadpool", args, 3);
  cpus_bind(0, 1);
}

/* Asked in a process of its own: the answer starts the pool, and threads do not survive a fork. */
int full_threads(void) {
  int answer[2];
  if (pipe(answer) != 0) die("cannot ask TVM for its threads");
  pid_t pid = fork();
  if (pid < 0) die("cannot ask TVM for its threads");
  if (pid == 0) {
    int threads = threads_of_pool();
    _exit(write(answer[1], &threads, sizeof threads) == sizeof threads ? 0 : 1);
  }
  close(answer[1]);
  int threads = 0;
  bool answered = read(answer[0], &threads, sizeof threads) == sizeof threads;
  close(answer[0]);
  waitpid(pid, NULL, 0);
  if (!answered || threads < 1) die("%s does not say how many threads it has: it is no libtvm_runtime that this runner knows", settings.runtime);
  return threads;
}

static int threads_of_pool(void) {
  configure_pool();
  return (int)invoke_global("runtime.NumThreads", NULL, 0).v_int64;
}

static TVMFFIAny module, entry, result;

static TVMFFIAny function_of(TVMFFIAny from, const char *name) {
  TVMFFIAny args[] = {from, text(name), boolean(false)};
  return invoke_global("ffi.ModuleGetFunction", args, 3);
}

static void load_model(void) {
  if (settings.extra && !dlopen(settings.extra, RTLD_NOW | RTLD_GLOBAL))
    child_fail(OUTCOME_RUN_ERROR, "cannot load libtvm_runtime_extra: %s", dlerror());
  TVMFFIAny loader = function_of(module, "vm_load_executable");
  if (loader.type_index == kTVMFFINone) child_fail(OUTCOME_RUN_ERROR, "the library holds no Relax VM executable");
  module = invoke("vm_load_executable", loader.v_obj, NULL, 0);
  TVMFFIAny device[] = {integer(kDLCPU), integer(0), integer(POOLED_ALLOCATOR)};
  invoke("vm_initialization", function_of(module, "vm_initialization").v_obj, device, 3);
}

static void load(const struct request *request) {
  configure_pool();
  TVMFFIAny path = text(request->library);
  module = invoke_global("ffi.ModuleLoadFromFile", &path, 1);
  if (request->kind == KIND_MODEL) load_model();
  entry = function_of(module, request->entry);
  if (entry.type_index == kTVMFFINone) child_fail(OUTCOME_RUN_ERROR, "the library has no function %s", request->entry);
}

static struct tensor allocate(const struct argument *like) {
  TVMFFIAny sizes[MAX_NDIM];
  for (int i = 0; i < like->ndim; i++) sizes[i] = integer(like->shape[i]);
  TVMFFIAny args[] = {
      invoke_global("ffi.Shape", sizes, like->ndim),
      {.type_index = kTVMFFIDataType, .v_dtype = like->dtype},
      {.type_index = kTVMFFIDevice, .v_device = {kDLCPU, 0}},
      none,
  };
  TVMFFIAny tensor = invoke_global("runtime.TVMTensorAllocWithScope", args, 4);
  drop(&args[0]);
  return (struct tensor){(DLTensor *)((char *)tensor.v_obj + sizeof(TVMFFIObject)), tensor};
}

/* A tensor of TVM's own, as a deployed kernel gets. */
static struct tensor adopt(DLTensor *over) {
  DLManagedTensor *managed = calloc(1, sizeof *managed);
  TVMFFIObjectHandle tensor = NULL;
  if (!managed) child_fail(OUTCOME_OUT_OF_MEMORY, "no memory for a tensor");
  managed->dl_tensor = *over;
  if (ffi.from_dlpack(managed, 0, 0, &tensor) != 0) fail_with_raised("a tensor");
  TVMFFIAny any = {.type_index = kTVMFFITensor, .v_obj = tensor};
  return (struct tensor){(DLTensor *)((char *)tensor + sizeof(TVMFFIObject)), any};
}

static void call(TVMFFIAny *args, int32_t n_args) {
  drop(&result);
  result = invoke("the program", entry.v_obj, args, n_args);
}

static void visit_value(TVMFFIAny value, visit_output *visit, void *context) {
  if (value.type_index == kTVMFFITensor) {
    visit((const DLTensor *)((const char *)value.v_obj + sizeof(TVMFFIObject)), context);
  } else if (value.type_index == kTVMFFIArray) {
    int64_t count = invoke_global("ffi.ArraySize", &value, 1).v_int64;
    for (int64_t i = 0; i < count; i++) {
      TVMFFIAny args[] = {value, integer(i)};
      TVMFFIAny item = invoke_global("ffi.ArrayGetItem", args, 2);
      visit_value(item, visit, context);
      drop(&item);
    }
  } else {
    child_fail(OUTCOME_RUN_ERROR, "a result is neither a tensor nor a tuple of them (type %d)", value.type_index);
  }
}

static void results(visit_output *visit, void *context) { visit_value(result, visit, context); }

/* TVM's timer gives its timings back when all are made; one that may end early is ours. */
static void time_calls(const struct request *request, TVMFFIAny *args, struct timings *to) {
  const struct plan *plan = &request->plan;
  if (request->hopeless_s > 0) {
    timer_run(request, call, args, to);
    return;
  }
  drop(&result);
  TVMFFIAny asked[] = {
      module, text(request->entry), integer(kDLCPU), integer(0), integer(plan->number), integer(plan->repeat),
      integer(plan->min_repeat_ms), integer(ZERO_TIMES_LIMIT), integer(plan->cooldown_ms),
      integer(plan->repeats_to_cooldown), integer(plan->cache_flush_bytes), text(""),
  };
  TVMFFIAny timer = invoke_global("runtime.RPCTimeEvaluator", asked, sizeof asked / sizeof *asked);
  TVMFFIAny answer = invoke("the program", timer.v_obj, args, (int32_t)request->n_args);
  size_t expected = sizeof *to->run_secs * (size_t)plan->repeat, size = 0;
  const char *bytes = NULL;
  if (answer.type_index == kTVMFFISmallBytes) {
    size = answer.small_str_len;
    bytes = answer.v_bytes;
  } else if (answer.type_index == kTVMFFIBytes) {
    const TVMFFIByteArray *array = (const TVMFFIByteArray *)((const char *)answer.v_obj + sizeof(TVMFFIObject));
    size = array->size;
    bytes = array->data;
  }
  if (size != expected) child_fail(OUTCOME_RUN_ERROR, "TVM's timer gave %zu bytes for %d repeats", size, plan->repeat);
  memcpy(to->run_secs, bytes, size);
  to->count = (uint32_t)plan->repeat;
}

const struct backend full_backend = {load, allocate, adopt, call, results, time_calls};
