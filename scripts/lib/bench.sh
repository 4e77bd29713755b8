# shellcheck shell=bash
# What `scripts/bench`, `scripts/instructions` and `scripts/flame` do alike: call what measures, and leave nothing of it.
# Sourced after needs.sh, in the repository's folder.

bench_pid='' run=''

# shellcheck disable=SC2317 # called by a trap
stop_bench() {
    local code=$?
    trap - EXIT
    trap '' INT TERM
    if [[ -n $bench_pid ]] && kill -TERM "$bench_pid" 2>/dev/null; then
        wait "$bench_pid" || true
    fi
    [[ -z $run ]] || rm -rf "$run"
    exit "$code"
}

# A folder, `run`, that goes with the script. PostgreSQL's own user may pass through it, which it must when root runs this.
make_run() {
    trap stop_bench EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    run=$(mktemp -d)
    chmod 755 "$run"
}

# shop_bench PROFILE ESHOPZ ARGUMENTS...: gives its exit code.
shop_bench() {
    local profile=$1 program=$2 code=0
    shift 2
    # In the background, so that a signal reaches this script before its end.
    "${CARGO_TARGET_DIR:-target}/$profile/shop-bench" --eshopz "$program" --folder "$run" "$@" </dev/null &
    bench_pid=$!
    wait "$bench_pid" || code=$?
    bench_pid=''
    return "$code"
}
