# shellcheck shell=bash
# A deployment on this machine: processes of the shop, nginx before them, and what they share.
# Sourced by `scripts/topology` after shop.sh.

readonly modules=(user product cart payment order)

# Set by the caller: the first port, where nginx listens, and a folder that goes at the end.
base_port=3000
ingress=127.0.0.1:8080
run=

topology=
# One entry per process of the shop; a pid goes when its process has ended.
names=()
selections=()
ports=()
pids=()
# NAME=VALUE, for all processes of the shop.
settings=()
# The other programs: name to pid.
declare -A partners=()

# describe combined|split|replicas [COUNT]
describe() {
    topology=$1 names=() selections=() ports=() pids=()
    local i
    case $1 in
        combined) names=(eshopz) selections=(all) ports=("$base_port") ;;
        split)
            names=("${modules[@]}") selections=("${modules[@]}")
            for i in "${!modules[@]}"; do ports+=($((base_port + 1 + i))); done
            ;;
        replicas)
            for ((i = 0; i < $2; i++)); do
                names+=("eshopz-$((i + 1))") selections+=(all) ports+=($((base_port + 10 * i)))
            done
            ;;
    esac
}

# configure: the settings that follow from the topology.
configure() {
    settings=("ESHOPZ_DATA_DIR=$ESHOPZ_DATA_DIR" ESHOPZ_TRUSTED_PROXIES=127.0.0.1)
    # At the usual ports they find each other without being told.
    [[ $topology == split ]] && ((base_port != 3000)) || return 0
    local i
    for i in "${!modules[@]}"; do
        settings+=("ESHOPZ_${modules[i]^^}_URL=http://127.0.0.1:$((ports[i] + 1000))")
    done
}

# The file of a process's log: log_of INDEX
log_of() {
    printf '%s/%s.log' "$ESHOPZ_DATA_DIR" "${names[$1]}"
}

# Sets `command` to what starts a process: command_of INDEX
command_of() {
    command=(env "${settings[@]}" "$eshopz" serve --migrate --modules "${selections[$1]}")
    [[ $topology == split && $base_port == 3000 ]] || command+=(--listen "127.0.0.1:${ports[$1]}")
}

# ports_are_free PORTS...: those of the processes, of nginx, and further ones.
ports_are_free() {
    local port
    for port in "${ports[@]}"; do
        set -- "$@" "$port" $((port + 1000)) $((port + 6000))
    done
    for port in "$@"; do
        ! in_use 127.0.0.1 "$port" || fail "port $port is in use; choose others with ESHOPZ_BASE_PORT"
    done
    ! in_use "${ingress%:*}" "${ingress##*:}" || fail "$ingress is in use; choose another with ESHOPZ_INGRESS"
}

# partner NAME HOST PORT COMMAND...: starts a program and waits until it listens.
partner() {
    local name=$1 host=$2 port=$3 deadline=$((SECONDS + 60))
    shift 3
    "$@" </dev/null >"$run/$name.log" 2>&1 &
    partners[$name]=$!
    until in_use "$host" "$port"; do
        if ! kill -0 "${partners[$name]}" 2>/dev/null || ((SECONDS > deadline)); then
            show_log "$run/$name.log"
            fail "$name did not start"
        fi
        sleep 0.05
    done
}

start_redis() {
    local port=$((base_port + 379))
    partner redis 127.0.0.1 "$port" redis-server --bind 127.0.0.1 --port "$port" --dir "$run" --save '' --appendonly no
    settings+=("ESHOPZ_REDIS_URL=redis://127.0.0.1:$port")
}

# AWS as moto plays it, with the topics and queues that the infrastructure would have made.
start_sns() {
    local port=$((base_port + 500))
    partner moto 127.0.0.1 "$port" .venv/bin/moto_server -H 127.0.0.1 -p "$port"
    settings+=("AWS_ENDPOINT_URL=http://127.0.0.1:$port" AWS_REGION=eu-central-1
        AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test ESHOPZ_EVENTS=sns)
    if ! env "${settings[@]}" "$eshopz" events setup </dev/null >"$run/setup.log" 2>&1; then
        show_log "$run/setup.log"
        fail "topics and queues could not be made"
    fi
}

# nginx by the template that the tests use as well.
start_ingress() {
    local text i module servers folder=$run/ingress
    mkdir -p "$folder"
    text=$(<scripts/lib/ingress.conf.template)
    for module in "${modules[@]}"; do
        servers=
        for i in "${!ports[@]}"; do
            [[ ${selections[i]} == all || ${selections[i]} == "$module" ]] || continue
            servers+="server 127.0.0.1:${ports[i]} max_fails=0; "
        done
        text=${text//"@${module^^}@"/"$servers"}
    done
    text=${text//@LISTEN@/"$ingress"}
    printf '%s\n' "${text//@FOLDER@/"$folder"}" >"$folder/nginx.conf"
    partner nginx "${ingress%:*}" "${ingress##*:}" nginx -e "$folder/error.log" -p "$folder" -c "$folder/nginx.conf"
}

# All at the same time: none waits for another.
start_processes() {
    local i command
    for i in "${!names[@]}"; do
        command_of "$i"
        "${command[@]}" </dev/null >"$(log_of "$i")" 2>&1 &
        pids[i]=$!
    done
}

wait_until_ready() {
    local i deadline=$((SECONDS + 180))
    for i in "${!names[@]}"; do
        until curl -sf -o /dev/null "http://127.0.0.1:$((ports[i] + 6000))/health/ready"; do
            if ! kill -0 "${pids[i]}" 2>/dev/null; then
                show_log "$(log_of "$i")"
                fail "${names[i]} did not start; all it said is in $(log_of "$i")"
            fi
            ((SECONDS < deadline)) || fail "${names[i]} is not ready after three minutes; see $(log_of "$i")"
            sleep 0.05
        done
    done
}

# Stops what runs of it, the shop first. One that somebody has frozen could not end.
stop_deployment() {
    local pid
    for pid in "${pids[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
        kill -CONT "$pid" 2>/dev/null || true
    done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    for pid in "${partners[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${partners[@]}"; do wait "$pid" 2>/dev/null || true; done
    pids=() partners=()
}
