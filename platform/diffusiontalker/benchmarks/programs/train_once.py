"""Trains for the steps of a config from standard input, and says what memory that took, as JSON on standard output."""

import argparse
import json
import sys

import torch

from diffusiontalker.benchmarks.programs.peak_memory import peak_mb
from diffusiontalker.config import from_plain
from diffusiontalker.data import Corpus
from diffusiontalker.training import (
    Ranks,
    TrainingConfig,
    batches_ahead,
    build_objective,
    build_optimizer,
    build_talker,
    optimize,
    window_source,
)


def main() -> None:
    """Without validation, which needs less than a step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", required=True)
    corpus = Corpus.open(parser.parse_args().corpus)
    config = from_plain(TrainingConfig, json.load(sys.stdin), source="standard input")
    torch.set_num_threads(1)
    talker = build_talker(config, corpus)
    objective = build_objective(talker, config, ranks=Ranks())
    optimizer = build_optimizer(objective, config.optimizer)
    source = window_source(config, corpus, talker, split="train")
    with batches_ahead(source, config, steps=range(config.num_steps), ranks=Ranks()) as batches:
        for batch in batches:
            optimize(objective, optimizer, batch, rate=1e-4, config=config)
    print(json.dumps({"peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
