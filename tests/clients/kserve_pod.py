"""A model server of KServe's own package: keywords instead of a network, and none of Reeve's words."""

import sys

import kserve
import numpy

WORDS = {"refund": "billing", "退款": "billing", "parcel": "delivery", "包裹": "delivery"}


class Keywords(kserve.Model):
    def load(self):
        self.ready = True
        return True

    def predict(self, payload, headers=None, response_headers=None):
        texts = [str(text) for text in payload.inputs[0].data]
        found = [next((label for word, label in WORDS.items() if word in text), "other") for text in texts]
        label = kserve.InferOutput("label", [len(texts), 1], "BYTES")
        label.set_data_from_numpy(numpy.array([[one.encode()] for one in found], dtype=numpy.object_), False)
        score = kserve.InferOutput("score", [len(texts), 1], "FP32")
        score.set_data_from_numpy(numpy.array([[0.875]] * len(texts), dtype=numpy.float32), False)
        return kserve.InferResponse(payload.id or "1", self.name, [label, score])


model = Keywords("keywords")
model.load()
kserve.ModelServer(http_port=int(sys.argv[1]), enable_grpc=False, workers=1).start([model])
