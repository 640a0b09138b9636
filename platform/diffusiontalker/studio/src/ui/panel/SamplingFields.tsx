import { SEED, STEPS, TEMPERATURE, type TakeSettings } from "../../settings";
import { useBench } from "../bench";
import { NumberField } from "../fields";
import { Icon } from "../Icon";

/** How the animation is drawn out of the possible ones. */
export function SamplingFields({ settings }: { settings: TakeSettings }) {
  const { catalogue } = useBench();
  const about = catalogue.abouts.value.get(settings.student.value);
  return (
    <>
      <div class="pair">
        <NumberField
          label="Steps"
          value={settings.steps.value}
          onChange={(steps) => (settings.steps.value = steps === null ? null : Math.round(steps))}
          {...STEPS}
          step={1}
          placeholder={about ? String(about.numSteps) : undefined}
        />
        <NumberField
          label="Temperature"
          value={settings.temperature.value}
          onChange={(temperature) => (settings.temperature.value = temperature)}
          {...TEMPERATURE}
          step={0.1}
          placeholder={about ? String(about.temperature) : undefined}
        />
      </div>
      <NumberField
        label="Seed"
        value={settings.seed.value}
        onChange={(seed) => (settings.seed.value = Math.round(seed ?? 0))}
        {...SEED}
        step={1}
        hint="Another seed gives another take."
      >
        <button
          type="button"
          class="button icon"
          aria-label="Throw the dice"
          title="Another seed"
          onClick={() => (settings.seed.value = Math.floor(Math.random() * 10_000))}
        >
          <Icon name="dice" />
        </button>
      </NumberField>
    </>
  );
}
