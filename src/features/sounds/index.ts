/** What other features may use of `sounds`. */
export { openSounds, type SoundServices } from "./open-sounds.ts";
export { requireSound } from "./queries.ts";
export type { SoundUrlOf } from "./sound-links.ts";
