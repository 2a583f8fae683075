"""Calls a running Reeve with other people's clients, each from its own package and unchanged.

    clients.py CONFIGURATION

CONFIGURATION is JSON: where the gateway is, keys, which scene is set, `open` (all is well) or `closed`
(the region's only pod is gone), and whether KServe's clients call or the others: the messages that
kserve and tritonclient bring along for gRPC have the same names, so that one process cannot load both.
Every check prints a line; the first that fails ends it.
"""

import asyncio
import concurrent.futures
import json
import sys

import grpc
import httpx
import numpy
import openai
import tritonclient.http as triton_http
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from tritonclient.utils import InferenceServerException

CONFIG = json.loads(sys.argv[1])
if CONFIG["kserve"]:
    from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
else:
    import tritonclient.grpc as triton_grpc

GATEWAY, GRPC, MODEL = CONFIG["gateway"], CONFIG["grpc"], CONFIG["model"]
PLACE = GATEWAY.removeprefix("http://")
KEYS = CONFIG["keys"]
DENIED = {"Reeve-Purpose": "social-scoring"}
TEXTS = ["my parcel never came", "我要退款，请尽快处理", "the app crashes when I sign in", ""]
MANY = [f"parcel {n} did not arrive / 包裹没有到" for n in range(1000)]


def said(what):
    print(what, flush=True)


def check(condition, *seen):
    if not condition:
        raise AssertionError(seen)


def close(one, other):
    return abs(one - other) < 1e-6


class Client:
    """One client: `best` asks for texts' best labels and their scores; `status` reads what went wrong."""

    name = ""

    def best(self, texts, key, headers=None):
        raise NotImplementedError

    def status(self, error):
        raise NotImplementedError

    def failing(self, texts, key, headers=None):
        try:
            answer = self.best(texts, key, headers)
        except Exception as error:  # noqa: BLE001: every client has its own
            return self.status(error)
        raise AssertionError(f"{self.name}: answered: {answer}")


class HuggingFace(Client):
    name = "huggingface_hub"

    def best(self, texts, key, headers=None):
        client = InferenceClient(
            model=f"{GATEWAY}/models/{MODEL}", token=key, headers=headers, timeout=20
        )
        best = []
        for text in texts:
            labels = client.text_classification(text, top_k=2)
            check(len(labels) == 2 and labels[0].score >= labels[1].score, labels)
            best.append((labels[0].label, labels[0].score))
        return best

    def status(self, error):
        check(isinstance(error, HfHubHTTPError), repr(error))
        return error.response.status_code


class OpenAi(Client):
    name = "openai"

    def client(self, key, retries=0):
        return openai.OpenAI(api_key=key, base_url=f"{GATEWAY}/v1", max_retries=retries)

    def best(self, texts, key, headers=None, retries=0):
        client = self.client(key, retries)
        answer = client.moderations.create(model=MODEL, input=texts, extra_headers=headers)
        check(answer.id.startswith("dec_"), answer.id)
        best = []
        for result in answer.results:
            scores = result.category_scores.model_extra
            label = max(scores, key=scores.get)
            check(result.categories.model_extra[label] == (scores[label] >= 0.5), result)
            best.append((label, scores[label]))
        return best

    def status(self, error):
        check(isinstance(error, openai.APIStatusError), repr(error))
        check(error.code and error.body["decision_id"].startswith("dec_"), error.body)
        return error.status_code


class Vllm(Client):
    """vLLM has no client of its own; its users call it with this one."""

    name = "openai, vLLM's classify"

    def best(self, texts, key, headers=None):
        client = openai.OpenAI(api_key=key, base_url=f"{GATEWAY}/vllm/v1", max_retries=0)
        body = {"model": MODEL, "input": texts}
        options = {"headers": headers} if headers else {}
        answer = client.post("/classify", body=body, cast_to=object, options=options)
        check(answer["object"] == "list" and answer["usage"]["prompt_tokens"] > 0, answer)
        check([item["index"] for item in answer["data"]] == list(range(len(texts))), answer)
        for item in answer["data"]:
            check(len(item["probs"]) == item["num_classes"], item)
            check(abs(sum(item["probs"]) - 1) < 1e-3, item)
        return [(item["label"], max(item["probs"])) for item in answer["data"]]

    def status(self, error):
        check(isinstance(error, openai.APIStatusError), repr(error))
        check(error.body["code"] == error.status_code, error.body)
        return error.status_code


class Tei(Client):
    """text-embeddings-inference is called without a package too."""

    name = "httpx, text-embeddings-inference's predict"

    def best(self, texts, key, headers=None):
        auth = {"Authorization": f"Bearer {key}", **(headers or {})}
        asked = httpx.Client(base_url=GATEWAY, headers=auth, timeout=20)
        one = asked.post("/predict", json={"inputs": texts[0]}).raise_for_status().json()
        rows = asked.post(f"/tei/{MODEL}/predict", json={"inputs": [[text] for text in texts]})
        rows = rows.raise_for_status().json()
        check(rows[0][0]["label"] == one[0]["label"], rows[0], one)
        return [(row[0]["label"], row[0]["score"]) for row in rows]

    def status(self, error):
        body = error.response.json()
        check(body["error"] and body["error_type"], body)
        return error.response.status_code


