/* A file as runtime.SaveParamsToFile writes it: names, then tensors, each with its own head. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner.h"

static const uint64_t LIST_MAGIC = 0xF7E58D4F05049CB7u, TENSOR_MAGIC = 0xDD5E40F096B4A13Fu;

struct param {
  const char *name;
  size_t name_size;
  DLDataType dtype;
  int32_t ndim;
  const unsigned char *shape; /* ndim int64, not aligned */
  const unsigned char *data;
  uint64_t nbytes;
};

static const char *file;
static struct param *params;
static uint64_t n_params;
static const unsigned char *at;
static size_t left;

static const void *take(uint64_t size) {
  if (size > left) child_fail(OUTCOME_RUN_ERROR, "%s is no parameter file: it ends too early", file);
  const void *taken = at;
  at += size;
  left -= (size_t)size;
  return taken;
}

static uint64_t take_u64(void) {
  uint64_t value;
  memcpy(&value, take(sizeof value), sizeof value);
  return value;
}

static int32_t take_i32(void) {
  int32_t value;
  memcpy(&value, take(sizeof value), sizeof value);
  return value;
}

static void take_tensor(struct param *to) {
  if (take_u64() != TENSOR_MAGIC) child_fail(OUTCOME_RUN_ERROR, "%s is no parameter file: a tensor's mark is missing", file);
  take(8 + 2 * sizeof(int32_t)); /* reserved, device */
  to->ndim = take_i32();
  if (to->ndim < 0 || to->ndim > MAX_NDIM) child_fail(OUTCOME_RUN_ERROR, "%s holds a tensor of %d dimensions", file, to->ndim);
  memcpy(&to->dtype, take(sizeof to->dtype), sizeof to->dtype);
  to->shape = take(sizeof(int64_t) * (uint64_t)to->ndim);
  to->nbytes = take_u64();
  to->data = take(to->nbytes);
}

void params_open(const char *path) {
  file = path;
  struct stat status;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &status) != 0) child_fail(OUTCOME_RUN_ERROR, "cannot read %s: %s", path, strerror(errno));
  left = (size_t)status.st_size;
  at = left ? mmap(NULL, left, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
  if (at == MAP_FAILED) child_fail(OUTCOME_RUN_ERROR, "cannot map %s: %s", path, strerror(errno));
  close(fd);
  if (take_u64() != LIST_MAGIC) child_fail(OUTCOME_RUN_ERROR, "%s is no parameter file", path);
  take_u64();
  n_params = take_u64();
  /* Each name takes 8 bytes at least: a count beyond that is a lie and not a reason to allocate. */
  params = n_params <= left / 8 ? calloc((size_t)n_params + 1, sizeof *params) : NULL;
  if (!params) child_fail(OUTCOME_RUN_ERROR, "%s is no parameter file: it claims %llu names", path, (unsigned long long)n_params);
  for (uint64_t i = 0; i < n_params; i++) {
    params[i].name_size = (size_t)take_u64();
    params[i].name = take(params[i].name_size);
  }
  if (take_u64() != n_params) child_fail(OUTCOME_RUN_ERROR, "%s is no parameter file: its counts differ", path);
  for (uint64_t i = 0; i < n_params; i++) take_tensor(&params[i]);
}

const void *params_find(const char *name, const struct argument *like) {
  if (!file) child_fail(OUTCOME_RUN_ERROR, "an argument names the parameter %s, and the request has no parameter file", name);
  size_t size = strlen(name);
  for (uint64_t i = 0; i < n_params; i++) {
    const struct param *found = &params[i];
    if (found->name_size != size || memcmp(found->name, name, size) != 0) continue;
    if (memcmp(&found->dtype, &like->dtype, sizeof like->dtype) != 0 || found->ndim != like->ndim ||
        memcmp(found->shape, like->shape, sizeof(int64_t) * (size_t)like->ndim) != 0 || found->nbytes != like->nbytes)
      child_fail(OUTCOME_RUN_ERROR, "the parameter %s has another shape or dtype in %s than the request says", name, file);
    return found->data;
  }
  child_fail(OUTCOME_RUN_ERROR, "%s holds no parameter %s", file, name);
}
