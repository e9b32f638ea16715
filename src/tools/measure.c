/* measure - runs a command and prints what it cost: measure TIMES COMMAND [ARGS...]
 * Output on stderr-free stdout: the medians of wall seconds and CPU seconds (user + system), and the
 * largest resident set in KiB. The command's own output is dropped. Exits 1 if a run fails. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_TIMES = 1000 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec * 1e-6; }

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  int times = argc > 2 ? atoi(argv[1]) : 0;
  if (times < 1 || times > MAX_TIMES) {
    fprintf(stderr, "usage: measure TIMES COMMAND [ARGS...]\n");
    return 2;
  }
  static double wall[MAX_TIMES], cpu[MAX_TIMES];
  long rss = 0;
  for (int i = 0; i < times; i++) {
    double start = now();
    pid_t pid = fork();
    if (pid == 0) {
      int null = open("/dev/null", O_RDWR);
      dup2(null, 1);
      execvp(argv[2], argv + 2);
      _exit(127);
    }
    int status;
    struct rusage use;
    if (pid < 0 || wait4(pid, &status, 0, &use) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      fprintf(stderr, "measure: %s failed\n", argv[2]);
      return 1;
    }
    wall[i] = now() - start;
    cpu[i] = seconds(use.ru_utime) + seconds(use.ru_stime);
    if (use.ru_maxrss > rss)
      rss = use.ru_maxrss;
  }
  qsort(wall, (size_t)times, sizeof *wall, by_value);
  qsort(cpu, (size_t)times, sizeof *cpu, by_value);
  printf("%.6f %.6f %ld\n", wall[times / 2], cpu[times / 2], rss);
  return 0;
}
