/* fs.h - writing a file whole or not at all, and what Lua's own library lacks of directories. */
#ifndef FS_H
#define FS_H

#include <stdbool.h>
#include <stddef.h>

/* A file being written. Its bytes go to a temporary name beside the target and take its place in
 * fs_commit. A device or pipe (/dev/stdout) is written directly. */
struct fs_file {
  int fd;       /* -1: not open */
  int failed;   /* errno of the first write that failed; commit is refused then */
  char *target; /* the file itself, links followed */
  char *temp;   /* NULL: written directly */
};

/* All return 0, or an errno. After a failure the file is still to be dropped. */
int fs_create(struct fs_file *f, const char *path);
int fs_write(struct fs_file *f, const void *bytes, size_t n);
/* Everything is under its name after success, and with sync on the disk too; dropped after failure. */
int fs_commit(struct fs_file *f, bool sync);

/* Closes and removes what was not committed. Any number of times. */
void fs_drop(struct fs_file *f);

/* Makes a folder; with parents also those above it, and one that exists is no error. */
int fs_mkdir(const char *path, int parents);

/* A stable code for an errno: "file_missing", "file_denied", "disk_full", "bad_file", "file_failed". */
const char *fs_code(int number);

#endif
