#!/usr/bin/env bash
# Builds what a Kubernetes cluster's control plane consists of, once, in the cache, and prints its
# directory: kube-apiserver, kube-controller-manager, and `version`. etcd is Debian's.
# The version is pinned by tests/helm/kubernetes/go.mod and go.sum.
set -euo pipefail
# shellcheck source=tools/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

sources=$PENSTOCK_REPO/tests/helm/kubernetes
version=$(awk '$1 == "k8s.io/kubernetes" { print $2 } $2 == "k8s.io/kubernetes" { print $3 }' "$sources/go.mod")
kit=$PENSTOCK_CACHE/kubernetes-kit-$(cat "$sources"/go.{mod,sum} "${BASH_SOURCE[0]}" | short_hash)
log=$PENSTOCK_CACHE/kubernetes-kit.log

# Kubernetes' own build tells the programs their version in the same way; helm asks for it.
linker_flags() {
  local package=k8s.io/component-base/version number=${version#v}
  local major=${number%%.*} rest=${number#*.}
  echo "-s -w -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=${rest%%.*}"
}

build_kit() {
  [ -d "$kit" ] && return # another ./dev was faster
  local stale partial=$kit.partial.$$ started=$SECONDS
  for stale in "$PENSTOCK_CACHE"/kubernetes-kit-*.partial.*; do
    [ -e "$stale" ] && rm -rf "$stale"
  done
  mkdir -p "$partial"
  say "building kube-apiserver and kube-controller-manager $version with Go (once; about 8 minutes on 2" \
    "cores, 1.5 GB in the cache)"
  if ! GOMODCACHE=$PENSTOCK_CACHE/go/mod GOCACHE=$PENSTOCK_CACHE/go/build GOTOOLCHAIN=local \
    GOFLAGS='-mod=readonly -buildvcs=false' go -C "$sources" build -ldflags "$(linker_flags)" -o "$partial/" \
    k8s.io/kubernetes/cmd/kube-{apiserver,controller-manager} >"$log" 2>&1 </dev/null; then
    rm -rf "$partial"
    grep -m 3 -E '^go: |: .*(dial|timeout|no such host)|error:' "$log" >&2 || tail -n 3 "$log" >&2
    die "Kubernetes $version could not be built: its modules come from $PENSTOCK_CACHE/go/mod, or else over" \
      "the network from $(go env GOPROXY); the whole output: $log"
  fi
  echo "$version" >"$partial/version"
  chmod -R a+rX "$partial"
  mv "$partial" "$kit"
  say "Kubernetes $version is ready ($((SECONDS - started)) s)"
}

for tool in go etcd; do
  command -v "$tool" >/dev/null || die "$tool is missing; the cluster tests need Go and etcd (Debian: golang-go, etcd-server)"
done
[ -d "$kit" ] || with_lock kubernetes-kit build_kit
echo "$kit"
