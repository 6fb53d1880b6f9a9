"""What the tests themselves are judged by. SPDX-License-Identifier: MIT"""
import pytest
from faults_load import kept


def times(*values):
    """A measure whose runs give these, of at most 1 second; and the list of runs that were made."""
    made = []

    def measure():
        made.append(values[len(made)])
        return [(made[-1], 1, "longest wait, s"), (0.1, 1, "p99, s")]
    return measure, made


def test_a_promise_is_kept_when_two_of_three_runs_keep_it():
    measure, made = times(0.5, 1.6, 0.7)
    kept(measure)
    assert made == [0.5, 1.6, 0.7]


def test_two_runs_that_agree_leave_the_third_out():
    measure, made = times(0.5, 0.7, 9)
    kept(measure)
    assert made == [0.5, 0.7]


@pytest.mark.parametrize("values", [(1.6, 1.6, 0.5), (0.5, 1.6, 1.6), (1.6, 0.5, 1.6)])
def test_one_good_run_of_three_keeps_no_promise(values):
    measure, _ = times(*values)
    with pytest.raises(AssertionError, match=r"OVER: longest wait, s: .*1\.6 of 1.*\nkept: p99, s"):
        kept(measure)


def test_a_run_with_a_limit_of_its_own_is_judged_by_it():
    runs = iter([(5, 10), (15, 10), (25, 30)])
    kept(lambda: [(*next(runs), "outage, s")])
