"""The limit to processor time, with clocks that the test turns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from optimind.pipeline import budget
from optimind.pipeline.budget import CpuBudget

SAVED_S = budget._SAVED_S
DEBT_S = budget._DEBT_S


class Machine:
    """A wall clock and the processor time of this process."""

    def __init__(self, cores: float) -> None:
        self.now_s = 1000.0
        self.used_s = 77.0
        self.budget = CpuBudget(cores, used_s=lambda: self.used_s, now_s=lambda: self.now_s)

    def work(self, cpu_s: float, threads: float = 1) -> None:
        self.used_s += cpu_s
        self.now_s += cpu_s / threads

    def idle(self, seconds: float) -> None:
        self.now_s += seconds


def test_work_may_begin_at_once_and_pauses_when_the_time_is_used() -> None:
    machine = Machine(cores=1)
    assert machine.budget.has_time()
    machine.work(2 * SAVED_S, threads=2)  # half of it is gained meanwhile
    assert machine.budget.has_time() is False
    machine.idle(0.01)
    assert machine.budget.has_time()


def test_what_others_in_the_process_use_counts_too() -> None:
    machine = Machine(cores=0.5)
    for _ in range(100):
        machine.work(0.1)  # decoding, on one core all the time
    assert not machine.budget.has_time()


def test_what_was_not_needed_is_not_saved_up_for_ever() -> None:
    machine = Machine(cores=2)
    machine.idle(86400)
    assert machine.budget.has_time()
    machine.used_s += 1.01 * SAVED_S
    assert not machine.budget.has_time()


def test_a_debt_is_waited_for() -> None:
    machine = Machine(cores=0.25)
    assert machine.budget.has_time()
    machine.used_s += SAVED_S + 1.0
    machine.idle(3.9)
    assert not machine.budget.has_time()
    machine.idle(0.2)
    assert machine.budget.has_time()


def test_a_debt_that_was_long_in_making_is_paid_back_in_part() -> None:
    machine = Machine(cores=0.5)
    assert machine.budget.has_time()
    for _ in range(60):
        machine.work(1.0, threads=4)  # a minute of four cores, for something else
        assert not machine.budget.has_time()
    machine.idle(0.99 * DEBT_S / 0.5)
    assert not machine.budget.has_time()
    machine.idle(0.02 * DEBT_S / 0.5)
    assert machine.budget.has_time()


def test_to_ask_costs_nothing() -> None:
    asked, silent = Machine(cores=1), Machine(cores=1)
    for machine in (asked, silent):
        machine.used_s += SAVED_S + 0.5
    for _ in range(50):
        asked.idle(0.009)
        asked.budget.has_time()
    silent.idle(0.45)
    assert asked.budget.has_time() is silent.budget.has_time() is False
    for machine in (asked, silent):
        machine.idle(0.06)
        assert machine.budget.has_time()


@given(
    cores=st.floats(0.1, 16),
    pieces=st.lists(
        st.tuples(st.floats(0, 0.5), st.floats(0.001, 3), st.sampled_from([1, 2, 4])), min_size=1, max_size=200
    ),
)
def test_no_more_than_the_cores_but_for_one_overdraft(cores: float, pieces: list[tuple[float, float, int]]) -> None:
    machine = Machine(cores)
    began_s, used_s = machine.now_s, machine.used_s
    largest_s = 0.0
    for idle_s, cpu_s, threads in pieces:
        machine.idle(idle_s)
        if machine.budget.has_time():
            machine.work(cpu_s, threads)
            largest_s = max(largest_s, cpu_s)
        allowed_s = cores * (machine.now_s - began_s) + SAVED_S + largest_s
        assert machine.used_s - used_s <= allowed_s + 1e-6


@given(cores=st.floats(0.1, 16), cpu_s=st.floats(0.001, 2))
def test_who_always_has_work_gets_all_of_it(cores: float, cpu_s: float) -> None:
    machine = Machine(cores)
    began_s, used_s = machine.now_s, machine.used_s
    for _ in range(3000):
        if machine.budget.has_time():
            machine.used_s += cpu_s  # by more cores than any machine has, in no time
        machine.idle(0.01)
    passed_s = machine.now_s - began_s
    # A piece begins at the next moment at which somebody asks: what is gained until then may find nothing to pay for.
    assert machine.used_s - used_s >= min(cores, cpu_s / 0.01) * (passed_s - 0.02) * 0.99 - cpu_s


def test_the_real_clocks_are_the_default() -> None:
    assert CpuBudget(1).has_time()
