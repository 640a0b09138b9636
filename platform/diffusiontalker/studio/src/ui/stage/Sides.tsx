import type { AnimationParameters } from "../../endpoint";
import { useBench } from "../bench";
import type { Workbench } from "../state/workbench";

/** Which head is whose. */
export function Sides() {
  const bench = useBench();
  const [a, b] = labelsOf(bench);
  return (
    <div class="sides">
      <p class="side">
        <span class="letter">A</span>
        <span>{a}</span>
      </p>
      <p class="side">
        <span class="letter b">B</span>
        <span>{b}</span>
      </p>
    </div>
  );
}

/** What A and B are, in what they differ. */
export function labelsOf(bench: Workbench): [string, string] {
  const [a, b] = (["a", "b"] as const).map((letter) => {
    const made = bench.takeOf(letter).parameters.value;
    return wordsOf(bench, made ?? bench.settingsOf(letter).parameters.value);
  });
  if (bench.comparison.contrast.value === "truth") return ["Animated", bench.truth.value?.name ?? "no file yet"];
  return [a!, b!];
}

function wordsOf(bench: Workbench, parameters: AnimationParameters): string {
  const { student = "", voice, emotion, emotionIntensity = 1, numSteps, temperature, seed = 0 } = parameters;
  const voices = bench.catalogue.voices.value.get(student) ?? [];
  const voiceWords = voice ? (voices.find(({ id }) => id === voice)?.name ?? voice) : "own voice";
  const emotionWords = emotion ?? "own emotion";
  const intensity = emotionIntensity === 1 ? "" : ` ${Math.round(100 * emotionIntensity)} %`;
  const studentWords = student || (bench.catalogue.students.value[0] ?? "");
  const sampling = [
    numSteps && `${numSteps} steps`,
    temperature !== undefined && `temperature ${temperature}`,
    `seed ${seed}`,
  ].filter(Boolean);
  switch (bench.comparison.contrast.value) {
    case "voice":
      return voiceWords;
    case "emotion":
      return emotionWords + intensity;
    case "student":
      return studentWords;
    case "sampling":
      return sampling.join(", ");
    default:
      return `${voiceWords}, ${emotionWords}${intensity}`;
  }
}
