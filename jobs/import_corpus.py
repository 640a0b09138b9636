"""Imports recordings of any format into a corpus, on all cores or nodes; `diffusiontalker corpus import` uses one.

    python jobs/import_corpus.py --recordings /data/beat --importing.motion-fps 30 --out runs/beat
    ray job submit --working-dir . -- python jobs/import_corpus.py --config import.yaml --recordings /shared/beat
        --out s3://films/runs/beat

The corpus goes to `corpus/` in the run folder. Clips that fail a check are left out and listed in its
import_report.json. A pool of actors on Ray Data reads and checks; what is checked is kept until the corpus is whole,
so --resume goes on where a killed job was; clips that were rejected are checked again when too many were.
Exit codes: 0 done, 2 bad usage or input, 1 failure.
"""

import sys

from diffusiontalker.orchestration.import_job import ImportJobConfig, run_import_job
from diffusiontalker.orchestration.job import run_job

if __name__ == "__main__":
    sys.exit(run_job(ImportJobConfig, run_import_job, sys.argv[1:], description=__doc__ or ""))
