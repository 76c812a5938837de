"""What runs inside a namespace: programs in another root, and a server there. Each script of it prints JSON, which the
test judges. It is started by `enter` of places.py, has loopback of its own, and all that it starts ends with it."""

import http.client
import json
import os
import re
import subprocess
import time

PATIENCE = 10
PORT = 8080


def layered(base, place):
    """A root whose changes are in memory, and gone afterwards."""
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    for name in ("changes", "work", "root"):
        (place / name).mkdir()
    options = f"lowerdir={base},upperdir={place}/changes,workdir={place}/work"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", place / "root"], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", place / "root/proc"], check=True)
    subprocess.run(["mount", "--bind", "/dev", place / "root/dev"], check=True)
    return place / "root"


class Root:
    """Another root folder. A user is two numbers: its own and its group's."""

    def __init__(self, path):
        self.path = path

    def _enter(self, user, folder):
        def enter():
            os.chroot(self.path)
            os.chdir(folder)
            if user is not None:
                os.setgroups([])
                os.setgid(user[1])
                os.setuid(user[0])

        return enter

    def start(self, *command, user=None, folder="/", env=None, **how):
        environment = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", **(env or {})}
        return subprocess.Popen(
            command, preexec_fn=self._enter(user, folder), env=environment, stdin=subprocess.DEVNULL, text=True, **how
        )

    def run(self, *command, **how):
        """The status, and what was said."""
        process = self.start(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **how)
        said, _ = process.communicate(timeout=60)
        return process.returncode, said

    def must(self, *command, **how):
        status, said = self.run(*command, **how)
        assert status == 0, f"{command}: {status}: {said}"
        return said

    def token(self, *arguments, user=None, **how):
        return self.must("/usr/bin/parlor", "token", "--user", "ada", *arguments, user=user, **how).split()[-1]


class Running:
    """A server that was started in a root."""

    def __init__(self, root, *command, **how):
        self._log = os.open("/dev/shm", os.O_TMPFILE | os.O_RDWR)
        self.process = root.start(*command, stdout=self._log, stderr=self._log, **how)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < deadline, f"it does not serve: {self.said()}"
            time.sleep(0.05)

    def said(self):
        return os.pread(self._log, 1 << 20, 0).decode()

    def call(self, method, path, token=None, body=None, port=PORT):
        """Status and content of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, path, body=json.dumps(body) if body else None, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def _answers(self):
        try:
            return self.call("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def say(self, token, text):
        """Stores a message."""
        assert self.call("PUT", "/api/v1/rooms/tea/members/ada", token)[0] == 200
        status, answer = self.call("POST", "/api/v1/rooms/tea/messages", token, {"text": text})
        assert status == 201, answer

    def history(self, token):
        status, answer = self.call("GET", "/api/v1/rooms/tea/messages?after=0", token)
        assert status == 200, answer
        return re.findall(r'"text":"([^"]*)"', answer)

    def stop(self):
        """SIGTERM; the status, and the seconds that it took."""
        begun = time.monotonic()
        self.process.terminate()
        return self.process.wait(PATIENCE), time.monotonic() - begun
