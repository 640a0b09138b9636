import { column, type Motion } from "../../motion";
import { useBench } from "../bench";
import { clock, count, duration } from "../words";

/** What the picture shows, for those who do not see it; silent while it plays. */
export function Summary({ id }: { id: string }) {
  const bench = useBench();
  const { player } = bench;
  return (
    <p id={id} class="unseen" data-testid="summary">
      {player.isPlaying.value
        ? "Playing."
        : [bench.motionA.value, bench.motionB.value]
            .map((motion, index) => motion && summaryOf("AB"[index]!, motion, player.timeS.value))
            .filter(Boolean)
            .join(" ") || "Nothing is animated yet."}
    </p>
  );
}

/** `Result A lasts 4.2 s, 105 frames. At 0:01.2 the jaw is open by 31 %.` */
export function summaryOf(letter: string, motion: Motion, timeS: number): string {
  const jaw = column(motion, "jawOpen");
  const frame = Math.min(Math.round(timeS * motion.fps), motion.numFrames - 1);
  const length = `Result ${letter} lasts ${duration(motion.numFrames / motion.fps)}, ${count(motion.numFrames, "frame")}.`;
  if (!jaw) return length;
  return `${length} At ${clock(timeS)} the jaw is open by ${Math.round(100 * jaw[frame]!)} %.`;
}
