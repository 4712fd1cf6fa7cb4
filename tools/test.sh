#!/bin/bash
# Set up this machine and test.
#
# usage: tools/test.sh [--all | --releases | --soak | STAGE ...]
#        tools/test.sh --nova 31|32|33|34|master=DIR
#   without arguments: style, unit and functional tests, documentation
#   --all              these, Nova's own tests with our driver and filter in
#                      place of its own, what guards the differences between
#                      the releases of Nova, and on the lab cloud the
#                      end-to-end tests and Tempest's
#   --releases         what is run before a release only: the rest of Nova's
#                      functional tests and of Tempest's that are chosen, the
#                      end-to-end tests of containers, of a lost sudo right, of
#                      other users, of arrivals and of EDPM's container under
#                      SELinux, of a QEMU with less in it and of the host with
#                      Xen, --nova of each supported release, and the
#                      demonstration on a cloud of each of them and with
#                      nova-compute in a container, of Nova 34 and of 31
#   --nova RELEASE     unit and functional tests, and Nova's own tests of its
#                      libvirt driver with ours, in the venv of that release
#                      (see tools/setup.sh), in each mode of its nova-compute:
#                      eventlet in 31 and 32; both in 33 (with native threads
#                      no functional tests) and 34; native threads in the
#                      source folder DIR
#   --soak             restore the lab's SELinux machine 20 times, each time
#                      with two guests, on a machine with a load of 8
#   STAGE              pep8 py3 openapi functional docs releasenotes genconfig
#                      browser packages upstream upstream_functional
#                      upstream_rest releases e2e e2e_rest e2e_edpm e2e_qemu
#                      e2e_xen tempest tempest_rest soak
#
# Begins with a line that names Debian, Python, libvirt and QEMU. Ends with that
# line and a line "N passed, N failed" (", N skipped" where some were) that adds
# up what ran: each test, and each check of the other stages.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
bin=$PWD/.venv/bin
nova=
# The end-to-end tests of the stages e2e_rest, e2e_edpm, e2e_qemu and e2e_xen,
# which stage e2e leaves out.
rest='tests\.e2e\.test_(container\.|selinux_arrival|sudo_lost|without_root\.Other)'
edpm='tests\.e2e\.test_container_selinux'
qemu='tests\.e2e\.test_qemu_build'
xen='tests\.e2e\.test_xen'
# A test waits now and then for another thread or process, a third of the time of
# the unit tests. One worker more than there are cores runs meanwhile.
workers=(--concurrency $(($(nproc) + 1)))
passed=0 failed=0 skipped=0
broken=() notes=()
# Stages that use one core each, and run beside each other.
beside=()
on='' memory=''
work=$(mktemp -d)
# What a check shows whether it fails or not.
exec 3>&1
ahead=
groups_beside=()
end_ahead() {
    # The processes and those that they started: each leads a group.
    local group
    for group in $ahead "${groups_beside[@]}"; do
        kill -- "-$group" 2>/dev/null || true
    done
}
trap 'end_ahead; rm -rf "$work" ${memory:+"$memory"}' EXIT

case ${1:-} in
-h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit ;;
--all)
    beside=(pep8 docs releasenotes genconfig openapi browser packages)
    stages=(py3 functional upstream upstream_functional releases e2e tempest)
    ;;
--releases)
    stages=(upstream_rest tempest_rest e2e_rest e2e_edpm e2e_qemu e2e_xen
        nova_31 nova_32 nova_33 nova_34 demo_31 demo_32 demo_33 demo_34
        demo_container demo_container_31)
    ;;
--nova)
    # tools/setup.sh knows which there are.
    tools/setup.sh --nova "${2:-}" --print-venv >/dev/null || exit 2
    nova=$2
    stages=("nova_${nova%%=*}")
    ;;
--soak) stages=(soak) ;;
'') stages=(pep8 py3 openapi functional docs releasenotes genconfig) ;;
*) stages=("$@") ;;
esac

