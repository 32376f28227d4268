/* Pseudo-random arguments kept between requests: candidates of a workload have the same ones. Made here, before a
 * child is forked, and inherited by it page by page where that changes no timing, else copied by it; what a kernel
 * writes to them is seen by its process alone. */
#define _GNU_SOURCE
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runner.h"

/* From here on a tensor has pages of its own. Smaller ones are copied by the child, too: where they lie on a page
 * decides how fast the smallest kernels are, and only its allocator puts them where it would anyway. */
enum { MAX_KEPT = 256, MAPPED_FROM_BYTES = 128 << 10 };
enum { POPULATE_WRITE = 23 }; /* MADV_POPULATE_WRITE, which older headers lack */
static const size_t KEPT_BYTES = 64 << 20;
enum { SHARE_OF_BOARD = 16 };
/* A tensor that huge pages may hold is copied by the child instead: written to after a fork, they fall apart into
 * small ones, and the kernel would be timed on other pages than a deployed one has. */
static const size_t COPIED_FROM_BYTES = 2 << 20;

struct kept {
  DLDataType dtype;
  size_t nbytes;
  uint64_t seed;
  void *data;
  const struct argument *taken_by; /* of the request at hand */
  uint64_t used;                   /* by the how manieth request last */
};
static struct kept kept[MAX_KEPT];
static int n_kept;
static size_t total, limit;
static uint64_t request_number;

void tensors_open(void) {
  uint64_t share = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / SHARE_OF_BOARD;
  limit = share < KEPT_BYTES ? (size_t)share : KEPT_BYTES;
}

/* Large ones as malloc would map them, but not by malloc: it learns from what is freed, and a kernel's allocations
 * in a child would take other ways than in a process of their own. */
static void *obtain(size_t nbytes) {
  void *data;
  if (nbytes < MAPPED_FROM_BYTES) return posix_memalign(&data, ALIGNMENT, nbytes ? nbytes : 1) == 0 ? data : NULL;
  data = mmap(NULL, nbytes + ALIGNMENT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return data == MAP_FAILED ? NULL : (char *)data + ALIGNMENT;
}

static void give_back(void *data, size_t nbytes) {
  if (nbytes < MAPPED_FROM_BYTES) free(data);
  else munmap((char *)data - ALIGNMENT, nbytes + ALIGNMENT);
}

static void forget(int index) {
  total -= kept[index].nbytes;
  give_back(kept[index].data, kept[index].nbytes);
  kept[index] = kept[--n_kept];
}

static bool make_room(size_t nbytes) {
  while (n_kept == MAX_KEPT || total + nbytes > limit) {
    int oldest = -1;
    for (int i = 0; i < n_kept; i++)
      if (!kept[i].taken_by && (oldest < 0 || kept[i].used < kept[oldest].used)) oldest = i;
    if (oldest < 0) return false;
    forget(oldest);
  }
  return true;
}

static struct kept *find(const struct argument *like) {
  for (int i = 0; i < n_kept; i++) {
    struct kept *one = &kept[i];
    if (!one->taken_by && one->seed == like->seed && one->nbytes == like->nbytes &&
        !memcmp(&one->dtype, &like->dtype, sizeof one->dtype))
      return one;
  }
  return NULL;
}

static struct kept *make(const struct argument *like) {
  if (like->nbytes > limit || !make_room(like->nbytes)) return NULL;
  struct kept made = {.dtype = like->dtype, .nbytes = like->nbytes, .seed = like->seed};
  made.data = obtain(like->nbytes);
  if (!made.data) return NULL;
  if (!fill(made.data, like->dtype, like->nbytes, like->seed)) {
    give_back(made.data, made.nbytes);
    return NULL;
  }
  total += made.nbytes;
  kept[n_kept] = made;
  return &kept[n_kept++];
}

static bool inherits(const struct kept *one) {
  return one->nbytes >= MAPPED_FROM_BYTES && one->nbytes < COPIED_FROM_BYTES;
}

void tensors_keep(const struct request *request) {
  request_number++;
  for (int i = 0; i < n_kept; i++) kept[i].taken_by = NULL;
  uint64_t asked = 0;
  for (uint32_t i = 0; i < request->n_args; i++) asked += request->args[i].nbytes;
  if (request->memory_bytes && asked > request->memory_bytes) return; /* the child will say so */
  if (request->kind != KIND_KERNEL) return;                           /* a model's tensors are TVM's own */
  for (uint32_t i = 0; i < request->n_args; i++) {
    const struct argument *argument = &request->args[i];
    if (argument->source != SOURCE_FILL) continue;
    struct kept *one = find(argument);
    if (!one) one = make(argument);
    if (!one) continue;
    one->taken_by = argument; /* two equal arguments are two tensors: a kernel may write to one of them */
    one->used = request_number;
  }
}

static const struct kept *of(const struct argument *argument) {
  for (int i = 0; i < n_kept; i++)
    if (kept[i].taken_by == argument) return &kept[i];
  return NULL;
}

void *tensors_inherited(const struct argument *argument) {
  const struct kept *one = of(argument);
  return one && inherits(one) ? one->data : NULL;
}

/* A page that the child shares with the runner is copied when it is first written to, and if another thread of the
 * child runs by then, every copy interrupts that thread's CPU to forget the old page: 13 us each instead of two or three. */
void tensors_own(const struct argument *argument) {
  volatile unsigned char *data = tensors_inherited(argument);
  if (!data) return;
  size_t page = (size_t)sysconf(_SC_PAGESIZE), last = argument->nbytes - 1;
  uintptr_t first = (uintptr_t)data / page * page;
  /* All at once, without a fault for each. Linux has it from 5.14 on. */
  if (madvise((void *)first, (uintptr_t)data + argument->nbytes - first, POPULATE_WRITE) == 0) return;
  for (size_t at = 0; at < last; at += page) data[at] = data[at];
  data[last] = data[last];
}

const void *tensors_values(const struct argument *argument) {
  const struct kept *one = of(argument);
  return one ? one->data : NULL;
}

size_t tensors_bytes(void) { return total; }

size_t tensors_inherited_bytes(void) {
  size_t bytes = 0;
  for (int i = 0; i < n_kept; i++)
    if (kept[i].taken_by && inherits(&kept[i])) bytes += kept[i].nbytes;
  return bytes;
}

void tensors_drop(void) {
  while (n_kept > 0) forget(n_kept - 1);
  malloc_trim(0);
}
