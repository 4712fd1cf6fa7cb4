"""Tests on a real OpenStack: the lab's, with real guests.

Run them with ``OS_TEST_PATH=./tests/e2e`` and one worker: all share one
cloud. It is the one whose state folder LAB_STATE names, else one that is
started at the first test and stopped at the end.
"""
