import type { EpochMs } from "../../../core/time/clock.ts";
import type { SteadyClock } from "../../../core/time/due-times.ts";
import type { Uses } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import type { Urgency } from "../../../store/schema/alerts.ts";
import type { TlsOptions } from "../../delivery/index.ts";
import type { AuditTrail } from "../../records/audit/index.ts";
import type { Alerts } from "../book/alerts.ts";
import type { Silences } from "../silences/silences.ts";
import type { Withholding } from "../silences/withholding.ts";

/** An answer of a webhook. */
export interface WebhookAnswer {
  readonly status: number;
  /** The header, seconds or a date. */
  readonly retryAfter: string | undefined;
}

export type ChannelSeverity = "critical" | "error" | "warning" | "info";

/** The state of an incident as channels show it. */
export type ChannelStatus = "firing" | "acknowledged" | "escalated" | "resolved";

/** A message to a channel, in the form of the feature `channels`. */
export interface IncidentMessage {
  readonly channelId: string;
  readonly incidentId: string;
  readonly notice: {
    readonly title: string;
    readonly message: string;
    readonly severity: ChannelSeverity;
    readonly status: ChannelStatus;
    readonly priority: number;
    /** Equal for all messages about the incident. */
    readonly key: string;
    readonly atMs: EpochMs;
    readonly url: string | undefined;
    readonly ackUrl: string | undefined;
    readonly facts: readonly { readonly title: string; readonly value: string }[];
    /** It ended only because its alerts are no longer reported. */
    readonly timedOut: boolean;
  };
  /** The earlier message is changed; readers need no new one. */
  readonly isChange: boolean;
  readonly page: { readonly step: number | null; readonly reason: string; readonly urgency: Urgency };
}

/** The channels, as incidents use them. */
export interface ChannelsOfIncidents {
  /** Adds a page. A channel that is gone, disabled, or of another project is a failed way. @returns its id */
  send(trx: Trx, projectId: string, message: IncidentMessage): Promise<string>;
  /** A link that acknowledges an incident without a login; undefined: the channel has none. */
  acknowledgeUrl(trx: Trx, channelId: string, incidentId: string, now: EpochMs): Promise<string | undefined>;
  /** Settings of a webhook step's channel. @throws PermanentError if it is not the project's, or for another host */
  accessFor(channelId: string, projectId: string, url: string): Promise<WebhookAccess>;
  /** Deletes the channels of a project that is gone. */
  deleteOf(trx: Trx, projectId: string): Promise<void>;
}

/** Settings of a call from its channel. */
export interface WebhookAccess {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsOptions | undefined;
  /** The channel works with its present settings. */
  accepted(trx: Trx): Promise<void>;
}

type OfOthers =
  | ("policies" | "projects" | "users" | "notify" | "jobs" | "runner" | "pages" | "pagePeople" | "reachable")
  | "onCall";

export interface IncidentParts extends Uses<"db" | "log" | "metrics" | OfOthers> {
  readonly clock: SteadyClock;
  readonly audit: AuditTrail;
  /** Address of the server for links; undefined: none. */
  readonly publicUrl: () => string | undefined;
  readonly alerts: () => Pick<Alerts, "find" | "read" | "resolve" | "submit" | "lastHeard" | "countEnding">;
  readonly withheldBy: Withholding["withheldBy"];
  readonly unmutedAt: Withholding["unmutedAt"];
  /** Counts what silences withheld, in the transaction that withholds it. */
  readonly recordHits: Silences["recordHits"];
  readonly channels: () => ChannelsOfIncidents;
  /** Whether administrators are paged when no one else is reached. */
  readonly toAdministrators: () => boolean;
  /** Posts to an address that a user named. @throws PermanentError if it is refused */
  readonly callWebhook: (
    url: string,
    request: {
      readonly headers: Readonly<Record<string, string>>;
      readonly tls: TlsOptions | undefined;
      readonly body: Buffer;
      readonly signal: AbortSignal;
    },
  ) => Promise<WebhookAnswer>;
}

/** Who acts on an incident, and through what. */
export interface Actor {
  /** A user's id; `operator`, `integration:<id>`, `channel:<id>` and the like for others. */
  readonly id: string;
  /** `api`, `webpush`, `mail`, `notification`, `integration`, `channel`. */
  readonly via: string;
}
