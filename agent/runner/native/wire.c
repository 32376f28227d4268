/* Frames on the standard input and output, as ../protocol.py describes them. Little-endian machines only. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runner.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "kernels' tensors cross the pipe as they lie in memory: little-endian machines only"
#endif

static const uint32_t MAX_FRAME = 1u << 30;
static int from_agent, to_agent;

/* What a kernel prints must not reach the agent as protocol: it keeps neither of our descriptors. */
void wire_open(void) {
  from_agent = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  to_agent = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (from_agent < 0 || to_agent < 0 || null < 0) die("cannot set up its descriptors: %s", strerror(errno));
  dup2(null, STDIN_FILENO);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  close(null);
}

void wire_close_in_child(void) {
  close(from_agent);
  close(to_agent);
}

int wire_input(void) { return from_agent; }

static bool read_all(void *to, size_t size) {
  for (char *at = to; size > 0;) {
    ssize_t got = read(from_agent, at, size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) die("cannot read from the agent: %s", strerror(errno));
    if (got == 0) return false;
    at += got;
    size -= (size_t)got;
  }
  return true;
}

static void write_all(const void *from, size_t size) {
  for (const char *at = from; size > 0;) {
    ssize_t put = write(to_agent, at, size);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) die("cannot write to the agent: %s", strerror(errno));
    at += put;
    size -= (size_t)put;
  }
}

bool wire_read(struct frame *frame) {
  unsigned char head[5];
  if (!read_all(head, sizeof head)) return false;
  uint32_t size;
  memcpy(&size, head, sizeof size);
  frame->type = head[4];
  frame->size = size;
  if (size > MAX_FRAME) die("malformed frame: %u bytes are more than %u", size, MAX_FRAME);
  frame->payload = malloc(size ? size : 1);
  if (!frame->payload) die("no memory for a frame of %u bytes", size);
  return read_all(frame->payload, size);
}

/* A cursor over a payload that never reads past its end. */
struct cursor {
  const unsigned char *at;
  size_t left;
};

static const void *take(struct cursor *from, size_t size) {
  if (size > from->left) die("malformed frame: %zu bytes missing", size - from->left);
  const void *taken = from->at;
  from->at += size;
  from->left -= size;
  return taken;
}

#define TAKE(type, name)                                 \
  static type take_##name(struct cursor *from) {         \
    type value;                                          \
    memcpy(&value, take(from, sizeof value), sizeof value); \
    return value;                                        \
  }
TAKE(uint8_t, u8)
TAKE(uint16_t, u16)
TAKE(uint32_t, u32)
TAKE(uint64_t, u64)
TAKE(int64_t, i64)
TAKE(double, f64)

static char *take_text(struct cursor *from) {
  uint32_t size = take_u32(from);
  const char *bytes = take(from, size);
  if (memchr(bytes, 0, size)) die("malformed frame: a text holds a zero byte");
  char *text = strndup(bytes, size);
  if (!text) die("no memory for a frame");
  return text;
}

static void *some(uint32_t count, size_t size) {
  void *made = calloc(count ? count : 1, size);
  if (!made) die("no memory for a frame");
  return made;
}

static int32_t take_count(struct cursor *from, const char *name, int32_t least) {
  uint32_t value = take_u32(from);
  if (value > INT32_MAX || (int32_t)value < least) die("malformed frame: %s is %u", name, value);
  return (int32_t)value;
}

static void take_argument(struct cursor *from, struct argument *to) {
  to->dtype.code = take_u8(from);
  to->dtype.bits = take_u8(from);
  to->dtype.lanes = take_u16(from);
  if (to->dtype.bits == 0 || to->dtype.bits % 8 || to->dtype.lanes != 1)
    die("malformed frame: a dtype of %d bits in %d lanes", to->dtype.bits, to->dtype.lanes);
  to->ndim = take_u8(from);
  if (to->ndim > MAX_NDIM) die("malformed frame: %d dimensions are more than %d", to->ndim, MAX_NDIM);
  uint64_t nbytes = to->dtype.bits / 8;
  for (int i = 0; i < to->ndim; i++) {
    to->shape[i] = take_i64(from);
    if (to->shape[i] < 0 || __builtin_mul_overflow(nbytes, (uint64_t)to->shape[i], &nbytes) || nbytes > PTRDIFF_MAX)
      die("malformed frame: a dimension of %lld", (long long)to->shape[i]);
  }
  to->nbytes = (size_t)nbytes;
  uint8_t source = take_u8(from);
  if (source == SOURCE_FILL) {
    to->seed = take_u64(from);
  } else if (source == SOURCE_DATA) {
    uint64_t size = take_u64(from);
    if (size != nbytes) die("malformed frame: %llu bytes for a tensor of %llu", (unsigned long long)size, (unsigned long long)nbytes);
    to->data = take(from, to->nbytes);
  } else if (source == SOURCE_PARAM) {
    to->param = take_text(from);
  } else {
    die("malformed frame: source %d is unknown", source);
  }
  to->source = source;
}

