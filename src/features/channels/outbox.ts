import { uuidv7 } from "../../core/ids.ts";
import { recentlyUsed } from "../../core/limits/ttl-cache.ts";
import type { Trx } from "../../store/database.ts";
import {
  type AcceptedPage,
  MOVED,
  MOVES_ONE_BY_ONE,
  type NotSent,
  type PageKind,
  type PageRow,
  TargetGone,
} from "../delivery/index.ts";
import { COMPLETED, type JobRunner, PermanentError, type RunningJob } from "../time/jobs/index.ts";
import { placeOfChannel } from "./delivery-channel.ts";
import { continuationOf, disableChannel, errorOf, opened, recordSent, sendMessage } from "./messages.ts";
import { type NoticeParts, type NoticeText, noticeOf } from "./notice.ts";
import type { ChannelsContext } from "./sending/sender.ts";
import { findChannel, findMessage, requireMessage, updateMessage } from "./store.ts";

/** A message that a channel is to show. */
export interface ChannelMessage {
  readonly channelId: string;
  /** Its `key` names the thing that it is about: a later message with it continues this one. */
  readonly notice: NoticeParts;
  /** Only changes the earlier message, if the service can; otherwise it is sent as usual. */
  readonly isChange?: boolean;
}

/** The page that carries a message. */
export interface PageOfMessage {
  readonly incidentId: string;
  readonly projectId: string;
  readonly step: number | null;
  readonly reason: string;
  readonly urgency: PageRow["urgency"];
}

interface Wanted {
  readonly notice: NoticeParts;
  readonly isChange: boolean;
}

interface Foldable {
  /** Messages that it takes in a minute. */
  readonly perMinute: number;
  /** The end of an incident is a message of its own there, not a change of an earlier one. */
  readonly hasMoves: boolean;
}

/** Incidents that a summary names. */
const NAMED = 5;
const SEVERITY_OF_RANK = ["critical", "error", "warning", "info"] as const;
const SEVERITY_RANK: Readonly<Record<string, number>> = { critical: 0, error: 1, warning: 2 };

/**
 * Messages of incidents to channels. A transaction stores the message that a channel is to show and
 * adds a page. The page sends the latest one: while a service is down, several changes of one
 * incident become one message, and none overtakes another.
 */
export class ChannelOutbox {
  readonly #context: ChannelsContext;
  /** Channels whose messages may be combined, by target, once one was sent. */
  readonly #foldable = recentlyUsed<string, Foldable>(10_000);

