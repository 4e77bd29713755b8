#!/bin/sh
# Makes Elasticsearch and Kibana ready for the lines of the shop. Every step can be repeated: what is there is made what it is
# here, and no line is lost.
#
# ELASTICSEARCH_URL and KIBANA_URL say where they are. The folders: GIVEN has the files beside this, PASSWORDS a file for each
# user, and AUTHORITY is the certificate to believe.
set -eu
umask 077

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '%s\n' "$*"; }

fail() {
    say "$*" >&2
    exit 1
}

password() {
    value=$(cat "$PASSWORDS/$1")
    # It stands in JSON and in curl's configuration, where a quotation mark would end it.
    case $value in
        '' | *[!A-Za-z0-9._~-]*) fail "the password of $1 is empty, or has other than letters, digits and . _ ~ -" ;;
    esac
    printf '%s' "$value"
}

# Not as an argument: those can be seen.
elastic=$(password elastic)
printf 'user = "elastic:%s"\n' "$elastic" >"$work/curl"

# ask METHOD URL [OPTION...]
ask() {
    method=$1 url=$2
    shift 2
    curl --config "$work/curl" --cacert "$AUTHORITY" --silent --show-error --max-time 60 \
        --request "$method" --header 'kbn-xsrf: true' "$@" "$url"
}

# The same, where anything but a success is the end. The answer is shown only then.
must() {
    say "$1 $2"
    ask "$@" --fail-with-body >"$work/answer" || fail "$(cat "$work/answer")"
}

# wait_for NAME URL WORD: until the answer has the word.
wait_for() {
    say "waiting for $1"
    tries=0
    until ask GET "$2" 2>"$work/trouble" >"$work/answer" && grep -q "$3" "$work/answer"; do
        tries=$((tries + 1))
        [ "$tries" -lt "${PATIENCE:-120}" ] || fail "$1 is not there: $(cat "$work/answer" "$work/trouble")"
        sleep "${PAUSE:-5}"
    done
}

set_password() {
    secret=$(password "$2")
    printf '{"password":"%s"}' "$secret" | must POST "$ELASTICSEARCH_URL/_security/user/$1/_password" --json @-
}

# user NAME ROLE WHAT
user() {
    secret=$(password "$1")
    printf '{"password":"%s","roles":["%s"],"full_name":"%s"}' "$secret" "$2" "$3" |
        must PUT "$ELASTICSEARCH_URL/_security/user/$1" --json @-
}

wait_for Elasticsearch "$ELASTICSEARCH_URL/_cluster/health?wait_for_status=yellow&timeout=30s" '"timed_out":false'

# Kibana waits for this one.
set_password kibana_system kibana

must PUT "$ELASTICSEARCH_URL/_ilm/policy/eshopz-logs" --json "@$GIVEN/ilm.json"
{ printf '{"template":{"mappings":' && cat "$GIVEN/mappings.json" && printf '}}'; } |
    must PUT "$ELASTICSEARCH_URL/_component_template/eshopz-logs-mappings" --json @-
must PUT "$ELASTICSEARCH_URL/_index_template/eshopz-logs" --json "@$GIVEN/index-template.json"

stream=logs-eshopz-default
status=$(ask GET "$ELASTICSEARCH_URL/_data_stream/$stream" --output "$work/answer" --write-out '%{http_code}')
case $status in
    404) must PUT "$ELASTICSEARCH_URL/_data_stream/$stream" ;;
    200)
        # Fields that are new go into the index that is written to. What cannot be changed in it begins with the next one.
        say "new fields into $stream"
        ask PUT "$ELASTICSEARCH_URL/$stream/_mapping?write_index_only=true" --json "@$GIVEN/mappings.json" \
            --fail-with-body >"$work/answer" || must POST "$ELASTICSEARCH_URL/$stream/_rollover"
        ;;
    *) fail "cannot ask for $stream: $status $(cat "$work/answer")" ;;
esac

# Last, so that Fluentd adds nothing before all that is there.
must PUT "$ELASTICSEARCH_URL/_security/role/eshopz-logs-writer" --json "@$GIVEN/writer.json"
user fluentd eshopz-logs-writer Fluentd

wait_for Kibana "$KIBANA_URL/api/status" '"overall":{"level":"available"'
must PUT "$KIBANA_URL/api/security/role/eshopz-logs-reader" --json "@$GIVEN/reader.json"
user log-reader eshopz-logs-reader 'Reads the logs of the shop'

for name in data-view searches dashboard; do
    must POST "$KIBANA_URL/api/saved_objects/_import?overwrite=true" --form "file=@$GIVEN/$name.ndjson"
    grep -q '"success":true' "$work/answer" || fail "$name was not taken: $(cat "$work/answer")"
done
must POST "$KIBANA_URL/api/data_views/default" --json '{"data_view_id":"eshopz-logs","force":true}'

say 'all is there'
