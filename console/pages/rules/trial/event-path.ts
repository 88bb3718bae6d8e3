const STEP = /\.([\w$]+)|\[(?:'([^']*)'|"([^"]*)"|(\d+))\]/g;
const ENVELOPE = new Set(["id", "type", "source", "level", "projectId", "occurredAt", "receivedAt", "correlationId"]);

/** Whether an event has the member that a path names. @param path such as `event.customer.name` */
export function isInEvent(event: object, path: string): boolean {
  const names = [...path.matchAll(STEP)].map(
    ([, dotted, single, double, index]) => dotted ?? single ?? double ?? index ?? "",
  );
  const [first = ""] = names;
  const isWhole = ENVELOPE.has(first) || first === "payload";
  let at: unknown = isWhole ? event : "payload" in event ? event.payload : event;
  for (const name of names) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return false;
    at = (at as Readonly<Record<string, unknown>>)[name];
  }
  return true;
}
