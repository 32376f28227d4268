/* Requests in the order in which they come: one executes, and a few more may wait for its end. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"

enum { IDLE_MS = 10000 };

static struct run waiting[MAX_WAITING];
static int n_waiting;

static void remove_at(int index) {
  memmove(&waiting[index], &waiting[index + 1], sizeof *waiting * (size_t)(--n_waiting - index));
}

static void accept(struct frame *frame, struct run *to) {
  *to = (struct run){.frame = *frame};
  wire_parse_run(frame, &to->request);
}

/* Answered at once, so that another may wait in its place. Not one that waits: it has ended meanwhile. */
static void cancel(uint32_t sequence) {
  static const struct board never;
  for (int i = 0; i < n_waiting; i++) {
    if (waiting[i].request.sequence != sequence) continue;
    wire_result(sequence, OUTCOME_CANCELLED, 0, &never, "stopped on request", -1, 0);
    inbox_free(&waiting[i]);
    remove_at(i);
    return;
  }
}

bool inbox_take(struct run *to) {
  if (n_waiting > 0) {
    *to = waiting[0];
    remove_at(0);
    return true;
  }
  for (;;) {
    struct pollfd input = {.fd = wire_input(), .events = POLLIN};
    if (poll(&input, 1, IDLE_MS) == 0) {
      tensors_drop(); /* nobody asks for them now, and a board's memory is small */
      poll(&input, 1, -1);
    }
    struct frame frame;
    if (!wire_read(&frame)) return false;
    if (frame.type == FRAME_RUN) {
      accept(&frame, to);
      return true;
    }
    if (frame.type != FRAME_CANCEL) die("malformed frame: type %d is unknown", frame.type);
    wire_parse_cancel(&frame); /* its run has ended meanwhile */
    free(frame.payload);
  }
}

enum heard inbox_hear(const struct request *executing) {
  struct frame frame;
  if (!wire_read(&frame)) return HEARD_END;
  if (frame.type == FRAME_RUN) {
    if (n_waiting == MAX_WAITING) die("malformed frame: one request more than the %d that may wait", MAX_WAITING);
    accept(&frame, &waiting[n_waiting++]);
    return HEARD_NOTHING_FOR_IT;
  }
  if (frame.type != FRAME_CANCEL) die("malformed frame: type %d is unknown", frame.type);
  uint32_t sequence = wire_parse_cancel(&frame);
  free(frame.payload);
  if (sequence == executing->sequence) return HEARD_CANCEL;
  cancel(sequence);
  return HEARD_NOTHING_FOR_IT;
}

void inbox_free(struct run *run) {
  wire_free_run(&run->request);
  free(run->frame.payload);
}
