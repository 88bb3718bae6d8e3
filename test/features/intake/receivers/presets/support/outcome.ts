import assert from "node:assert/strict";
import type { Made, ReceiverTest, StoredEvent } from "../../support.ts";

/** What a request has become, as the pages of docs/integrations/ show it. */
export interface Outcome {
  readonly stored: string;
  readonly title: string | undefined;
  readonly level: string | undefined;
  readonly key: string | undefined;
  readonly link: string | undefined;
}

interface LoggedOutcome {
  readonly eventIds: readonly string[];
  readonly alerts: readonly { readonly key: string; readonly outcome: string; readonly alertId: string | null }[];
}

interface ShownAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly generatorUrl: string | null;
}

/** What the newest request of a receiver has stored, read back from the API. */
export async function newestOutcome(it: ReceiverTest, receiver: Made): Promise<Outcome> {
  const [logged] = await it.requests(receiver, 1);
  assert.equal(logged?.result, "accepted", JSON.stringify(logged));
  const { eventIds, alerts } = logged.outcome as unknown as LoggedOutcome;
  const [alert] = alerts;
  if (alert) {
    assert.ok(alert.alertId, JSON.stringify(alert));
    const { body } = await it.prism.get<ShownAlert>(`/api/v1/alerts/${alert.alertId}`);
    const { labels, annotations, generatorUrl } = body;
    const level = labels["severity"];
    return {
      stored: "alert, firing",
      title: annotations["summary"],
      level,
      key: alert.key,
      link: generatorUrl ?? undefined,
    };
  }
  const { body } = await it.prism.get<StoredEvent>(`/api/v1/events/${eventIds[0] ?? ""}`);
  const text = (name: string) => body.payload[name]?.toString();
  return {
    stored: `event \`${body.type}\``,
    title: text("title"),
    level: body.level,
    key: text("key"),
    link: text("link"),
  };
}