# Makes what the later stages keep in the cache, beside the first ones, which
# leave a third of the machine idle. A stage that comes before it has ended waits
# for the rest, and makes it itself where this failed.
make_ahead() {
    local release
    {
        for release in 31 32 33; do
            tools/setup.sh --nova "$release" --cache-only
        done
        "$bin"/python -m lab machine
    } >"$work/ahead" 2>&1
}

# One check of a stage: a command, which ends with 0 where all is well. Its
# output is shown where it does not.
check() {
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then
        passed=$((passed + 1))
        printf '  ok      %s\n' "$name"
    else
        failed=$((failed + 1))
        broken+=("$name")
        printf '  FAILED  %s\n%s\n' "$name" "$out"
    fi
}

# Runs the tests below a folder with stestr, and keeps the results as a subunit
# stream.
run_stestr() {
    local folder=$1 stream=$2 repository=$work/repository
    shift 2
    rm -rf "$repository"
    mkdir "$repository"
    # stestr's workers run the interpreter that PYTHON names; tools/setup.sh
    # takes PYTHON for the interpreter of a new .venv.
    # The time limit ends a stage that hangs, which then fails; on a slow machine
    # no stage of CI takes that long.
    PYTHON="$bin"/python OS_TEST_PATH=$folder \
        timeout -k 60 "${limit:-4500}" \
        "$bin"/python -m stestr --repo-url "$repository" run "$@"
    # The stream is empty where no test began.
    "$bin"/python -m stestr --repo-url "$repository" last --subunit >"$stream"
}

# Adds the tests of a stream to the totals. The stream counts, not the exit
# status of stestr: the stream also has the tests of a worker that died.
count() {
    local what=$1 stream=$2 counts p f s line
    shift 2
    if counts=$("$bin"/python tools/count_tests.py "$@" <"$stream" \
        2>"$work/notes"); then
        read -r p f s <<<"$counts"
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
        [ "$f" = 0 ] || broken+=("$what: $f")
    else
        failed=$((failed + 1))
        broken+=("$what: no test ran")
    fi
    while IFS= read -r line; do
        notes+=("$line")
    done <"$work/notes"
}

tests() {
    run_stestr "$1" "$work/ours" "${@:2}"
    count "${on:+Nova $on: }$1" "$work/ours"
}

# Runs a command whose temporary files are in memory where the machine has a
# gigabyte for them. Nova's functional tests wait for the disk at each commit of
# their databases, a third of their time.
in_memory() {
    local free
    free=$(df --output=avail -k /dev/shm 2>/dev/null | sed -n 2p)
    if [ -z "$memory" ] && [ "${free:-0}" -gt 1000000 ]; then
        memory=$(mktemp -d -p /dev/shm)
    fi
    TMPDIR=${memory:-${TMPDIR:-/tmp}} "$@"
}

# Runs a command with the venv of a release of Nova.
with_nova() {
    local release=$1 bin on=$1
    shift
    if ! tools/setup.sh --nova "$release"; then
        check "Nova $release: its venv" false
        return
    fi
    bin=$(tools/setup.sh --nova "$release" --print-venv)/bin
    "$@"
}

# Runs a command in a thread mode of Nova.
in_mode() {
    local mode=$1 on="$on, $1" no
    shift
    case $mode in
    threads) no=yes ;;
    eventlet) no=no ;;
    esac
    printf '== Nova %s\n' "$on"
    OS_NOVA_DISABLE_EVENTLET_PATCHING=$no "$@"
}

# Runs unit tests on a release of Nova. Their process is never patched, which
# some releases do wherever Nova is imported; they start others that are (see
# tests/unit/modes.py).
unit_tests() { OS_NOVA_DISABLE_EVENTLET_PATCHING=yes tests ./tests/unit "$@"; }

