import type { ChannelPreset } from "../preset.ts";
import { ntfy } from "./ntfy.ts";

/** The built-in presets. Loaded at the first use of a channel. */
export const PRESETS: readonly ChannelPreset[] = [ntfy];
