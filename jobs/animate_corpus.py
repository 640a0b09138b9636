"""Animates many recordings: a folder of speech in, a folder of face animation out.

    python jobs/animate_corpus.py --recordings speech --bundle runs/demo/bundle --out motion
    python jobs/animate_corpus.py --config animate.yaml --recordings takes.csv --out motion --motion-format glb
    ray job submit --working-dir . -- python jobs/animate_corpus.py --recordings s3://films/speech --out s3://films/motion
        --bundle s3://films/bundle --voices s3://films/voices --voice Anna

Every wav, flac, ogg and mp3 below the folder or URL becomes a motion file of the same name in the same sub-folder. A
list (.csv) says more about each: columns audio and, as wanted, voice, emotion and seed. A pool of actors on Ray Data
computes several recordings at once; --orchestration.use-gpu lets it use GPUs.

Motion files appear whole or not at all. Nothing is overwritten; --resume makes what is missing. Recordings that cannot
be animated are listed in failed.jsonl, and the others are made all the same; figures are in summary.json.
Exit codes: 0 done, 2 bad usage or input, 1 failure, also when not a single recording could be animated.
"""

import sys

from diffusiontalker.orchestration.animate_job import run_animate_job
from diffusiontalker.orchestration.animate_plan import AnimateJobConfig
from diffusiontalker.orchestration.job import run_job

if __name__ == "__main__":
    sys.exit(run_job(AnimateJobConfig, run_animate_job, sys.argv[1:], description=__doc__ or ""))
