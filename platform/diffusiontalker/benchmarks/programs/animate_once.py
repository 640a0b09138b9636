"""Animates one file in a process that has done nothing else, and says what that took, as JSON on standard output."""

import argparse
import json
import time


def main() -> None:
    """Imports when the clock runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--sound", required=True)
    parser.add_argument("--engine", required=True)
    arguments = parser.parse_args()
    times = {}
    begin = time.perf_counter()
    import torch

    from diffusiontalker.audio.waveform import read_waveform
    from diffusiontalker.inference import animate, load_bundle

    torch.set_num_threads(1)
    times["import"] = time.perf_counter() - begin
    begin = time.perf_counter()
    bundle = load_bundle(arguments.bundle, engine=arguments.engine)
    times["load the bundle"] = time.perf_counter() - begin
    begin = time.perf_counter()
    motion = animate(bundle, read_waveform(arguments.sound))
    times["read and animate"] = time.perf_counter() - begin
    from diffusiontalker.benchmarks.programs.peak_memory import peak_mb  # behind what is timed

    print(json.dumps({"times": times, "peak_mb": peak_mb(), "output_mb": motion.coefficients.nbytes / 1e6}))


if __name__ == "__main__":
    main()
