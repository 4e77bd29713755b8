# shellcheck shell=bash
# `scripts/topology compare`: the same load on each topology, and the numbers side by side.
# Sourced by `scripts/topology` after deployment.sh.
# shellcheck disable=SC2154 # the deployment's variables

readonly workers=16
readonly warm_up=3

# compare SECONDS ROUNDS: rounds outside, so that what else the machine does meanwhile meets all alike.
compare() {
    local round
    readonly journey_load=${CARGO_TARGET_DIR:-target}/release/journey-load
    for ((round = 1; round <= $2; round++)); do
        measure "$1" combined
        measure "$1" replicas 3
        measure "$1" split
    done
}

# measure SECONDS TOPOLOGY [COUNT]: adds a line to the results. Every run has a private PostgreSQL of its own
# with nothing in it but the demo catalogue, and a Redis of its own.
measure() {
    local seconds=$1 name=${*:2} ticks memory
    export ESHOPZ_DATA_DIR=$run/shop
    mkdir -p "$ESHOPZ_DATA_DIR"
    describe "${@:2}"
    configure
    ports_are_free $((base_port + 379))
    start_redis
    start_processes
    start_ingress
    wait_until_ready
    seed "$run/seed.log"
    load "$warm_up"
    ticks=$(cpu_ticks)
    load "$seconds"
    ticks=$(($(cpu_ticks) - ticks))
    memory=$(resident_kib)
    stop_deployment
    rm -rf "$ESHOPZ_DATA_DIR"
    awk -v OFS='\t' -v name="$name" -v ticks="$ticks" -v hz="$(getconf CLK_TCK)" -v journeys="$(field journeys)" \
        -v memory="$memory" -v told="$(told)" \
        'BEGIN { print name, told, ticks / hz * 1000 / journeys, memory / 1024 }' | tee -a "$run/results" |
        awk -F '\t' '{ printf "%-12s %8.1f journeys/s\n", $1, $2 }' >&2
}

# load SECONDS
load() {
    if ! "$journey_load" "http://$ingress" --workers "$workers" --seconds "$1" --json >"$run/load.json"; then
        cat "$run/load.json" >&2
        fail "$topology: an answer was wrong"
    fi
}

# A number of the last load: field NAME
field() {
    sed -E "s/.*\"$1\":([0-9.]+).*/\1/" "$run/load.json"
}

told() {
    printf '%s\t' "$(field journeys_per_second)" "$(field requests_per_second)" "$(field orders_p50_ms)" \
        "$(field orders_p99_ms)" "$(field all_p50_ms)"
    field all_p99_ms
}

# What the shop's processes have used of the processors until now, in user and system mode.
cpu_ticks() {
    local pid text sum=0
    local -a fields
    for pid in "${pids[@]}"; do
        text=$(<"/proc/$pid/stat")
        # After the name in parentheses, which may have spaces.
        read -r -a fields <<<"${text##*) }"
        ((sum += fields[11] + fields[12]))
    done
    printf '%s\n' "$sum"
}

resident_kib() {
    local pid
    for pid in "${pids[@]}"; do cat "/proc/$pid/status"; done | awk '/^VmRSS:/ { sum += $2 } END { print sum }'
}

# report SECONDS ROUNDS [FILE]: the medians, as a table and as JSON.
report() {
    awk -F '\t' -v seconds="$1" -v rounds="$2" -v workers="$workers" -v cores="$(nproc)" -v file="${3:-}" '
        function median(name, column,    i, j, n, sorted, value) {
            n = count[name]
            for (i = 1; i <= n; i++) {
                value = values[name, column, i]
                for (j = i - 1; j >= 1 && sorted[j] > value; j--) sorted[j + 1] = sorted[j]
                sorted[j + 1] = value
            }
            return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
        }
        {
            if (!count[$1]++) names[++topologies] = $1
            for (i = 2; i <= NF; i++) values[$1, i, count[$1]] = $i + 0
        }
        END {
            split("- journeys_per_second requests_per_second orders_p50_ms orders_p99_ms all_p50_ms all_p99_ms cpu_ms_per_journey memory_mib", keys, " ")
            split("-|journeys per second|requests per second|POST /orders, p50 ms|POST /orders, p99 ms|all requests, p50 ms|all requests, p99 ms|CPU ms per journey|memory, MiB", titles, "|")
            printf "\n%-22s", ""
            for (t = 1; t <= topologies; t++) printf "%20s", names[t]
            print ""
            for (i = 2; i <= 9; i++) {
                printf "%-22s", titles[i]
                for (t = 1; t <= topologies; t++) {
                    value = median(names[t], i)
                    base = median(names[1], i)
                    printf "%11.1f  (x%4.2f)", value, base ? value / base : 0
                    json[t] = json[t] sprintf(", \"%s\": %.2f", keys[i], value)
                }
                print ""
            }
            printf "\nMedians of %d rounds of %d s, %d workers, %d cores; in parentheses against %s.\n", \
                rounds, seconds, workers, cores, names[1]
            if (file == "") exit
            printf "{\"seconds\": %d, \"rounds\": %d, \"workers\": %d, \"cores\": %d, \"topologies\": {", \
                seconds, rounds, workers, cores >file
            for (t = 1; t <= topologies; t++)
                printf "%s\"%s\": {%s}", (t == 1 ? "" : ", "), names[t], substr(json[t], 3) >file
            print "}}" >file
        }' "$run/results"
}
