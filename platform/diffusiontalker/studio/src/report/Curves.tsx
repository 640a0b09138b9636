/** Sound and channels over time, recording and prediction on one another; a press seeks. */

import type { Signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";

import { column, durationS, type Motion } from "../motion/motion";
import type { Player } from "../playback/player";
import { peaksOf } from "../sound/peaks";
import type { PlayedClip, PlayedClips } from "./clips";
import { type Faces, type Side, SIDES } from "./faces";

const COLUMNS = 600;
const DECODED_RATE_HZ = 16_000;

interface Props {
  played: PlayedClips;
  clip: PlayedClip;
  player: Player;
  faces: Faces | null;
  /** Changes with every pose of the faces. */
  posed: Signal<number>;
}

export function Curves({ played, clip, player, faces, posed }: Props) {
  const seek = (event: PointerEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    player.seek(((event.clientX - box.left) / box.width) * player.durationS.value);
  };
  return (
    <div
      class="curves"
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        seek(event);
      }}
      onPointerMove={(event) => event.buttons && seek(event)}
    >
      <Waveform clip={clip} />
      {played.curves.map((name) => (
        <figure key={name} data-channel={name}>
          <figcaption>
            {name}
            {SIDES.map((side) => (
              <Reading key={side} side={side} name={name} faces={faces} posed={posed} />
            ))}
          </figcaption>
          <Plot name={name} clip={clip} />
        </figure>
      ))}
      <Playhead player={player} />
    </div>
  );
}

/** What the head stands at. */
function Reading({ side, name, faces, posed }: { side: Side; name: string } & Pick<Props, "faces" | "posed">) {
  const weight = posed.value >= 0 ? faces?.weight(side, name) : null;
  return <output class={side}>{weight?.toFixed(2) ?? "–"}</output>;
}

function Playhead({ player }: { player: Player }) {
  const share = player.durationS.value ? player.timeS.value / player.durationS.value : 0;
  return <div class="playhead" style={{ left: `${100 * share}%` }} />;
}

function Plot({ name, clip }: { name: string; clip: PlayedClip }) {
  const curves = SIDES.map((side) => column(clip[side], name)!);
  const top = Math.max(0.1, ...curves.map((values) => values.reduce((most, value) => Math.max(most, value), 0)));
  return (
    <svg
      viewBox={`0 0 ${durationS(clip.truth)} 1`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${name} over time`}
    >
      {SIDES.map((side, index) => (
        <path key={side} class={side} d={lineOf(clip[side], curves[index]!, top)} />
      ))}
    </svg>
  );
}

function lineOf(motion: Motion, values: Float32Array, top: number): string {
  return `M${[...values].map((value, frame) => `${(frame / motion.fps).toFixed(3)} ${(1 - value / top).toFixed(4)}`).join("L")}`;
}

function Waveform({ clip }: { clip: PlayedClip }) {
  const [outline, setOutline] = useState<Outline>({ path: "", durationS: 1 });
  useEffect(() => {
    let isCurrent = true;
    void outlineOf(clip.sound).then((found) => isCurrent && setOutline(found));
    return () => {
      isCurrent = false;
    };
  }, [clip]);
  // The last frame may reach beyond the sound.
  const width = (COLUMNS * durationS(clip.truth)) / outline.durationS;
  return (
    <svg class="waveform" viewBox={`0 -1 ${width} 2`} preserveAspectRatio="none" aria-hidden="true">
      <path d={outline.path} />
    </svg>
  );
}

interface Outline {
  path: string;
  durationS: number;
}

/** The picture of a sound; empty where the browser cannot decode it, which playing will tell. */
async function outlineOf(sound: Blob): Promise<Outline> {
  try {
    const context = new OfflineAudioContext(1, 1, DECODED_RATE_HZ);
    const decoded = await context.decodeAudioData(await sound.arrayBuffer());
    const { low, high } = peaksOf(decoded.getChannelData(0), COLUMNS);
    const most = Math.max(0.05, ...high, ...low.map((value) => -value));
    const lines = [...high].map((value, x) => `M${x} ${(-value / most).toFixed(3)}V${(-low[x]! / most).toFixed(3)}`);
    return { path: lines.join(""), durationS: decoded.duration };
  } catch {
    return { path: "", durationS: 1 };
  }
}
