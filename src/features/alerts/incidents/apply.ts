import { isDeepStrictEqual } from "node:util";
import { assertNever } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import type { Level } from "../../../core/text/vocabulary.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { Trx } from "../../../store/database.ts";
import { appendOwnEvents, type OwnEventDraft } from "../../events/index.ts";
import type { Withheld } from "../silences/withholding.ts";
import type { AlertView } from "../types.ts";
import { lastWithheld } from "./changes/held.ts";
import type { MovedTo } from "./changes/told.ts";
import { type ChannelCause, sendToChannel } from "./channel-steps.ts";
import type { Actor, IncidentParts } from "./context.ts";
import type { IncidentFacts } from "./facts.ts";
import { decidedColumns, holdersOf, type IncidentRow, type PagedBy } from "./incident.ts";
import type { Action, NoticeReason, Turn } from "./machine.ts";
import { isUnreported } from "./notice-text.ts";
import { type Notice, notifyAudience, notifyUsers, targetsOf } from "./notices.ts";
import { afterNotReached, overtakeNotices, unreached } from "./outcomes.ts";
import { noticeCounts } from "./page-view.ts";
import { addLog, audienceOf, calledSteps, type LogEntry, saveIncident, saveTurn } from "./store.ts";
import { type Holds, incidentEvent, noteChanged } from "./view.ts";
import { hostOf, pageWebhook, strongerOf, webhookOf } from "./webhooks.ts";

/* Stores what the machine decided: rows, notifications, webhooks, timeline and events in one transaction. */

const LEVELS: Readonly<Record<string, Level>> = { "incident.exhausted": "error", "incident.unacknowledged": "warn" };
/** A timeline row names this many alerts and users of a list. */
const LISTED = 100;

/** Context of storing a change. */
export interface ApplyOptions {
  readonly facts: IncidentFacts;
  readonly now: EpochMs;
  /** Null: the incident's own times. */
  readonly actor: Actor | null;
  /** When it was due, if it is late. */
  readonly lateSince: EpochMs | null;
}

/** @returns the changed row */
export async function applyTurn(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  turn: Turn,
  options: ApplyOptions,
): Promise<IncidentRow> {
  const isSame = turn.actions.length === 0 && isDeepStrictEqual(decidedColumns(row), decidedColumns(turn.incident));
  const { firingNotified, resolvedNotified, formerNotified, told } = turn;
  const isTold = firingNotified.length + resolvedNotified.length + formerNotified.length + told.length > 0;
  if (isSame && !isTold) return row;
  const change = new Change(parts, trx, row, turn, options);
  const { notices } = await change.store();
  const { now, actor } = options;
  const held = options.facts.acks;
  const saved = saveTurn(trx, row, turn, { notices, via: actor?.via ?? "time", held, now });
  const hasTried =
    saved.steppedAt === now || turn.actions.some((each) => each.kind === "log" && each.entry === "looked-again");
  const known = isReachedByNoOne(parts, row, saved, change) ? unreached(parts, saved, now) : saved;
  // A page that replaces one of a way that has failed does not fail anew.
  const mayBeLost = !change.hasPages || row.steppedAt !== null || row.notices > 0;
  const moved = hasTried && mayBeLost ? await afterNotReached(parts, trx, known, now) : known;
  const next = moved === saved ? saved : saveIncident(trx, moved, moved, now);
  noteChanged(trx, [next], { holds: holdsOf(row, turn, now), sent: change.sent });
  return next;
}

/** On a server without outside ways a notice in the app counts as reached, but there was none. */
function isReachedByNoOne({ pages }: IncidentParts, before: IncidentRow, after: IncidentRow, change: Change): boolean {
  return before.reachedAt === null && after.reachedAt !== null && change.people === 0 && !pages.hasWays;
}

/** The looks at the incident that this turn repeated, and whether alerts were withheld. */
function holdsOf(before: IncidentRow, { actions }: Turn, now: EpochMs): Holds {
  const looked = { flush: before.flushAt, step: before.stepAt, repeat: before.repeatAt };
  const holds: { -readonly [K in keyof Holds]: Holds[K] } = {};
  for (const name of ["flush", "step", "repeat"] as const) {
    const isHeld = actions.some((action) => action.kind === "withheld" && action.holds === name);
    if (isHeld) holds[name] = true;
    else if (looked[name] !== null && looked[name] <= now) holds[name] = false;
  }
  return holds;
}