class TritonHttp(Client):
    def __init__(self, binary):
        self.binary = binary
        self.name = f"tritonclient.http, {'binary' if binary else 'JSON'}"

    def best(self, texts, key, headers=None):
        auth = {"Authorization": f"Bearer {key}", **(headers or {})}
        with triton_http.InferenceServerClient(PLACE) as client:
            text = triton_http.InferInput("text", [len(texts)], "BYTES")
            data = numpy.array([text.encode() for text in texts], dtype=numpy.object_)
            text.set_data_from_numpy(data, binary_data=self.binary)
            wanted = [
                triton_http.InferRequestedOutput(name, binary_data=self.binary)
                for name in ("label", "score")
            ]
            # Without outputs this client asks for all of them as bytes.
            answer = client.infer(MODEL, [text], outputs=wanted if not self.binary else None, headers=auth)
            label, score = answer.as_numpy("label"), answer.as_numpy("score")
            check(label.shape == score.shape and label.shape[0] == len(texts), label.shape)
            first = label[:, 0]
            labels = [one.decode() if isinstance(one, bytes) else one for one in first]
            if key == KEYS["good"] and not headers:
                self.rest(client, auth, text)
            return list(zip(labels, map(float, score[:, 0]), strict=True))

    def rest(self, client, auth, text):
        check(client.is_server_live() and client.is_server_ready())
        check(client.is_model_ready(MODEL, headers=auth))
        check(not client.is_model_ready("unknown", headers=auth))
        check(client.get_server_metadata()["name"] == "reeve")
        metadata = client.get_model_metadata(MODEL, headers=auth)
        check(metadata["inputs"][0]["name"] == "text", metadata)
        index = client.get_model_repository_index(headers=auth)
        check({"name": MODEL, "state": "READY"}.items() <= index[0].items(), index)
        classes = triton_http.InferRequestedOutput("score", binary_data=self.binary, class_count=2)
        answer = client.infer(MODEL, [text], model_version="1", outputs=[classes], headers=auth)
        first = answer.as_numpy("score")[0][0]
        first = first.decode() if isinstance(first, bytes) else first
        score, index, label = first.split(":")
        check(0 <= float(score) <= 1 and index.isdigit() and label, first)

    def status(self, error):
        check(isinstance(error, InferenceServerException) and error.message(), repr(error))
        return int(error.status())


STATUS = {
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
}


class TritonGrpc(Client):
    name = "tritonclient.grpc"

    def best(self, texts, key, headers=None):
        auth = {"authorization": f"Bearer {key}"}
        auth |= {name.lower(): value for name, value in (headers or {}).items()}
        with triton_grpc.InferenceServerClient(GRPC) as client:
            text = triton_grpc.InferInput("text", [len(texts)], "BYTES")
            text.set_data_from_numpy(numpy.array([text.encode() for text in texts], dtype=numpy.object_))
            answer = client.infer(MODEL, [text], request_id="7", headers=auth)
            check(answer.get_response().id == "7")
            label, score = answer.as_numpy("label"), answer.as_numpy("score")
            if key == KEYS["good"] and not headers:
                check(client.is_server_live() and client.is_server_ready())
                check(client.is_model_ready(MODEL, headers=auth))
                metadata = client.get_model_metadata(MODEL, headers=auth)
                check(metadata.inputs[0].name == "text", metadata)
                index = client.get_model_repository_index(headers=auth)
                check(index.models[0].name == MODEL, index)
            return [(one.decode(), float(at)) for one, at in zip(label[:, 0], score[:, 0], strict=True)]

    def status(self, error):
        check(isinstance(error, InferenceServerException) and error.message(), repr(error))
        return STATUS[getattr(grpc.StatusCode, error.status().removeprefix("StatusCode."))]


class KServeV1(Client):
    name = "kserve, v1"

    def best(self, texts, key, headers=None):
        return asyncio.run(self.ask(texts, {"Authorization": f"Bearer {key}", **(headers or {})}))

    async def ask(self, texts, headers):
        async with InferenceRESTClient(RESTConfig(protocol="v1", retries=0)) as client:
            answer = await client.infer(GATEWAY, {"instances": texts}, model_name=MODEL, headers=headers)
            check(await client.is_server_live(GATEWAY))
            check(await client.is_model_ready(GATEWAY, MODEL, headers=headers))
            return [(one["label"], one["score"]) for one in answer["predictions"]]

    def status(self, error):
        check(isinstance(error, httpx.HTTPStatusError), repr(error))
        check(error.response.json()["error"] in str(error), str(error))
        return error.response.status_code


