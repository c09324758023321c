"""The units of timers, as text."""

from __future__ import annotations

import plistlib

import pytest

from gluerun.core.timers import SPANS, Job, launchd_agent, span_of, systemd_units
from gluerun.records.record import replace

JOB = Job(
    name="gluerun-shop-1",
    root="/home/ann/my shop",
    argv=("/opt/py 3/python", "-P", "-m", "gluerun", "reconcile", "--actuate"),
    path="/usr/bin:/bin",
    every=300,
    log="/home/ann/my shop/.gluerun-state/timer.log",
)


def lines(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


def test_a_timer_makes_up_for_what_was_missed_and_leaves_workers_alive():
    units = systemd_units(JOB)

    assert list(units) == ["gluerun-shop-1.service", "gluerun-shop-1.timer"]
    service, timer = (lines(text) for text in units.values())
    assert (service["Type"], service["KillMode"], service["SuccessExitStatus"]) == ("oneshot", "process", "75")
    assert service["ExecStart"] == '"/opt/py 3/python" "-P" "-m" "gluerun" "reconcile" "--actuate"'
    assert service["WorkingDirectory"] == "/home/ann/my shop"
    assert (timer["Persistent"], timer["OnCalendar"]) == ("true", "*-*-* *:0/5:00")


def test_a_resident_loop_is_started_again_when_it_fails():
    (text,) = systemd_units(replace(JOB, every=0)).values()

    assert (lines(text)["Type"], lines(text)["Restart"]) == ("exec", "on-failure")
    assert "WantedBy=default.target" in text


def test_what_systemd_would_read_as_its_own_is_escaped():
    odd = replace(JOB, root="/home/100%n", argv=("/a$b", 'say "x"', "c\\d", "50%"))

    service = lines(systemd_units(odd)["gluerun-shop-1.service"])

    assert service["WorkingDirectory"] == "/home/100%%n"
    assert service["ExecStart"] == '"/a$$b" "say \\"x\\"" "c\\\\d" "50%%"'


def test_launchd_leaves_workers_alive():
    agent = plistlib.loads(plistlib.dumps(launchd_agent(JOB)))

    assert agent["AbandonProcessGroup"] is True
    assert (agent["StartInterval"], agent["ProgramArguments"]) == (300, list(JOB.argv))
    assert launchd_agent(replace(JOB, every=0))["KeepAlive"] == {"SuccessfulExit": False}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1min", 60), ("5m", 300), (" 15min ", 900), ("2h", 7200), ("1d", 86_400), ("60s", 60), ("10", 600)],
)
def test_a_span_is_read(text, seconds):
    assert span_of(text) == seconds


@pytest.mark.parametrize("text", ["7min", "0min", "30s", "1w", "min", "", "-5min", "1.5h", "٣min", "2 h h"])
def test_a_span_that_no_calendar_can_say_is_refused(text):
    with pytest.raises(ValueError, match="no span"):
        span_of(text)


@pytest.mark.parametrize("every", SPANS)
def test_every_span_divides_an_hour_or_a_day(every):
    assert 3600 % every == 0 or (every % 3600 == 0 and 86_400 % every == 0)
