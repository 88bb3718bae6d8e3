import type { EpochMs } from "../../../core/clock.ts";
import type { SteadyClock } from "../../../core/due-times.ts";
import type { Uses } from "../../../module/feature.ts";
import type { InTransaction, ReadDb, Trx } from "../../../store/database.ts";
import type { Urgency } from "../../../store/schema/alerts.ts";
import type { PagePeople, ReachablePeople, TlsOptions } from "../../delivery/index.ts";
import type { AuditTrail } from "../../operate/audit/index.ts";
import type { RouteSettings } from "../policies/routing.ts";
import type { Withheld } from "../silences/withholding.ts";
import type { AlertInput, AlertOutcome, AlertView } from "../types.ts";

/** The answer of an on-call schedule. */
export interface OnCallNow {
  readonly current: readonly string[];
  readonly next: readonly string[];
  readonly shift: string | null;
}

/** An answer of a webhook. */
export interface WebhookAnswer {
  readonly status: number;
  /** The header, seconds or a date. */
  readonly retryAfter: string | undefined;
}

/** The alerts, as incidents use them. */
export interface AlertsOfIncidents {
  find(id: string): AlertView | null;
  read(ids: readonly string[], db?: Trx): Promise<AlertView[]>;
  resolve(trx: Trx, ids: readonly string[]): Promise<unknown>;
  submit(inputs: readonly AlertInput[], options: InTransaction): Promise<AlertOutcome[]>;
  lastHeard(sender: string): EpochMs | null;
  countEnding(projectId: string, sender: string, until: EpochMs, max: number): number;
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

export interface IncidentParts
  extends Uses<"db" | "log" | "metrics" | "policies" | "projects" | "users" | "notify" | "jobs" | "runner" | "pages"> {
  readonly clock: SteadyClock;
  readonly audit: AuditTrail;
  /** Address of the server for links; undefined: none. */
  readonly publicUrl: () => string | undefined;
  readonly alerts: () => AlertsOfIncidents;
  readonly withheldBy: (
    alert: AlertView,
    route: Pick<RouteSettings, "muteIntervals" | "activeIntervals"> & { readonly projectId: string },
    now: EpochMs,
  ) => Withheld;
  /** Counts what silences withheld, in the transaction that withholds it. */
  readonly recordHits: (
    trx: Trx,
    hits: readonly { readonly silenceId: string; readonly alertId: string; readonly incidentId: string }[],
    now: EpochMs,
  ) => Promise<void>;
  readonly onCall: (db: ReadDb | Trx, scheduleId: string, at: EpochMs) => Promise<OnCallNow>;
  readonly channels: () => ChannelsOfIncidents;
  readonly pagePeople: PagePeople;
  readonly reachable: ReachablePeople;
  /** When a step of a project was last shortened because of failed ways. */
  readonly shortened: Map<string, EpochMs>;
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