class KServeV2(KServeV1):
    name = "kserve, v2"

    async def ask(self, texts, headers):
        async with InferenceRESTClient(RESTConfig(protocol="v2", retries=0)) as client:
            text = InferInput("text", [len(texts)], "BYTES")
            text.set_data_from_numpy(
                numpy.array([text.encode() for text in texts], dtype=numpy.object_), binary_data=True
            )
            asked = InferRequest(MODEL, [text], request_id="7")
            answer = await client.infer(GATEWAY, asked, model_name=MODEL, headers=dict(headers))
            check(answer.id == "7", answer.id)
            check(await client.is_server_ready(GATEWAY) and await client.is_server_live(GATEWAY))
            check(await client.is_model_ready(GATEWAY, MODEL, headers=headers))
            outputs = {output.name: output for output in answer.outputs}
            columns = outputs["label"].shape[1]
            label, score = outputs["label"].data[::columns], outputs["score"].data[::columns]
            return list(zip(label, score, strict=True))


class KServeGrpc(Client):
    name = "kserve, gRPC"

    def best(self, texts, key, headers=None):
        metadata = [("authorization", f"Bearer {key}")]
        metadata += [(name.lower(), value) for name, value in (headers or {}).items()]
        return asyncio.run(self.ask(texts, metadata))

    async def ask(self, texts, metadata):
        async with InferenceGRPCClient(GRPC, retries=0) as client:
            text = InferInput("text", [len(texts)], "BYTES")
            text.set_data_from_numpy(
                numpy.array([text.encode() for text in texts], dtype=numpy.object_), binary_data=False
            )
            asked = InferRequest(MODEL, [text], request_id="7")
            answer = await client.infer(asked, headers=metadata)
            check(await client.is_server_ready() and await client.is_server_live())
            check(await client.is_model_ready(MODEL, headers=metadata))
            outputs = {output.name: output.as_numpy() for output in answer.outputs}
            pairs = zip(outputs["label"][:, 0], outputs["score"][:, 0], strict=True)
            return [(one.decode() if isinstance(one, bytes) else one, float(at)) for one, at in pairs]

    def status(self, error):
        check(isinstance(error, grpc.RpcError) and error.details(), repr(error))
        return STATUS[error.code()]


OTHERS = [HuggingFace(), OpenAi(), Vllm(), Tei(), TritonHttp(True), TritonHttp(False), TritonGrpc()]
CLIENTS = [KServeV1(), KServeV2(), KServeGrpc()] if CONFIG["kserve"] else OTHERS


def expected(texts):
    answer = httpx.post(
        f"{GATEWAY}/v1/classify",
        headers={"Authorization": f"Bearer {KEYS['good']}"},
        json={"model": MODEL, "input": texts},
        timeout=20,
    )
    results = answer.raise_for_status().json()["results"]
    return [(result["label"], result["score"]) for result in results]


def same(seen, wanted):
    check(len(seen) == len(wanted), len(seen), len(wanted))
    for one, other in zip(seen, wanted, strict=True):
        check(one[0] == other[0] and close(one[1], other[1]), one, other)


def open_scene():
    wanted, many = expected(TEXTS), expected(MANY)
    for client in CLIENTS:
        same(client.best(TEXTS, KEYS["good"]), wanted)
        # This client has no call for several texts: the others send a thousand at once.
        if not isinstance(client, HuggingFace):
            same(client.best(MANY, KEYS["good"]), many)
        check(client.failing(TEXTS, KEYS["wrong"]) == 401)
        check(client.failing(TEXTS, KEYS["good"], DENIED) == 403)
        said(f"{client.name}: the same answers as Reeve's own; 401; 403 by policy")
    for client in CLIENTS:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asked = [MANY[at : at + 5] for at in range(0, 100, 5)]
            for at, seen in enumerate(pool.map(lambda texts: client.best(texts, KEYS["good"]), asked)):
                same(seen, many[5 * at : 5 * at + 5])
        said(f"{client.name}: a stream of calls, each answered with its own texts' labels")
    for client in CLIENTS:
        def status(_, client=client):
            try:
                client.best(["hello"], KEYS["small"])
                return 200
            except Exception as error:  # noqa: BLE001: every client has its own
                return client.status(error)

        # Several at once: one after the other, slow clients are never too fast.
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(status, range(40)))
        check(set(statuses) <= {200, 429} and 429 in statuses, client.name, statuses)
        said(f"{client.name}: 429 where the plan allows no more")
    # A client that waits as long as it is told to gets through.
    same(OpenAi().best(["hello"], KEYS["small"], retries=5), expected(["hello"]))
    said("openai: 429 waited out by its own retries")


def closed_scene():
    for client in CLIENTS:
        check(client.failing(["hello"], KEYS["good"]) == 503)
        said(f"{client.name}: 503 where no pod stands in the permitted region")
    with triton_http.InferenceServerClient(PLACE) as client:
        auth = {"Authorization": f"Bearer {KEYS['good']}"}
        check(client.is_server_ready() and not client.is_model_ready("unknown", headers=auth))


{"open": open_scene, "closed": closed_scene}[CONFIG["scene"]]()
