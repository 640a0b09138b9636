"""The main job: prepares a corpus, trains a teacher on Ray, measures it, and lets it say hello.

    python jobs/train_teacher.py --config jobs/configs/demo.yaml
    python jobs/train_teacher.py --config jobs/configs/grid_teacher.yaml --corpus.folder RECORDINGS
    ray job submit --working-dir . -- python jobs/train_teacher.py --config jobs/configs/demo.yaml --out SHARED/demo

SHARED is a folder that every node sees, or s3://bucket/prefix.
A run never overwrites another; --resume continues it, --resume-if-exists starts or continues it.
Exit codes: 0 done, 2 bad usage or input, 1 failure.
"""

import sys

from diffusiontalker.orchestration import MainJobConfig, run_job, run_main_job

if __name__ == "__main__":
    sys.exit(run_job(MainJobConfig, run_main_job, sys.argv[1:], description=__doc__ or ""))
