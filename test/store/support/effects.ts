import type { Effect } from "../../../src/store/effect.ts";

/** An effect with only a name. */
export function effect(name: string): Effect {
  return { type: "announced", event: name, data: null };
}

export function nameOf(applied: Effect): string {
  return applied.type === "announced" ? applied.event : applied.type;
}
