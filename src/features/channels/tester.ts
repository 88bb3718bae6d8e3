import { type PermissionHolder, personKey } from "../../core/caller.ts";
import { uuidv7 } from "../../core/ids.ts";
import { Slots } from "../../core/limits/slots.ts";
import { type ChannelRow, channelAccess } from "./channel.ts";
import { opened, ownTexts, recordAccepted } from "./messages.ts";
import { type NoticeText, noticeOf, SEVERITIES } from "./notice.ts";
import type { TestChannel, TestResult } from "./schema.ts";
import { BadRequest } from "./sending/request.ts";
import { perform, previewOf, type SendOutcome } from "./sending/sender.ts";
import { type ChannelsApi, recordAudit } from "./service.ts";
import { textOf } from "./templates/template.ts";

const STATUSES: readonly string[] = ["firing", "acknowledged", "escalated", "resolved", "event"];

/** Sends test messages for users. They count against the channel's rate, not its failures. */
export class ChannelTester {
  readonly #context: ChannelsApi;
  /** Each holds a request open for some seconds. */
  readonly #slots = new Slots({ total: 8, perOwner: 4, what: "tests of channels" });

  constructor(context: ChannelsApi) {
    this.#context = context;
  }

  /** @throws CHANNEL_NOT_FOUND, UNAUTHORIZED_ROLE, INVALID_STATE for a mirror, RATE_LIMITED, OVERLOADED */
  async run(principal: PermissionHolder, id: string, input: TestChannel): Promise<TestResult> {
    // Callers without the right must not take the slots of others.
    const { projects, db } = this.#context;
    const row = await channelAccess.writable(projects, principal, id, db.read);
    return this.#slots.run(personKey(principal), () => this.#test(principal, row, input));
  }

  async #test(
    principal: PermissionHolder,
    shown: ChannelRow,
    { dryRun, update, event }: TestChannel,
  ): Promise<TestResult> {
    const context = this.#context;
    if (!dryRun) context.projects.requireLeaves(shown.projectId);
    const row = dryRun ? shown : await this.#recorded(principal, shown.id);
    const channel = await opened(context, row).catch((error: unknown) => error as Error);
    if (channel instanceof Error) return { ...NOTHING, class: "dead", error: channel.message, update: null };
    const testId = uuidv7();
    const n = ownTexts(channel, testNotice(event ?? {}, testId, context.clock.now()));
    if (dryRun) return dry(channel, n, testId, context.clock.now());
    const outcome = await perform(context.sender, channel, "send", { n, id: testId });
    const now = context.clock.now();
    if (outcome.class === "ok") await context.db.write((trx) => recordAccepted(trx, channel, now));
    const hint = outcome.hint ?? linkHint(context, channel);
    const mayUpdate = update === true && outcome.class === "ok" && outcome.ref !== null && channel.preset.update;
    if (!mayUpdate) return { ...shownOutcome(outcome), hint, update: null };
    const resolved = noticeOf({ ...n, title: `Resolved: ${n.title}`, status: "resolved" });
    context.sender.rates.spend(row.id);
    const again = { n: resolved, id: testId, ref: outcome.ref ?? {}, hasTurn: true };
    const changed = await perform(context.sender, channel, "update", again);
    return { ...shownOutcome(outcome), hint, update: shownOutcome(changed) };
  }

  /** The channel as it is now, with the test in the audit trail. */
  #recorded(principal: PermissionHolder, id: string): Promise<ChannelRow> {
    return this.#context.db.write(async (trx) => {
      const row = await channelAccess.writable(this.#context.projects, principal, id, trx);
      await recordAudit(this.#context, "channel.test", row, trx);
      return row;
    });
  }
}

const NOTHING = {
  ...{ class: null, status: null, error: null, hint: null, request: null, answer: null, ref: null },
  cut: [] as string[],
  ms: 0,
};

/** A hint if messages of the service have a link that acknowledges and `publicUrl` is missing. */
function linkHint({ settings }: ChannelsApi, { preset }: Parameters<typeof previewOf>[0]): string | null {
  if (settings.current.publicUrl !== undefined || !/n\.ack(Url|Token)/.test(JSON.stringify(preset.send))) return null;
  return "publicUrl is not set: messages of incidents have no link that acknowledges";
}

function dry(channel: Parameters<typeof previewOf>[0], n: NoticeText, id: string, now: number): TestResult {
  try {
    const preview = previewOf(channel, "send", { n, id }, now);
    return { ...NOTHING, request: preview?.request ?? null, cut: [...(preview?.cut ?? [])], update: null };
  } catch (error) {
    if (!(error instanceof BadRequest)) throw error;
    return { ...NOTHING, class: "dead", error: error.message, update: null };
  }
}

function shownOutcome({ class: name, status, error, hint, request, answer, ref, cut, ms }: SendOutcome) {
  return {
    ...{ class: name, status, error, hint, answer, ms, cut: [...cut] },
    request: request && { ...request, headers: { ...request.headers } },
    ref: ref && { ...ref },
  };
}

/** The message of a test: its members, or those of an event. */
function testNotice(event: Readonly<Record<string, unknown>>, id: string, now: number): NoticeText {
  const { title, message, severity, status, type, payload, priority, key } = event;
  const [level, state] = [textOf(severity), textOf(status)];
  return noticeOf({
    title: textOf(title ?? type) || "Test",
    message: textOf(message ?? payload) || "Prism can reach this channel.",
    severity: SEVERITIES.find((each) => each === level) ?? "info",
    status: (STATUSES.includes(state) ? state : "event") as NoticeText["status"],
    priority: typeof priority === "number" ? priority : 0,
    key: textOf(key) || `test:${id}`,
    atMs: now,
  });
}
