import type { ComponentChildren } from "preact";

import { MOTION_SUFFIXES } from "../../motion";
import { useBench } from "../bench";
import { Choice } from "../fields";
import { FileButton } from "../FileButton";
import { Icon } from "../Icon";
import { Problem } from "../Problem";
import type { Contrast } from "../state/comparison";
import { SamplingFields } from "./SamplingFields";
import { EmotionFields, StudentField, StyleFields } from "./StyleFields";
import { VoiceField } from "./VoiceField";

/** A second result, or the truth, beside the first. */
export function CompareGroup() {
  const { comparison, catalogue } = useBench();
  const contrast = comparison.contrast.value;
  return (
    <section class="group" aria-label="Comparison">
      <h2>Compare</h2>
      <Choice
        label="Compare with"
        value={contrast}
        onChange={(value) => comparison.choose(value as Contrast)}
        options={[
          { value: "off", label: "Nothing" },
          { value: "voice", label: "Another voice" },
          { value: "emotion", label: "Another emotion" },
          ...(catalogue.students.value.length > 1 ? [{ value: "student", label: "Another student" }] : []),
          { value: "sampling", label: "Another seed, other steps" },
          { value: "anything", label: "Other settings" },
          { value: "truth", label: "A file: ground truth" },
        ]}
      />
      {contrast === "truth" ? <TruthFields /> : contrast !== "off" && <FieldsOfB contrast={contrast} />}
    </section>
  );
}

const LEGENDS: Partial<Record<Contrast, string>> = { voice: "Voice", emotion: "Emotion", sampling: "Sampling" };

function FieldsOfB({ contrast }: { contrast: Contrast }) {
  const { b } = useBench().settings;
  const fields: Partial<Record<Contrast, ComponentChildren>> = {
    voice: <VoiceField settings={b} />,
    emotion: <EmotionFields settings={b} />,
    student: (
      <>
        <StudentField settings={b} />
        <VoiceField settings={b} />
        <EmotionFields settings={b} />
      </>
    ),
    sampling: <SamplingFields settings={b} />,
    anything: (
      <>
        <StyleFields settings={b} />
        <SamplingFields settings={b} />
      </>
    ),
  };
  return (
    <fieldset class="group second" aria-label="B settings">
      <legend>
        <span class="letter b">B</span> {LEGENDS[contrast] ?? "Face"}
      </legend>
      {fields[contrast]}
    </fieldset>
  );
}

function TruthFields() {
  const bench = useBench();
  const truth = bench.truth.value;
  return (
    <div class="group">
      {truth && (
        <div class="sound">
          <span class="letter b">B</span>
          <p class="name" title={truth.name}>
            {truth.name}
          </p>
          <button
            type="button"
            class="button plain icon"
            aria-label={`Remove ${truth.name}`}
            onClick={() => (bench.truth.value = null)}
          >
            <Icon name="close" size={16} />
          </button>
        </div>
      )}
      {truth?.notes.map((note) => (
        <p key={note} class="small soft">
          {note}
        </p>
      ))}
      <FileButton accept={MOTION_SUFFIXES.join(",")} onFile={(file) => void bench.openMotion(file)}>
        <Icon name="file" />
        {truth ? "Choose another file" : "Choose a csv or json file"}
      </FileButton>
      {bench.truthProblem.value && (
        <Problem text={bench.truthProblem.value} onClose={() => (bench.truthProblem.value = null)} />
      )}
    </div>
  );
}
