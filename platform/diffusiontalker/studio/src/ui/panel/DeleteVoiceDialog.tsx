import type { Voice } from "../../endpoint";
import type { TakeSettings } from "../../settings";
import { useBench } from "../bench";
import { Dialog } from "../Dialog";
import { useErrand } from "../errand";
import { Problem } from "../Problem";
import { busyWords } from "../words";

export function DeleteVoiceDialog({
  voice,
  settings,
  onClose,
}: {
  voice: Voice;
  settings: TakeSettings;
  onClose: () => void;
}) {
  const bench = useBench();
  const { isBusy, waitingS, problem, run } = useErrand();

  const remove = () =>
    run(async (options) => {
      await bench.catalogue.deleteVoice(voice.id, settings.student.value, options);
      for (const { voice: chosen } of [bench.settings.a, bench.settings.b]) {
        if (chosen.value === voice.id) chosen.value = "";
      }
      bench.status.value = `${voice.name} is deleted`;
      onClose();
    });

  return (
    <Dialog title={`Delete ${voice.name}?`} onClose={onClose} onSubmit={() => void remove()}>
      <p class="soft">The voice is deleted from the endpoint, for everybody who uses it. This cannot be undone.</p>
      {problem.value && <Problem text={problem.value} />}
      {waitingS.value > 0 && <p class="soft">{busyWords(waitingS.value)}</p>}
      <div class="answers">
        <button type="button" class="button" autoFocus onClick={onClose}>
          Keep
        </button>
        <button type="submit" class="button danger" disabled={isBusy.value}>
          {isBusy.value ? "Deleting …" : "Delete"}
        </button>
      </div>
    </Dialog>
  );
}
