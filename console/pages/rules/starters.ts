import type { Definition } from "./types.ts";

/** Rules to start from, for common events. */
export const STARTERS: readonly {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly definition: Partial<Definition>;
}[] = [
  {
    id: "errors",
    title: "Errors of any program",
    text: "Every event of level error or fatal, at most one for each type in ten minutes.",
    definition: {
      name: "Errors",
      condition: "event.level in ['error', 'fatal']",
      dedupe: { key: "{{ event.type }}", windowMs: 600_000 },
    },
  },
  {
    id: "down",
    title: "Something is down",
    text: "Events such as host.down, also in quiet hours, one for each host.",
    definition: {
      name: "Host down",
      condition: "event.type == 'host.down'",
      titleTemplate: "{{ event.host | default:'A host' }} is down",
      messageTemplate: "Reported by {{ event.source }} at {{ event.occurredAt | date }}",
      priority: 500,
      dedupe: { key: "{{ event.host }}", windowMs: 600_000 },
    },
  },
  {
    id: "amount",
    title: "A value over a limit",
    text: "Payments that failed from an amount on.",
    definition: {
      name: "Large payment failed",
      condition: "event.type == 'payment.failed' and event.amount >= 1000",
      titleTemplate: "Payment of {{ event.amount }} failed",
      messageTemplate: "Order {{ event.orderId }}: {{ event.reason | default:'no reason given' }}",
    },
  },
];
