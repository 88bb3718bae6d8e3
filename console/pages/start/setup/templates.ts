/** A first rule with an event that makes it fire. */
export interface RuleTemplate {
  readonly name: string;
  readonly text: string;
  readonly condition: string;
  readonly titleTemplate: string | null;
  readonly messageTemplate: string | null;
  readonly priority: number;
  readonly event: {
    readonly type: string;
    readonly level: string;
    readonly source: string;
    readonly payload: Readonly<Record<string, string | number>>;
  };
}

export const TEMPLATES: readonly RuleTemplate[] = [
  {
    name: "Host down",
    text: "A monitored machine stops answering.",
    condition: "event.type == 'host.down' and event.seconds >= 30",
    titleTemplate: "{{ event.host }} is down",
    messageTemplate: "No answer for {{ event.seconds }} s, seen by {{ event.source }}.",
    priority: 600,
    event: { type: "host.down", level: "error", source: "set-up", payload: { host: "db-2", seconds: 42 } },
  },
  {
    name: "Payment failed",
    text: "A payment over 1000 fails.",
    condition: "event.type == 'payment.failed' and event.amount >= 1000",
    titleTemplate: "Payment of {{ event.amount }} {{ event.currency }} failed",
    messageTemplate: "Order {{ event.orderId }}: {{ event.reason | default:'no reason given' }}",
    priority: 300,
    event: {
      type: "payment.failed",
      level: "warn",
      source: "set-up",
      payload: { orderId: "A-1007", amount: 1500, currency: "EUR", reason: "card expired" },
    },
  },
  {
    name: "Any error",
    text: "A program reports an event of level error or fatal.",
    condition: "event.level in ['error', 'fatal']",
    titleTemplate: null,
    messageTemplate: null,
    priority: 500,
    event: { type: "program.failed", level: "error", source: "set-up", payload: { message: "the disk is full" } },
  },
];
