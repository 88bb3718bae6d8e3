import type { DeliveryItem } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useStream } from "../../app/live.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import type { PageProps } from "../../app/page-module.ts";
import { PersonName } from "../../app/person-name.tsx";
import { invalidate, useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Badge,
  Button,
  Card,
  DescriptionList,
  formatDuration,
  Page,
  Time,
  Timeline,
  toast,
  UserText,
} from "../../ui/index.ts";
import { CHANNELS, recipientOf, STATES } from "./delivery-types.ts";

interface Attempt {
  readonly attempt: number;
  readonly startedAt: string;
  readonly durationMs: number | null;
  readonly outcome: string;
  readonly status: number | null;
  readonly error: string | null;
}

interface Detail extends DeliveryItem {
  readonly providerId: string | null;
  readonly canRetry: boolean;
  readonly history: readonly Attempt[];
}

const OUTCOMES: Readonly<Record<string, { tone: "ok" | "bad" | "warn" | "info"; text: string }>> = {
  delivered: { tone: "ok", text: "delivered" },
  succeeded: { tone: "ok", text: "succeeded" },
  dead: { tone: "bad", text: "failed for good" },
  retrying: { tone: "warn", text: "failed, retried later" },
  running: { tone: "info", text: "runs" },
};

export default function DeliveryPage({ params }: PageProps) {
  const query = useGet<Detail>(`/deliveries/${params["id"]}`);
  useStream(
    can("system:status") ? "system" : null,
    ({ type }) => type === "jobs.changed" && query.reload(),
    query.reload,
  );
  return (
    <LoadedPage title="Delivery" query={query}>
      {(delivery) => <DeliveryView delivery={delivery} />}
    </LoadedPage>
  );
}

function DeliveryView({ delivery }: { readonly delivery: Detail }) {
  const state = STATES[delivery.state];
  const retry = async () => {
    await api.post(`/deliveries/${delivery.id}/retry`);
    toast.ok("It is attempted again now.");
    invalidate("/deliveries", "/attention");
  };
  return (
    <Page
      title={delivery.title ?? "Delivery"}
      subtitle={`${CHANNELS[delivery.channel]} to ${recipientOf(delivery)}.`}
      breadcrumb={[{ label: "Deliveries", href: href("/deliveries") }]}
      badge={<Badge {...state} />}
      actions={
        <>
          <Button href={href(`/explain/notification/${delivery.notificationId}`)}>Explain</Button>
          {delivery.canRetry && can("jobs:manage") && (
            <Button variant="primary" onClick={retry}>
              Retry
            </Button>
          )}
        </>
      }
    >
      <div class="two">
        <Card title="Attempts">
          <Attempts delivery={delivery} />
        </Card>
        <Card title="Delivery">
          <DescriptionList items={factsOf(delivery)} />
        </Card>
      </div>
    </Page>
  );
}

function Attempts({ delivery }: { readonly delivery: Detail }) {
  if (delivery.history.length === 0) {
    return <p class="muted">{`No attempt yet${delivery.reason === null ? "" : `: ${delivery.reason}`}.`}</p>;
  }
  const items = delivery.history.map(({ attempt, outcome, startedAt, durationMs, status, error }) => ({
    key: String(attempt),
    tone: OUTCOMES[outcome]?.tone ?? ("plain" as const),
    title: `Attempt ${attempt} ${OUTCOMES[outcome]?.text ?? outcome}`,
    time: <Time at={startedAt} mode="clock-ms" />,
    sub: [status === null ? "" : `status ${status}`, durationMs === null ? "" : `took ${formatDuration(durationMs)}`]
      .filter(Boolean)
      .join(", "),
    children: error === null ? undefined : <UserText mono>{error}</UserText>,
  }));
  return <Timeline label="Attempts" items={items} />;
}

function factsOf(delivery: Detail) {
  return [
    {
      label: "Notification",
      value: <a href={href(`/inbox/${delivery.notificationId}`)}>{delivery.title ?? "Show"}</a>,
    },
    { label: "Recipient", value: delivery.userId === null ? "the project" : <PersonName id={delivery.userId} /> },
    { label: "Target", value: <UserText mono>{delivery.webhookHost ?? delivery.target}</UserText> },
    { label: "Created", value: <Time at={delivery.createdAt} mode="full" /> },
    { label: "Delivered", value: <Time at={delivery.deliveredAt} mode="full" empty="not yet" /> },
    { label: "Next attempt", value: <Time at={delivery.nextAttemptAt} empty="none" /> },
    ...(delivery.providerId === null
      ? []
      : [{ label: "Id at the provider", value: <UserText mono>{delivery.providerId}</UserText> }]),
    ...(delivery.reason === null ? [] : [{ label: "Reason", value: delivery.reason }]),
  ];
}
