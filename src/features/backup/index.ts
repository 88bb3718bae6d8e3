/** What other features may use of `backup`. */
export { SOUNDS_DIR } from "./manifest.ts";
export { syncDirLater } from "./sync-dir.ts";
