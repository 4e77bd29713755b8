# shellcheck shell=bash
# What `scripts/deploy` and `scripts/rollback` do alike. Sourced after needs.sh, in the repository's folder.
#
# What was there before a deployment is kept where everybody finds it: as an annotation of each Deployment, the revision to
# which it would go back. Where ArgoCD keeps the shop as it is in git, the deployment is a commit, and the way back is another.

readonly before=eshopz/revision-before-deploy
readonly shop=app.kubernetes.io/component=shop
# shellcheck disable=SC2034 # for the scripts
readonly subject='overlays: Deploy'

# The caller's: whether it only says what it would do, and how long the cluster may take.
: "${dry=}" "${timeout=600}"
overlay='' namespace='' file=''

# is_seconds TEXT
is_seconds() {
    [[ $1 =~ ^[1-9][0-9]{0,4}$ ]]
}

# choose OVERLAY: sets `overlay`, `file` and `namespace`.
choose() {
    overlay=$1
    [[ $overlay =~ ^[a-z0-9-]+$ ]] || fail "$overlay is not the name of an overlay"
    file=kustomize/overlays/$overlay/kustomization.yaml
    [[ -f $file ]] || fail "there is no overlay $overlay in kustomize/overlays"
    namespace=$(awk '$1 == "namespace:" { print $2 }' "$file")
    [[ -n $namespace ]] || fail "$file names no namespace"
}

in_cluster() {
    kubectl --namespace "$namespace" "$@"
}

# Changes something, or says what it would change: change COMMAND...
change() {
    if [[ -n $dry ]]; then
        local said=$*
        printf 'would run: %s\n' "${said/#in_cluster/kubectl --namespace $namespace}"
    else
        "$@"
    fi
}

# The same, without what kubectl says to it: silently COMMAND...
silently() {
    if [[ -n $dry ]]; then change "$@"; else "$@" >/dev/null; fi
}

# Also to where a pipeline shows what happened: note TEXT
note() {
    printf '%s\n' "$1"
    [[ -z ${GITHUB_STEP_SUMMARY:-} || -n $dry ]] || printf '%s\n' "$1" >>"$GITHUB_STEP_SUMMARY"
}

# The Deployments of the shop, a line each: name, revision, the revision before the last deployment or `-`, image.
deployments() {
    in_cluster get deployments --selector "$shop" --output go-template='{{range .items}}{{.metadata.name}}{{"\t"}}{{
        with .metadata.annotations}}{{or (index . "deployment.kubernetes.io/revision") "-"}}{{"\t"}}{{
        or (index . "'$before'") "-"}}{{else}}-{{"\t"}}-{{end}}{{"\t"}}{{(index .spec.template.spec.containers 0).image}}{{"\n"}}{{end}}'
}

# Waits for the roll-out of each, all of them within the time: roll_out NAMES...
roll_out() {
    local name deadline=$((SECONDS + timeout)) left
    for name in "$@"; do
        left=$((deadline - SECONDS))
        ((left > 0)) || left=1
        in_cluster rollout status "deployment/$name" "--timeout=${left}s" || return 1
    done
}

# Whether ArgoCD would set back what is changed by hand. It marks what it keeps; who sees the mark and may not ask ArgoCD must not
# deploy past it.
argocd_keeps_it() {
    local path
    if path=$(kubectl --namespace argocd get application "${ARGOCD_APPLICATION:-eshopz}" \
        --output 'jsonpath={.spec.source.path}' --ignore-not-found 2>/dev/null); then
        [[ $path == "kustomize/overlays/$overlay" ]]
        return
    fi
    [[ -n $(in_cluster get deployments --selector "$shop" --output \
        'jsonpath={.items[*].metadata.annotations.argocd\.argoproj\.io/tracking-id}' 2>/dev/null) ]] || return 1
    fail "ArgoCD keeps the shop as it is in git, and may not be asked: give yourself get and patch of applications.argoproj.io in argocd"
}

# The rest of the file stays as it is: set_image FILE REPOSITORY TAG-OR-DIGEST
set_image() {
    local key=newTag changed
    [[ $3 != sha256:* ]] || key=digest
    changed=$(awk -v repository="$2" -v key="$key" -v value="$3" '
        /^[^ #-]/ { images = $1 == "images:" }
        images && /^ *- / { ours = $2 == "name:" && $3 == "eshopz" }
        images && ours && /^ *(newName|newTag|digest):/ { next }
        { print }
        images && ours && /name: eshopz *$/ {
            indent = $0; sub(/-.*/, "", indent)
            print indent "  newName: " repository
            print indent "  " key ": " (key == "newTag" ? "\"" value "\"" : value)
            found = 1
        }
        END { exit !found }' "$1") || fail "$1 sets no image of the name eshopz"
    printf '%s\n' "$changed" >"$1"
}

# push: to the branch that ArgoCD follows. Somebody may have been faster; his commits stay.
push() {
    local remote=${DEPLOY_REMOTE:-origin} branch=${DEPLOY_BRANCH:-main}
    git push --quiet "$remote" "HEAD:refs/heads/$branch" && return
    git fetch --quiet "$remote" "$branch"
    git rebase --quiet FETCH_HEAD
    git push --quiet "$remote" "HEAD:refs/heads/$branch"
}

# Waits until ArgoCD has brought the cluster to this commit, and all is healthy: synced COMMIT
synced() {
    local status sync revision health phase deadline=$((SECONDS + timeout))
    local -a app=(kubectl --namespace argocd get application "${ARGOCD_APPLICATION:-eshopz}")
    kubectl --namespace argocd annotate --overwrite application "${ARGOCD_APPLICATION:-eshopz}" argocd.argoproj.io/refresh=normal >/dev/null
    while ((SECONDS < deadline)); do
        status=$("${app[@]}" --output 'jsonpath={.status.sync.status},{.status.sync.revision},{.status.health.status},{.status.operationState.phase}')
        IFS=, read -r sync revision health phase <<<"$status"
        if [[ $revision == "$1" ]]; then
            [[ $sync,$health != Synced,Healthy ]] || { printf 'ArgoCD: %s is in the cluster, and healthy\n' "${1:0:12}" && return; }
            case $phase in
                Failed | Error) printf 'ArgoCD: the sync of %s has failed\n' "${1:0:12}" >&2 && return 1 ;;
            esac
        fi
        sleep "${DEPLOY_POLL_SECONDS:-2}"
    done
    printf 'ArgoCD: %s is not in the cluster after %d s: %s\n' "${1:0:12}" "$timeout" "$status" >&2
    return 1
}
