import type { UserPrincipal } from "../../core/principal.ts";

/** Replaces text that the caller may not read. */
export const MASK = "***";

const WORDS = ["title", "message", "body", "data"];

/** Whether the caller may read what a timer or a scheduled notification says: its creator, and those who may read all notifications. */
export function mayReadWords({ userId, permissions }: UserPrincipal, createdBy: string | null): boolean {
  return createdBy === userId || permissions.has("notifications:read_all");
}

/** The payload of a timer's or scheduled notification's job without what it says. Other payloads stay as they are. */
export function withoutWords(payload: unknown): unknown {
  if (!isObject(payload)) return payload;
  if (isObject(payload["notification"])) return { ...payload, notification: maskWords(payload["notification"]) };
  return isObject(payload["action"]) ? { ...payload, action: actionWithoutWords(payload["action"]) } : payload;
}

/** A timer's action without what it says: of a notification its texts and data, of anything else the whole payload. */
export function actionWithoutWords<A extends object>(action: A): A {
  const { type, payload } = action as { type?: unknown; payload?: unknown };
  const masked = type === "notify" && isObject(payload) ? maskWords(payload) : MASK;
  return payload === undefined ? action : { ...action, payload: masked };
}

function maskWords(texts: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(texts);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, WORDS.includes(name) && value !== null ? MASK : value]),
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
