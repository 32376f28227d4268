/* What the parts of the runner know of each other. The protocol is described in ../protocol.py. */
#ifndef TVM_FARM_RUNNER_H_
#define TVM_FARM_RUNNER_H_

#include <dlpack/dlpack.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tvm/ffi/c_api.h>

enum { PROTOCOL_VERSION = 3, MAX_WAITING = 8, MAX_ARGS = 4096, MAX_NDIM = 16, ALIGNMENT = 64, DETAIL_BYTES = 2048 };

enum mode { MODE_FULL = 1, MODE_MICRO = 2 };
enum program_kind { KIND_KERNEL = 1, KIND_MODEL = 2 };
enum source { SOURCE_FILL = 1, SOURCE_DATA = 2, SOURCE_PARAM = 3 };

/* The numbers of farm.v1.Outcome. */
enum outcome {
  OUTCOME_OK = 1,
  OUTCOME_RUN_ERROR = 4,
  OUTCOME_RUN_TIMEOUT = 5,
  OUTCOME_CRASH = 6,
  OUTCOME_OUT_OF_MEMORY = 7,
  OUTCOME_CANCELLED = 9,
};

struct argument {
  int32_t ndim;
  int64_t shape[MAX_NDIM];
  DLDataType dtype;
  size_t nbytes;
  enum source source;
  uint64_t seed;
  const unsigned char *data; /* SOURCE_DATA: nbytes of them, inside the frame */
  char *param;               /* SOURCE_PARAM: its name */
};

struct plan {
  int32_t number, repeat, min_repeat_ms, cooldown_ms, repeats_to_cooldown, cache_flush_bytes;
};

struct request {
  uint32_t sequence;
  enum program_kind kind;
  double run_timeout_s, hopeless_s; /* the latter a call, 0: none is */
  uint64_t memory_bytes; /* 0: no limit */
  struct plan plan;
  char *library, *params, *entry; /* params "" where the program has none */
  uint32_t n_outputs, *outputs;
  uint32_t n_args;
  struct argument *args;
};

/* What a child tells its parent while it lives: one page shared by both. */
struct board {
  _Atomic uint32_t stage; /* enum stage */
  uint32_t outcome;
  double started_s, finished_s; /* by the monotonic clock; started_s 0: it did not begin */
  char detail[DETAIL_BYTES];
};
enum stage { STAGE_LOADING = 0, STAGE_EXECUTING = 1, STAGE_DONE = 2 };

/* main.c */
struct settings {
  enum mode mode;
  const char *ffi, *runtime, *extra; /* paths, NULL in micro mode; extra may be NULL */
  int threads;
};
extern struct settings settings;
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
double now_s(void);

/* wire.c: frames in and out. A malformed frame ends the runner. */
enum frame_type { FRAME_RUN = 1, FRAME_CANCEL = 2, FRAME_HELLO = 129, FRAME_RESULT = 130 };
struct frame {
  uint8_t type;
  unsigned char *payload;
  size_t size;
};
void wire_open(void);
void wire_close_in_child(void);
int wire_input(void);
bool wire_read(struct frame *frame); /* false: the agent is gone */
void wire_parse_run(const struct frame *frame, struct request *request);
uint32_t wire_parse_cancel(const struct frame *frame);
void wire_free_run(struct request *request);
void wire_hello(const char *ffi_version);
void wire_result(uint32_t sequence, uint32_t outcome, int32_t signal, const struct board *board, const char *detail,
                 int body, size_t body_size);

/* inbox.c: what the agent asks. One request executes; a few more may wait for its end. */
struct run {
  struct frame frame; /* the request points into it */
  struct request request;
};
enum heard { HEARD_NOTHING_FOR_IT, HEARD_CANCEL, HEARD_END };
bool inbox_take(struct run *to); /* blocks; false: the agent is gone */
enum heard inbox_hear(const struct request *executing);
void inbox_free(struct run *run);

/* isolate.c: one request in a process of its own. */
void isolate_open(void);
void isolate_run(const struct request *request);
void isolate_abandon(void); /* ends the child at hand, if there is one */
_Noreturn void child_fail(enum outcome outcome, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* program.c: what the child does. */
_Noreturn void program_run(const struct request *request, struct board *board, int body);

/* tensors.c: what was filled, kept for the next request that asks for the same */
void tensors_open(void);
void tensors_keep(const struct request *request); /* before its child is forked */
void tensors_drop(void);
size_t tensors_bytes(void);
/* In the child. The argument's memory with its values, or NULL; its values alone, or NULL. */
void *tensors_inherited(const struct argument *argument);
const void *tensors_values(const struct argument *argument);
void tensors_own(const struct argument *argument); /* before it has threads: what it will write to */
size_t tensors_inherited_bytes(void);

/* fill.c, params.c */
bool fill(void *data, DLDataType dtype, size_t nbytes, uint64_t seed); /* false: dtype unknown */
void params_open(const char *path);
const void *params_find(const char *name, const struct argument *like);

/* cpus.c: the CPUs that parallel kernels use, fastest first. */
void cpus_confine(const char *list); /* "4,5": this process and all that it starts run there alone */
void cpus_open(int wanted);
int cpus_count(void);
int cpus_at(int index);
void cpus_bind(int first, int count);
/* The first is from now on the one that this thread is on, if that is as fast: bound to another, it would first have to
 * wait for whoever is there. */
void cpus_begin_here(void);

/* One call of the program on its arguments, by either mode. */
struct tensor {
  DLTensor *dl;
  TVMFFIAny any;
};
typedef void visit_output(const DLTensor *tensor, void *context);
struct timings {
  double *run_secs; /* room for the plan's repeats */
  uint32_t count;
  bool cut_short;
};
typedef void call_program(TVMFFIAny *args, int32_t n_args); /* keeps its result for `results` */
struct backend {
  void (*load)(const struct request *request);
  struct tensor (*allocate)(const struct argument *like); /* NULL: malloc will do */
  struct tensor (*adopt)(DLTensor *over);
  call_program *call;
  void (*results)(visit_output *visit, void *context);
  void (*time)(const struct request *request, TVMFFIAny *args, struct timings *to);
};
extern const struct backend micro_backend, full_backend;
void *aligned(size_t nbytes); /* ends the child with OUT_OF_MEMORY where there is none */

/* timer.c */
void timer_run(const struct request *request, call_program *call, TVMFFIAny *args, struct timings *to);

/* full.c */
void full_open(void);
const char *full_ffi_version(void);
int full_threads(void);
bool full_raise(const char *kind, const char **parts, int32_t n_parts); /* false in micro mode */

/* micro.c, pool.c */
void micro_raise(const char *kind, const char **parts, int32_t n_parts);
void micro_out_of_memory(void);
int pool_launch(int (*task)(int, void *, void *), void *data, int n_tasks);
int pool_barrier(int task_id, void *env);
void *pool_workspace(int device_type, int device_id, uint64_t nbytes, int code_hint, int bits_hint);
int pool_free_workspace(int device_type, int device_id, void *data);

#endif
