import type { EpochMs } from "../../../core/clock.ts";
import type { Trx } from "../../../store/database.ts";
import type { AlertView } from "../types.ts";
import type { IncidentParts } from "./context.ts";
import type { NoticeReason } from "./machine.ts";
import { type NoticeText, noticeMessage, noticeTitle } from "./notice-text.ts";
import type { IncidentRow } from "./store.ts";

/* Steps that send to a channel: one message for each incident and channel, changed with the incident. */

const PRIORITY = { high: 800, low: 300 } as const;
const SEVERITIES = ["critical", "error", "warning", "info"] as const;
type Severity = (typeof SEVERITIES)[number];
/** Other words for the severities of channels, as senders of alerts have them. */
const MEANS: Readonly<Record<string, Severity>> = {
  ...{ fatal: "critical", emergency: "critical", page: "critical", disaster: "critical", high: "error" },
  ...{ warn: "warning", average: "warning", medium: "warning", information: "info", low: "info", none: "info" },
};

/** The state of an incident as channels show it. */
export type ChannelStatus = "firing" | "acknowledged" | "escalated" | "resolved";

/** A message to a channel, in the form of the feature `channels`. */
export interface IncidentMessage {
  readonly channelId: string;
  readonly notice: {
    readonly title: string;
    readonly message: string;
    readonly severity: Severity;
    readonly status: ChannelStatus;
    readonly priority: number;
    /** Equal for all messages about the incident. */
    readonly key: string;
    readonly atMs: EpochMs;
    readonly url: string | undefined;
    readonly ackUrl: string | undefined;
    readonly facts: readonly { readonly title: string; readonly value: string }[];
  };
  /** The earlier message is changed; readers need no new one. */
  readonly isChange: boolean;
}

/** What incidents need of channels. */
export interface ChannelsOfIncidents {
  /** @returns false if the channel is gone, disabled, or of another project */
  send(trx: Trx, projectId: string, message: IncidentMessage): Promise<boolean>;
  /** A link that acknowledges an incident without a login; undefined: the channel has none. */
  acknowledgeUrl(trx: Trx, channelId: string, incidentId: string, now: EpochMs): Promise<string | undefined>;
}

/** Why a channel is sent a message. */
export interface ChannelCause {
  /** `state`: it was acknowledged, is open again, or ended without a notification. */
  readonly reason: Exclude<NoticeReason, "some-resolved"> | "state";
  readonly notice: NoticeText;
  /** The name of the user who caused it. */
  readonly by: string | null;
  readonly now: EpochMs;
  /** A later round of the steps reaches a channel that has a message already. */
  readonly isRepeated: boolean;
}

/** @returns false if the channel cannot take it */
export async function sendToChannel(
  { channels, publicUrl }: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  channelId: string,
  { reason, notice, by, now, isRepeated }: ChannelCause,
): Promise<boolean> {
  const status = statusOf(row, isRepeated);
  const base = publicUrl()?.replace(/\/+$/, "");
  const isOpen = status === "firing" || status === "escalated";
  const ackUrl = isOpen ? await channels().acknowledgeUrl(trx, channelId, row.id, now) : undefined;
  const isChange = reason === "state" || reason === "new-alerts";
  return channels().send(trx, row.projectId, {
    channelId,
    isChange,
    notice: {
      title: titleOf(row, notice, { status, by }),
      message: noticeMessage(row, notice, { isForChannel: true }),
      severity: severityOf(row, notice.alerts),
      status,
      priority: PRIORITY[row.urgency],
      key: `incident:${row.id}`,
      atMs: now,
      url: base === undefined ? undefined : `${base}/dashboard/incidents/${row.id}`,
      ackUrl,
      facts: factsOf(row),
    },
  });
}

function statusOf({ state }: IncidentRow, isRepeated: boolean): ChannelStatus {
  if (state === "resolved" || state === "acknowledged") return state;
  return isRepeated ? "escalated" : "firing";
}

function titleOf(
  row: IncidentRow,
  notice: NoticeText,
  { status, by }: { readonly status: ChannelStatus; readonly by: string | null },
): string {
  if (status !== "acknowledged") return noticeTitle(row, notice);
  return `${by === null ? "Acknowledged" : `Acknowledged by ${by}`}: ${row.title}`;
}

/** The highest severity of the alerts; without one the urgency decides. */
function severityOf({ urgency }: IncidentRow, alerts: readonly AlertView[]): Severity {
  const named = alerts.flatMap(({ severity, labels }): Severity[] => {
    const word = (severity ?? labels["severity"] ?? "").toLowerCase();
    const known = SEVERITIES.find((each) => each === word) ?? MEANS[word];
    return known ? [known] : [];
  });
  return SEVERITIES.find((each) => named.includes(each)) ?? (urgency === "high" ? "critical" : "warning");
}

function factsOf({ number, alerts, firing, groupLabels }: IncidentRow) {
  const labels = Object.entries(JSON.parse(groupLabels) as Readonly<Record<string, string>>);
  return [
    { title: "Incident", value: String(number) },
    { title: "Alerts", value: alerts === firing ? String(alerts) : `${firing} of ${alerts} firing` },
    ...labels.map(([title, value]) => ({ title, value })),
  ];
}
