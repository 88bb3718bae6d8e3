import type { Silence, SilencePreview } from "../../../src/client/api-types.gen.ts";
import { api, ifMatch } from "../../app/api.ts";
import { invalidate } from "../../app/query.ts";
import { confirm, displayZone, formatInstant, type MenuEntry, plural, toast } from "../../ui/index.ts";
import { HOUR, nameOf, tomorrowAtNine } from "./silence-types.ts";

function changed(): void {
  invalidate("/silences");
}

/** How many firing alerts a silence matches now. */
async function hitsOf({ projectId, matchers }: Silence): Promise<number> {
  const { hits } = await api.post<SilencePreview>("/silences/preview", { projectId, matchers });
  return hits;
}

/** Asks, and ends a silence. @returns whether it has ended */
export async function expire(silence: Silence): Promise<boolean> {
  const hits = await hitsOf(silence);
  const now =
    silence.state !== "active" || hits === 0
      ? "No firing alert matches it now."
      : `${plural(hits, "firing alert")} match now and may notify at once.`;
  const windows = silence.recurrence ? " All further windows are dropped." : "";
  const isSure = await confirm({
    title: `End “${nameOf(silence)}”?`,
    text: `${now}${windows}`,
    action: "End it now",
    danger: true,
  });
  if (!isSure) return false;
  await api.del(`/silences/${silence.id}`);
  toast.ok("The silence has ended.");
  changed();
  return true;
}

/** Ends the current window, or skips the next one; later windows stay. */
async function skipWindow(silence: Silence): Promise<void> {
  const isActive = silence.state === "active";
  const span = silence.window;
  const isSure = await confirm({
    title: isActive ? "End this window?" : "Skip the next window?",
    text: span
      ? `It is from ${formatInstant(span.startsAt)} to ${formatInstant(span.endsAt)}. Later windows stay.`
      : "",
    action: isActive ? "End this window" : "Skip it",
  });
  if (!isSure) return;
  await api.del(`/silences/${silence.id}`, { only: "window" });
  toast.ok(isActive ? "The window has ended." : "The next window is skipped.");
  changed();
}

async function extendTo(silence: Silence, endsAt: string): Promise<void> {
  await api.patch(`/silences/${silence.id}`, { endsAt }, ifMatch(silence));
  toast.ok(`It ends ${formatInstant(endsAt)}.`);
  changed();
}

/** Later ends, and the end of the current window, for a menu. */
export function timeEntries(silence: Silence): readonly MenuEntry[] {
  if (silence.state === "expired") return [];
  if (silence.recurrence) {
    const label = silence.state === "active" ? "End this window only" : "Skip the next window";
    return [{ label, onSelect: () => skipWindow(silence) }];
  }
  const end = Date.parse(silence.endsAt ?? "");
  const later = (ms: number) => new Date(end + ms).toISOString();
  const morning = tomorrowAtNine(displayZone.value);
  return [
    { label: "Extend by 1 hour", onSelect: () => extendTo(silence, later(HOUR)) },
    { label: "Extend by 4 hours", onSelect: () => extendTo(silence, later(4 * HOUR)) },
    ...(Date.parse(morning) > end
      ? [{ label: "Until tomorrow 9:00", onSelect: () => extendTo(silence, morning) }]
      : []),
  ];
}
