"""Which cases the Autobahn testsuite has, and what counts as passed. Reads and writes nothing.

Strictly: the suite's verdict must be OK twice, for what was said (`behavior`) and for how it was
closed (`behaviorClose`). NON-STRICT, UNIMPLEMENTED and a case that did not run are failures. Three
cases end as INFORMATIONAL whatever happens; what parlor must do there is judged here.
"""

import re
from collections import Counter, namedtuple

#: A chapter: what it tests, and how many cases each of its sections has; 0 stands for no section.
#: The suite has no chapters 8 and 11.
CHAPTERS = {
    1: ("texts and binaries, each form of length", {1: 8, 2: 8}),
    2: ("pings and pongs", {0: 11}),
    3: ("reserved bits", {0: 7}),
    4: ("reserved opcodes", {1: 5, 2: 5}),
    5: ("fragments, control frames between them", {0: 20}),
    6: (
        "UTF-8, and that invalid text fails early",
        dict(enumerate((3, 4, 2, 4, 5, 11, 4, 2, 4, 3, 5, 8, 5, 10, 1, 3, 5, 5, 5, 7, 8, 34, 7), 1)),
    ),
    7: ("the closing handshake, codes and reasons", {1: 6, 3: 6, 5: 1, 7: 13, 9: 9, 13: 2}),
    9: (
        "up to 16 MiB, 65,537 fragments, round trips",
        {1: 6, 2: 6, 3: 9, 4: 9, 5: 6, 6: 6, 7: 6, 8: 6},
    ),
    10: ("a message in automatic fragments", {1: 1}),
    12: ("permessage-deflate, five kinds of data", dict.fromkeys(range(1, 6), 18)),
    13: ("permessage-deflate, its parameters", dict.fromkeys(range(1, 8), 18)),
}

#: Chapters that the subset has whole, and single cases of the others: the longest messages, the
#: most fragments, the smallest pieces; each kind of data, each set of parameters.
SUBSET_CHAPTERS = (1, 2, 3, 4, 5, 6, 7, 10)
SUBSET_CASES = """
    9.1.6 9.2.6 9.3.1 9.4.1 9.5.1 9.6.1 9.7.1 9.8.6
    12.1.3 12.1.10 12.1.12 12.2.5 12.3.5 12.4.5 12.5.5
    13.1.5 13.2.5 13.3.5 13.3.8 13.4.5 13.5.5 13.5.12 13.6.5 13.7.5
""".split()

INTRODUCTION = """# Conformance

The [Autobahn testsuite](https://github.com/crossbario/autobahn-testsuite) plays the other end of a WebSocket,
in good order and in every disorder it knows. parlor is examined as server (`examples/echo.rs`) and as client
(`examples/autobahn_client.rs`). A case passes if the suite says OK twice: of what was said and of how it was
closed. "Non-strict", "unimplemented" and a case that did not run are failures. `make autobahn` runs all of it;
it needs a Python 2.7, and says how to get one if there is none.

<!-- autobahn: begin -->
<!-- autobahn: end -->

To the cases 7.1.6, 7.13.1 and 7.13.2 the suite gives "informational", whatever happens. What parlor must do there is
judged by `tests/autobahn/judge.py`: 7.1.6, two texts, a Close and a Ping at once: both echoes whole, then the
Close, and nothing for the Ping behind it; 7.13.1 and 7.13.2, a Close with 5000 and with 65535: a Close with 1002.
"""

#: `word` is how the table counts it; `why` is None if it passed.
Verdict = namedtuple("Verdict", "case chapter word why report")


def of_chapter(chapter):
    for section, count in CHAPTERS[chapter][1].items():
        for number in range(1, count + 1):
            yield f"{chapter}.{section}.{number}" if section else f"{chapter}.{number}"


def all_cases():
    return [case for chapter in CHAPTERS for case in of_chapter(chapter)]


def subset():
    chosen = {case for chapter in SUBSET_CHAPTERS for case in of_chapter(chapter)}
    chosen.update(SUBSET_CASES)
    return [case for case in all_cases() if case in chosen]


def text_then_close(report):
    """7.1.6: 256 KiB of text, a short text, a Close and a Ping at once.

    The suite has no verdict as an end may handle the Close before it has echoed. parlor handles
    and answers in order: both echoes whole, then the Close; nothing for the Ping behind it.
    """
    frames = [entry for entry in report["wirelog"] if entry[0] == "RF"]
    heard = [(opcode, length) for _, (length, _), opcode, *_ in frames]
    if heard != [(1, 256 * 1024), (1, len("Hello World!")), (8, 2)]:
        return f"both texts and the Close were to come, in order; these came: {heard}"
    return closed_by(1000, report)


