"""The distillation job: halves a teacher's diffusion steps again and again, shrinks it, and proves what that gave.

    python jobs/distill_student.py --config jobs/configs/demo_student.yaml
    python jobs/distill_student.py --teacher runs/mine/bundle --corpus.uri runs/mine/corpus --size small
    ray job submit --working-dir . -- python jobs/distill_student.py --teacher SHARED/bundle --out SHARED/student

16 -> 8 -> 4 -> 2 -> 1 steps, a bundle per stage under networks/; --deployed-steps chooses the one to use. SHARED
is a folder that every node sees, or s3://bucket/prefix.
A run never overwrites another; --resume continues it where it stopped, --resume-if-exists starts or continues it.
Exit codes: 0 done, 2 bad usage or input, 1 failure.
"""

import sys

from diffusiontalker.orchestration import DistillJobConfig, run_distill_job, run_job

if __name__ == "__main__":
    sys.exit(run_job(DistillJobConfig, run_distill_job, sys.argv[1:], description=__doc__ or ""))