# The tests that depend on Nova, in the modes that a release has. Our import
# contracts and our documentation are not Nova's doing.
nova_matrix() {
    local mode
    unit_tests --exclude-regex \
        'test_import_contracts|test_documentation|tests\.unit\.(lab|devstack)\.'
    for mode in "$@"; do
        in_mode "$mode" in_memory tests ./tests/functional
        in_mode "$mode" compare "upstream ($mode)" nova_tests \
            ./tests/upstream/unit
    done
}

# Nova 33 has both modes; its functional tests have eventlet's alone, because
# all their threads share one connection of SQLite.
nova_33() {
    nova_matrix eventlet
    # These wait for green threads of their own, and hang; Nova itself leaves
    # them out (threading_unit_test_excludes.txt).
    local excluded=CacheConcurrencyTestCase
    in_mode threads compare 'upstream (threads)' nova_tests \
        ./tests/upstream/unit
}

# What touches nova_isolation/virt/releases, and the start of the service.
nova_guard() {
    # Nothing else is imported.
    OS_NOVA_DISABLE_EVENTLET_PATCHING=yes tests ./tests/unit/virt \
        'unit\.virt\.test_'
    in_mode eventlet in_memory tests ./tests/functional "\
test_start\.(SignaturesTest|ServicesTest)|\
RestartTest\.test_crash_of_the_destination_of_an_evacuation|\
LiveMigrationTest\.test_scheduled"
}

# Runs tests that are not this project's. Tests that fail run again alone, and
# those that fail then run once more with stock Nova. A test that passes there
# counts as failed, others do not; each of them is reported.
#   compare WHAT COMMAND...   COMMAND is called with the stream to write, and
#                             later also with a file that selects tests
compare() {
    local what=$1 stream list=$work/selection
    shift
    for stream in ours again stock; do
        : >"$work/$stream"
    done
    "$@" "$work/ours"
    "$bin"/python tools/count_tests.py --failed <"$work/ours" >"$list"
    if [ -s "$list" ]; then
        echo "== $what: what failed, again"
        "$@" "$work/again" "$list"
        "$bin"/python tools/count_tests.py --failed <"$work/again" >"$list"
    fi
    if [ -s "$list" ]; then
        echo "== $what: what failed again, with stock Nova"
        UPSTREAM_STOCK=1 "$@" "$work/stock" "$list"
    fi
    count "$what" "$work/ours" --judge "$work/again" "$work/stock"
}

# Nova's tests below a folder, without those that "excluded" selects, if it is
# set.
nova_tests() {
    # The same time limit for a test as in Nova's own tox.ini. The output of a
    # test is kept with its result.
    OS_TEST_TIMEOUT=300 OS_STDOUT_CAPTURE=1 OS_STDERR_CAPTURE=1 \
        run_stestr "$1" "$2" --suppress-attachments \
        ${excluded:+--exclude-regex "$excluded"} \
        ${3:+--serial --include-list "$3"}
}

# Tempest on a lab cloud of its own. The tests of our plugin are run once, and
# are not selected.
#   tempest_tests CHOSEN PLUGIN STREAM [LIST]   the tests that the file CHOSEN
#                             selects, or LIST of them alone; the stream of the
#                             plugin's tests goes to PLUGIN, if that is not empty
tempest_tests() {
    local made venv plugin
    made=$(tools/tempest.sh) || return
    { read -r venv && read -r plugin; } <<<"$made"
    local ours=(--plugin "$plugin" "$2")
    [ -n "$2" ] && [ -z "${4:-}" ] || ours=()
    "$bin"/python -m lab.tempest ${UPSTREAM_STOCK:+--stock-driver} \
        "${ours[@]}" "$venv" "${4:-$1}" "$3"
}