/** Carries out the actions of one turn. */
class Change {
  /** Something is to be sent outside of the app. */
  hasPages = false;
  /** Persons who got a notice. */
  people = 0;
  readonly sent: Partial<Record<NoticeReason, number>> = {};
  readonly #parts: IncidentParts;
  readonly #trx: Trx;
  readonly #before: IncidentRow;
  readonly #row: IncidentRow;
  readonly #turn: Turn;
  readonly #options: ApplyOptions;
  readonly #events: OwnEventDraft[] = [];
  /** Webhooks to call, by step: one call for all reasons. */
  readonly #calls = new Map<number, NoticeReason>();
  /** Steps with channels that were notified of a raised severity. */
  readonly #toldChannels = new Set<number>();
  /** Users whom steps of this turn page. */
  readonly #paged = new Set<string>();
  #log: LogEntry[] = [];
  #notices: number;

  /** @param before the row as it was */
  constructor(parts: IncidentParts, trx: Trx, before: IncidentRow, turn: Turn, options: ApplyOptions) {
    this.#parts = parts;
    this.#trx = trx;
    this.#before = before;
    const row = { ...before, ...turn.incident };
    this.#row = row;
    this.#turn = turn;
    this.#options = options;
    this.#notices = row.notices;
  }

  async store(): Promise<{ notices: number }> {
    const { now, lateSince } = this.#options;
    if (lateSince !== null) this.#log.push({ kind: "late", data: { dueAt: lateSince } });
    await overtakeNotices(this.#parts, this.#trx, this.#before, this.#row, this.#turn.acks);
    // Those whom a step pages as well get that notice only.
    const isLast = (action: Action): boolean => action.kind === "renotify" && action.reason === "severity-raised";
    for (const action of this.#turn.actions) if (!isLast(action)) await this.#do(action);
    for (const action of this.#turn.actions) if (isLast(action)) await this.#do(action);
    for (const [step, reason] of this.#calls) await this.#webhook(step, reason);
    await this.#showState();
    this.#writeLog();
    await appendOwnEvents(this.#trx, this.#events, { source: "prism:alerts", now });
    return { notices: this.#notices };
  }

  async #do(action: Action): Promise<void> {
    const actor = this.#options.actor?.id ?? null;
    switch (action.kind) {
      case "page":
        return this.#page(action);
      case "renotify":
        return this.#renotify(action);
      case "webhook":
        return this.#call(action.step, "step");
      case "channel":
        return this.#toldChannels.has(action.step) ? undefined : this.#channel(action.step, "step");
      case "webhooks":
        await this.#webhooks(action.reason);
        return action.reason === "some-resolved" ? undefined : this.#channels(action.reason);
      case "withheld":
        return this.#withheld(action);
      case "log":
        this.#log.push({ kind: action.entry, actor, data: { ...action.data, ...this.#via } });
        return;
      case "event": {
        const notices = await noticeCounts(this.#trx, this.#row.id);
        const data = { ...action.data, notices, ...(actor === null ? {} : { actor }) };
        this.#events.push(incidentEvent(this.#row, action.type, LEVELS[action.type] ?? "info", data));
        return;
      }
      default:
        assertNever(action);
    }
  }

  get #via(): Readonly<Record<string, string>> {
    const { actor } = this.#options;
    return actor === null ? {} : { via: actor.via };
  }

  /** A step notifies its users, without those who acknowledged. */
  async #page(action: Extract<Action, { kind: "page" }>): Promise<void> {
    const { round, notify, by } = action;
    const place = action.step === null ? { by } : { step: action.step, round };
    const { users, through, shifts, empty } = await targetsOf(
      this.#parts,
      this.#trx,
      this.#row,
      action,
      this.#options.now,
    );
    const wanted = this.#withoutAcks(users);
    if (empty.length > 0 || wanted.length === 0)
      this.#log.push({ kind: "no-targets", data: { ...place, empty, acknowledged: users.length - wanted.length } });
    if (wanted.length === 0) return;
    const plain = await this.#notice("step", notify.urgency, this.#causeOf(action), action.step);
    const notice = by === undefined ? plain : { ...plain, by, asked: await this.#askedBy(by) };
    // The row must be in the timeline before jobs refer to it.
    this.#writeLog();
    const { now } = this.#options;
    const { hasPages, ...sent } = await notifyUsers(this.#parts, this.#trx, this.#row, wanted, notice, now);
    this.hasPages ||= hasPages;
    this.people += wanted.length;
    for (const id of wanted) this.#paged.add(id);
    const users100 = wanted.slice(0, LISTED);
    const why = Object.fromEntries(users100.map((id) => [id, through.get(id)]));
    const data = { reason: by ?? "step", ...place, urgency: notify.urgency, users: users100, count: wanted.length };
    this.#log.push({ kind: "notified", data: { ...data, through: why, shifts, ...sent } });
    this.#events.push(incidentEvent(this.#row, "incident.escalated", "warn", { ...place, users: users100 }));
    this.#count("step", wanted.length);
  }

  #causeOf({ step, round, by }: Extract<Action, { kind: "page" }>): string {
    if (step === null) return PAGED[by ?? "page"];
    const { name } = this.#parts.policies.definitionOf(this.#policy);
    return `Step ${step + 1} of the policy ${name}${round === 0 ? "" : `, round ${round + 1}`}`;
  }

  /** The request of a person to the users named; an incident that pages them says it itself. */
  async #askedBy(by: PagedBy): Promise<string | undefined> {
    if (by === "page") return undefined;
    const name = (await this.#nameOf(this.#options.actor?.id ?? null)) ?? "A person";
    return by === "reassign"
      ? `${name} assigned this incident to you.`
      : `${name} asks you to help with this incident.`;
  }

  /** Users with earlier notifications are notified again; of a reassigned incident its assignees. */
  async #renotify({ reason, urgency }: Extract<Action, { kind: "renotify" }>): Promise<void> {
    const notified = await audienceOf(this.#trx, this.#row.id);
    // Not those who have left the project, nor administrators whom only the fallback asked.
    const members = new Set(
      this.#parts.users.reachable(
        notified.map(({ userId }) => userId),
        this.#row.projectId,
      ),
    );
    const audience = notified.filter(({ userId }) => members.has(userId));
    const users = audience.map(({ userId }) => userId);
    // Users who acknowledged work on it: they are notified of an alert that joins, not of a repetition.
    const left = new Set(reason === "repeat" ? this.#withoutAcks(users) : users);
    const holders = reason === "resolved" ? null : holdersOf(this.#row.assigned);
    const isToldElsewhere = await this.#toldElsewhere(reason);
    const wanted = audience.filter(
      ({ userId }) => left.has(userId) && (holders?.has(userId) ?? true) && !isToldElsewhere(userId),
    );
    if (wanted.length === 0) return;
    const notice = await this.#notice(reason, urgency, CAUSES[reason]);
    const { now } = this.#options;
    const { ids: notificationIds } = await notifyAudience(this.#parts, this.#trx, this.#row, wanted, notice, now);
    this.people += wanted.length;
    const end = reason === "resolved" ? { isUnreported: isUnreported(this.#row) } : {};
    const listed = wanted.slice(0, LISTED).map(({ userId }) => userId);
    const data = { reason, urgency, users: listed, count: wanted.length, notificationIds, ...end };
    this.#log.push({ kind: "notified", data });
    this.#count(reason, wanted.length);
  }

  /** Users who have another notice of this turn, or the first one of the incident to which the alerts have moved. */
  async #toldElsewhere(reason: NoticeReason): Promise<(userId: string) => boolean> {
    const isRaised = reason === "severity-raised";
    const told = new Set(isRaised ? this.#paged : []);
    const { movedTo } = this;
    const { raised } = this.#turn;
    const isAllThere = isRaised ? raised?.left.size === raised?.alerts.size : reason === "resolved";
    // An incident that was open before does not give its people this news, at most that an alert is new.
    if (movedTo?.isNew && isAllThere)
      for (const { userId } of await audienceOf(this.#trx, movedTo.id)) told.add(userId);
    return (userId) => told.has(userId);
  }

  /** The incident that its alerts, or those that got worse, have moved to. */
  get movedTo(): MovedTo | null {
    const isMove = this.#row.resolvedBy === "moved" || (this.#turn.raised?.left.size ?? 0) > 0;
    return isMove ? (this.#options.facts.movedTo ?? null) : null;
  }

  async #webhooks(reason: Exclude<NoticeReason, "step">): Promise<void> {
    for (const step of await calledSteps(this.#trx, this.#row.id, "webhook")) {
      const webhook = webhookOf(this.#parts, this.#policy, step);
      const isEnd = reason === "some-resolved" || reason === "resolved";
      if (isEnd && webhook?.sendResolved === false) continue;
      if (reason !== "some-resolved" || webhook?.format === "alertmanager") this.#call(step, reason);
    }
  }

  #call(step: number, reason: NoticeReason): void {
    this.#calls.set(step, strongerOf(this.#calls.get(step) ?? reason, reason));
  }

  async #webhook(step: number, reason: NoticeReason): Promise<void> {
    const { now } = this.#options;
    const found = webhookOf(this.#parts, this.#policy, step);
    if (!found) return;
    const { notifiedAt, steppedAt } = this.#before;
    const { raised } = this.#turn;
    const told = { severityBefore: raised?.from ?? null, movedTo: this.movedTo?.number ?? null };
    const isFirst = notifiedAt === null && steppedAt === null;
    const call = { index: step, step: found, reason, now, isFirst, ...told };
    const pageId = await pageWebhook(this.#parts, this.#trx, this.#row, call);
    this.hasPages = true;
    this.#log.push({ kind: "webhook", data: { step, reason, format: found.format, host: hostOf(found), pageId } });
  }

  get #policy() {
    return { id: this.#row.policyId, version: this.#row.policyVersion };
  }

  async #channels(reason: Exclude<ChannelCause["reason"], "step">): Promise<void> {
    for (const step of await calledSteps(this.#trx, this.#row.id, "channel")) {
      if (reason === "severity-raised") this.#toldChannels.add(step);
      await this.#channel(step, reason);
    }
  }

  async #channel(step: number, reason: ChannelCause["reason"]): Promise<void> {
    const { policies } = this.#parts;
    const { id } = this.#row;
    const found = policies.definitionOf(this.#policy).steps[step];
    if (found?.type !== "channel") return;
    const isRepeated = reason === "step" && (await calledSteps(this.#trx, id, "channel")).includes(step);
    const isEnd = this.#row.state === "resolved";
    const shown = isEnd ? "resolved" : reason === "state" ? "step" : reason;
    const notice = await this.#notice(shown, this.#row.urgency, "", step);
    const by = await this.#nameOf(isEnd ? this.#row.resolvedBy : (this.#options.actor?.id ?? null));
    const cause = { reason, notice, by, now: this.#options.now, isRepeated };
    const pageId = await sendToChannel(this.#parts, this.#trx, this.#row, found.id, cause);
    this.hasPages = true;
    // A later change of the message is no step of its own in the timeline.
    if (reason !== "state") this.#log.push({ kind: "channel", data: { step, reason, channelId: found.id, pageId } });
  }

  /** The messages in channels show who acknowledged, what is open again, and an end that is not notified. */
  async #showState(): Promise<void> {
    const before = this.#before;
    const { state, snoozedUntil } = this.#row;
    const isSame = before.state === state && before.snoozedUntil === snoozedUntil;
    const isShown = this.#turn.actions.some((each) => each.kind === "webhooks" && SHOWS_STATE.has(each.reason));
    if (!isSame && !isShown) await this.#channels("state");
  }

  /** Evidence, when it differs from the last one. */
  async #withheld({ alertIds, holds }: Extract<Action, { kind: "withheld" }>): Promise<void> {
    const { facts, now } = this.#options;
    const reasons = alertIds.flatMap((alertId) => {
      const by = facts.withheld(alertId);
      return by === null ? [] : [{ alertId, ...by }];
    });
    const hits = reasons.flatMap(({ alertId, silencedBy }) =>
      silencedBy.map((silenceId) => ({ silenceId, alertId, incidentId: this.#row.id })),
    );
    await this.#parts.recordHits(this.#trx, hits, now);
    const distinct = (name: keyof Withheld): string[] => [...new Set(reasons.flatMap((each) => each[name]))].sort();
    const inhibited = reasons.filter(({ inhibitedBy }) => inhibitedBy.length > 0).slice(0, LISTED);
    const by = {
      silences: distinct("silencedBy"),
      inhibitedBy: distinct("inhibitedBy"),
      intervals: distinct("mutedBy"),
      inhibited: Object.fromEntries(inhibited.map((each) => [each.alertId, each.inhibitedBy])),
    };
    const data = { holds, alerts: alertIds.length, alertIds: alertIds.slice(0, LISTED), ...by };
    // The other holds have rows of their own, which alternate with these.
    const last = await lastWithheld(this.#trx, this.#row.id, holds);
    if (last === undefined || !isDeepStrictEqual(JSON.parse(last), data)) this.#log.push({ kind: "withheld", data });
  }

  async #notice(
    reason: Notice["reason"],
    urgency: Notice["urgency"],
    cause: string,
    step: number | null = null,
  ): Promise<Notice> {
    this.#notices += 1;
    const isEnd = reason === "resolved";
    return {
      reason,
      urgency,
      cause,
      alerts: isEnd ? await this.#endedAlerts() : this.#shownAlerts(),
      lateSince: this.#options.lateSince,
      resolvedBy: isEnd ? await this.#nameOf(this.#row.resolvedBy) : null,
      movedTo: this.movedTo?.number ?? null,
      raised: this.#turn.raised,
      number: this.#notices,
      step,
    };
  }

  /** The last alerts of a resolved incident. */
  #endedAlerts(): Promise<AlertView[]> {
    const ids = this.#options.facts.members.map(({ alertId }) => alertId);
    return this.#parts.alerts().read(ids.slice(-LISTED), this.#trx);
  }

  /** The name of a user; null for all others. */
  async #nameOf(id: string | null): Promise<string | null> {
    if (id === null || !isUuid(id)) return null;
    const user = await this.#trx.selectFrom("users").select("name").where("id", "=", id).executeTakeFirst();
    return user?.name ?? null;
  }

  /** Alerts for the text: those that got worse elsewhere, then those that fire, new ones first. */
  #shownAlerts(): AlertView[] {
    const { members } = this.#options.facts;
    const firing = members.filter(({ isFiring }) => isFiring);
    const isNew = new Set(this.#turn.firingNotified);
    const sorted = [
      ...members.filter(({ alertId }) => this.#turn.raised?.left.has(alertId)),
      ...firing.filter(({ alertId }) => isNew.has(alertId)),
      ...firing.filter(({ alertId }) => !isNew.has(alertId)),
    ];
    return sorted.flatMap(({ alertId }) => this.#parts.alerts().find(alertId) ?? []);
  }

  #withoutAcks(users: readonly string[]): string[] {
    const acknowledged = new Set(this.#turn.acks.map(({ userId }) => userId));
    return users.filter((id) => !acknowledged.has(id));
  }

  #count(reason: NoticeReason, users: number): void {
    this.sent[reason] = (this.sent[reason] ?? 0) + users;
  }

  #writeLog(): void {
    const entries = this.#log;
    this.#log = [];
    addLog(this.#trx, this.#row.id, entries, this.#options.now);
  }
}

const PAGED: Readonly<Record<PagedBy, string>> = {
  page: "A person paged you",
  reassign: "A person assigned the incident to you",
  responder: "A person asks you to help",
};

/** The message of a room shows the state as well. */
const SHOWS_STATE: ReadonlySet<NoticeReason> = new Set(["resolved", "severity-raised"]);

const CAUSES = {
  "severity-raised": "It got worse",
  "new-alerts": "Further alerts have joined",
  repeat: "The incident was not acknowledged",
  resolved: "You were notified of it before",
} as const;
