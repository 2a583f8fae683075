"""Asks a pod with Triton's and KServe's own clients, unchanged.

    pod.py CONFIGURATION

CONFIGURATION is JSON: `http` and `grpc` (host:port), `model`, `version`, `warrant`, `load` and
`unload` (orders for `second`, the name of a model in the pod's store). Every check prints a line;
the first that fails ends it.
"""

import asyncio
import json
import queue
import subprocess
import sys

import numpy

# Both packages define the protocol's messages, and Python takes only one definition into a process:
# KServe's client runs in one of its own.
if sys.argv[2:] == ["kserve"]:
    from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
else:
    import tritonclient.grpc as triton_grpc
    import tritonclient.http as triton_http
    from tritonclient.utils import InferenceServerException

CONFIG = json.loads(sys.argv[1])
MODEL, SECOND = CONFIG["model"], CONFIG["second"]
HEADERS = {"Reeve-Warrant": CONFIG["warrant"]}
METADATA = {"reeve-warrant": CONFIG["warrant"]}
# Triton's client writes into the headers that it is given: each call gets its own.
TEXTS = ["where is parcel 3", "发票的金额不对", "", "the invoice shows a wrong amount"] * 8


def said(what):
    print(what, flush=True)


def check(condition, *seen):
    if not condition:
        raise AssertionError(seen)


def array(texts):
    return numpy.array([text.encode() for text in texts], dtype=numpy.object_)


def rows(labels, scores):
    labels = [[label.decode() if isinstance(label, bytes) else label for label in row] for row in labels]
    return [dict(zip(row, map(float, of))) for row, of in zip(labels, scores)]


def same(one, other):
    check(len(one) == len(other), len(one), len(other))
    for left, right in zip(one, other):
        check(left.keys() == right.keys(), left, right)
        check(all(abs(left[label] - right[label]) < 1e-5 for label in left), left, right)


def triton(module, client, headers, **form):
    tensor = module.InferInput("text", [len(TEXTS)], "BYTES")
    tensor.set_data_from_numpy(array(TEXTS), **form)
    answer = client.infer(MODEL, [tensor], headers=dict(headers), request_id="a-name")
    found = rows(answer.as_numpy("label"), answer.as_numpy("score"))
    check(answer.as_numpy("tokens").shape == (len(TEXTS),), answer.as_numpy("tokens"))
    return found


def refused(call, *expected):
    try:
        call()
    except InferenceServerException as error:
        check(any(word in str(error) for word in expected), error)
        return
    raise AssertionError("it was not refused")


def classes(module, client, headers):
    tensor = module.InferInput("text", [2], "BYTES")
    tensor.set_data_from_numpy(array(TEXTS[:2]))
    output = module.InferRequestedOutput("score", class_count=1)
    answer = client.infer(MODEL, [tensor], outputs=[output], headers=dict(headers))
    found = [row[0].decode().split(":") for row in answer.as_numpy("score")]
    check(all(len(one) == 3 and float(one[0]) > 0 for one in found), found)
    return [one[2] for one in found]


async def kserve():
    tensor = InferInput("text", [len(TEXTS)], "BYTES")
    tensor.set_data_from_numpy(array(TEXTS), binary_data=False)
    rest = InferenceRESTClient(RESTConfig(protocol="v2", retries=0, timeout=30))
    request = InferRequest(model_name=MODEL, infer_inputs=[tensor])
    base = f"http://{CONFIG['http']}"
    check(await rest.is_server_live(base) and await rest.is_server_ready(base))
    check(await rest.is_model_ready(base, MODEL))
    answer = await rest.infer(base, request, headers=dict(HEADERS), model_name=MODEL)
    outputs = {output.name: output.as_numpy() for output in answer.outputs}
    over_rest = rows(outputs["label"], outputs["score"])
    grpc = InferenceGRPCClient(CONFIG["grpc"], retries=0)
    check(await grpc.is_server_ready() and await grpc.is_model_ready(MODEL))
    answer = await grpc.infer(request, headers=list(METADATA.items()))
    outputs = {output.name: output.as_numpy() for output in answer.outputs}
    return over_rest, rows(outputs["label"], outputs["score"])


