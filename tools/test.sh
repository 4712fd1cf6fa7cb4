#!/bin/bash
# Set up this machine and test.
#
# usage: tools/test.sh [--all | STAGE ...]
#   without arguments: style, unit and functional tests, documentation
#   --all              these, Nova's own tests with our driver in place of
#                      its own, and the end-to-end tests on the lab cloud
#   STAGE              pep8 py3 functional docs releasenotes genconfig
#                      upstream e2e
#
# Ends with a line "N passed, N failed" (", N skipped" where some were) that
# adds up what ran: each test, and each check of the other stages.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
passed=0 failed=0 skipped=0
broken=()

case ${1:-} in
-h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit ;;
--all) stages=(pep8 py3 functional docs releasenotes genconfig upstream e2e) ;;
'') stages=(pep8 py3 functional docs releasenotes genconfig) ;;
*) stages=("$@") ;;
esac

# One check of a stage: a command that is silent and 0 when all is well.
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

# Tests below a folder, by stestr; its counts are added to ours.
tests() {
    local folder=$1 counts
    shift
    # stestr's workers run what PYTHON names, which for us chooses the
    # interpreter of a new .venv.
    PYTHON=$PWD/$bin/python OS_TEST_PATH=$folder \
        $bin/python -m stestr run "$@"
    # The stream of the last run is the truth, not the exit status: a
    # worker that dies or a module that does not import is in it too.
    if counts=$($bin/python -m stestr last --subunit |
        $bin/python tools/count_tests.py); then
        read -r p f s <<<"$counts"
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
        [ "$f" = 0 ] || broken+=("$folder: $f")
    else
        failed=$((failed + 1))
        broken+=("$folder: no test ran")
    fi
}

stage_pep8() {
    check 'ruff check' $bin/ruff check .
    check 'ruff format' $bin/ruff format --check .
    check 'mypy' $bin/mypy
    check 'bandit' $bin/bandit -q -r -c pyproject.toml nova_isolation nova \
        lab tools
    check 'codespell' $bin/codespell
    check 'bash -n' bash -n tools/*.sh .ci/run
}

stage_py3() { tests ./tests/unit; }

stage_functional() { tests ./tests/functional; }

stage_upstream() { tests ./tests/upstream; }

stage_docs() {
    check 'documentation' $bin/sphinx-build -q -W -b html doc/source \
        doc/build/html
}

stage_releasenotes() {
    check 'reno lint' $bin/reno lint
    check 'release notes' $bin/sphinx-build -q -W -b html \
        releasenotes/source releasenotes/build/html
}

# The sample in the tree is the one that the options make.
stage_genconfig() {
    local config=etc/nova-isolation/config-generator.conf fresh
    fresh=$(mktemp)
    check 'sample configuration generated' $bin/oslo-config-generator \
        --config-file $config --output-file "$fresh"
    check 'sample configuration up to date' diff -u \
        etc/nova-isolation/nova-isolation.conf.sample "$fresh"
    rm -f "$fresh"
}

stage_e2e() {
    # One worker: the tests share one cloud of one machine.
    tests ./tests/e2e --concurrency 1
}

tools/setup.sh || exit 1
for stage in "${stages[@]}"; do
    declare -F "stage_$stage" >/dev/null || {
        echo "there is no stage $stage; see tools/test.sh --help"
        exit 2
    }
    printf '== %s\n' "$stage"
    start=$SECONDS
    "stage_$stage"
    printf '== %s took %d s\n' "$stage" $((SECONDS - start))
done
for what in "${broken[@]}"; do
    echo "FAILED: $what"
done
line="$passed passed, $failed failed"
[ "$skipped" = 0 ] || line+=", $skipped skipped"
echo "$line"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
