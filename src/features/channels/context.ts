import type { Uses } from "../../module/feature.ts";
import type { PresetBook } from "./book.ts";
import type { SenderParts } from "./sending/sender.ts";

/** Needs of sending to channels. */
export interface ChannelsContext
  extends Uses<"db" | "clock" | "log" | "box" | "audit" | "settings" | "jobs" | "notify" | "pages"> {
  readonly book: PresetBook;
  readonly sender: SenderParts;
  /** Called when the first channel becomes active, or the last one no longer is. */
  readonly changed: () => void;
}
