/** Lets the heads on a stage do what plays: what was animated, or what is spoken live. */

import { effect } from "@preact/signals";

import type { Head } from "../../head/head";
import type { Stage } from "../../head/stage";
import { sampleInto, type Motion } from "../../motion";
import type { Workbench } from "../state/workbench";

const NO_NAMES: readonly string[] = [];
const NO_VALUES = new Float32Array(0);

/** Frames are asked for only while something moves. @returns ends this. */
export function drive(stage: Stage, bench: Workbench): () => void {
  const values = [NO_VALUES, NO_VALUES];

  const show = (head: Head, index: number, motion: Motion | null): void => {
    if (!motion) return head.setWeights(NO_NAMES, NO_VALUES);
    const numChannels = motion.names.length;
    if (values[index]!.length !== numChannels) values[index] = new Float32Array(numChannels);
    sampleInto(values[index]!, motion, bench.player.now());
    head.setWeights(motion.names, values[index]!);
  };

  const pose = (now: number): void => {
    const [first, second] = stage.heads;
    if (!first) return;
    const session = bench.live.session.peek();
    if (bench.mode.peek() === "live") {
      if (!session?.names.length) return first.setWeights(NO_NAMES, NO_VALUES);
      if (values[0]!.length !== session.names.length) values[0] = new Float32Array(session.names.length);
      if (session.weightsAt(now, values[0]!)) first.setWeights(session.names, values[0]!);
      return;
    }
    show(first, 0, bench.motionA.peek());
    if (second) show(second, 1, bench.motionB.peek());
  };

  stage.beforeRender = pose;
  const ends = [
    effect(() => stage.setTheme(bench.shade.value)),
    effect(() => {
      const model = bench.heads.model.value;
      if (model) stage.setHeads(bench.showsTwo.value ? [model, model] : [model]);
    }),
    effect(() => {
      const isMoving = bench.player.isPlaying.value || bench.live.state.value === "live";
      if (isMoving) return stage.start();
      stage.stop();
      // Whatever changes while nothing plays is shown at once.
      void [bench.player.timeS.value, bench.motionA.value, bench.motionB.value, bench.mode.value];
      void [bench.heads.model.value, bench.showsTwo.value];
      pose(performance.now());
    }),
  ];
  return () => {
    for (const end of ends) end();
    stage.beforeRender = null;
  };
}
