import { render } from "preact";

import "./look/tokens.css";
import "./look/base.css";
import "./look/unseen.css";
import "./look/controls.css";
import "./look/overlays.css";
import "./look/layout.css";
import "./look/panel.css";
import "./look/timeline.css";
import { App } from "./ui/App";
import { Workbench } from "./ui/state/workbench";

const bench = new Workbench();

/** For debugging and tests: what the page holds, to look at and to drive by hand. */
Object.defineProperty(window, "diffusiontalker", {
  value: {
    state: bench,
    player: bench.player,
    get stage() {
      return bench.stage.value;
    },
    get session() {
      return bench.live.session.value;
    },
  },
});

render(<App bench={bench} />, document.getElementById("app")!);
