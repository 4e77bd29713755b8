# shellcheck shell=bash
# What `scripts/run` and `scripts/topology` do alike: build a shop, fill it, and say how to buy something.
# Sourced after needs.sh, in the repository's folder, with ESHOPZ_DATA_DIR set.

readonly email=admin@example.com
readonly password_file=$ESHOPZ_DATA_DIR/admin-password

# build PROFILE ARGUMENTS...: `eshopz` is the program after it.
build() {
    local -a flags=(--locked)
    [[ $1 == debug ]] || flags+=(--release)
    [[ -t 2 ]] || flags+=(--quiet)
    eshopz=${CARGO_TARGET_DIR:-target}/$1/eshopz
    shift
    cargo build "${flags[@]}" "$@"
}

# in_use HOST PORT
in_use() {
    (exec 3<>"/dev/tcp/${1//[\[\]]/}/$2") 2>/dev/null
}

# What somebody said last, for when it failed: show_log FILE
show_log() {
    tail -n 5 "$1" >&2
}

# seed LOG
seed() {
    if ! "$eshopz" seed demo --products 500 </dev/null >>"$1" 2>&1; then
        show_log "$1"
        fail "the demo catalogue could not be made"
    fi
}

# The password stays from run to run, and so does the account: make_admin ADDRESS LOG
make_admin() {
    local said
    [[ -s $password_file ]] || (umask 077 && random_password >"$password_file")
    said=$("$eshopz" admin create --email "$email" <"$password_file" 2>&1) && return
    printf '%s\n' "$said" >>"$2"
    curl -sf -o /dev/null -H 'Content-Type: application/json' "$1/api/v1/auth/login" \
        -d "{\"email\": \"$email\", \"password\": \"$(<"$password_file")\"}" && return
    tail -n 1 <<<"$said" >&2
    fail "$email cannot sign in with the password in $password_file"
}

random_password() {
    od -An -N 12 -tx1 /dev/urandom | tr -d ' \n' && echo
}

# The block of README.md after the mark `<!-- buy`, for a shop at another address: purchase ADDRESS
purchase() {
    awk '/^<!-- buy/ { mark = 1; next } mark && /^```/ { if (mark++ == 2) exit; next } mark == 2' README.md |
        sed "s|http://127\.0\.0\.1:3000|$1|g"
}