void wire_parse_run(const struct frame *frame, struct request *to) {
  struct cursor from = {frame->payload, frame->size};
  memset(to, 0, sizeof *to);
  to->sequence = take_u32(&from);
  uint8_t kind = take_u8(&from);
  if (kind != KIND_KERNEL && kind != KIND_MODEL) die("malformed frame: program kind %d is unknown", kind);
  to->kind = kind;
  to->run_timeout_s = take_f64(&from);
  if (!(to->run_timeout_s > 0 && to->run_timeout_s < 1e8)) die("malformed frame: a time limit of %g s", to->run_timeout_s);
  to->hopeless_s = take_f64(&from);
  if (!(to->hopeless_s >= 0)) die("malformed frame: hopeless above %g s", to->hopeless_s);
  to->memory_bytes = take_u64(&from);
  to->plan.number = take_count(&from, "number", 1);
  to->plan.repeat = take_count(&from, "repeat", 1);
  to->plan.min_repeat_ms = take_count(&from, "min_repeat_ms", 0);
  to->plan.cooldown_ms = take_count(&from, "cooldown_ms", 0);
  to->plan.repeats_to_cooldown = take_count(&from, "repeats_to_cooldown", 1);
  to->plan.cache_flush_bytes = take_count(&from, "cache_flush_bytes", 0);
  to->library = take_text(&from);
  to->params = take_text(&from);
  to->entry = take_text(&from);
  to->n_args = take_u32(&from);
  if (to->n_args > MAX_ARGS) die("malformed frame: %u arguments are more than %d", to->n_args, MAX_ARGS);
  to->args = some(to->n_args, sizeof *to->args);
  for (uint32_t i = 0; i < to->n_args; i++) take_argument(&from, &to->args[i]);
  to->n_outputs = take_u32(&from);
  if (to->n_outputs > MAX_ARGS) die("malformed frame: %u outputs are more than %d", to->n_outputs, MAX_ARGS);
  to->outputs = some(to->n_outputs, sizeof *to->outputs);
  for (uint32_t i = 0; i < to->n_outputs; i++) {
    to->outputs[i] = take_u32(&from);
    if (to->kind == KIND_KERNEL && to->outputs[i] >= to->n_args)
      die("malformed frame: output %u of %u arguments", to->outputs[i], to->n_args);
  }
  if (from.left) die("malformed frame: %zu bytes too many", from.left);
}

uint32_t wire_parse_cancel(const struct frame *frame) {
  struct cursor from = {frame->payload, frame->size};
  uint32_t sequence = take_u32(&from);
  if (from.left) die("malformed frame: %zu bytes too many", from.left);
  return sequence;
}

void wire_free_run(struct request *request) {
  for (uint32_t i = 0; i < request->n_args; i++) free(request->args[i].param);
  free(request->args);
  free(request->outputs);
  free(request->library);
  free(request->params);
  free(request->entry);
}

/* Frames that we write are small but for their body, so a fixed buffer holds their heads. */
struct builder {
  unsigned char bytes[DETAIL_BYTES + 256];
  size_t size;
};

static void put(struct builder *to, const void *from, size_t size) {
  if (size > sizeof to->bytes - to->size) die("a frame of its own outgrew its buffer");
  memcpy(to->bytes + to->size, from, size);
  to->size += size;
}

static void put_u32(struct builder *to, uint32_t value) { put(to, &value, sizeof value); }

static void put_text(struct builder *to, const char *text) {
  uint32_t size = (uint32_t)strnlen(text, DETAIL_BYTES - 1);
  put_u32(to, size);
  put(to, text, size);
}

static void begin(struct builder *to, enum frame_type type) {
  uint8_t byte = (uint8_t)type;
  to->size = 0;
  put_u32(to, 0); /* the size, known by `end` */
  put(to, &byte, 1);
}

static void end(struct builder *frame, size_t body) {
  uint32_t size = (uint32_t)(frame->size - 5 + body);
  memcpy(frame->bytes, &size, sizeof size);
  write_all(frame->bytes, frame->size);
}

void wire_hello(const char *ffi_version) {
  struct builder frame;
  begin(&frame, FRAME_HELLO);
  put(&frame, "TVMF", 4);
  put_u32(&frame, PROTOCOL_VERSION);
  put_u32(&frame, settings.mode);
  put_u32(&frame, (uint32_t)settings.threads);
  put_text(&frame, ffi_version);
  end(&frame, 0);
}

void wire_result(uint32_t sequence, uint32_t outcome, int32_t signal, const struct board *board, const char *detail,
                 int body, size_t body_size) {
  struct builder frame;
  begin(&frame, FRAME_RESULT);
  put_u32(&frame, sequence);
  put_u32(&frame, outcome);
  put(&frame, &signal, sizeof signal);
  double times[] = {board->started_s, board->started_s ? board->finished_s : 0, now_s()};
  put(&frame, times, sizeof times);
  put_text(&frame, detail);
  void *bytes = body_size ? mmap(NULL, body_size, PROT_READ, MAP_SHARED, body, 0) : NULL;
  if (bytes == MAP_FAILED) die("cannot read a result of %zu bytes: %s", body_size, strerror(errno));
  end(&frame, body_size);
  if (bytes) {
    write_all(bytes, body_size);
    munmap(bytes, body_size);
  }
}