def main():
    http = triton_http.InferenceServerClient(CONFIG["http"])
    grpc = triton_grpc.InferenceServerClient(CONFIG["grpc"])
    check(http.is_server_live() and http.is_server_ready() and http.is_model_ready(MODEL))
    check(grpc.is_server_live() and grpc.is_server_ready() and grpc.is_model_ready(MODEL))
    check("statistics" in http.get_server_metadata()["extensions"])
    check(http.get_model_metadata(MODEL)["inputs"][0]["name"] == "text")
    check(grpc.get_model_metadata(MODEL).inputs[0].name == "text")
    said("metadata and health")

    binary = triton(triton_http, http, HEADERS, binary_data=True)
    same(binary, triton(triton_http, http, HEADERS, binary_data=False))
    same(binary, triton(triton_grpc, grpc, METADATA))
    kserve = subprocess.run([sys.executable, *sys.argv, "kserve"], check=True, stdout=subprocess.PIPE)
    over_rest, over_grpc = json.loads(kserve.stdout.splitlines()[-1])
    same(binary, over_rest)
    same(binary, over_grpc)
    said("the same answers from all")

    best = [max(row, key=row.get) for row in binary[:2]]
    check(classes(triton_http, http, HEADERS) == best)
    check(classes(triton_grpc, grpc, METADATA) == best)
    said("classification")

    answers = queue.Queue()
    grpc.start_stream(lambda result, error: answers.put((result, error)), headers=METADATA)
    for text in TEXTS[:4]:
        tensor = triton_grpc.InferInput("text", [1], "BYTES")
        tensor.set_data_from_numpy(array([text]))
        grpc.async_stream_infer(MODEL, [tensor])
    streamed = []
    for _ in range(4):
        result, error = answers.get(timeout=30)
        check(error is None, error)
        streamed += rows(result.as_numpy("label"), result.as_numpy("score"))
    grpc.stop_stream()
    same(binary[:4], streamed)
    said("a stream, in order")

    for module, client in [(triton_http, http), (triton_grpc, grpc)]:
        tensor = module.InferInput("text", [1], "BYTES")
        tensor.set_data_from_numpy(array(["a"]))
        refused(lambda: client.infer(MODEL, [tensor]), "a warrant is required")
        headers = HEADERS if module is triton_http else METADATA
        refused(lambda: client.infer("other", [tensor], headers=dict(headers)), "`other`")
        wrong = module.InferInput("ids", [1], "BYTES")
        wrong.set_data_from_numpy(array(["a"]))
        refused(lambda: client.infer(MODEL, [wrong], headers=dict(headers)), "`ids`")
    said("refusals")

    stats = http.get_inference_statistics(MODEL)["model_stats"][0]
    check(stats["inference_count"] >= len(TEXTS) and stats["execution_count"] > 0, stats)
    check(stats["inference_stats"]["success"]["count"] > 0, stats)
    check(stats["inference_stats"]["fail"]["count"] > 0, stats)
    check(sum(batch["compute_infer"]["count"] for batch in stats["batch_stats"]) == stats["execution_count"], stats)
    over_grpc = grpc.get_inference_statistics(MODEL).model_stats[0]
    check(over_grpc.inference_count == stats["inference_count"], over_grpc)
    said("statistics")

    def names(ready):
        over_grpc = grpc.get_model_repository_index().models
        listed = {one["name"] for one in http.get_model_repository_index() if one["state"] == "READY" or not ready}
        check(listed == {one.name for one in over_grpc if one.state == "READY" or not ready})
        return listed

    check(names(True) == {MODEL}, names(True))
    refused(lambda: http.load_model(SECOND), "an order is required")
    refused(lambda: grpc.load_model(SECOND), "an order is required")
    refused(lambda: http.load_model(MODEL, headers={"Reeve-Order": CONFIG["load"]}), "another model")
    http.load_model(SECOND, headers={"Reeve-Order": CONFIG["load"]})
    check(names(True) == {MODEL, SECOND} and http.is_model_ready(SECOND))
    http.unload_model(SECOND, headers={"Reeve-Order": CONFIG["unload"]})
    check(names(True) == {MODEL}, names(True))
    grpc.load_model(SECOND, headers={"reeve-order": CONFIG["load"]})
    check(grpc.is_model_ready(SECOND))
    grpc.unload_model(SECOND, headers={"reeve-order": CONFIG["unload"]})
    check(names(True) == {MODEL}, names(True))
    said("repository")


if sys.argv[2:] == ["kserve"]:
    print(json.dumps(asyncio.run(kserve())))
else:
    main()
