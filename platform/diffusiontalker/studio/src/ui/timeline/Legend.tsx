import { useBench } from "../bench";
import { clock } from "../words";
import { KEYS, valueAt, type Series } from "./curves";
import { useTimeline } from "./view";

/** Which curve is which, and what they hold at the playhead or under the pointer. */
export function Legend() {
  const bench = useBench();
  const view = useTimeline();
  const rows = view.rows.value;
  const apart = view.apart.value;
  const isCompared = bench.isComparing.value;
  if (rows.length === 0) return null;
  return (
    <div class="legend">
      <table>
        <thead>
          <tr>
            <th scope="col" class="number">
              {view.hoverS.value === null ? "Now" : `At ${clock(view.hoverS.value)}`}
            </th>
            <th scope="col" class="value">
              {isCompared ? "A" : <span class="unseen">Weight</span>}
            </th>
            {isCompared && (
              <th scope="col" class="value">
                B
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, a, b }, index) => (
            <tr key={name}>
              <th scope="row" title={name}>
                <span class={`key ${KEYS[index]}`} />
                {name}
              </th>
              <Value series={a} />
              {isCompared && <Value series={b} />}
            </tr>
          ))}
        </tbody>
      </table>
      {apart && isCompared && (
        <dl class="figures number">
          <dt>Mean difference</dt>
          <dd>{apart.meanError.toFixed(3)}</dd>
          <dt>jawOpen, correlation</dt>
          <dd>{apart.jawCorrelation === null ? "none" : apart.jawCorrelation.toFixed(2)}</dd>
        </dl>
      )}
    </div>
  );
}

function Value({ series }: { series: Series | null }) {
  const { toldS } = useTimeline();
  return <td class="number">{series ? valueAt(series, toldS.value).toFixed(2) : "–"}</td>;
}
