import type { LiveState } from "../../live";
import { useBench } from "../bench";
import { Icon } from "../Icon";
import { Meter } from "../Meter";
import { Problem } from "../Problem";
import { busyWords, clock } from "../words";

/** Why the chosen student cannot speak live; null when it can. */
function useCannotStream(): string | null {
  const { catalogue, settings } = useBench();
  return catalogue.abouts.value.get(settings.a.student.value)?.cannotStream ?? null;
}

/** What is measured while the face follows the microphone. */
export function LiveFacts() {
  const { live, catalogue, settings } = useBench();
  const session = live.session.value;
  const parts = session?.latencyParts.value;
  const lookAheadMs = catalogue.abouts.value.get(settings.a.student.value)?.lookAheadMs;
  const cannot = useCannotStream();
  return (
    <section class="group" aria-label="Live">
      <h2>Live</h2>
      {cannot ? (
        <p class="soft">This student cannot speak live: {cannot}.</p>
      ) : !session ? (
        <p class="soft">
          The face follows the microphone at once
          {lookAheadMs != null && `, ${Math.round(lookAheadMs)} ms later: so much of a sound the student hears first`}.
          Stop, and the take is kept.
        </p>
      ) : (
        <>
          <div class="sound">
            <span class="dot" />
            <div>
              <p class="row spread">
                <span>{liveWords(live.state.value, session.waitingS.value)}</span>
                <span class="number">{clock(session.durationS.value)}</span>
              </p>
              <Meter level={session.level} />
            </div>
          </div>
          <dl class="facts number" aria-label="Delay of the face after the sound">
            <dt class="total">Delay, measured</dt>
            <dd class="total">{milliseconds(session.latencyMs.value)}</dd>
            <dt>Sound the student hears first</dt>
            <dd>{milliseconds(parts?.lookAheadMs)}</dd>
            <dt>Network and computing</dt>
            <dd>{milliseconds(parts?.networkMs)}</dd>
            <dt>Kept in hand, to move evenly</dt>
            <dd>{milliseconds(parts?.marginMs)}</dd>
          </dl>
        </>
      )}
      <label class="row">
        <input
          type="checkbox"
          checked={live.isMonitoring.value}
          onChange={(event) => (live.isMonitoring.value = event.currentTarget.checked)}
        />
        <span>
          Hear the voice with the face <span class="soft">(headphones)</span>
        </span>
      </label>
    </section>
  );
}

function liveWords(state: LiveState, waitingS: number | null): string {
  if (waitingS) return busyWords(waitingS);
  return { idle: "", starting: "Connecting …", live: "Live", stopping: "Finishing …", ended: "" }[state];
}

function milliseconds(value: number | null | undefined): string {
  return value == null ? "…" : `${Math.round(value)} ms`;
}

/** Start and stop. */
export function LiveGo() {
  const bench = useBench();
  const { live } = bench;
  const state = live.state.value;
  const isOn = live.session.value !== null;
  const cannot = useCannotStream();
  return (
    <div class="go">
      {live.problem.value && <Problem text={live.problem.value} onClose={() => (live.problem.value = null)} />}
      <button
        type="button"
        class="button primary"
        disabled={cannot !== null || state === "stopping" || bench.catalogue.abouts.value.size === 0}
        onClick={() => void (isOn ? live.stop() : bench.startLive())}
      >
        <Icon name={isOn ? "stop" : "microphone"} />
        {state === "stopping" ? "Waiting for the last frames …" : isOn ? "Stop and keep the take" : "Start speaking"}
      </button>
    </div>
  );
}
