"""Bounds every test in time, and shows what the servers said when one fails."""

import contextlib
import itertools
import os
import signal

import pytest

import harness

SECONDS = 30


def pytest_configure(config):
    config.addinivalue_line("markers", "seconds(n): the test may take so long (default 30)")
    config.addinivalue_line("markers", "one_thread: not run by make threads, as each thread has its part of what it counts")
    config.addinivalue_line("markers", "plain: not run over TLS by make tls")


@pytest.fixture
def root():
    """For the tests that start a server as another user."""
    if os.geteuid() != 0:
        pytest.fail("this test needs root: only root becomes another user; run the tests as root", pytrace=False)


@pytest.fixture(autouse=True)
def bounded_in_time(request):
    marker = request.node.get_closest_marker("seconds")
    seconds = marker.args[0] if marker else SECONDS

    def too_long(*_):
        raise TimeoutError(f"the test took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def servers():
    """Starts servers for one test: `servers.parlor(...)`, `servers.echo()`; ends them after it."""
    with harness.Servers() as started:
        yield started


@pytest.fixture(scope="module")
def module_servers():
    """As `servers`, for all tests of a file."""
    with harness.Servers() as started:
        yield started


@pytest.fixture(scope="module")
def server(module_servers):
    """A chat server in open mode with roomy limits, for all tests of a file."""
    return module_servers.parlor()


@pytest.fixture
def chat(server):
    """Opens connections for one test: `chat("ada")`, to `server` or to `at=`."""
    with contextlib.ExitStack() as opened:

        def open_one(user=None, at=None, **how):
            return opened.enter_context(harness.Chat(at or server, user, **how))

        yield open_one


_numbers = itertools.count(1)


@pytest.fixture
def name():
    """Names that no other test of the file has: `name("room")`."""
    return lambda word: f"{word}-{next(_numbers)}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for server in harness.Server.of_last_test():
            said = server.output()
            if said:
                report.sections.append((f"{server} said", said[-8_000:]))
