# shellcheck shell=bash
# What the scripts need from the machine, and how it gets there. Sourced by `scripts/run` and `scripts/test`.

# Debian packages that are missing.
missing=()
# Services that come with them and are to be no more than programs.
unwanted=()

have() {
    command -v "$1" >/dev/null 2>&1
}

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# need COMMAND PACKAGE
need() {
    have "$1" || missing+=("$2")
}

# The toolchain is rustup's, never the distribution's, which is too old.
need_cargo() {
    if ! have cargo && [[ -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]]; then
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    fi
    have cargo || fail "cargo is missing: install Rust with rustup (https://rustup.rs), then call this again"
    need cc build-essential
}

# Only the programs matter: the shop starts a private server of its own. The places are those where it looks.
need_postgres() {
    local folder
    for folder in "${ESHOPZ_POSTGRES_BIN:-}" "$(pg_config --bindir 2>/dev/null || true)" \
        /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin \
        /Applications/Postgres.app/Contents/Versions/*/bin /usr/pgsql-*/bin; do
        [[ -n $folder && -x $folder/postgres && -x $folder/initdb ]] && return
    done
    have postgres && have initdb && return
    missing+=(postgresql)
}

# Prometheus with promtool. Debian's package starts one for the whole machine, which is not what is asked for; one that
# somebody has installed himself is left alone.
need_prometheus() {
    have prometheus && have promtool && return
    missing+=(prometheus)
    unwanted+=(prometheus)
}

# The toolchain for what only Python has: tests/partners/requirements.txt says what.
need_partners() {
    need python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
}

# Puts it into `.venv`, unless it is there.
make_partners() {
    make_python .venv tests/partners/requirements.txt
}

# What looks at manifests, in a place of its own: it wants other versions of much than the partners do.
make_validators() {
    make_python .venv-kustomize tests/kustomize/requirements.txt
}

# make_python FOLDER REQUIREMENTS
make_python() {
    [[ ! $1/complete -nt $2 ]] || return 0
    python3 -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check --requirement "$2"
    touch "$1/complete"
}

# Whether Node.js is new enough for the program in pulumi/: its libraries need more than the tests.
node_runs_platform() {
    node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (+a === 20 && b >= 19) ? 0 : 1)'
}

# That program, built: its packages by the lock file, unless they are there.
make_platform() {
    if [[ ! pulumi/node_modules/.package-lock.json -nt pulumi/package-lock.json ]]; then
        npm ci --prefix pulumi --no-audit --no-fund --loglevel=error
    fi
    (cd pulumi && node node_modules/typescript/bin/tsc)
}

# Installs what is missing. Asks first when somebody sits at a terminal.
install_missing() {
    ((${#missing[@]})) || return 0
    have apt-get || fail "missing: ${missing[*]}; install them (the names are Debian's), then call this again"
    local -a as_root=()
    if ((EUID != 0)); then
        have sudo || fail "missing: ${missing[*]}; as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    if [[ -t 0 ]]; then
        local answer
        read -r -p "Install ${missing[*]} with apt-get? [Y/n] " answer
        [[ $answer =~ ^([Yy].*)?$ ]] || fail "without ${missing[*]} it cannot go on"
    fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
    local service
    for service in "${unwanted[@]}"; do
        if [[ -d /run/systemd/system ]]; then
            "${as_root[@]}" systemctl --quiet disable --now "$service"
        elif have service; then
            "${as_root[@]}" service "$service" stop >/dev/null || true
        fi
    done
    missing=() unwanted=()
}
