import { useSignal } from "@preact/signals";

import type { TakeSettings } from "../../settings";
import { useBench } from "../bench";
import { Choice } from "../fields";
import { DeleteVoiceDialog } from "./DeleteVoiceDialog";
import { EnrollDialog } from "./EnrollDialog";
import { notHere } from "./notHere";

/** Whose face it is: as the sound suggests, a speaker of the student, or somebody who was enrolled. */
export function VoiceField({ settings, isLive = false }: { settings: TakeSettings; isLive?: boolean }) {
  const bench = useBench();
  const { catalogue } = bench;
  const canEnroll = !isLive && settings === bench.settings.a;
  const asking = useSignal<"enroll" | "delete" | null>(null);
  const student = settings.student.value;
  const about = catalogue.abouts.value.get(student);
  const speakers = about?.speakers ?? [];
  const voices = catalogue.voices.value.get(student) ?? [];
  const chosen = settings.voice.value;
  const enrolled = voices.find(({ id }) => id === chosen);
  const isUnknown = chosen !== "" && !enrolled && !speakers.includes(chosen);
  const close = () => (asking.value = null);
  return (
    <div class="field">
      <Choice
        label="Voice"
        value={chosen}
        onChange={(voice) => (settings.voice.value = voice)}
        options={[
          { value: "", label: isLive ? "Nobody in particular" : "As the sound suggests" },
          ...(isUnknown ? [{ value: chosen, label: notHere(chosen, about) }] : []),
        ]}
        groups={[
          {
            label: "Enrolled",
            options: voices.map(({ id, name, isUsable, problem }) => ({
              value: id,
              label: isUsable ? name : `${name} (${problem ? "damaged" : "of another student"})`,
              disabled: !isUsable,
            })),
          },
          { label: "Speakers of the student", options: speakers.map((name) => ({ value: name, label: name })) },
        ]}
      />
      <p class="row spread small" hidden={!canEnroll && !enrolled}>
        {canEnroll && (
          <button type="button" class="link" disabled={!bench.sound.value} onClick={() => (asking.value = "enroll")}>
            Enrol from this recording
          </button>
        )}
        {enrolled && (
          <button type="button" class="link" onClick={() => (asking.value = "delete")}>
            Delete {enrolled.name}
          </button>
        )}
      </p>
      {asking.value === "enroll" && <EnrollDialog settings={settings} onClose={close} />}
      {asking.value === "delete" && enrolled && (
        <DeleteVoiceDialog voice={enrolled} settings={settings} onClose={close} />
      )}
    </div>
  );
}
