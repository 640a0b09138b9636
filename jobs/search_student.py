"""The search job: which student is best for a budget of size and speed?

    python jobs/search_student.py --config jobs/configs/search.yaml
    python jobs/search_student.py --config jobs/configs/search.yaml --budget.max-megabytes 2 --budget.max-ms-per-s 2
    ray job submit --working-dir . -- python jobs/search_student.py --config SEARCH.yaml --out SHARED/search

Tries students of many sizes on Ray Tune, all taught by paths that the teacher takes once; shows in search.html which of
them nothing beats in error, size and speed; leaves the chosen one in bundle/, and in chosen.yaml the request for its
full distillation. The space is written in the configuration: dotted keys of `training` with lists of values.
SHARED is a folder that every node sees, or s3://bucket/prefix.
A search never overwrites another; --resume continues it, --resume-if-exists starts or continues it.
Exit codes: 0 done, 2 bad usage or input, 1 failure.
"""

import sys

from diffusiontalker.orchestration import SearchJobConfig, run_job, run_search_job

if __name__ == "__main__":
    sys.exit(run_job(SearchJobConfig, run_search_job, sys.argv[1:], description=__doc__ or ""))
