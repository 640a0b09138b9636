import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";

import type { TakeSettings } from "../../settings";
import { useBench } from "../bench";
import { Dialog } from "../Dialog";
import { useErrand } from "../errand";
import { Problem } from "../Problem";
import { busyWords, duration } from "../words";

const LONGEST_NAME = 200;
const GOOD_S = 10;

/** Keeps the voice of the recording under a name, and chooses it. */
export function EnrollDialog({ settings, onClose }: { settings: TakeSettings; onClose: () => void }) {
  const bench = useBench();
  const id = useId();
  const name = useSignal("");
  const { isBusy, waitingS, problem, run } = useErrand();
  const sound = bench.sound.value;

  const enroll = () =>
    run(async (options) => {
      if (!sound || !name.value.trim()) return;
      const voice = await bench.catalogue.enroll(name.value.trim(), sound.upload, settings.student.value, options);
      settings.voice.value = voice.id;
      bench.status.value = `${voice.name} is enrolled and chosen`;
      onClose();
    });

  return (
    <Dialog title="Enrol a voice" onClose={onClose} onSubmit={() => void enroll()}>
      <p class="soft">
        The endpoint keeps how this person moves, not the recording.
        {sound &&
          sound.durationS < GOOD_S &&
          ` It lasts ${duration(sound.durationS)}; ${GOOD_S} s and more are better.`}
      </p>
      <div class="field">
        <label for={id}>Name</label>
        <input
          id={id}
          class="input"
          autoFocus
          required
          autocomplete="off"
          maxLength={LONGEST_NAME}
          value={name}
          onInput={(event) => (name.value = event.currentTarget.value)}
        />
      </div>
      {problem.value && <Problem text={problem.value} />}
      {waitingS.value > 0 && <p class="soft">{busyWords(waitingS.value)}</p>}
      <div class="answers">
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" class="button primary" disabled={isBusy.value || !name.value.trim()}>
          {isBusy.value ? "Enrolling …" : "Enrol"}
        </button>
      </div>
    </Dialog>
  );
}
