/** Play and pause, where it stands, how fast. */

import type { Player } from "../playback/player";
import { Segments } from "../ui/fields";
import { Icon } from "../ui/Icon";

const SPEEDS = [0.25, 0.5, 1];

export function Transport({ player, onPlay }: { player: Player; onPlay: () => void }) {
  const isPlaying = player.isPlaying.value;
  const timeS = player.timeS.value;
  const lengthS = player.durationS.value;
  return (
    <div class="transport">
      <button
        type="button"
        class="button primary icon"
        aria-label={isPlaying ? "Pause" : "Play"}
        onClick={() => (isPlaying ? player.pause() : onPlay())}
      >
        <Icon name={isPlaying ? "pause" : "play"} />
      </button>
      <input
        class="slide"
        type="range"
        aria-label="Where it stands"
        min={0}
        max={lengthS}
        step={0.01}
        value={timeS}
        aria-valuetext={`${timeS.toFixed(2)} s`}
        onInput={(event) => player.seek(event.currentTarget.valueAsNumber)}
      />
      <output>
        {timeS.toFixed(2)} / {lengthS.toFixed(2)} s
      </output>
      <Segments
        label="Speed"
        value={String(player.speed.value)}
        onChange={(value) => (player.speed.value = Number(value))}
        options={SPEEDS.map((speed) => ({ value: String(speed), label: `${speed}×` }))}
      />
      <button
        type="button"
        class="button icon"
        aria-label="Loop"
        aria-pressed={player.isLooping.value}
        onClick={() => (player.isLooping.value = !player.isLooping.value)}
      >
        <Icon name="loop" />
      </button>
    </div>
  );
}
