import { signal } from "@preact/signals";
import type { Notification } from "../../../src/client/api-types.gen.ts";
import { SERVER_URL } from "../../app/base.ts";

const STORE = "prism.sounds";
/** A notification replayed after a reconnect is too old to make a sound. */
const MAX_AGE_MS = 60_000;

/** Whether this browser plays the sounds of notifications. */
export const playsSounds = signal(localStorage.getItem(STORE) !== "off");

export function setPlaysSounds(value: boolean): void {
  playsSounds.value = value;
  localStorage.setItem(STORE, value ? "on" : "off");
}

/** Plays the sound of a new notification, in one of the open tabs. */
export function playSound({ id, soundUrl, createdAt }: Notification): void {
  if (!playsSounds.value || soundUrl === null || Date.now() - Date.parse(createdAt) > MAX_AGE_MS) return;
  const url = new URL(soundUrl, SERVER_URL);
  // Sounds of other hosts are not allowed by the page's policy.
  if (url.origin !== location.origin) return;
  // A browser without locks (no secure context) plays it in every tab.
  const play = () => new Audio(url.href).play().catch(() => undefined);
  if (!navigator.locks) void play();
  else
    void navigator.locks.request(`prism-sound-${id}`, { ifAvailable: true }, async (lock) => {
      if (!lock) return;
      await play();
      // Held while other tabs receive the same entry.
      await new Promise((resolve) => setTimeout(resolve, 3000));
    });
}
