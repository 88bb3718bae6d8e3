import type { EpochMs } from "../../../core/time/clock.ts";
import { inZone } from "../../../core/time/clock.ts";
import type { Trx } from "../../../store/database.ts";
import type { ChannelStatus, IncidentParts } from "./context.ts";
import { directOf, type IncidentRow, severityOf } from "./incident.ts";
import type { NoticeReason } from "./machine.ts";
import { isUnreported, type NoticeWording, noticeMessage, noticeTitle } from "./notice-text.ts";
import { pageReason } from "./notices.ts";

/* Steps that send to a channel: one message for each incident and channel, changed with the incident. */

const PRIORITY = { high: 800, low: 300 } as const;

/** Why a channel is sent a message. */
export interface ChannelCause {
  /** `state`: it was acknowledged, is open again, or ended without a notification. */
  readonly reason: Exclude<NoticeReason, "some-resolved"> | "state";
  readonly notice: NoticeWording & { readonly step: number | null };
  /** The name of the user who caused it. */
  readonly by: string | null;
  readonly now: EpochMs;
  /** A later round of the steps reaches a channel that has a message already. */
  readonly isRepeated: boolean;
}

/** Adds the page that brings the message to the channel. @returns its id */
export async function sendToChannel(
  { channels, publicUrl }: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  channelId: string,
  { reason, notice, by, now, isRepeated }: ChannelCause,
): Promise<string> {
  // A raised severity is reported as such, though a person has acknowledged it.
  const status = reason === "severity-raised" ? "firing" : statusOf(row, isRepeated);
  const base = publicUrl()?.replace(/\/+$/, "");
  const isOpen = status === "firing" || status === "escalated";
  const ackUrl = isOpen ? await channels().acknowledgeUrl(trx, channelId, row.id, now) : undefined;
  const isChange = reason === "state" || reason === "new-alerts";
  const page = { step: notice.step, reason: pageReason(row, reason), urgency: "high" } as const;
  return channels().send(trx, row.projectId, {
    page,
    channelId,
    incidentId: row.id,
    isChange,
    notice: {
      title: noticeTitle(row, notice, status === "acknowledged" ? { by } : undefined),
      // Readers of a room have no common time zone.
      message: inZone(noticeMessage(row, notice, { isForChannel: true }), "UTC"),
      severity: severityOf(row.urgency, notice.alerts),
      status,
      priority: PRIORITY[row.urgency],
      key: `incident:${row.id}`,
      atMs: now,
      url: base === undefined ? undefined : `${base}/dashboard/incidents/${row.id}`,
      ackUrl,
      facts: factsOf(row),
      timedOut: isUnreported(row),
    },
  });
}

function statusOf({ state }: IncidentRow, isRepeated: boolean): ChannelStatus {
  if (state === "resolved" || state === "acknowledged") return state;
  return isRepeated ? "escalated" : "firing";
}

function factsOf({ number, alerts, firing, groupLabels, direct }: IncidentRow) {
  const labels = Object.entries(JSON.parse(groupLabels) as Readonly<Record<string, string>>);
  return [
    { title: "Incident", value: String(number) },
    direct !== null
      ? { title: "Opened by", value: directOf(direct)?.byName ?? "" }
      : { title: "Alerts", value: alerts === firing ? String(alerts) : `${firing} of ${alerts} firing` },
    ...labels.map(([title, value]) => ({ title, value })),
  ];
}
