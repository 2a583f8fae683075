"""Presidio's pattern recognisers, all that it ships, without a language model.

measure.py find FILE             for each line (a JSON string) a line of findings
measure.py time SECONDS FILE     megabytes a second over the lines, and medians for short texts
"""

import inspect
import json
import logging
import statistics
import sys
import time

logging.disable(logging.CRITICAL)

import presidio_analyzer.predefined_recognizers as shipped  # noqa: E402
from presidio_analyzer import EntityRecognizer, PatternRecognizer  # noqa: E402
from presidio_analyzer.predefined_recognizers import PhoneRecognizer  # noqa: E402


def recognizers():
    found = []
    for _, kind in sorted(inspect.getmembers(shipped, inspect.isclass)):
        if issubclass(kind, PatternRecognizer) and kind is not PatternRecognizer:
            found.append(kind())
    return found + [PhoneRecognizer()]


def find(all_recognizers, text):
    results = []
    for recognizer in all_recognizers:
        results += recognizer.analyze(text, recognizer.supported_entities, None) or []
    return EntityRecognizer.remove_duplicates(results)


def median_us(all_recognizers, text):
    times = []
    for _ in range(200):
        begun = time.perf_counter()
        find(all_recognizers, text)
        times.append((time.perf_counter() - begun) * 1e6)
    return statistics.median(times)


def main():
    command, *arguments = sys.argv[1:]
    all_recognizers = recognizers()
    with open(arguments[-1], encoding="utf-8") as file:
        texts = [json.loads(line) for line in file]
    if command == "find":
        for text in texts:
            findings = [
                {"kind": r.entity_type, "start": r.start, "end": r.end, "confidence": r.score}
                for r in find(all_recognizers, text)
            ]
            print(json.dumps({"findings": findings}))
        return
    plain, with_value, *texts = texts
    read, spent = 0, 0.0
    while spent < float(arguments[0]):
        for text in texts:
            begun = time.perf_counter()
            find(all_recognizers, text)
            spent += time.perf_counter() - begun
            read += len(text.encode())
            if spent >= float(arguments[0]):
                break
    print(
        json.dumps(
            {
                "megabytes_per_second": read / spent / 1e6,
                "short_text_us": median_us(all_recognizers, plain),
                "short_text_with_a_value_us": median_us(all_recognizers, with_value),
            }
        )
    )


if __name__ == "__main__":
    main()
