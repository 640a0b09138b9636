import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";

import type { Stage } from "../../head/stage";
import { useBench } from "../bench";
import { Problem } from "../Problem";
import { messageOf } from "../words";
import { drive } from "./drive";
import { Sides } from "./Sides";
import { Summary } from "./Summary";

/** The head, or the heads. three.js is fetched here, after everything else stands. */
export function StageView() {
  const bench = useBench();
  const canvas = useRef<HTMLCanvasElement>(null);
  const summary = useId();
  const problem = useSignal<string | null>(null);

  useEffect(() => {
    let isGone = false;
    let end = () => {};
    const raise = async () => {
      let stage: Stage;
      try {
        const { Stage } = await import("../../head/stage");
        if (isGone) return;
        stage = new Stage(canvas.current!);
      } catch (error) {
        problem.value = messageOf(error);
        return;
      }
      bench.stage.value = stage;
      const stop = drive(stage, bench);
      end = () => {
        stop();
        bench.stage.value = null;
        stage.dispose();
      };
    };
    void raise();
    return () => {
      isGone = true;
      end();
    };
  }, []);

  const { heads } = bench;
  const isWaiting = !problem.value && !heads.model.value && !heads.problem.value;
  return (
    <section class="stage" aria-label="Head">
      <canvas
        ref={canvas}
        tabIndex={0}
        role="img"
        aria-label="The head. Arrow keys turn it."
        aria-describedby={summary}
      />
      <Summary id={summary} />
      {bench.showsTwo.value && <Sides />}
      {problem.value && <p class="trouble">{problem.value} Animating and downloading work without it.</p>}
      {heads.problem.value && !problem.value && (
        <div class="trouble">
          <Problem text={heads.problem.value} onClose={() => (heads.problem.value = null)} />
        </div>
      )}
      {isWaiting && <p class="hint soft">The head is on its way …</p>}
      {!isWaiting && !problem.value && <Hint />}
    </section>
  );
}

/** What to do at first. */
function Hint() {
  const bench = useBench();
  const isUnderWay = bench.isBusy.value || bench.recording.isOn.value || bench.mode.value === "live";
  if (isUnderWay || bench.hasMotion.value) return null;
  return (
    <p class="hint">
      {bench.sound.value
        ? "Press Animate, and the head speaks."
        : "Record a few words, or choose or drop a sound file: the head will speak them."}
    </p>
  );
}
