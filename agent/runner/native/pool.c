/* Parallel kernels and their scratch memory in micro mode: what TVM's runtime gives them in full mode.
 *
 * Like TVM's pool: the launching thread takes task 0; workers are bound to one CPU each, spin for a while
 * after a task (yielding), and then sleep; scratch memory is kept between calls, per thread.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "runner.h"

enum { SPIN_COUNT = 300000, LINE = 64, PAGE = 4096, KEPT_BLOCKS = 32 };

typedef int task_function(int task_id, void *env, void *data);
struct group_env { /* TVMParallelGroupEnv */
  void *sync_handle;
  int32_t num_task;
};
struct counter {
  _Alignas(LINE) _Atomic uint32_t value;
};

static struct {
  _Alignas(LINE) _Atomic uint32_t generation; /* one more for every launch */
  _Alignas(LINE) _Atomic int32_t pending;     /* workers that have not finished it */
  _Alignas(LINE) _Atomic int32_t sleeping;
  _Atomic bool failed;
  pthread_mutex_t mutex;
  pthread_cond_t awake;
  task_function *task;
  void *data;
  struct group_env env;
  struct counter *arrived; /* of the barrier, one a task */
  int32_t n_arrived;
  bool started, busy;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER, .awake = PTHREAD_COND_INITIALIZER};

static void run_tasks(int worker) {
  for (int32_t i = worker; i < pool.env.num_task; i += settings.threads)
    if (pool.task(i, &pool.env, pool.data) != 0) pool.failed = true;
}

static uint32_t next_generation(uint32_t seen) {
  for (int i = 0; i < SPIN_COUNT; i++) {
    uint32_t now = atomic_load_explicit(&pool.generation, memory_order_acquire);
    if (now != seen) return now;
    sched_yield();
  }
  pthread_mutex_lock(&pool.mutex);
  pool.sleeping++;
  while (pool.generation == seen) pthread_cond_wait(&pool.awake, &pool.mutex);
  pool.sleeping--;
  pthread_mutex_unlock(&pool.mutex);
  return pool.generation;
}

static void *work(void *argument) {
  int worker = (int)(intptr_t)argument;
  cpus_bind(worker, 1);
  for (uint32_t seen = 0;;) {
    seen = next_generation(seen);
    run_tasks(worker);
    atomic_fetch_sub_explicit(&pool.pending, 1, memory_order_release);
  }
  return NULL;
}

static void start(void) {
  cpus_begin_here();
  for (int i = 1; i < settings.threads; i++) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, work, (void *)(intptr_t)i);
    if (error) child_fail(OUTCOME_OUT_OF_MEMORY, "cannot start thread %d of %d", i, settings.threads);
  }
  cpus_bind(0, 1);
  pool.started = true;
}

static int refuse(const char *message) {
  micro_raise("RuntimeError", &message, 1);
  return -1;
}

int pool_launch(task_function *task, void *data, int n_tasks) {
  if (pool.busy) return refuse("Cannot launch parallel job inside worker, consider fuse then parallel");
  if (!pool.started) start();
  if (n_tasks == 0) n_tasks = settings.threads;
  if (n_tasks > pool.n_arrived) {
    free(pool.arrived);
    pool.arrived = aligned(sizeof *pool.arrived * (size_t)n_tasks);
    pool.n_arrived = n_tasks;
  }
  for (int i = 0; i < n_tasks; i++) pool.arrived[i].value = 0;
  pool.busy = true;
  pool.failed = false;
  pool.task = task;
  pool.data = data;
  pool.env = (struct group_env){pool.arrived, n_tasks};
  pool.pending = settings.threads - 1;
  pool.generation++; /* what the workers wait for: everything above is visible to them with it */
  if (pool.sleeping) {
    pthread_mutex_lock(&pool.mutex);
    pthread_cond_broadcast(&pool.awake);
    pthread_mutex_unlock(&pool.mutex);
  }
  run_tasks(0);
  while (atomic_load_explicit(&pool.pending, memory_order_acquire) != 0) sched_yield();
  pool.busy = false;
  return pool.failed ? -1 : 0;
}

/* Needs a thread a task, as TVM's does. */
int pool_barrier(int task_id, void *argument) {
  struct group_env *env = argument;
  struct counter *arrived = env->sync_handle;
  if (env->num_task > settings.threads) return refuse("a barrier among more tasks than threads");
  uint32_t round = ++arrived[task_id].value;
  for (int32_t i = 0; i < env->num_task; i++)
    while ((int32_t)(arrived[i].value - round) < 0) sched_yield();
  return 0;
}

struct block {
  void *data;
  size_t size;
};
struct blocks {
  struct block of[KEPT_BLOCKS];
  int count;
};
static _Thread_local struct blocks idle, lent;

static struct block remove_at(struct blocks *blocks, int index) {
  struct block block = blocks->of[index];
  blocks->of[index] = blocks->of[--blocks->count];
  return block;
}

static int smallest_fit(size_t size) {
  int best = -1;
  for (int i = 0; i < idle.count; i++)
    if (idle.of[i].size >= size && (best < 0 || idle.of[i].size < idle.of[best].size)) best = i;
  return best;
}

void *pool_workspace(int device_type, int device_id, uint64_t nbytes, int code_hint, int bits_hint) {
  (void)device_id, (void)code_hint, (void)bits_hint;
  if (device_type != kDLCPU) return refuse("scratch memory of another device than the CPU"), NULL;
  if (lent.count == KEPT_BLOCKS) return refuse("too many blocks of scratch memory at once"), NULL;
  size_t size = nbytes > PTRDIFF_MAX - PAGE ? SIZE_MAX : ((size_t)nbytes + PAGE - 1) / PAGE * PAGE;
  int found = smallest_fit(size);
  struct block block;
  if (found >= 0) {
    block = remove_at(&idle, found);
  } else {
    block.size = size ? size : PAGE;
    if (size == SIZE_MAX || posix_memalign(&block.data, ALIGNMENT, block.size) != 0) {
      micro_out_of_memory();
      return refuse("no scratch memory"), NULL;
    }
  }
  lent.of[lent.count++] = block;
  return block.data;
}

int pool_free_workspace(int device_type, int device_id, void *data) {
  (void)device_type, (void)device_id;
  for (int i = lent.count - 1; i >= 0; i--) {
    if (lent.of[i].data != data) continue;
    struct block block = remove_at(&lent, i);
    if (idle.count < KEPT_BLOCKS) idle.of[idle.count++] = block;
    else free(block.data);
    return 0;
  }
  return refuse("scratch memory given back that was not lent");
}
