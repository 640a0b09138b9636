/**
 * The player inside the reports of evaluations: a classic script that works from the file system.
 *
 * It finds its clips in the page and loads nothing; its style is put on by script, as the page's policy wants it.
 */

import { createElement, render } from "preact";

import controls from "../look/controls.css?inline";
import unseen from "../look/unseen.css?inline";
import { readClips } from "./clips";
import own from "./player.css?inline";
import { ReportPlayer } from "./ReportPlayer";

const place = document.getElementById("player");
const data = document.getElementById("played-clips");
if (place && data) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(controls + unseen + own);
  document.adoptedStyleSheets.push(sheet);
  place.replaceChildren();
  try {
    render(createElement(ReportPlayer, { played: readClips(data.textContent ?? "") }), place);
  } catch (error) {
    place.textContent = error instanceof Error ? error.message : String(error);
  }
}
