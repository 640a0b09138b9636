"""Computes once what a frozen speech encoder makes of a corpus, so that no epoch of a training has to.

    python jobs/precompute_features.py --corpus corpora/mine --encoder.family hugging_face
        --encoder.checkpoint models/hubert-base --feature-cache features
    python jobs/precompute_features.py --corpus corpora/mine --bundle runs/teacher/bundle --feature-cache features
    ray job submit --working-dir . -- python jobs/precompute_features.py --config features.yaml
        --out s3://films/runs/features --feature-cache s3://films/features --orchestration.use-gpu

Then train with --training.feature-cache features. A pool of actors on Ray Data encodes blocks of 64 clips; a block's
features appear whole or not at all, and --resume makes what is missing. Features are kept by what the encoder and the
corpus hold, so one folder serves many of both. Blocks that fail are listed in failed.jsonl.
Exit codes: 0 done, 2 bad usage or input, 1 failure.
"""

import sys

from diffusiontalker.orchestration.features_job import FeaturesJobConfig, run_features_job
from diffusiontalker.orchestration.job import run_job

if __name__ == "__main__":
    sys.exit(run_job(FeaturesJobConfig, run_features_job, sys.argv[1:], description=__doc__ or ""))
