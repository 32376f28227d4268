/* Which CPUs parallel kernels use: those allowed, fastest first, little cores left out, as TVM does. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runner.h"

struct cpu {
  int number;
  long khz;
};
static struct cpu cpus[CPU_SETSIZE];
static int n_allowed, n_used;

static long max_khz(int cpu) {
  char path[80];
  long khz = 0;
  snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/cpuinfo_max_freq", cpu);
  FILE *file = fopen(path, "re");
  if (!file) return 0;
  if (fscanf(file, "%ld", &khz) != 1) khz = 0;
  fclose(file);
  return khz;
}

static int faster_first(const void *a, const void *b) {
  const struct cpu *left = a, *right = b;
  if (left->khz != right->khz) return left->khz > right->khz ? -1 : 1;
  return left->number - right->number;
}

void cpus_confine(const char *list) {
  cpu_set_t set;
  CPU_ZERO(&set);
  const char *at = list;
  for (char *end;; at = end + 1) {
    long cpu = strtol(at, &end, 10);
    if (end == at || cpu < 0 || cpu >= CPU_SETSIZE) die("--cpus %s: numbers with commas between", list);
    CPU_SET((int)cpu, &set);
    at = end;
    if (*at != ',') break;
  }
  if (*at || sched_setaffinity(0, sizeof set, &set)) die("--cpus %s: cannot run there", list);
}

void cpus_open(int wanted) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) CPU_SET(0, &allowed);
  for (int i = 0; i < CPU_SETSIZE; i++)
    if (CPU_ISSET(i, &allowed)) cpus[n_allowed++] = (struct cpu){i, max_khz(i)};
  if (wanted > n_allowed) die("--threads %d: only %d CPUs are allowed to it", wanted, n_allowed);
  qsort(cpus, (size_t)n_allowed, sizeof *cpus, faster_first);
  int little = 0;
  long slowest = cpus[n_allowed - 1].khz;
  if (cpus[0].khz != slowest)
    while (cpus[n_allowed - 1 - little].khz == slowest) little++;
  n_used = wanted ? wanted : n_allowed - little;
}

int cpus_count(void) { return n_used; }
int cpus_at(int index) { return cpus[index].number; }

void cpus_bind(int first, int count) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int i = first; i < first + count; i++) CPU_SET(cpus[i].number, &set);
  sched_setaffinity(0, sizeof set, &set); /* refused: the kernel runs where the system puts it */
}

void cpus_begin_here(void) {
  int here = sched_getcpu();
  for (int i = 1; i < n_used; i++) {
    if (cpus[i].number != here || cpus[i].khz != cpus[0].khz) continue;
    struct cpu first = cpus[0];
    cpus[0] = cpus[i];
    cpus[i] = first;
  }
}

static void relax(void) {
#if defined(__x86_64__)
  __asm__ volatile("pause");
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#else
  __asm__ volatile("");
#endif
}

/* In place of the C library's, for TVM's thread pool too: its threads call this while they wait for each other. A
 * kernel's threads have a CPU each, so there is none to make way for; but what yields to a builder at idle priority on
 * the same host does not get its CPU back before the next tick of the clock, and its kernel takes twice its time. */
int sched_yield(void) {
  enum { ABOUT_AS_LONG_AS_THE_SYSTEM_CALL = 16 };
  for (int i = 0; i < ABOUT_AS_LONG_AS_THE_SYSTEM_CALL; i++) relax();
  return 0;
}
