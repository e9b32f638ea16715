#!/bin/sh
# All tests. Prints what each stage did and ends with one line "N passed, N failed".
# BUILD: folder to build in. FUZZ_RUNS: inputs a fuzzer tries. MAKE: the make to use. SAN: the sanitizers' flags.
set -u
BUILD=${BUILD:-build/check}
MAKE=${MAKE:-make}
passed=0
failed=0
log=$BUILD/check.log
mkdir -p "$BUILD"

# one NAME COMMAND...: a stage that passes or fails as a whole
one() {
  name=$1; shift
  if "$@" > "$log" 2>&1; then
    passed=$((passed + 1)); echo "ok      $name"; sed -n 's/^note: /        /p' "$log"
  else
    failed=$((failed + 1)); echo "FAILED  $name"; tail -n 60 "$log"
  fi
}

# specs NAME INTERPRETER: the busted suite; each spec counts. Leaves "PASSED FAILED" in its own count file.
specs() {
  name=$1; shift
  slog=$BUILD/specs.$(echo "$name" | tr ' ' '_').log
  timeout "${SPEC_LIMIT:-2400}" "$@" spec/run.lua > "$slog" 2>&1; status=$?
  line=$(grep -aE '^[0-9]+ success.* / [0-9]+ failure.* / [0-9]+ error' "$slog" | tail -n 1)
  if [ -z "$line" ]; then
    echo "0 1" > "$slog.count"; echo "FAILED  specs $name: ended with status $status before its summary"; tail -n 60 "$slog"; return
  fi
  ok=$(echo "$line" | sed 's/ .*//')
  bad=$(echo "$line" | awk -F' / ' '{split($2,f," "); split($3,e," "); print f[1]+e[1]}')
  if [ "$bad" -eq 0 ] && [ "$status" -ne 0 ]; then bad=1; fi
  echo "$ok $bad" > "$slog.count"
  if [ "$bad" -eq 0 ]; then echo "ok      specs $name: $ok"; else
    echo "FAILED  specs $name: $bad of $((ok + bad)) (status $status)"
    grep -aA25 -E '^(Failure|Error) ->|Sanitizer|runtime error' "$slog" | head -n 200
  fi
}

one "build with -Werror" $MAKE -s -j2 BUILD="$BUILD/plain" WERROR=-Werror all
one "build with AddressSanitizer and UBSan" $MAKE -s -j2 BUILD="$BUILD/san" WERROR=-Werror CFLAGS="$SAN" "$BUILD/san/esplua"
one "luacheck" luacheck -q --config .luacheckrc lua scripts spec chips bench examples stubs
one "module in a stock lua5.4" env LUA_CPATH="$BUILD/plain/?.so" lua5.4 spec/support/module.lua
one "examples rebuild to the same bytes" $MAKE -s -C examples/hello check
one "stubs rebuild to the same bytes" $MAKE -s -C stubs check

# The suite three times. The run with the collector always working takes as long as all the rest: it has the other core.
rm -f "$BUILD"/specs.* "$BUILD/fuzz.count"
(ESPLUA=$PWD/$BUILD/plain/esplua ESPLUA_GC_STRESS=1; export ESPLUA ESPLUA_GC_STRESS
 specs "with the collector always running" "$BUILD/plain/esplua") &
(ESPLUA=$PWD/$BUILD/plain/esplua ESPLUA_FAULTS=1; export ESPLUA ESPLUA_FAULTS
 specs plain "$BUILD/plain/esplua")
(ESPLUA=$PWD/$BUILD/san/esplua ASAN_OPTIONS=detect_leaks=1; export ESPLUA ASAN_OPTIONS
 specs "under AddressSanitizer and UBSan" "$BUILD/san/esplua")
out=$BUILD/fuzz.count
BUILD=$BUILD MAKE=$MAKE FUZZ_COUNT=$out sh spec/fuzz/run.sh
wait
for count in "$out" "$BUILD/specs.plain.log.count" "$BUILD/specs.with_the_collector_always_running.log.count" \
    "$BUILD/specs.under_AddressSanitizer_and_UBSan.log.count"; do
  set -- $(cat "$count" 2> /dev/null || echo "0 1")
  passed=$((passed + $1)); failed=$((failed + $2))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
