# shellcheck shell=bash
# ./dev image: the container image that the Dockerfile describes. Where an engine answers, ./dev has had
# it built by that already; elsewhere buildah does it here: its storage is in build/, its steps run in a
# chroot, no registry is asked, and its mounts end with the namespace that they are made in.

image_build=$PENSTOCK_REPO/build/image
image_archive=$image_build/penstock.tar # an OCI archive: docker load, podman load, skopeo copy oci-archive:
image_results=$image_build/test-results/image.xml

image_buildah() {
  CONTAINERS_CONF=$image_build/containers.conf buildah --storage-driver "$storage_driver" \
    --root "$image_build/storage" --runroot "${TMPDIR:-/tmp}/buildah" "$@"
}

# buildah insists on a netavark, which makes networks; a build in a chroot never calls it.
set_up_buildah() {
  local helpers=$image_build/helpers
  mkdir -p "$image_build/storage" "$helpers"
  ln -sf /bin/false "$helpers/netavark"
  printf '[engine]\nhelper_binaries_dir = ["%s"]\n' "$helpers" >"$image_build/containers.conf"
  storage_driver=overlay # which does not work on every file system
  image_buildah info >/dev/null 2>&1 || storage_driver=vfs # copies everything for every step
  image_buildah rm --all >/dev/null # of a run that was interrupted
}

# make_image_base NAME: an image of Debian 13 with apt, for the stages to begin with.
make_image_base() {
  local name=$1 tar=$image_build/debian.tar mirror container
  if image_buildah inspect --type image "$name" >/dev/null 2>&1; then return; fi
  mirror=$(debian_mirror)
  say "making a base image from $mirror (once; about half a minute)"
  unshare --mount mmdebstrap --quiet --mode=root --variant=apt trixie "$tar" "deb $mirror trixie main" \
    "deb $mirror trixie-updates main" "deb $mirror-security trixie-security main" ||
    die "could not make a base image from $mirror and $mirror-security (other mirrors: PENSTOCK_DEBIAN_MIRROR=URL ./dev …)"
  container=$(image_buildah from scratch)
  image_buildah add --quiet "$container" "$tar" / >/dev/null
  image_buildah commit --quiet --rm "$container" "$name" >/dev/null
  rm "$tar"
}

# buildah would raise these limits further than a root without CAP_SYS_RESOURCE may.
limit() { # NAME OPTION-OF-ULIMIT
  local most
  most=$(ulimit -H"$2")
  echo "--ulimit=$1=${most/unlimited/-1}"
}

# build_stage STAGE NAME ARGUMENT...: a stage of the Dockerfile, as an image of this name.
build_stage() {
  image_buildah build --isolation chroot --pull=never --format oci --layers "$(limit nofile n)" "$(limit nproc u)" \
    --target "$1" --tag "$2" "${@:3}" "$PENSTOCK_REPO" >>"$image_build/build.log" 2>&1 </dev/null || {
    tail -n 30 "$image_build/build.log" >&2
    die "the stage $1 of the Dockerfile was not built; the whole output: $image_build/build.log"
  }
}

# build_image prebuilt|whole: makes the archive. The program is that of the release build (prebuilt), or
# the image's own stages compile it (whole).
build_image() {
  local name started=$SECONDS base=localhost/penstock-debian:trixie arguments backports
  name=localhost/penstock:$(penstock_version)
  mapfile -t arguments < <(image_arguments)
  need_root
  set_up_buildah
  make_image_base "$base"
  rm -rf "$image_build/program" "$image_build/backports"
  if [ "$1" = prebuilt ]; then
    mkdir -p "$image_build/program/usr/bin"
    strip -o "$image_build/program/usr/bin/penstock" "$PENSTOCK_REPO/build/release/penstock"
    backports=$("$PENSTOCK_REPO/tools/backports.sh")
    mkdir "$image_build/backports"
    cp -r "$backports" "$image_build/backports/backports"
    arguments+=("--build-context=program=$image_build/program" "--build-context=backports=$image_build/backports")
  fi
  say "building the image $name"
  : >"$image_build/build.log"
  build_stage libraries localhost/penstock-libraries --build-arg "DEBIAN=$base" "${arguments[@]}"
  build_stage runtime "$name" --build-arg "DEBIAN=$base" "${arguments[@]}"
  rm -f "$image_archive"
  image_buildah push --quiet "$name" "oci-archive:$image_archive:${name#*/}"
  image_buildah rmi --prune >/dev/null # the images that these replaced
  say "built the image in $((SECONDS - started)) s"
}

by_engine() { case ${PENSTOCK_DEV_INSIDE:-} in docker | podman) ;; *) false ;; esac; }

need_root() {
  [ "$(id -u)" = 0 ] ||
    die "the image is made and tested as root, or by an engine: sudo ./dev …, or PENSTOCK_DEV_PLACE=docker ./dev …"
}

# make_image prebuilt|whole: the archive, if no engine has made it, and its SBOM.
make_image() {
  by_engine || build_image "$1"
  python3 -B "$PENSTOCK_REPO/tools/oci_image.py" --sbom "$image_build/penstock.spdx.json" "$image_archive"
}

# run_image [NAME]: makes the image and tests it. NAME is a part of test names.
run_image() {
  rm -f "$image_results"
  need_root
  need_kafka_kit
  make_image prebuilt
  "$PENSTOCK_REPO/build/release/bin/penstock_test_servers" -- \
    python3 -B tests/image/run.py --junit "$image_results" ${1:+"$1"} </dev/null
}

test_image() { # [NAME]
  local status=0
  build release penstock penstock_test_servers integration_end_to_end
  "$PENSTOCK_REPO/tools/inside.sh" run_image "$@" || status=$?
  python3 "$PENSTOCK_REPO/tools/count_tests.py" "$image_results" || status=1
  return "$status"
}
