import { useComputed } from "@preact/signals";

import { REGIONS } from "../../motion";
import { useBench } from "../bench";
import { Menu } from "../Menu";
import { capital } from "../words";
import { channelsBy, chipOf, mostActive, MOST_CURVES, type Chip } from "./curves";
import { useTimeline } from "./view";

const CHIPS: readonly Chip[] = ["all", ...REGIONS];

/** Whose curves are drawn: of one region, or those that move most; or chosen one by one. */
export function Regions() {
  const bench = useBench();
  const { settings } = bench;
  const motions = useComputed(() => [bench.motionA.value, bench.motionB.value].filter((motion) => motion !== null));
  const chosen = chipOf(settings.channels.value);
  const choose = (chip: Chip) => {
    settings.channels.value = chip === "all" ? [] : mostActive(motions.value, chip);
  };
  return (
    <fieldset class="regions" disabled={motions.value.length === 0}>
      <legend class="unseen">Curves of</legend>
      <div class="chips">
        {CHIPS.map((chip) => (
          <label key={chip} class="chip">
            <input type="radio" name="region" checked={chosen === chip} onChange={() => choose(chip)} />
            {chip === "all" ? "Most active" : capital(chip)}
          </label>
        ))}
      </div>
      <ChannelMenu chip={chosen ?? "all"} />
    </fieldset>
  );
}

/** Single channels of a region, those that move most first. */
function ChannelMenu({ chip }: { chip: Chip }) {
  const bench = useBench();
  const view = useTimeline();
  return (
    <Menu label="Channels" icon="list" isUpward>
      {() => {
        const shown = view.rows.value.map(({ name }) => name);
        const motions = [bench.motionA.value, bench.motionB.value].filter((motion) => motion !== null);
        const toggle = (name: string) => {
          const isShown = shown.includes(name);
          const kept = isShown ? shown.filter((other) => other !== name) : [...shown, name];
          if (kept.length > 0) bench.settings.channels.value = kept;
        };
        return (
          <fieldset class="checks">
            <legend class="text small soft">Up to {MOST_CURVES}, the most active first</legend>
            {channelsBy(motions, chip).map((name) => (
              <label key={name} class="item">
                <input
                  type="checkbox"
                  checked={shown.includes(name)}
                  disabled={!shown.includes(name) && shown.length >= MOST_CURVES}
                  onChange={() => toggle(name)}
                />
                {name}
              </label>
            ))}
          </fieldset>
        );
      }}
    </Menu>
  );
}