def code_out_of_range(report):
    """7.13.1, 7.13.2: a Close with code 5000 or 65535.

    The suite has no verdict as RFC 6455 §7.4.2 gives codes above 4999 no meaning. parlor takes
    them for codes that must not be sent: a Close with 1002, and nothing else.
    """
    if report["received"] or report["rxFrameStats"] != {"8": 1}:
        return "a single Close was to come"
    return closed_by(1002, report)


def closed_by(code, report):
    if report["remoteCloseCode"] != code:
        return f"a Close with {code} was to come, not with {report['remoteCloseCode']}"
    if not report["wasClean"]:
        return "the closing handshake was not completed"
    return None


#: The cases to which the suite gives INFORMATIONAL and nothing else (its case7_1_6.py,
#: case7_13_1.py, case7_13_2.py overwrite the verdict), with our own judgement of each.
INFORMATIONAL = {
    "7.1.6": text_then_close,
    "7.13.1": code_out_of_range,
    "7.13.2": code_out_of_range,
}


def judged(case, entry, report):
    """The verdict on a case, from its entry in index.json and its own report; each may be None."""

    def verdict(word, why=None):
        return Verdict(case, int(case.partition(".")[0]), word, why, report)

    if entry is None or report is None:
        return verdict("MISSING", "the case did not run, or has no report")
    behaviors = (entry["behavior"], entry["behaviorClose"])
    if (report["id"], report["behavior"], report["behaviorClose"]) != (case, *behaviors):
        return verdict("MISSING", "the case's report does not agree with the index")
    if case in INFORMATIONAL and behaviors == ("INFORMATIONAL", "INFORMATIONAL"):
        why = INFORMATIONAL[case](report)
        return verdict("FAILED", why) if why else verdict("informational")
    if behaviors == ("OK", "OK"):
        return verdict("OK")
    if behaviors[0] != "OK":
        return verdict(behaviors[0], report["result"])
    return verdict(f"CLOSE {behaviors[1]}", report["resultClose"])


def counted(verdicts):
    """How many there are of each word, those that passed first: "34 OK, 3 informational"."""
    counts = Counter(verdict.word for verdict in verdicts)
    first = ("OK", "informational")
    words = [word for word in first if word in counts]
    words += sorted(word for word in counts if word not in first)
    return ", ".join(f"{counts[word]} {word}" for word in words)


def details(verdict):
    """What the suite expected and what came, as lines."""
    report = verdict.report
    if report is None:
        return
    yield f"sent      {one_line(report['description'])}"
    yield f"wanted    {one_line(report['expectation'])}"
    for word, events in sorted(report["expected"].items()):
        yield f"expected  {word}: {told(events)}"
    yield f"received  {told(report['received'])}"
    closed = report["expectedClose"]
    codes = " or ".join(map(str, closed.get("closeCode", [])))
    by = "the suite" if closed.get("closedByMe") else "parlor"
    yield f"close     expected: {codes}, begun by {by}; verdict: {one_line(report['resultClose'])}"
    by = "the suite" if report["closedByMe"] else "parlor"
    code, reason = report["remoteCloseCode"], report["remoteCloseReason"]
    yield f"          received: {code}{f' {reason}' if reason else ''}, begun by {by}"


def one_line(text, limit=160):
    text = " ".join(re.sub(r"<[^>]*>", " ", str(text)).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def told(events):
    return one_line(", ".join(" ".join(map(str, event)) for event in events) or "nothing")


def table(verdicts, version):
    """The results of both roles in Markdown; `verdicts` by role."""
    lines = [
        "| chapter | what it tests | cases | parlor as server | parlor as client |",
        "| ---: | --- | ---: | --- | --- |",
    ]
    for chapter, (title, sections) in CHAPTERS.items():
        cells = [
            counted([verdict for verdict in verdicts[role] if verdict.chapter == chapter])
            for role in ("server", "client")
        ]
        count = sum(sections.values())
        lines.append(f"| {chapter} | {title} | {count} | {' | '.join(cells)} |")
    cells = [counted(verdicts[role]) for role in ("server", "client")]
    lines.append(f"| all | | {len(all_cases())} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Written by `python3 tests/autobahn/run.py --table`, with autobahntestsuite {version}.",
    ]
    return "\n".join(lines)


def with_table(text, verdicts, version):
    """`text` with the table between its marks."""
    begin, end = "<!-- autobahn: begin -->", "<!-- autobahn: end -->"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise SystemExit(f"docs/conformance.md has no marks {begin} and {end}")
    return f"{before}{begin}\n{table(verdicts, version)}\n{end}{after}"
