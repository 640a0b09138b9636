import { useComputed } from "@preact/signals";

import { useBench } from "../bench";
import { Icon } from "../Icon";
import { Problem } from "../Problem";
import { clock } from "../words";

const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2];

/** Play, pause, speed, loop; where playing is. */
export function Transport() {
  const bench = useBench();
  const { player, settings } = bench;
  const time = useComputed(() => `${clock(player.timeS.value)} / ${clock(player.durationS.value)}`);
  const isPlaying = player.isPlaying.value;
  const canPlay = player.durationS.value > 0 && bench.mode.value === "recording";
  const speeds = SPEEDS.includes(settings.speed.value)
    ? SPEEDS
    : [...SPEEDS, settings.speed.value].sort((x, y) => x - y);
  return (
    <div class="transport" role="group" aria-label="Playback">
      <button
        type="button"
        class="button icon"
        disabled={!canPlay}
        aria-label={isPlaying ? "Pause" : "Play"}
        title={isPlaying ? "Pause (space)" : "Play (space)"}
        onClick={() => bench.togglePlay()}
      >
        <Icon name={isPlaying ? "pause" : "play"} />
      </button>
      <span class="time number">{time}</span>
      {bench.playProblem.value && (
        <Problem text={bench.playProblem.value} onClose={() => (bench.playProblem.value = null)} />
      )}
      <label>
        <span class="unseen">Speed</span>
        <select
          class="choice number"
          value={String(settings.speed.value)}
          onChange={(event) => (settings.speed.value = Number(event.currentTarget.value))}
        >
          {speeds.map((speed) => (
            <option key={speed} value={String(speed)}>
              {speed} ×
            </option>
          ))}
        </select>
      </label>
      <button
        type="button"
        class="button plain icon"
        aria-pressed={settings.isLooping.value}
        aria-label="Loop"
        title="Loop (L)"
        onClick={() => (settings.isLooping.value = !settings.isLooping.value)}
      >
        <Icon name="loop" />
      </button>
      <button
        type="button"
        class="button plain icon"
        aria-label="Reset the view"
        title="Reset the view (R)"
        onClick={() => bench.stage.value?.resetView()}
      >
        <Icon name="view" />
      </button>
    </div>
  );
}
