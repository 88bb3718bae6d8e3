import { computed, effect, signal } from "@preact/signals";
import type { IncidentCounts } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { listen, onReconnected } from "../../app/live.ts";
import { canInProject } from "../../app/memberships.ts";
import { client } from "../../app/session.ts";

const LOAD_DELAY_MS = 1000;
const EVERY_MS = 60_000;

/** How many incidents need people, for every page that says so; undefined until it is known. */
export const incidentCounts = signal<IncidentCounts | undefined>(undefined);

/** Incidents that wait for people; the badge of the navigation. */
export const openIncidents = computed(() => incidentCounts.value?.waiting ?? 0);

/** Incidents that the user was notified of, but that lists of the user's projects do not show. */
export const notifiedElsewhere = computed(() => incidentCounts.value?.mineElsewhere ?? 0);

let turn = 0;
/** Number of the request that is shown; answers to earlier ones are dropped. */
let shown = 0;

async function load(): Promise<void> {
  turn += 1;
  const own = turn;
  if (!client.peek() || canInProject("events:read") !== true) return;
  // Without an answer the last known numbers stay.
  const counts = await api.get<IncidentCounts>("/incidents/counts").catch(() => null);
  if (!counts || own < shown) return;
  shown = own;
  incidentCounts.value = counts;
}

let planned: ReturnType<typeof setTimeout> | undefined;

/** Counts again after changes that other pages see. */
export function countSoon(): void {
  planned ??= setTimeout(countNow, LOAD_DELAY_MS);
}

function countNow(): void {
  clearTimeout(planned);
  planned = undefined;
  void load();
}

effect(() => {
  if (!client.value || canInProject("events:read") !== true) {
    turn += 1;
    shown = turn;
    incidentCounts.value = undefined;
    return;
  }
  void load();
  const timer = setInterval(() => document.hidden || void load(), EVERY_MS);
  // Notified users have an incident in their own stream.
  const stop = listen("user:me", countSoon);
  return () => {
    clearInterval(timer);
    stop();
  };
});

onReconnected(countNow);
