import { effect, signal } from "@preact/signals";
import type { Notification } from "../../../src/client/api-types.gen.ts";
import type { UnreadCount } from "../../../src/client/views.ts";
import { api } from "../../app/api.ts";
import { listen, onReconnected } from "../../app/live.ts";
import { client } from "../../app/session.ts";
import { playSound } from "./sounds.ts";

const LOAD_DELAY_MS = 1000;

/** The user's unread notifications; the badge of the navigation. */
export const unread = signal(0);

/** Changes of the number that did not come from a request. */
let changes = 0;

export function changeUnread(count: number): void {
  changes += 1;
  unread.value = count;
}

async function load(): Promise<void> {
  const before = changes;
  // Without an answer the badge keeps the last known number.
  const answer = await api.get<UnreadCount>("/notifications/unread-count").catch(() => null);
  if (!answer) return;
  // What changed meanwhile may be newer than the answer.
  if (changes === before) unread.value = answer.count;
  else loadSoon();
}

let isPlanned = false;

/** A replay after a reconnect repeats entries that the number already includes. */
function loadSoon(): void {
  if (isPlanned) return;
  isPlanned = true;
  setTimeout(() => {
    isPlanned = false;
    if (client.peek()) void load();
  }, LOAD_DELAY_MS);
}

effect(() => {
  if (!client.value) {
    changeUnread(0);
    return;
  }
  void load();
  return listen("user:me", ({ type, data }) => {
    if (type === "unread-count") changeUnread((data as UnreadCount).count);
    else if (type === "notification") {
      changeUnread(unread.peek() + 1);
      loadSoon();
      playSound(data as Notification);
    }
  });
});

onReconnected(() => void (client.peek() && load()));
