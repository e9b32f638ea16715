#!/bin/sh
# Builds and runs every fuzzer for FUZZ_RUNS inputs: fuzz_*.c with libFuzzer under ASan and UBSan, *_fuzz.lua in
# the interpreter. The first line of a C fuzzer names the plain C files it needs: "// sources: src/slip.c".
set -u
BUILD=${BUILD:-build/check}
RUNS=${FUZZ_RUNS:-20000}
passed=0
failed=0
mkdir -p "$BUILD/fuzz"
for f in spec/fuzz/fuzz_*.c; do
  [ -e "$f" ] || continue
  name=$(basename "$f" .c)
  sources=$(sed -n '1s|^// sources:||p' "$f")
  log=$BUILD/fuzz/$name.log
  corpus=$BUILD/fuzz/$name.corpus
  mkdir -p "$corpus"
  if clang -O1 -g -std=c11 -D_GNU_SOURCE -Isrc -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
       -o "$BUILD/fuzz/$name" "$f" $sources -lz -lmbedcrypto -lnettle -luv -lserialport -lpthread -lm > "$log" 2>&1 &&
     "$BUILD/fuzz/$name" -seed=1 -runs="$RUNS" -max_total_time=30 -timeout=10 -rss_limit_mb=1024 -artifact_prefix="$BUILD/fuzz/$name-" \
       "$corpus" >> "$log" 2>&1; then
    passed=$((passed + 1)); echo "ok      $name: $(grep -aoE 'stat::number_of_executed_units: [0-9]+|Done [0-9]+ runs' "$log" | tail -n 1)"
  else
    failed=$((failed + 1)); echo "FAILED  $name"; tail -n 40 "$log"
  fi
done
for f in spec/fuzz/*_fuzz.lua; do
  [ -e "$f" ] || continue
  name=$(basename "$f" .lua)
  log=$BUILD/fuzz/$name.log
  if timeout 300 "$BUILD/san/esplua" "$f" "$((RUNS / 40))" 1 > "$log" 2>&1; then
    passed=$((passed + 1)); echo "ok      $name: $((RUNS / 40)) inputs"
  else
    failed=$((failed + 1)); echo "FAILED  $name"; tail -n 40 "$log"
  fi
done
[ -z "${FUZZ_COUNT:-}" ] || echo "$passed $failed" > "$FUZZ_COUNT"
[ "$failed" -eq 0 ]
