import { effect, signal } from "@preact/signals";
import type { ListedIncident } from "../../../src/client/api-types.gen.ts";
import { api, type Page } from "../../app/api.ts";
import { connection, listen } from "../../app/live.ts";
import { canInProject } from "../../app/memberships.ts";
import { client } from "../../app/session.ts";

const LOAD_DELAY_MS = 1000;
const EVERY_MS = 60_000;
const COUNTED = 100;

/** Incidents that wait for people; the badge of the navigation. */
export const openIncidents = signal(0);

type Counted = Pick<ListedIncident, "notifiesPeople">;

let turn = 0;
/** Number of the request that the badge shows; answers to earlier ones are dropped. */
let shown = 0;

async function load(): Promise<void> {
  turn += 1;
  const own = turn;
  if (!client.peek() || canInProject("events:read") !== true) return;
  // Without an answer the badge keeps the last known number.
  const page = await api.get<Page<Counted>>("/incidents", { state: "open", limit: COUNTED }).catch(() => null);
  if (!page || own < shown) return;
  shown = own;
  openIncidents.value = page.data.filter(({ notifiesPeople }) => notifiesPeople).length;
}

let isPlanned = false;

/** Counts again after changes that other pages see. */
export function countSoon(): void {
  if (isPlanned) return;
  isPlanned = true;
  setTimeout(() => {
    isPlanned = false;
    void load();
  }, LOAD_DELAY_MS);
}

effect(() => {
  if (!client.value || canInProject("events:read") !== true) {
    turn += 1;
    shown = turn;
    openIncidents.value = 0;
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

effect(() => {
  if (connection.value === "live") countSoon();
});
