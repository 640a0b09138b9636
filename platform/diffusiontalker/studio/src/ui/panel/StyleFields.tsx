import { INTENSITY, type TakeSettings } from "../../settings";
import { useBench } from "../bench";
import { Choice, Slide } from "../fields";
import { capital } from "../words";
import { notHere } from "./notHere";
import { VoiceField } from "./VoiceField";

/** Who speaks, and how they feel. */
export function StyleFields({ settings, isLive = false }: { settings: TakeSettings; isLive?: boolean }) {
  return (
    <>
      <StudentField settings={settings} />
      <VoiceField settings={settings} isLive={isLive} />
      <EmotionFields settings={settings} isLive={isLive} />
    </>
  );
}

/** Which student, where there are several. */
export function StudentField({ settings }: { settings: TakeSettings }) {
  const { catalogue } = useBench();
  const students = catalogue.students.value;
  const chosen = settings.student.value;
  if (students.length < 2 && !chosen) return null;
  return (
    <Choice
      label="Student"
      value={chosen || students[0] || ""}
      onChange={(student) => (settings.student.value = student === students[0] ? "" : student)}
      options={[
        ...students.map((name) => ({ value: name, label: name })),
        ...(chosen && !students.includes(chosen) ? [{ value: chosen, label: `${chosen} (not here)` }] : []),
      ]}
    />
  );
}

export function EmotionFields({ settings, isLive = false }: { settings: TakeSettings; isLive?: boolean }) {
  const { catalogue } = useBench();
  const about = catalogue.abouts.value.get(settings.student.value);
  const emotions = about?.emotions ?? [];
  const chosen = settings.emotion.value;
  const isUnknown = chosen !== "" && !emotions.includes(chosen);
  const intensity = settings.intensity.value;
  return (
    <>
      <Choice
        label="Emotion"
        value={chosen}
        onChange={(emotion) => (settings.emotion.value = emotion)}
        options={[
          { value: "", label: isLive ? "None in particular" : "As the sound suggests" },
          ...emotions.map((name) => ({ value: name, label: capital(name) })),
          ...(isUnknown ? [{ value: chosen, label: notHere(chosen, about) }] : []),
        ]}
      />
      <Slide
        label="Intensity"
        value={intensity}
        onChange={(value) => (settings.intensity.value = value)}
        {...INTENSITY}
        step={0.05}
        shown={`${Math.round(100 * intensity)} %`}
        disabled={isLive && chosen === ""}
      />
    </>
  );
}
