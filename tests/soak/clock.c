/* The clock of a server under test: the system's, moved by the milliseconds in a file that the test writes (eight bytes, this
 * machine's byte order). Preloaded into the server. The monotonic clock is left alone, and with it every timer that runs; workerd
 * reckons how long a timer has to go by the clock that is moved, so that one which is set anew after a step back may come late.
 *
 * libfaketime would do the same, but workerd never gets past its start with it. This one calls the kernel itself and allocates
 * nothing, so that an allocator may ask for the time before anything else is ready. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset;

__attribute__((constructor)) static void open_offset(void) {
  const char *path = getenv("TMCP_CLOCK_OFFSET");
  int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  void *page = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
  if (page != MAP_FAILED) offset = page;
  close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && offset != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    int64_t ms = *offset;
    int64_t ns = now->tv_nsec + ms % 1000 * 1000000;
    now->tv_sec += ms / 1000 + (ns >= 1000000000) - (ns < 0);
    now->tv_nsec = ns + (ns < 0 ? 1000000000 : 0) - (ns >= 1000000000 ? 1000000000 : 0);
  }
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec moment;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &moment) != 0) return -1;
  now->tv_sec = moment.tv_sec;
  now->tv_usec = moment.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *now) {
  struct timespec moment;
  if (clock_gettime(CLOCK_REALTIME, &moment) != 0) return (time_t)-1;
  if (now != NULL) *now = moment.tv_sec;
  return moment.tv_sec;
}
