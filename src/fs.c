/* fs.c - see fs.h. */
#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

const char *fs_code(int number) {
  switch (number) {
  case ENOENT:
  case ENOTDIR:
    return "file_missing";
  case EACCES:
  case EPERM:
  case EROFS:
    return "file_denied";
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    return "disk_full";
  case EISDIR:
  case ELOOP:
  case ENAMETOOLONG:
  case EINVAL:
    return "bad_file";
  default:
    return "file_failed";
  }
}

/* The length of the folder in front of the last name, with its slash; 0: none. */
static int folder_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (int)(slash - path) + 1 : 0;
}

/* Opens a new file beside the target. An existing file's rights and owner are kept where that is allowed. */
static int open_temp(struct fs_file *f, const struct stat *old) {
  size_t room = strlen(f->target) + 32;
  if (!(f->temp = malloc(room)))
    return ENOMEM;
  int folder = folder_length(f->target);
  for (int i = 0; i < 16; i++) {
    unsigned salt;
    if (getrandom(&salt, sizeof salt, 0) != (ssize_t)sizeof salt)
      return errno;
    /* a name that is long already is cut, so that this one is not too long */
    snprintf(f->temp, room, "%.*s.%.200s.%08x", folder, f->target, f->target + folder, salt);
    f->fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, old ? 0600 : 0666);
    if (f->fd >= 0 || errno != EEXIST)
      break;
  }
  if (f->fd < 0) {
    int number = errno;
    free(f->temp); /* not ours to remove */
    f->temp = NULL;
    return number;
  }
  if (old) {
    if (fchown(f->fd, old->st_uid, old->st_gid) != 0)
      errno = 0; /* somebody else's file that we may write: it becomes ours */
    if (fchmod(f->fd, old->st_mode & 0777) != 0)
      return errno;
  }
  return 0;
}

int fs_create(struct fs_file *f, const char *path) {
  struct stat st;
  *f = (struct fs_file){.fd = -1};
  size_t n = strlen(path);
  if (n == 0)
    return ENOENT;
  if (path[n - 1] == '/')
    return EISDIR;
  int exists = stat(path, &st) == 0;
  if (!exists && errno != ENOENT)
    return errno;
  if (exists && S_ISDIR(st.st_mode))
    return EISDIR;
  if (exists && access(path, W_OK) != 0)
    return errno;
  f->target = exists ? realpath(path, NULL) : strdup(path);
  if (!f->target)
    return errno;
  if (!exists || S_ISREG(st.st_mode))
    return open_temp(f, exists ? &st : NULL);
  f->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
  return f->fd < 0 ? errno : 0;
}

int fs_write(struct fs_file *f, const void *bytes, size_t n) {
  const char *p = bytes;
  while (n > 0 && !f->failed) {
    ssize_t done = write(f->fd, p, n);
    if (done >= 0) {
      p += done;
      n -= (size_t)done;
    } else if (errno != EINTR) {
      f->failed = errno;
    }
  }
  return f->failed;
}

/* Makes the new name last, too. Not every file system can do that for a folder. */
static void sync_folder(const char *path) {
  char *folder = folder_length(path) ? strndup(path, (size_t)folder_length(path)) : strdup(".");
  int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd >= 0) {
    fsync(fd);
    close(fd);
  }
  free(folder);
}

int fs_commit(struct fs_file *f, bool sync) {
  int number = f->failed;
  if (!number && sync && f->temp && fsync(f->fd) != 0)
    number = errno;
  if (f->fd >= 0 && close(f->fd) != 0 && !number)
    number = errno;
  f->fd = -1;
  if (!number && f->temp) {
    if (rename(f->temp, f->target) != 0) {
      number = errno;
    } else {
      free(f->temp);
      f->temp = NULL;
      if (sync)
        sync_folder(f->target);
    }
  }
  fs_drop(f);
  return number;
}

void fs_drop(struct fs_file *f) {
  if (f->fd >= 0)
    close(f->fd);
  if (f->temp)
    unlink(f->temp);
  free(f->temp);
  free(f->target);
  f->temp = f->target = NULL;
  f->fd = -1;
}

static int is_folder(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int fs_mkdir(const char *path, int parents) {
  if (!parents)
    return mkdir(path, 0777) == 0 ? 0 : errno;
  char part[PATH_MAX];
  size_t n = strlen(path);
  if (n == 0 || n >= sizeof part)
    return n ? ENAMETOOLONG : ENOENT;
  for (size_t i = 1; i <= n; i++) {
    if (path[i] != '/' && path[i] != '\0')
      continue;
    memcpy(part, path, i);
    part[i] = '\0';
    if (mkdir(part, 0777) != 0 && !is_folder(part)) /* whatever it says, a folder that is there will do */
      return errno;
  }
  return 0;
}
