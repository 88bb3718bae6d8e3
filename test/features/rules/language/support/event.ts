import type { RuleEvent } from "../../../../../src/features/rules/language/language.ts";

/** An event with the payload of the contract's examples, as it arrives: through JSON.parse. */
export function makeEvent(overrides: Partial<RuleEvent> = {}): RuleEvent {
  return {
    id: "0198d2a0-0000-7000-8000-000000000001",
    type: "payment",
    source: "shop",
    level: "info",
    projectId: "default",
    occurredAt: Date.UTC(2026, 0, 31, 8, 15, 0, 250),
    receivedAt: Date.UTC(2026, 0, 31, 8, 15, 1),
    payload: JSON.parse('{"amount":1500,"status":"failed","tags":["eu"],"amountText":"1500.10"}'),
    correlationId: "corr-1",
    ...overrides,
  };
}

export function withPayload(json: string): RuleEvent {
  return makeEvent({ payload: JSON.parse(json) });
}
