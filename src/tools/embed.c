/* embed - packs files into a C source that pack.h describes: embed FILE... > pack.c */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void die(const char *what, const char *name) {
  fprintf(stderr, "embed: %s: %s\n", name, what);
  exit(1);
}

static unsigned char *read_all(const char *name, unsigned long *size) {
  FILE *f = fopen(name, "rb");
  if (!f)
    die("cannot open", name);
  size_t room = 1 << 16, n = 0, got;
  unsigned char *data = malloc(room);
  while (data && (got = fread(data + n, 1, room - n, f)) > 0) {
    n += got;
    if (n == room)
      data = realloc(data, room *= 2);
  }
  if (!data || ferror(f))
    die("cannot read", name);
  fclose(f);
  *size = n;
  return data;
}

int main(int argc, char **argv) {
  unsigned long *raw = calloc((size_t)argc + 1, sizeof *raw), *packed = calloc((size_t)argc + 1, sizeof *packed);
  printf("/* Made by src/tools/embed.c. */\n#include \"pack.h\"\n");
  for (int i = 1; i < argc; i++) {
    unsigned char *data = read_all(argv[i], &raw[i]);
    uLongf n = compressBound(raw[i]);
    unsigned char *z = malloc(n);
    if (!z || compress2(z, &n, data, raw[i], 9) != Z_OK)
      die("cannot compress", argv[i]);
    packed[i] = n;
    printf("static const unsigned char f%d[] = {", i);
    for (uLongf k = 0; k < n; k++)
      printf("%s%u,", k % 24 ? "" : "\n", z[k]);
    printf("};\n");
    free(data);
    free(z);
  }
  printf("const struct pack_file pack_files[] = {\n");
  for (int i = 1; i < argc; i++)
    printf("  {\"%s\", f%d, %luu, %luu},\n", argv[i], i, packed[i], raw[i]);
  printf("  {0, 0, 0, 0},\n};\n");
  free(raw);
  free(packed);
  return 0;
}
