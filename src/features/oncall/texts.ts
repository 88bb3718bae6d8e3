import type { EpochMs } from "../../core/time/clock.ts";
import type { UserName } from "../access/index.ts";
import { midnightOf } from "./model/away.ts";

// Names, days and times in notices and answers.

export function nameOf({ id, name, username }: UserName): string {
  return name ?? username ?? id;
}

export function nameIn(names: ReadonlyMap<string, UserName>, id: string): string {
  return nameOf(names.get(id) ?? { id, name: null, username: null });
}

export function listed(names: ReadonlyMap<string, UserName>, ids: readonly string[]): string {
  return ids.map((id) => nameIn(names, id)).join(", ");
}

export function shownUser(names: ReadonlyMap<string, UserName>, id: string) {
  return { id, username: names.get(id)?.username ?? null };
}

/** Such as "Mon, 23 Nov 2026, 09:00 (Europe/Berlin)". */
export function localTime(at: EpochMs, timezone: string): string {
  const text = new Intl.DateTimeFormat("en-GB", {
    timeZone: timezone,
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
  }).format(at);
  return `${text} (${timezone})`;
}

/** Such as "Mon, 23 Nov 2026", of a date in UTC. */
function dayText(date: string): string {
  return new Intl.DateTimeFormat("en-GB", {
    timeZone: "UTC",
    weekday: "short",
    day: "numeric",
    month: "short",
    year: "numeric",
  }).format(midnightOf(date));
}

/** "from Tue, 24 Nov 2026 to Thu, 26 Nov 2026", or "on Wed, 25 Nov 2026". */
export function daysText({ firstDay, lastDay }: { readonly firstDay: string; readonly lastDay: string }): string {
  const first = dayText(firstDay);
  return firstDay === lastDay ? `on ${first}` : `from ${first} to ${dayText(lastDay)}`;
}
