import { useSignal } from "@preact/signals";

import type { Format } from "../../endpoint";
import { useBench } from "../bench";
import { useErrand } from "../errand";
import { Segments } from "../fields";
import { Menu } from "../Menu";
import { Problem } from "../Problem";
import { save } from "../saving";
import type { Letter } from "../state/workbench";
import { busyWords } from "../words";

/** The result in every format that the endpoint writes, and the sound. */
export function DownloadMenu() {
  const bench = useBench();
  const letter = useSignal<Letter>("a");
  const under = useSignal("");
  const { isBusy, waitingS, problem, run } = useErrand();
  const sound = bench.sound.value;
  const hasB = bench.settings.compare.value === "takes" && bench.b.motion.value !== null;
  const chosen = hasB ? letter.value : "a";
  const take = bench.takeOf(chosen);
  const parameters = take.parameters.value;
  const formats = bench.catalogue.abouts.value.get("")?.formats ?? [];

  const download = ({ name, suffix }: Format) =>
    run(async (options) => {
      if (!sound || !parameters) return;
      under.value = name;
      const file = await bench.endpoint.download(sound.upload, parameters, name, options);
      const stem = sound.name.replace(/\.\w+$/, "");
      save(file, `${stem}${hasB ? `-${chosen}` : ""}${suffix}`);
      bench.status.value = `Downloaded as ${name}`;
    });

  return (
    <Menu label="Download" icon="download">
      {(close) => (
        <>
          {!parameters && <p class="text soft">Animate a recording first: then it can be downloaded here.</p>}
          {hasB && (
            <Segments
              label="Which result"
              value={chosen}
              onChange={(value) => (letter.value = value as Letter)}
              options={[
                { value: "a", label: "A" },
                { value: "b", label: "B" },
              ]}
            />
          )}
          {parameters && take.isLive.value && !parameters.voice && (
            <p class="text small soft">
              Files are animated anew from the recording. They know the voice in it, which the live face did not: choose
              a voice for files that are as what was seen.
            </p>
          )}
          {waitingS.value > 0 && <p class="text soft">{busyWords(waitingS.value)}</p>}
          {problem.value && <Problem text={problem.value} onClose={() => (problem.value = null)} />}
          {parameters && (
            <ul>
              {formats.map((format) => (
                <li key={format.name}>
                  <button type="button" class="item" disabled={isBusy.value} onClick={() => void download(format)}>
                    <span>{FORMAT_WORDS[format.name] ?? format.name}</span>
                    <span class="soft small">{isBusy.value && under.value === format.name ? "…" : format.suffix}</span>
                  </button>
                </li>
              ))}
            </ul>
          )}
          {sound && (
            <button
              type="button"
              class="item"
              onClick={() => {
                save(sound.upload, sound.upload.name);
                close();
              }}
            >
              <span>The sound</span>
              <span class="soft small">{sound.upload.name.match(/\.\w+$/)?.[0]}</span>
            </button>
          )}
        </>
      )}
    </Menu>
  );
}

const FORMAT_WORDS: Record<string, string> = {
  csv: "Table",
  json: "JSON",
  ndjson: "JSON, a line per frame",
  npz: "NumPy",
  parquet: "Parquet",
  arrow: "Arrow",
  glb: "Animated head, GLB",
  usda: "OpenUSD, text",
  usdc: "OpenUSD, binary",
  livelink: "Live Link Face",
  beat: "BEAT",
  a2f: "Audio2Face",
};
