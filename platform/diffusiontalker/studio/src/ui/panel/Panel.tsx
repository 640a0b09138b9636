import { useBench } from "../bench";
import { Segments } from "../fields";
import { Icon } from "../Icon";
import { Problem } from "../Problem";
import type { Mode } from "../state/workbench";
import { CompareGroup } from "./CompareGroup";
import { Go } from "./Go";
import { LiveFacts, LiveGo } from "./LiveGroup";
import { SamplingFields } from "./SamplingFields";
import { SoundGroup } from "./SoundGroup";
import { StyleFields } from "./StyleFields";

/** Everything that can be set. */
export function Panel() {
  const bench = useBench();
  const isLive = bench.mode.value === "live";
  const isOn = bench.live.session.value !== null;
  return (
    <section class="panel" aria-label="Settings">
      <div class="settings">
        <EndpointProblem />
        <Segments
          label="What is animated"
          value={bench.mode.value}
          onChange={(mode) => bench.switchMode(mode as Mode)}
          disabled={isOn || bench.recording.isUnderWay.value || bench.isBusy.value}
          options={[
            { value: "recording", label: "Recording" },
            { value: "live", label: "Live" },
          ]}
        />
        {isLive ? <LiveFacts /> : <SoundGroup />}
        <fieldset class="group" disabled={isOn}>
          <legend>{bench.settings.compare.value === "takes" && !isLive && <span class="letter">A</span>} Face</legend>
          <StyleFields settings={bench.settings.a} isLive={isLive} />
          <details class="fold">
            <summary>
              <Icon name="more" size={16} />
              More settings
            </summary>
            <div class="inside">
              <SamplingFields settings={bench.settings.a} />
            </div>
          </details>
        </fieldset>
        {!isLive && <CompareGroup />}
      </div>
      {isLive ? <LiveGo /> : <Go />}
    </section>
  );
}

/** What keeps the page from the endpoint, with the way out. */
function EndpointProblem() {
  const bench = useBench();
  const { problem, isLoading } = bench.catalogue;
  if (!problem.value) return null;
  return (
    <div class="group">
      <Problem text={problem.value} />
      <button
        type="button"
        class="button"
        disabled={isLoading.value}
        onClick={() => void bench.catalogue.load(bench.chosenStudents())}
      >
        Try again
      </button>
    </div>
  );
}
