/** What was chosen, shared with the address. */

export { Settings, TakeSettings } from "./settings";
export { DEFAULTS, INTENSITY, SEED, SPEED, STEPS, TEMPERATURE, type Comparison, type Take, type Theme } from "./values";
