/* Timings with the meaning of runtime.RPCTimeEvaluator (TVM, src/runtime/timer.cc), which can end early. */
#include <string.h>
#include <time.h>

#include "runner.h"

enum { ZERO_TIMES_LIMIT = 100 };

/* A first call also pays for starting threads and touching memory. This much, beside twice what is hopeless, is
 * forgiven it; what takes longer is not called again to hear the same. */
static const double COLD_S = 0.02;
/* A shorter timing is of one or a few calls of a tiny kernel: a clock that is still rising, a thread that came late. */
static const double TELLING_S = 0.002;

/* TVM goes from its first calls, which are cold, straight to the number that they promise; where that falls short by
 * a little, all of it is made again 1.618 times: 2.6 times what is enough. We look once more on the way, a sixteenth of
 * it long, and add a little. */
static const double ROUGH = 0.0625, AMPLE = 1.04;
/* Times what is hopeless: a shorter look than ROUGH must show this much, and what is CLEARLY beyond needs one timing. */
static const double EARLY = 1.5, CLEARLY = 2;

static int64_t now_ns(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

static void flush_cache(char *to, const char *from, size_t size) {
  if (!size) return;
  memcpy(to, from, size);
  __asm__ volatile("" : : "r"(to) : "memory"); /* or the copy is seen to be unused */
}

static void sleep_ms(int32_t ms) {
  struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000};
  while (nanosleep(&left, &left) != 0) continue;
}

static double seconds_of(call_program *call, TVMFFIAny *args, int32_t n_args, int32_t number) {
  int64_t began = now_ns();
  for (int32_t i = 0; i < number; i++) call(args, n_args);
  return (double)(now_ns() - began) / 1e9;
}

void timer_run(const struct request *request, call_program *call, TVMFFIAny *args, struct timings *to) {
  const struct plan *plan = &request->plan;
  double hopeless_s = request->hopeless_s, enough_s = plan->min_repeat_ms / 1e3;
  int32_t n_args = (int32_t)request->n_args, number = plan->number;
  /* One call is often enough to see that a candidate is hopeless. */
  if (hopeless_s > 0 && enough_s > 0) number = 1;
  double first_s = seconds_of(call, args, n_args, 1); /* pays for what is lazy */
  if (hopeless_s > 0 && first_s > CLEARLY * hopeless_s + COLD_S) {
    *to->run_secs = first_s;
    to->count = 1;
    to->cut_short = true;
    return;
  }
  size_t flushed = (size_t)plan->cache_flush_bytes / 4 * 4;
  char *into = flushed ? aligned(flushed) : NULL, *from = flushed ? aligned(flushed) : NULL;
  for (int32_t i = 0; i < plan->repeat; i++) {
    double took_s = 0;
    int zero_times = 0;
    bool hopeless = false;
    do {
      if (took_s > 0) {
        double aim_s = took_s < enough_s * ROUGH ? enough_s * ROUGH : enough_s * AMPLE;
        double needed = aim_s / (took_s / number) + 1;
        number = needed < INT32_MAX ? (int32_t)needed : INT32_MAX; /* kept for the next repeats, as TVM does */
        if (number < plan->number) number = plan->number;
      }
      flush_cache(into, from, flushed);
      took_s = seconds_of(call, args, n_args, number);
      if (took_s == 0) zero_times++;
      double slow_s = took_s < enough_s * ROUGH ? EARLY * hopeless_s : hopeless_s;
      hopeless = hopeless_s > 0 && (took_s >= TELLING_S || took_s >= enough_s) && took_s / number > slow_s;
      bool made = took_s >= enough_s && number >= plan->number && i + 1 == plan->repeat;
      if (hopeless && !made && took_s / number < CLEARLY * hopeless_s) {
        /* An interruption makes a good candidate look as slow as this: it takes two to say so. */
        double again_s = seconds_of(call, args, n_args, number);
        if (again_s < took_s) took_s = again_s;
        hopeless = took_s / number > slow_s;
      }
    } while ((took_s < enough_s || number < plan->number) && zero_times < ZERO_TIMES_LIMIT && !hopeless);
    to->run_secs[i] = took_s / number;
    to->count = (uint32_t)i + 1;
    to->cut_short = hopeless && (took_s < enough_s || i + 1 < plan->repeat);
    if (to->cut_short) return;
    if (plan->cooldown_ms > 0 && i % plan->repeats_to_cooldown == 0) sleep_ms(plan->cooldown_ms);
  }
}
