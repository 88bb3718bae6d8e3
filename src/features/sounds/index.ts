/** What other features may use of `sounds`. */
export { openSounds, type SoundServices } from "./open-sounds.ts";
export { requireSound } from "./require-sound.ts";
