"""LitServe with its own batching: `litserve_server.py PORT PRECISION`."""

import sys

import litserve

import model

PORT, PRECISION = sys.argv[1:]


class Article(litserve.LitAPI):
    def setup(self, device):
        self.network = model.load("torch", PRECISION)

    def decode_request(self, request):
        return request["ids"]

    def batch(self, inputs):
        return inputs

    def predict(self, rows):
        return self.network(rows)

    def unbatch(self, output):
        return output

    def encode_response(self, output):
        return {"scores": output}


if __name__ == "__main__":
    api = Article(max_batch_size=32, batch_timeout=0.002)
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1).run(
        host="127.0.0.1", port=int(PORT), log_level="warning", generate_client_file=False
    )
