"""Compares trained talkers: is it distillation that made the student good?

    python jobs/evaluate.py --config comparison.yaml
    python jobs/evaluate.py --corpus-uri CORPUS --bundles teacher=FOLDER student=FOLDER student=FOLDER
    ray job submit --working-dir . -- python jobs/evaluate.py --config comparison.yaml --out SHARED/comparison

The report shows, on the same held-out clips: the teacher in its own and in fewer steps (not distilled), every other
bundle, shuffled audio, the mean face and ridge regression; and for every bundle whether voices and emotions move the
upper face recognizably, and whether enrolled voices are told apart. A configuration with all parts:

    name: comparison                        # the report goes to runs/comparison
    corpus_uri: ${RUNS}/grid_teacher/corpus
    bundles:
      - teacher=${RUNS}/grid_teacher/bundle
      - student=${RUNS}/student/bundle      # the same name again: the same training with another seed,
      - student=${RUNS}/student-2/bundle    # so that differences can be held against the spread
      - direct=${RUNS}/direct/bundle
      - without-enhancer=${RUNS}/without/bundle
    comparison: {direct: direct, without_enhancer: without-enhancer}
    evaluation: {headline_speaker: s1}

Checks that fail are shown as failed. A report is never overwritten; --resume shows the one that is there.
Exit codes: 0 done, 2 bad usage or input, 1 failure.
"""

import sys

from diffusiontalker.orchestration.evaluate_job import EvaluateJobConfig, run_evaluate_job
from diffusiontalker.orchestration.job import run_job

if __name__ == "__main__":
    sys.exit(run_job(EvaluateJobConfig, run_evaluate_job, sys.argv[1:], description=__doc__ or ""))
