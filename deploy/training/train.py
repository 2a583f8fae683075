"""Trains the article's network on several processes or machines with PyTorch, and writes a state
dict that `reeve-train import` takes. Run it with torchrun, which starts the processes:

    torchrun --nproc-per-node 2 deploy/training/train.py --data train.csv --out model

It needs torch (2.11.0 was tried) and tokenizers. `--tokenizer` takes a tokenizer.json, so that the
tokenizer of a bundle can be used again; without, one is learned from the texts.
"""

import argparse
import csv
import json
import math
import os
import pathlib
import time

import torch
import torch.distributed as dist
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler


class TextClassifier(nn.Module):
    """Embedding, LSTM, what `readout` takes of its steps, a linear layer. The modules' names are
    those that `reeve-train import` knows."""

    def __init__(self, vocabulary, embedding, hidden, classes, layers, bidirectional, readout):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstm = nn.LSTM(
            embedding, hidden, layers, batch_first=True, bidirectional=bidirectional
        )
        self.fc = nn.Linear(hidden * (2 if bidirectional else 1), classes)
        self.readout = readout

    def forward(self, ids, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(ids), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        steps, _ = self.lstm(packed)
        steps, _ = nn.utils.rnn.pad_packed_sequence(
            steps, batch_first=True, total_length=ids.shape[1]
        )
        width = steps.shape[2]
        if self.readout == "last-real":
            last = (lengths - 1).view(-1, 1, 1).expand(-1, 1, width)
            return self.fc(steps.gather(1, last).squeeze(1))
        beyond = torch.arange(ids.shape[1], device=ids.device)[None] >= lengths[:, None]
        if self.readout == "max":
            return self.fc(steps.masked_fill(beyond[:, :, None], -math.inf).amax(1))
        return self.fc(steps.masked_fill(beyond[:, :, None], 0).sum(1) / lengths[:, None])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True, help="CSV file with the columns text and label")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="directory to write to")
    parser.add_argument("--tokenizer", help="tokenizer.json to use instead of learning one")
    parser.add_argument("--embedding", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--bidirectional", action="store_true")
    parser.add_argument("--readout", choices=["last-real", "max", "mean"], default="last-real")
    parser.add_argument("--vocabulary", type=int, default=20_000)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32, help="texts a step, in each process")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def read(path):
    """Texts with labels; a row that is not one is named."""
    rows = []
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if not {"text", "label"} <= set(reader.fieldnames or []):
            raise SystemExit(f"{path}: the columns are {reader.fieldnames}, not text and label")
        for row in reader:
            if not row["text"] or not row["label"]:
                raise SystemExit(f"{path}: line {reader.line_num}: no text or no label")
            rows.append((row["text"], row["label"]))
    return rows


def learn_tokenizer(texts, size):
    """Words where there are spaces, single Han characters."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.BertNormalizer(lowercase=True)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]"]
    trainer = trainers.WordLevelTrainer(
        vocab_size=size, min_frequency=2, special_tokens=special, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def collate(rows):
    lengths = torch.tensor([len(ids) for ids, _ in rows])
    ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for row, (tokens, _) in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
    return ids, lengths, torch.tensor([label for _, label in rows])


def accuracy(model, rows, device):
    model.eval()
    right = 0
    with torch.no_grad():
        for start in range(0, len(rows), 256):
            ids, lengths, labels = (part.to(device) for part in collate(rows[start : start + 256]))
            right += int((model(ids, lengths).argmax(1) == labels).sum())
    model.train()
    return right / max(len(rows), 1)


def main():
    options = arguments()
    cuda = torch.cuda.is_available()
    dist.init_process_group("nccl" if cuda else "gloo")
    rank, processes = dist.get_rank(), dist.get_world_size()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(1)
    # The same weights everywhere: DistributedDataParallel sends those of the first process.
    torch.manual_seed(options.seed)

    texts = read(options.data)
    labels = sorted({label for _, label in texts})
    if options.tokenizer:
        tokenizer = Tokenizer.from_file(options.tokenizer)
        tokenizer.no_padding()
        tokenizer.no_truncation()
    else:
        tokenizer = learn_tokenizer((text for text, _ in texts), options.vocabulary)
    unknown = tokenizer.token_to_id("[UNK]") or 0
    rows = [
        (tokenizer.encode(text).ids[: options.max_tokens] or [unknown], labels.index(label))
        for text, label in texts
    ]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(options.seed))
    rows = [rows[at] for at in order.tolist()]
    held_out, learned = rows[: len(rows) // 10], rows[len(rows) // 10 :]

    shape = {
        "vocabulary": tokenizer.get_vocab_size(),
        "embedding": options.embedding,
        "hidden": options.hidden,
        "layers": options.layers,
        "bidirectional": options.bidirectional,
        "classes": len(labels),
    }
    network = TextClassifier(**shape, readout=options.readout).to(device)
    model = DistributedDataParallel(network, device_ids=[device.index] if cuda else None)
    sampler = DistributedSampler(learned, seed=options.seed)
    loader = DataLoader(learned, options.batch, sampler=sampler, collate_fn=collate)
    steps = options.epochs * len(loader)
    optimizer = torch.optim.AdamW(model.parameters(), options.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    criterion = nn.CrossEntropyLoss()
    started = time.monotonic()
    for epoch in range(1, options.epochs + 1):
        sampler.set_epoch(epoch)
        total = torch.zeros(2, device=device)
        for batch in loader:
            ids, lengths, truth = (part.to(device) for part in batch)
            loss = criterion(model(ids, lengths), truth)
            if not torch.isfinite(loss):
                raise SystemExit(f"training diverged in epoch {epoch}: try a smaller learning rate")
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += torch.tensor([loss.item() * len(truth), len(truth)], device=device)
        # Every process has seen its own part.
        dist.all_reduce(total)
        if rank == 0:
            mean = (total[0] / total[1]).item()
            share = accuracy(network, held_out, device)
            rate = epoch * len(learned) / (time.monotonic() - started)
            print(
                f"epoch {epoch}/{options.epochs}  loss {mean:.4f}  accuracy {share:.3f}  "
                f"{rate:.0f} texts/s in {processes} processes",
                flush=True,
            )
    if rank == 0:
        options.out.mkdir(parents=True, exist_ok=True)
        state = {name: weight.cpu() for name, weight in network.state_dict().items()}
        torch.save(state, options.out / "model.pth")
        tokenizer.save(str(options.out / "tokenizer.json"))
        (options.out / "labels.txt").write_text("".join(label + "\n" for label in labels))
        config = {**shape, "readout": options.readout}
        (options.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        print(f"written to {options.out}", flush=True)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
