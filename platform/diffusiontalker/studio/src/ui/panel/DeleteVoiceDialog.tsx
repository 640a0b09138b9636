import { useSignal } from "@preact/signals";

import type { Voice } from "../../endpoint";
import type { TakeSettings } from "../../settings";
import { useBench } from "../bench";
import { Dialog } from "../Dialog";
import { Problem } from "../Problem";
import { messageOf } from "../words";

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
  const isBusy = useSignal(false);
  const problem = useSignal<string | null>(null);

  const remove = async () => {
    isBusy.value = true;
    problem.value = null;
    try {
      await bench.catalogue.deleteVoice(voice.id, settings.student.value);
      for (const { voice: chosen } of [bench.settings.a, bench.settings.b]) {
        if (chosen.value === voice.id) chosen.value = "";
      }
      bench.status.value = `${voice.name} is deleted`;
      onClose();
    } catch (error) {
      if (bench.catalogue.asksForKey(error)) onClose();
      else problem.value = messageOf(error);
    } finally {
      isBusy.value = false;
    }
  };

  return (
    <Dialog title={`Delete ${voice.name}?`} onClose={onClose} onSubmit={() => void remove()}>
      <p class="soft">The voice is deleted from the endpoint, for everybody who uses it. This cannot be undone.</p>
      {problem.value && <Problem text={problem.value} />}
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
