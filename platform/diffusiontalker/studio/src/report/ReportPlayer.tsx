/** One clip at a time: the recording's face beside the prediction's, their sound, and curves under one playhead. */

import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { durationS } from "../motion/motion";
import { Player } from "../playback/player";
import { Segments } from "../ui/fields";
import { messageOf } from "../ui/words";
import { type PlayedClips, unpacked } from "./clips";
import { Curves } from "./Curves";
import { Faces } from "./faces";
import { Transport } from "./Transport";

export function ReportPlayer({ played }: { played: PlayedClips }) {
  const player = useMemo(() => new Player(), []);
  const [chosen, choose] = useState(middle(played));
  const [problem, setProblem] = useState<string | null>(null);
  const [faces, setFaces] = useState<Faces | null>(null);
  const posed = useSignal(0);
  const canvas = useRef<HTMLCanvasElement>(null);
  const clip = played.clips[chosen]!;

  useEffect(() => {
    let made: Faces | null = null;
    const query = matchMedia("(prefers-color-scheme: dark)");
    const wear = () => made?.setTheme(query.matches ? "dark" : "light");
    query.addEventListener("change", wear);
    const cancel = whenSeen(canvas.current!, () => {
      try {
        made = new Faces(canvas.current!, () => player.now());
      } catch (error) {
        setProblem(messageOf(error));
        return;
      }
      made.onPose = () => (posed.value = posed.peek() + 1); // peek: the effect below poses, and must not follow itself
      setFaces(made);
      void unpacked(played.head)
        .then((glb) => made!.load(glb))
        .catch((error: unknown) => setProblem(messageOf(error)));
    });
    return () => {
      cancel();
      query.removeEventListener("change", wear);
      made?.dispose();
    };
  }, []);

  useEffect(() => player.load(clip.sound, durationS(clip.truth)), [clip]);
  useEffect(() => faces?.show(clip), [clip, faces]);

  useSignalEffect(() => {
    const isPlaying = player.isPlaying.value;
    faces?.follow(isPlaying);
    if (!isPlaying && player.timeS.value >= 0) faces?.renderOnce();
  });

  const play = () => player.play().catch((error: unknown) => setProblem(messageOf(error)));
  return (
    <div class="player">
      <header>
        <Segments
          label="Which clip"
          value={String(chosen)}
          onChange={(value) => choose(Number(value))}
          options={played.clips.map((one, index) => ({ value: String(index), label: one.place }))}
        />
        <p>
          <b>{clip.id}</b>: {clip.speaker}, {clip.emotion}; lip error {clip.lipErrorMm.toFixed(2)} mm
        </p>
      </header>
      <div class="faces">
        <canvas
          ref={canvas}
          tabIndex={0}
          role="img"
          aria-label="The recorded face at the left, the predicted face at the right; arrow keys turn both"
        />
        <span class="side">recording</span>
        <span class="side predicted">{played.system}</span>
        {problem && <p role="alert">{problem}</p>}
      </div>
      <Transport player={player} onPlay={play} />
      <Curves played={played} clip={clip} player={player} faces={faces} posed={posed} />
    </div>
  );
}

/** The clip in the middle of those that are given from the best to the worst. */
function middle(played: PlayedClips): number {
  return Math.floor((played.clips.length - 1) / 2);
}

/** Calls back once, when an element comes into sight: who reads tables does not wait for heads. @returns ends this. */
function whenSeen(element: Element, callback: () => void): () => void {
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    callback();
  });
  observer.observe(element);
  return () => observer.disconnect();
}
