/** What other features may use of `sounds`. */

export type { SoundUrlOf } from "./open-sounds.ts";
export { openSounds, type SoundServices } from "./open-sounds.ts";
export { requireSound } from "./queries.ts";
