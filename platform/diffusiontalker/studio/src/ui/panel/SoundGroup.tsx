import { useEffect, useRef } from "preact/hooks";

import { useBench } from "../bench";
import { FileButton } from "../FileButton";
import { Icon } from "../Icon";
import { Meter } from "../Meter";
import { Problem } from "../Problem";
import { clock, duration } from "../words";

/** What is animated: recorded here, or a file. */
export function SoundGroup() {
  const bench = useBench();
  const { recording } = bench;
  const problem = bench.soundProblem.value ?? recording.problem.value;
  return (
    <section class="group" aria-label="Sound">
      <h2>Sound</h2>
      {recording.isOn.value ? <RecordingCard /> : bench.sound.value ? <SoundCard /> : null}
      {!recording.isOn.value && (
        <div class="pair">
          <button
            type="button"
            class="button"
            disabled={recording.isStarting.value || bench.isOpening.value}
            onClick={() => void bench.toggleRecording()}
          >
            <Icon name="microphone" />
            {recording.isStarting.value ? "Starting …" : "Record"}
          </button>
          <FileButton
            accept="audio/*,video/*,.wav,.flac,.ogg,.mp3,.m4a"
            disabled={bench.isOpening.value}
            onFile={(file) => void bench.openSound(file)}
          >
            <Icon name="file" />
            {bench.isOpening.value ? "Opening …" : "Choose a file"}
          </FileButton>
        </div>
      )}
      {problem && (
        <Problem text={problem} onClose={() => (bench.soundProblem.value = recording.problem.value = null)} />
      )}
    </section>
  );
}

function SoundCard() {
  const bench = useBench();
  const sound = bench.sound.value!;
  return (
    <div class="sound">
      <Icon name="wave" />
      <div>
        <p class="name" title={sound.name}>
          {sound.name}
        </p>
        <p class="soft small number">{duration(sound.durationS)}</p>
      </div>
      <button
        type="button"
        class="button plain icon"
        aria-label={`Remove ${sound.name}`}
        title="Remove"
        onClick={() => bench.removeSound()}
      >
        <Icon name="close" size={16} />
      </button>
    </div>
  );
}

function RecordingCard() {
  const { recording } = useBench();
  const recorder = recording.recorder.value!;
  const stop = useRef<HTMLButtonElement>(null);
  useEffect(() => stop.current!.focus(), []); // "Record", which had the focus, is gone
  return (
    <div class="sound">
      <span class="dot" />
      <div>
        <p class="row spread">
          <span>Recording</span>
          <span class="number">{clock(recorder.durationS.value)}</span>
        </p>
        <Meter level={recorder.level} />
      </div>
      <button ref={stop} type="button" class="button" onClick={() => void recording.stop()}>
        <Icon name="stop" size={16} />
        Stop
      </button>
    </div>
  );
}
