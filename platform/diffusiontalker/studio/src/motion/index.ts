/** Motion of faces: read from files, sorted by region, compared. */

export { correlation, difference, figures, resampled, type Figures } from "./difference";
export { column, durationS, MotionError, sampleInto, type Motion } from "./motion";
export { MOTION_SUFFIXES, readMotion } from "./read";
export { channelsOf, regionOf, REGIONS, type Region } from "./regions";
export type { ReadMotion } from "./table";
