#!/usr/bin/env python3
"""Tests judge.py, without the suite: python3 tests/autobahn/test_judge.py"""

import unittest

import judge


def ran(case, behavior="OK", behavior_close="OK", **more):
    """A case's entry in the index, and its report."""
    entry = {"behavior": behavior, "behaviorClose": behavior_close}
    report = {"id": case, "result": "said", "resultClose": "closed", **entry, **more}
    return case, entry, report


def passes(case, *behaviors, **more):
    return judge.judged(*ran(case, *behaviors, **more)).why is None


def received(*frames):
    """The entries of a wire log for frames: opcode and length."""
    return [["RF", [length, "…"], opcode, True, 0, False, None] for opcode, length in frames]


NO_VERDICT = ("INFORMATIONAL", "INFORMATIONAL")
IN_ORDER = {"remoteCloseCode": 1000, "wasClean": True}
TEXTS = [(1, 262_144), (1, 12)]
REFUSED = {"remoteCloseCode": 1002, "wasClean": True, "received": [], "rxFrameStats": {"8": 1}}


class Judge(unittest.TestCase):
    def test_only_ok_twice_passes(self):
        self.assertTrue(passes("1.1.1"))
        for other in (
            "FAILED",
            "NON-STRICT",
            "WRONG CODE",
            "UNCLEAN",
            "FAILED BY CLIENT",
            "INFORMATIONAL",
            "UNIMPLEMENTED",
            "whatever a later version says",
        ):
            self.assertFalse(passes("1.1.1", other, "OK"), other)
            self.assertFalse(passes("1.1.1", "OK", other), other)
            self.assertFalse(passes("1.1.1", other, other), other)
            self.assertFalse(passes("7.1.6", other, "OK"), other)

    def test_a_case_without_entry_or_report_fails(self):
        case, entry, report = ran("1.1.1")
        self.assertEqual(judge.judged(case, None, None).word, "MISSING")
        self.assertEqual(judge.judged(case, entry, None).word, "MISSING")
        self.assertEqual(judge.judged("1.1.2", entry, report).word, "MISSING")
        other = {**entry, "behavior": "FAILED"}
        self.assertEqual(judge.judged(case, other, report).word, "MISSING")

    def test_a_text_before_a_close_must_be_echoed_whole_and_the_ping_behind_it_not_answered(self):
        def judged(*frames, **more):
            return passes("7.1.6", *NO_VERDICT, **{**IN_ORDER, **more}, wirelog=received(*frames))

        self.assertTrue(judged(*TEXTS, (8, 2)))
        self.assertFalse(judged((8, 2)))
        self.assertFalse(judged(TEXTS[0], (8, 2)))
        self.assertFalse(judged(*reversed(TEXTS), (8, 2)))
        self.assertFalse(judged(*TEXTS, (8, 2), (10, 0)))
        self.assertFalse(judged(*TEXTS, (10, 0), (8, 2)))
        self.assertFalse(judged(*TEXTS))
        self.assertFalse(judged(*TEXTS, (8, 2), wasClean=False))
        self.assertFalse(judged(*TEXTS, (8, 2), remoteCloseCode=1001))

    def test_a_code_out_of_range_must_be_refused_with_1002(self):
        for case in ("7.13.1", "7.13.2"):
            self.assertTrue(passes(case, *NO_VERDICT, **REFUSED))
            for wrong in (
                {"remoteCloseCode": 1000},
                {"remoteCloseCode": 5000},
                {"remoteCloseCode": None, "wasClean": False, "rxFrameStats": {}},
                {"wasClean": False},
                {"received": [["pong", ""]], "rxFrameStats": {"8": 1, "10": 1}},
            ):
                self.assertFalse(passes(case, *NO_VERDICT, **{**REFUSED, **wrong}), wrong)

    def test_there_are_517_cases_in_order(self):
        cases = judge.all_cases()
        self.assertEqual((len(cases), len(set(cases))), (517, 517))
        numbers = [tuple(map(int, case.split("."))) for case in cases]
        self.assertEqual(numbers, sorted(numbers))
        self.assertLess(set(judge.SUBSET_CASES), set(cases))

    def test_the_table_stands_between_its_marks_and_counts_failures(self):
        verdicts = [judge.judged(*ran(case)) for case in judge.all_cases()]
        verdicts[-1] = judge.judged(*ran("13.7.18", "UNIMPLEMENTED"))
        roles = {"server": verdicts, "client": verdicts}
        once = judge.with_table(f"{judge.INTRODUCTION}\nMore.\n", roles, "1")
        self.assertIn("| 126 | 125 OK, 1 UNIMPLEMENTED | 125 OK, 1 UNIMPLEMENTED |\n", once)
        self.assertIn("| 517 | 516 OK, 1 UNIMPLEMENTED |", once)
        self.assertTrue(once.startswith("# Conformance\n"))
        self.assertTrue(once.endswith("\nMore.\n"))
        self.assertEqual(judge.with_table(once, roles, "1"), once)
        with self.assertRaises(SystemExit):
            judge.with_table("no marks", roles, "1")


if __name__ == "__main__":
    unittest.main()
