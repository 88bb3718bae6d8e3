/** The part of `sounds` that other features may use. */

export type { SoundUrlOf } from "./open-sounds.ts";
export { bucketOf, type SoundServices } from "./open-sounds.ts";
export { requireSound } from "./queries.ts";
