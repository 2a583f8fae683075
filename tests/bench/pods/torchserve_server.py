"""TorchServe with its own batching: `torchserve_server.py PORT PRECISION`. Needs a Java runtime."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import zipfile

HANDLER = '''
import model

network = None


def handle(data, context):
    global network
    if network is None:
        network = model.load("torch", "{precision}")
    if data is None:
        return None
    rows = [(one.get("body") or one.get("data"))["ids"] for one in data]
    return [{{"scores": scores}} for scores in network(rows)]
'''


# It would write several lines for each call.
LOGGING = """<Configuration><Appenders><Console name="out"/></Appenders>
<Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers></Configuration>"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    port, precision = sys.argv[1:]
    here = pathlib.Path(__file__).parent
    home = pathlib.Path(tempfile.mkdtemp(prefix="torchserve-"))
    manifest = {
        "createdOn": "",
        "runtime": "python",
        "model": {"modelName": "article", "handler": "handler.py", "modelVersion": "1.0"},
        "archiverVersion": "0.12.0",
    }
    with zipfile.ZipFile(home / "article.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.writestr("handler.py", HANDLER.format(precision=precision))
        archive.write(here / "model.py", "model.py")
    served = {
        "defaultVersion": True,
        "marName": "article.mar",
        "minWorkers": 1,
        "maxWorkers": 1,
        "batchSize": 32,
        "maxBatchDelay": 2,
        "responseTimeout": 60,
    }
    settings = {
        "inference_address": f"http://127.0.0.1:{port}",
        "management_address": f"http://127.0.0.1:{free_port()}",
        "metrics_address": f"http://127.0.0.1:{free_port()}",
        "grpc_inference_port": free_port(),
        "grpc_management_port": free_port(),
        "disable_token_authorization": "true",
        "enable_envvars_config": "false",
        "model_store": home,
        "load_models": "article.mar",
        "models": json.dumps({"article": {"1.0": served}}),
        "job_queue_size": 1000,
    }
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    (home / "config.properties").write_text("".join(lines))
    (home / "log4j2.xml").write_text(LOGGING)
    os.environ["LOG_LOCATION"] = os.environ["METRICS_LOCATION"] = str(home)
    os.chdir(home)
    program = pathlib.Path(sys.executable).with_name("torchserve")
    arguments = ["--start", "--foreground", "--ncs", "--disable-token-auth"]
    arguments += ["--ts-config", str(home / "config.properties"), "--model-store", str(home)]
    arguments += ["--log-config", str(home / "log4j2.xml")]
    # What is told to end would leave the Java runtime behind.
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    sys.exit(subprocess.call([str(program), *arguments]))


if __name__ == "__main__":
    main()
