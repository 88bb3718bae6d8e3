import type { ReceiverPreset } from "../preset.ts";
import { generic } from "./generic.ts";

/** All built-in presets, in the order in which they are listed. Imported at first use. */
export const BUILT_IN_PRESETS: readonly ReceiverPreset[] = [generic];
