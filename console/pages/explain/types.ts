import type { Explanation } from "../../../src/client/api-types.gen.ts";

export type ExplainedIncident = NonNullable<Explanation["incident"]>;

export type ExplainedEvent = NonNullable<Explanation["event"]>;

export type RuleOutcome = ExplainedRule["outcome"];

export type Step = NonNullable<ExplainedRule["trace"]>["trace"][number];

export type ExplainedRule = Explanation["rules"][number];

export type ExplainedNotification = Explanation["notifications"][number];

export type ExplainedRecipient = ExplainedNotification["recipients"][number];

export type ExplainedDelivery = ExplainedRecipient["deliveries"][number];
