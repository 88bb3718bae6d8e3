/** The part of `watch` that other features may use. */
export { AliveFile, TOUCH_EVERY_MS } from "./alive-file.ts";
