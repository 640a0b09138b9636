import { useEffect } from "preact/hooks";

import { BenchContext } from "./bench";
import { DropTarget } from "./DropTarget";
import { Header } from "./header/Header";
import { KeyDialog } from "./KeyDialog";
import { listenToKeys } from "./listening";
import { Panel } from "./panel/Panel";
import { StageView } from "./stage/StageView";
import type { Workbench } from "./state/workbench";
import { Timeline } from "./timeline/Timeline";
import { Transport } from "./transport/Transport";

/** The whole page. */
export function App({ bench }: { bench: Workbench }) {
  useEffect(() => bench.start(), [bench]);
  useEffect(() => listenToKeys(bench), [bench]);
  return (
    <BenchContext.Provider value={bench}>
      <div class="page">
        <Header />
        <main class="view">
          <StageView />
          <Transport />
          <Timeline />
        </main>
        <Panel />
      </div>
      <DropTarget />
      {bench.catalogue.keyWanted.value !== null && <KeyDialog />}
      <p class="unseen" role="status">
        {bench.status}
      </p>
    </BenchContext.Provider>
  );
}
