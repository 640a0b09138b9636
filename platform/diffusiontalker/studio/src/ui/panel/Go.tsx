import { useBench } from "../bench";
import { Problem } from "../Problem";
import type { Progress } from "../state/take";
import type { Letter } from "../state/workbench";
import { busyWords } from "../words";

/** The one button, and how it goes. */
export function Go() {
  const bench = useBench();
  const isComparing = bench.settings.compare.value === "takes";
  const letters: Letter[] = isComparing ? ["a", "b"] : ["a"];
  return (
    <div class="go">
      {letters.map((letter) => {
        const { problem } = bench.takeOf(letter);
        return (
          problem.value && (
            <Problem
              key={letter}
              text={isComparing ? `${letter.toUpperCase()}: ${problem.value}` : problem.value}
              onClose={() => (problem.value = null)}
            />
          )
        );
      })}
      {bench.isBusy.value ? (
        <>
          <div class="row spread">
            <span>{progressWords(letters.map((letter) => bench.takeOf(letter).progress.value))}</span>
            <button type="button" class="button" onClick={() => bench.cancel()}>
              Cancel
            </button>
          </div>
          <div class="progress" role="progressbar" aria-label="Animating" />
        </>
      ) : (
        <button
          type="button"
          class="button primary"
          disabled={!bench.canAnimate.value}
          title="Enter, or Ctrl and Enter in a field"
          onClick={() => void bench.animate()}
        >
          {isComparing ? "Animate both" : "Animate"}
        </button>
      )}
    </div>
  );
}

/** What is waited for. */
function progressWords(all: readonly Progress[]): string {
  const waiting = all.find((progress) => progress.name === "waiting");
  return waiting ? busyWords(waiting.secondsLeft) : "Animating …";
}
