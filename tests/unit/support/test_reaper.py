#!/usr/bin/env python3
"""Lets tests leave processes behind, time out and crash: nothing of them may live on, and who
leaves something behind fails.

Usage: test_reaper.py <kv_reaper>
"""
import os
import signal
import subprocess
import sys
import time
import unittest

REAPER = sys.argv.pop(1)
PATIENCE = 60  # seconds; all of it only where something lives on
# In a session of its own, ended by no gentle signal, its parent is gone; it says its number.
STRAY = "setsid sh -c 'trap \"\" TERM HUP INT; echo $$; while :; do sleep 600; done' &"


def lives(pid):
    """A zombie is none of ours: whoever inherits it takes it."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid):
    end = time.monotonic() + PATIENCE
    while lives(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not lives(pid)


def run(script, seconds="0"):
    return subprocess.run([REAPER, seconds, "sh", "-c", script], capture_output=True, text=True,
                          timeout=PATIENCE, check=False)


class Reaper(unittest.TestCase):
    def test_the_status_is_the_commands(self):
        self.assertEqual(run("exit 0").returncode, 0)
        self.assertEqual(run("exit 7").returncode, 7)
        self.assertEqual(run("kill -SEGV $$").returncode, -signal.SIGSEGV)
        self.assertEqual(run("kill -KILL $$").returncode, -signal.SIGKILL)
        self.assertEqual(run("kill -TERM $$").returncode, -signal.SIGTERM)
        self.assertEqual(run("kill -HUP $$").returncode, -signal.SIGHUP)
        for arguments, status in ((["/no/such/program"], 127), ([], 2)):
            done = subprocess.run([REAPER, "0", *arguments], capture_output=True, check=False)
            self.assertEqual(done.returncode, status)

    def test_what_is_left_behind_is_ended_and_a_failure(self):
        for name, status in (("exit 0", 1), ("exit 7", 7)):
            with subprocess.Popen([REAPER, "0", "sh", "-c", f"{STRAY} {STRAY} read go; {name}"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as it:
                strays = [int(it.stdout.readline()) for _ in range(2)]
                said = it.communicate("go\n", PATIENCE)[1]
            self.assertEqual(it.returncode, status, said)
            for pid in strays:
                self.assertFalse(lives(pid))
                self.assertIn(f"left behind: {pid} sh -c", said)

    def test_who_ends_in_time_is_not_left_behind(self):
        done = run("(sleep 1; echo late) & exit 0", str(PATIENCE))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "late\n", ""))

    def test_nothing_outlives_a_test_that_is_killed(self):
        for number in (signal.SIGKILL, signal.SIGTERM):
            with subprocess.Popen([REAPER, "0", "sh", "-c", f"{STRAY} echo $$; sleep 600"],
                                  stdout=subprocess.PIPE, text=True) as it:
                pids = [int(it.stdout.readline()) for _ in range(2)]
                self.assertTrue(all(map(lives, pids)))
                it.send_signal(number)
                self.assertEqual(it.wait(PATIENCE), -number)
                for pid in pids:
                    self.assertTrue(gone(pid), f"{pid} outlives {number!r}")

    def test_nor_one_whose_terminal_has_gone(self):
        with subprocess.Popen([REAPER, "0", "sh", "-c", f"{STRAY} echo $$; sleep 600"],
                              stdout=subprocess.PIPE, text=True, start_new_session=True) as it:
            pids = [int(it.stdout.readline()) for _ in range(2)]
            os.killpg(it.pid, signal.SIGHUP)
            self.assertEqual(it.wait(PATIENCE), -signal.SIGHUP)
            for pid in pids:
                self.assertTrue(gone(pid), f"{pid} outlives its terminal")

    def test_nor_one_whose_runner_is_killed(self):
        script = f'"{REAPER}" 0 sh -c \'sh -c "echo $$; sleep 600"; true\'; true'
        with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as it:
            pid = int(it.stdout.readline())
            it.kill()
            self.assertTrue(gone(pid))

    def test_orphans_are_taken_at_once(self):
        """As the first process of a system would: who asks whether one has ended is told."""
        done = run("pid=$(sh -c 'sleep 0.2 >/dev/null & echo $!'); for i in $(seq 600); do "
                   "kill -0 $pid 2>/dev/null || exit 0; sleep 0.1; done; exit 3", str(PATIENCE))
        self.assertEqual(done.returncode, 0)

    def test_signals_reach_the_command_as_ever(self):
        done = run("trap 'exit 5' INT; kill -INT $$; exit 6")
        self.assertEqual(done.returncode, 5)
        self.assertEqual(run("grep -c '^SigBlk:.*0000$' /proc/self/status").stdout, "1\n")


if __name__ == "__main__":
    unittest.main()