stage_pep8() {
    check 'ruff check' "$bin"/ruff check .
    check 'ruff format' "$bin"/ruff format --check .
    check 'mypy' "$bin"/mypy
    check 'bandit' "$bin"/bandit -q -r -c pyproject.toml nova_isolation \
        nova_isolation_finder.py lab tools
    check 'codespell' "$bin"/codespell
    check 'import contracts' "$bin"/lint-imports --no-logo --no-cache
    local scripts=(tools/*.sh .ci/run devstack/settings devstack/plugin.sh
        tests/unit/devstack/*.sh)
    check 'shellcheck' "$bin"/shellcheck "${scripts[@]}"
    # As devstack does.
    check 'bashate' "$bin"/bashate -iE006 -eE005,E042 "${scripts[@]}"
}

stage_py3() { tests ./tests/unit "${workers[@]}"; }

# The description of the HTTP API, held to the service. In a folder of its own,
# because what it needs is not in the venvs of the older releases of Nova.
stage_openapi() { tests ./tests/openapi --concurrency 1; }

stage_functional() { in_memory tests ./tests/functional "${workers[@]}"; }

# The page of the service in Chromium. One worker: each class starts a browser.
stage_browser() { tests ./tests/browser --concurrency 1; }

# The packages of Debian and of RPM are built and examined.
stage_packages() { tests ./tests/packages --concurrency 1; }

stage_upstream() { compare upstream nova_tests ./tests/upstream/unit; }

stage_upstream_functional() {
    in_memory compare upstream_functional nova_tests \
        ./tests/upstream/functional
}

stage_upstream_rest() {
    compare upstream_rest nova_tests ./tests/upstream/rest
}

stage_nova_31() { with_nova 31 nova_matrix eventlet; }

stage_nova_32() { with_nova 32 nova_matrix eventlet; }

stage_nova_33() { with_nova 33 nova_33; }

stage_nova_34() { with_nova 34 nova_matrix threads eventlet; }

stage_nova_master() { with_nova "$nova" nova_matrix threads; }

stage_demo_31() { check 'demonstration, Nova 31' tools/demo.sh --nova 31; }

stage_demo_32() { check 'demonstration, Nova 32' tools/demo.sh --nova 32; }

stage_demo_33() { check 'demonstration, Nova 33' tools/demo.sh --nova 33; }

stage_demo_34() { check 'demonstration, Nova 34' tools/demo.sh --nova 34; }

stage_demo_container() {
    check 'demonstration, container' tools/demo.sh --layout container
}

stage_demo_container_31() {
    check 'demonstration, Nova 31, container' \
        tools/demo.sh --nova 31 --layout container
}

stage_releases() {
    local release
    for release in 31 32 33; do
        with_nova "$release" nova_guard
    done
}

# What fails in Tempest itself is compared with stock Nova; what our plugin
# tests, stock Nova does not have.
stage_tempest() {
    : >"$work/plugin"
    compare tempest tempest_tests tests/tempest/selection.txt "$work/plugin"
    count tempest-plugin "$work/plugin"
}

stage_tempest_rest() {
    compare tempest_rest tempest_tests tests/tempest/rest.txt ''
}

stage_docs() {
    check 'documentation' "$bin"/sphinx-build -q -W -b html doc/source \
        doc/build/html
}

stage_releasenotes() {
    check 'reno lint' "$bin"/reno lint
    check 'release notes' "$bin"/sphinx-build -q -W -b html \
        releasenotes/source releasenotes/build/html
}

# The sample files in the tree are up to date.
stage_genconfig() {
    local config sample fresh
    fresh=$(mktemp)
    for config in etc/nova-isolation/*config-generator.conf; do
        sample=$(sed -n 's/^output_file = //p' "$config")
        check "$(basename "$sample") generated" "$bin"/oslo-config-generator \
            --config-file "$config" --output-file "$fresh"
        check "$(basename "$sample") up to date" diff -u "$sample" "$fresh"
    done
    sample=etc/nova-isolation/policy.yaml.sample
    check 'policy.yaml.sample generated' "$bin"/oslopolicy-sample-generator \
        --namespace nova_isolation --output-file "$fresh"
    check 'policy.yaml.sample up to date' diff -u "$sample" "$fresh"
    rm -f "$fresh"
}

stage_e2e() {
    tests ./tests/e2e --concurrency 2 --worker-file tests/e2e/workers.yaml \
        --exclude-regex "$rest|$edpm|$qemu|$xen"
}

# Each of these has a cloud of its own or waits for long.
stage_e2e_rest() {
    tests ./tests/e2e --concurrency 2 --worker-file tests/e2e/workers.yaml \
        "$rest"
}

# The container of EDPM on the SELinux machine takes too long for CI.
stage_e2e_edpm() { tests ./tests/e2e --concurrency 1 "$edpm"; }

# QEMU is built for it, twice.
stage_e2e_qemu() { tests ./tests/e2e --concurrency 1 "$qemu"; }

# The emulated host with Xen takes too long for CI so far.
stage_e2e_xen() {
    local limit=14400
    tests ./tests/e2e --concurrency 1 "$xen"
}

stage_soak() {
    check 'soak' sh -c "exec '$bin/python' -m lab.soak >&3"
}

run_stage() {
    local start=$SECONDS
    printf '== %s\n' "$1"
    "stage_$1"
    printf '== %s took %d s\n' "$1" $((SECONDS - start))
}

# Runs stages beside each other. Each has a folder of its own, and leaves there
# what it prints and what it has counted.
run_beside() {
    local stage kind text
    # Each is the leader of a group, which is ended with this script.
    set -m
    for stage in "$@"; do
        mkdir "$work/$stage"
        run_apart "$stage" >"$work/$stage/printed" 2>&1 &
        groups_beside+=($!)
    done
    set +m
    wait "${groups_beside[@]}"
    groups_beside=()
    for stage in "$@"; do
        cat "$work/$stage/printed"
        if [ ! -e "$work/$stage/counted" ]; then
            failed=$((failed + 1))
            broken+=("$stage: it ended early")
            continue
        fi
        while read -r kind text; do
            case $kind in
            passed) passed=$((passed + text)) ;;
            failed) failed=$((failed + text)) ;;
            skipped) skipped=$((skipped + text)) ;;
            broken) broken+=("$text") ;;
            note) notes+=("$text") ;;
            esac
        done <"$work/$stage/counted"
    done
}

# In a process of its own, which has counted nothing yet.
run_apart() {
    work=$work/$1
    run_stage "$1"
    {
        printf '%s\n' "passed $passed" "failed $failed" "skipped $skipped"
        [ ${#broken[@]} = 0 ] || printf 'broken %s\n' "${broken[@]}"
        [ ${#notes[@]} = 0 ] || printf 'note %s\n' "${notes[@]}"
    } >"$work/counting" && mv "$work/counting" "$work/counted"
}

# What the tests run on.
machine() {
    printf 'Debian %s, %s, libvirt %s, QEMU %s\n' \
        "$(cat /etc/debian_version)" "$("$bin"/python -V)" \
        "$(pkg-config --modversion libvirt)" \
        "$(qemu-system-x86_64 --version |
            sed -n '1s/.*version \([^ ]*\).*/\1/p')"
}

tools/setup.sh || exit 1
machine
if [ "${1:-}" = --all ]; then
    set -m
    make_ahead &
    ahead=$!
    set +m
    renice -n 10 -g "$ahead" >/dev/null
fi
for stage in "${beside[@]}" "${stages[@]}"; do
    declare -F "stage_$stage" >/dev/null || {
        echo "Unknown stage: $stage; see tools/test.sh --help"
        exit 2
    }
done
[ ${#beside[@]} = 0 ] || run_beside "${beside[@]}"
for stage in "${stages[@]}"; do
    run_stage "$stage"
done
[ ${#notes[@]} = 0 ] || printf '%s\n' "${notes[@]}"
for what in "${broken[@]}"; do
    echo "FAILED: $what"
done
machine
line="$passed passed, $failed failed"
[ "$skipped" = 0 ] || line+=", $skipped skipped"
echo "$line"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
