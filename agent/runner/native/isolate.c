/* One request in a process of its own, watched from here: whatever it does, the runner goes on. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"

static const double LOADING_LIMIT_S = 60;
enum { PRINTED_BYTES = 400 };

static struct board *board;
static sigset_t while_waiting;
static uint64_t idle_data_bytes;
static pid_t executing; /* 0: none */

static void on_child_end(int number) { (void)number; }

static uint64_t private_data_bytes(void) {
  FILE *status = fopen("/proc/self/status", "re");
  unsigned long long kb = 0;
  char line[256];
  while (status && fgets(line, sizeof line, status))
    if (sscanf(line, "VmData: %llu kB", &kb) == 1) break;
  if (status) fclose(status);
  return kb << 10;
}

void isolate_open(void) {
  board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (board == MAP_FAILED) die("cannot share memory with its children: %s", strerror(errno));
  /* SIGCHLD arrives inside ppoll alone, so that a child's end is never missed between a test and a wait. */
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGCHLD);
  sigprocmask(SIG_BLOCK, &blocked, &while_waiting);
  sigdelset(&while_waiting, SIGCHLD);
  struct sigaction action = {.sa_handler = on_child_end};
  sigaction(SIGCHLD, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  /* What a kernel started and left behind comes to us, and not to init. */
  prctl(PR_SET_CHILD_SUBREAPER, 1);
}

_Noreturn void child_fail(enum outcome outcome, const char *format, ...) {
  va_list values;
  va_start(values, format);
  vsnprintf(board->detail, sizeof board->detail, format, values);
  va_end(values);
  board->outcome = outcome;
  board->finished_s = now_s();
  board->stage = STAGE_DONE;
  _exit(0);
}

/* RLIMIT_DATA counts what a kernel can fill: private writable memory. RLIMIT_AS would also count the 64 MB
 * that malloc reserves for each thread without using them. Stacks of threads are a share of the limit on
 * top, since they count in full before they are touched. */
static void limit_memory(uint64_t bytes) {
  if (!bytes) return;
  pthread_attr_t attr;
  size_t stack = 0;
  pthread_attr_init(&attr);
  pthread_attr_getstacksize(&attr, &stack);
  pthread_attr_destroy(&attr);
  /* Tensors that are kept for other requests do not count, those of this one do. */
  uint64_t own = bytes - tensors_inherited_bytes();
  uint64_t all = idle_data_bytes + tensors_bytes() + own + (uint64_t)(settings.threads - 1) * stack;
  struct rlimit limit = {.rlim_cur = (rlim_t)all, .rlim_max = (rlim_t)all};
  if ((uint64_t)limit.rlim_cur == all && setrlimit(RLIMIT_DATA, &limit) != 0)
    child_fail(OUTCOME_RUN_ERROR, "cannot limit memory to %llu bytes: %s", (unsigned long long)bytes, strerror(errno));
}

/* Where the whole board runs out of memory, it shall cost the kernel and not the agent. */
static void prefer_for_oom_killer(void) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return; /* a system without that killer */
  ssize_t refused = write(fd, "1000", 4); /* by a sandbox: the kernel runs, only less expendable */
  (void)refused;
  close(fd);
}

/* How many processes the system has killed for its memory since it booted; -1 where it does not tell (before Linux
 * 4.13, or hidden from us). It counts whole cgroups' shortages, too. */
static long long killed_for_memory(void) {
  static char text[1 << 15];
  int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  size_t size = 0;
  ssize_t got;
  while (size < sizeof text - 1 && (got = read(fd, text + size, sizeof text - 1 - size)) > 0) size += (size_t)got;
  close(fd);
  text[size] = 0;
  const char *line = strstr(text, "\noom_kill ");
  return line ? strtoll(line + strlen("\noom_kill "), NULL, 10) : -1;
}

static _Noreturn void child(const struct request *request, pid_t runner, int printed, int body) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != runner) _exit(1); /* it died before PDEATHSIG was set */
  dup2(printed, STDOUT_FILENO);
  dup2(printed, STDERR_FILENO);
  wire_close_in_child();
  signal(SIGCHLD, SIG_DFL);
  signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  /* The agent and its runner wake without taking a CPU from what is timed; what is timed does not give way. */
  sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
  /* A crash is an everyday outcome here: no core files. */
  prefer_for_oom_killer(); /* before the next line, which makes its file root's */
  prctl(PR_SET_DUMPABLE, 0);
  limit_memory(request->memory_bytes);
  program_run(request, board, body);
}

static void end_everything(pid_t pid) {
  kill(-pid, SIGKILL);
  kill(pid, SIGKILL); /* in case it has not reached its setpgid */
}

void isolate_abandon(void) {
  if (executing) end_everything(executing);
}

enum ending { ENDED, TIMED_OUT, LOADING_TOO_LONG, CANCELLED };

static double seconds_left(const struct request *request, double forked_s, enum ending *over) {
  double now = now_s();
  if (board->stage == STAGE_LOADING) {
    *over = LOADING_TOO_LONG;
    /* It may begin to execute meanwhile and so cannot reach its own limit before this wait is over. */
    double left = forked_s + LOADING_LIMIT_S - now;
    return left < request->run_timeout_s ? left : request->run_timeout_s;
  }
  *over = TIMED_OUT;
  return board->started_s + request->run_timeout_s - now;
}

