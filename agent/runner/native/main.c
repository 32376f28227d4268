/* The runner: executes kernels for the agent that started it, each in a process of its own.
 *
 *   tvm-farm-runner [--ffi LIBTVM_FFI --runtime LIBTVM_RUNTIME [--extra LIBTVM_RUNTIME_EXTRA]] [--threads N]
 *                   [--cpus 4,5]
 *
 * Without libraries it works in micro mode: kernels only, with its own threads and timer.
 * Standard input and output carry the protocol of ../protocol.py; standard error is for people.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

struct settings settings = {.mode = MODE_MICRO};

_Noreturn void die(const char *format, ...) {
  va_list values;
  va_start(values, format);
  fputs("tvm-farm-runner: ", stderr);
  vfprintf(stderr, format, values);
  fputc('\n', stderr);
  va_end(values);
  isolate_abandon();
  _exit(2);
}

double now_s(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static int parse_threads(const char *text) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno || *end || end == text || value < 1 || value > 4096) die("--threads takes a number above 0, not %s", text);
  return (int)value;
}

int main(int argc, char **argv) {
  int threads = 0;
  for (int i = 1; i < argc; i += 2) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (!value) die("%s is unknown or lacks its value", argv[i]);
    if (!strcmp(argv[i], "--ffi")) settings.ffi = value;
    else if (!strcmp(argv[i], "--runtime")) settings.runtime = value;
    else if (!strcmp(argv[i], "--extra")) settings.extra = value;
    else if (!strcmp(argv[i], "--threads")) threads = parse_threads(value);
    else if (!strcmp(argv[i], "--cpus")) cpus_confine(value);
    else die("%s is not an option", argv[i]);
  }
  if (!settings.ffi != !settings.runtime) die("--ffi and --runtime go together");
  if (settings.extra && !settings.runtime) die("--extra needs --ffi and --runtime");
  settings.mode = settings.runtime ? MODE_FULL : MODE_MICRO;
  cpus_open(threads);
  settings.threads = cpus_count();
  wire_open();
  isolate_open();
  tensors_open();
  if (settings.mode == MODE_FULL) {
    full_open();
    settings.threads = full_threads();
  }
  wire_hello(settings.mode == MODE_FULL ? full_ffi_version() : "");

  struct run run;
  while (inbox_take(&run)) {
    isolate_run(&run.request);
    inbox_free(&run);
  }
  return 0;
}
