"""The image's root file system, run as a container's: read-only but for the volume, by nobody, without a right.
Arguments: the root, a folder for the volume, the image's description (JSON)."""

import json
import subprocess
import sys
from pathlib import Path

from inside import Root, Running

path, volume, described = sys.argv[1:]
config = json.loads(Path(described).read_text())["config"]
user = [int(number) for number in config["User"].split(":")]
root = Root(path)
how = {"user": user, "folder": config["WorkingDir"]}
# A disk of its own, or the server would say how full the machine's is.
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", volume], check=True)
# As a volume that is mounted the first time: with the owner and mode of the folder in the image.
place = Path(path) / next(iter(config["Volumes"])).lstrip("/")
Path(volume).chmod(place.stat().st_mode & 0o777)
subprocess.run(["chown", f"--reference={place}", volume], check=True)
subprocess.run(["mount", "--bind", path, path], check=True)
subprocess.run(["mount", "--bind", volume, place], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)

told = {"readOnly": True, "folders": sorted(str(one.relative_to(path)) for one in Path(path).rglob("*") if one.is_dir())}
try:
    (Path(path) / "written").touch()
    told["readOnly"] = False
except OSError:
    pass
command = [*config["Entrypoint"], *config["Cmd"]]
secret = {"PARLOR_SECRET": "a secret for tests, of more than 32 bytes"}
told["withoutSecret"] = root.run(*command, **how)
told["asRoot"] = root.run(*command, folder=config["WorkingDir"], env=secret)
server = Running(root, *command, **how, env=secret)
told["rights"] = [line for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines() if line.startswith("CapEff")]
check = config["Healthcheck"]["Test"]
assert check[0] == "CMD"
told["health"], told["healthSaid"] = root.run(*check[1:], **how, env=secret)
token = root.token(**how, env=secret)
server.say(token, "kept")
told["backup"] = root.run("/usr/bin/parlor", "data", "backup", "/var/lib/parlor/backup.db", "--data", "/var/lib/parlor", **how)
told["metrics"] = server.call("GET", "/metrics", port=9090)[0]
told["metricsInPublic"] = server.call("GET", "/metrics")[0]
told["stopped"] = server.stop()
told["healthStopped"] = root.run(*check[1:], **how, env=secret)[0]
server = Running(root, *command, **how, env=secret)
told["history"] = server.history(token)
server.stop()
told["warnings"] = [line for line in server.said().splitlines() if " WARN " in line or " ERROR " in line]
print(json.dumps(told))