/* Wait for the child's end, without reaping it: its process group keeps its number until it is killed. */
static enum ending watch(const struct request *request, pid_t pid) {
  double forked_s = now_s();
  for (;;) {
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid) return ENDED;
    enum ending over;
    double left = seconds_left(request, forked_s, &over);
    if (left <= 0) return over;
    struct timespec wait = {.tv_sec = (time_t)left, .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
    struct pollfd input = {.fd = wire_input(), .events = POLLIN};
    if (ppoll(&input, 1, &wait, &while_waiting) <= 0) continue;
    enum heard heard = inbox_hear(request);
    if (heard == HEARD_CANCEL) return CANCELLED;
    if (heard == HEARD_END) {
      isolate_abandon();
      _exit(0);
    }
  }
}

/* The end of what the kernel printed, as a clause for the detail. */
static void read_printed(int from, char *clause, size_t size) {
  static char printed[1 << 16];
  ssize_t got = read(from, printed, sizeof printed);
  size_t end = got > 0 ? (size_t)got : 0;
  while (end > 0 && strchr(" \r\n\t", printed[end - 1])) end--;
  size_t begin = end > PRINTED_BYTES ? end - PRINTED_BYTES : 0;
  clause[0] = 0;
  if (end > begin) snprintf(clause, size, "; it printed: %.*s", (int)(end - begin), printed + begin);
}

static void report_signal(const struct request *request, int number, long long killed_before, const char *printed) {
  char detail[DETAIL_BYTES];
  /* An allocation that fails under TVM's C++ inside a kernel's frames cannot be caught: the process aborts. */
  if (number == SIGABRT && strstr(printed, "bad_alloc")) {
    snprintf(detail, sizeof detail, "an allocation failed%s", printed);
    wire_result(request->sequence, OUTCOME_OUT_OF_MEMORY, 0, board, detail, -1, 0);
    return;
  }
  const char *stage = board->stage == STAGE_LOADING ? " while loading" : "";
  /* The runner did not send it, and the system's memory killer, to whom no process here is more welcome, was at work. */
  if (number == SIGKILL && killed_before >= 0 && killed_for_memory() > killed_before) {
    snprintf(detail, sizeof detail, "the system killed it for its memory%s%s", stage, printed);
    wire_result(request->sequence, OUTCOME_OUT_OF_MEMORY, 0, board, detail, -1, 0);
    return;
  }
  const char *hint = number == SIGKILL ? ", not sent by the runner: look for the system's out-of-memory killer" : "";
  snprintf(detail, sizeof detail, "died%s of signal %d (%s)%s%s", stage, number, strsignal(number), hint, printed);
  wire_result(request->sequence, OUTCOME_CRASH, number, board, detail, -1, 0);
}

static void report(const struct request *request, enum ending ending, int status, long long killed_before,
                   int printed_from, int body) {
  char detail[DETAIL_BYTES], printed[PRINTED_BYTES + 32];
  read_printed(printed_from, printed, sizeof printed);
  board->detail[sizeof board->detail - 1] = 0;
  bool done = board->stage == STAGE_DONE;
  if (!done) board->finished_s = now_s();
  uint32_t sequence = request->sequence;
  if (ending == CANCELLED) {
    wire_result(sequence, OUTCOME_CANCELLED, 0, board, "stopped on request", -1, 0);
  } else if (ending == LOADING_TOO_LONG) {
    snprintf(detail, sizeof detail, "loading took longer than %g s", LOADING_LIMIT_S);
    wire_result(sequence, OUTCOME_RUN_TIMEOUT, 0, board, detail, -1, 0);
  } else if (ending == TIMED_OUT) {
    snprintf(detail, sizeof detail, "still running after its limit of %g s", request->run_timeout_s);
    wire_result(sequence, OUTCOME_RUN_TIMEOUT, 0, board, detail, -1, 0);
  } else if (WIFSIGNALED(status)) {
    report_signal(request, WTERMSIG(status), killed_before, printed);
  } else if (!done || WEXITSTATUS(status) != 0) {
    snprintf(detail, sizeof detail, "the kernel ended its process with exit status %d%s", WEXITSTATUS(status), printed);
    wire_result(sequence, OUTCOME_RUN_ERROR, 0, board, detail, -1, 0);
  } else if (board->outcome == OUTCOME_OK) {
    off_t size = lseek(body, 0, SEEK_END);
    wire_result(sequence, OUTCOME_OK, 0, board, "", body, (size_t)size);
  } else {
    wire_result(sequence, board->outcome, 0, board, board->detail, -1, 0);
  }
}

void isolate_run(const struct request *request) {
  memset(board, 0, sizeof *board);
  if (!idle_data_bytes) idle_data_bytes = private_data_bytes();
  int printed[2];
  int body = memfd_create("result", MFD_CLOEXEC);
  /* Not blocking: a kernel that prints much loses the rest instead of waiting for a reader. */
  if (body < 0 || pipe2(printed, O_CLOEXEC | O_NONBLOCK) != 0) die("cannot open a result: %s", strerror(errno));
  tensors_keep(request);
  pid_t runner = getpid(), pid = fork();
  if (pid < 0) die("cannot fork: %s", strerror(errno));
  if (pid == 0) child(request, runner, printed[1], body);
  executing = pid;
  long long killed_before = killed_for_memory(); /* while the child loads: nobody waits for it */
  setpgid(pid, pid);
  close(printed[1]);

  enum ending ending = watch(request, pid);
  end_everything(pid);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  executing = 0;
  while (waitpid(-pid, NULL, 0) > 0) continue; /* processes of its own that it left to us */
  report(request, ending, status, killed_before, printed[0], body);
  close(printed[0]);
  close(body);
}
