"""FastAPI in front of a network: `fastapi_server.py PORT torch|onnx PRECISION plain|batch`.

`batch`: calls that wait while a batch is computed make up the next one, at most 32, without a timer:
the best that is known to work.
"""

import asyncio
import concurrent.futures
import sys

import fastapi
import uvicorn

import model

PORT, ENGINE, PRECISION, MODE = sys.argv[1:]
network = model.load(ENGINE, PRECISION)
app = fastapi.FastAPI()
threads = concurrent.futures.ThreadPoolExecutor(1)
waiting = []
arrived = asyncio.Event()


async def work():
    loop = asyncio.get_running_loop()
    while True:
        await arrived.wait()
        batch = waiting[:32]
        del waiting[:32]
        if not waiting:
            arrived.clear()
        answers = await loop.run_in_executor(threads, network, [ids for ids, _ in batch])
        for (_, future), answer in zip(batch, answers):
            if not future.done():
                future.set_result(answer)


@app.get("/ready")
async def ready():
    return {}


@app.post("/predict")
async def predict(request: fastapi.Request):
    ids = (await request.json())["ids"]
    if MODE == "plain":
        return {"scores": network([ids])[0]}
    future = asyncio.get_running_loop().create_future()
    waiting.append((ids, future))
    arrived.set()
    return {"scores": await future}


async def serve():
    config = uvicorn.Config(app, host="127.0.0.1", port=int(PORT), log_level="warning", access_log=False)
    job = asyncio.create_task(work())
    await uvicorn.Server(config).serve()
    job.cancel()


try:
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
except ImportError:
    pass
asyncio.run(serve())