  constructor(context: ChannelsContext, runner: JobRunner) {
    this.#context = context;
    context.pages.handle("channel", this.#kind());
    runner.handle("channel.message", (job) => this.#adopt(job));
  }

  /** A channel that is missing or disabled is a failed way. */
  async enqueue(
    trx: Trx,
    { channelId, notice, isChange = false }: ChannelMessage,
    page: PageOfMessage,
  ): Promise<string> {
    const { clock, pages } = this.#context;
    const now = clock.now();
    const row = await requireMessage(trx, channelId, notice.key, now);
    const wanted = JSON.stringify({ notice, isChange } satisfies Wanted);
    await updateMessage(trx, row.id, { wanted, wantedVersion: row.wantedVersion + 1, updatedAt: now });
    const place = await placeOfChannel(this.#context, channelId, await findChannel(trx, channelId));
    const id = uuidv7();
    await pages.add(trx, [
      {
        ...page,
        ...place,
        id,
        kind: "channel",
        way: place.target,
        channel: channelId,
        severity: SEVERITY_RANK[notice.severity] ?? 3,
        isEnd: notice.status === "resolved",
        content: { key: notice.key },
      },
    ]);
    return id;
  }

  #kind(): PageKind {
    return {
      atOnce: 4,
      needsRecord: true,
      fold: {
        above: (target) => this.#foldable.get(target)?.perMinute ?? Number.POSITIVE_INFINITY,
        aboveMoves: (target) => (this.#foldable.get(target)?.hasMoves ? MOVES_ONE_BY_ONE : Number.POSITIVE_INFINITY),
        send: (pages, { signal }) => this.#sendSummary(pages, signal),
      },
      send: (page, { signal }) => this.#send(page, signal),
      gone: async (trx, page) => {
        if (page.channel !== null) await disableChannel(this.#context, page.channel, page.lastError ?? "", trx);
      },
    };
  }

  async #send(page: PageRow, signal: AbortSignal): Promise<AcceptedPage | NotSent> {
    const context = this.#context;
    const { db } = context;
    const channelId = page.channel ?? "";
    const { key } = JSON.parse(page.content) as { readonly key: string };
    const channelRow = await findChannel(db.read, channelId);
    if (!channelRow) throw new TargetGone("the channel has been deleted");
    if (channelRow.projectId !== page.projectId) throw new PermanentError("the channel is not one of the project");
    if (channelRow.active === 0) throw new PermanentError("the channel is disabled");
    const row = await findMessage(db.read, channelId, key);
    if (!row || row.wanted === null || row.wantedVersion === row.sentVersion)
      return { skipped: "the channel shows the incident already" };
    const { notice, isChange } = JSON.parse(row.wanted) as Wanted;
    const channel = await opened(context, channelRow);
    const { rate, group, foldable = group === "chat" || group === "sms" } = channel.preset;
    if (foldable) {
      const perMinute = Math.max(1, Math.floor(rate.perSecond * 60));
      const hasMoves = channel.preset.update === undefined && channelRow.sendResolved === 1;
      this.#foldable.set(page.target, { perMinute, hasMoves });
    }
    const n: NoticeText = noticeOf(notice);
    const continues = await continuationOf(context, channelId, key, isChange);
    const outcome = await sendMessage(context, channel, n, { id: page.id, continues, signal });
    if (outcome && outcome.class !== "ok") throw errorOf(outcome);
    const sentVersion = row.wantedVersion;
    if (outcome === null) {
      const record = (trx: Trx): Promise<void> => updateMessage(trx, row.id, { sentVersion });
      return { skipped: "the service has nothing to change", record };
    }
    return {
      answer: outcome.status === null ? null : String(outcome.status),
      record: async (trx) => {
        await recordSent(context, channel, n, outcome, trx);
        await updateMessage(trx, row.id, { sentVersion });
      },
    };
  }

  /** One message for many incidents: it names the most severe, and acknowledges nothing. */
  async #sendSummary(pages: readonly PageRow[], signal: AbortSignal): Promise<AcceptedPage> {
    const context = this.#context;
    const { db, clock, settings } = context;
    const [first] = pages;
    const row = first?.channel ? await findChannel(db.read, first.channel) : undefined;
    if (!first || !row) throw new TargetGone("the channel has been deleted");
    if (row.active === 0) throw new PermanentError("the channel is disabled");
    const titles: string[] = [];
    for (const { content } of pages.slice(0, NAMED)) {
      const { key } = JSON.parse(content) as { readonly key: string };
      const message = await findMessage(db.read, row.id, key);
      if (message?.wanted) titles.push(`- ${(JSON.parse(message.wanted) as Wanted).notice.title}`);
    }
    const base = settings.current.publicUrl?.replace(/\/+$/, "");
    const more = pages.length > titles.length ? [`- and ${pages.length - titles.length} more`] : [];
    const n = noticeOf({
      title: pages.every(({ reason }) => reason === MOVED)
        ? `${pages.length} incidents have moved`
        : `${pages.length} further incidents`,
      message: [...titles, ...more].join("\n"),
      severity: SEVERITY_OF_RANK[first.severity] ?? "critical",
      status: "event",
      priority: 800,
      key: `summary:${first.id}`,
      atMs: clock.now(),
      url: base === undefined ? undefined : `${base}/dashboard/incidents`,
    });
    const continues = { ref: undefined, isKnown: false, isChange: false };
    const outcome = await sendMessage(context, await opened(context, row), n, { id: first.id, continues, signal });
    if (outcome && outcome.class !== "ok") throw errorOf(outcome);
    return { answer: outcome?.status == null ? null : String(outcome.status) };
  }

  /** A job of an earlier version of Prism: its message becomes a page. */
  async #adopt(job: RunningJob): Promise<typeof COMPLETED> {
    const { db, jobs } = this.#context;
    const { channelId, key } = job.payload as { readonly channelId: string; readonly key: string };
    await db.write(async (trx) => {
      await jobs.complete(job, trx);
      const row = await findMessage(trx, channelId, key);
      const channel = await findChannel(trx, channelId);
      if (!row?.wanted || row.wantedVersion === row.sentVersion || !channel?.projectId) return;
      const { notice, isChange } = JSON.parse(row.wanted) as Wanted;
      const incidentId = key.replace(/^incident:/, "");
      const page = { incidentId, projectId: channel.projectId, step: null, reason: "step", urgency: "high" } as const;
      await this.enqueue(trx, { channelId, notice, isChange }, page);
    });
    return COMPLETED;
  }
}
