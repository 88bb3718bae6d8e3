import { ORIGIN_HEADER } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { Bucket } from "../../../core/limits/bucket.ts";
import type { Metrics } from "../../../core/metrics.ts";
import { wordsOfPage } from "../../../core/text/plain-text.ts";
import { type Redact, redactorOf } from "../../../core/text/redact.ts";
import type { Clock } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import { NoAnswer, type SafeFetch } from "../../delivery/index.ts";
import { sendByModule } from "../module-channel.ts";
import type { NoticeText } from "../notice.ts";
import { type OutcomeClass, type Preset, type RequestTemplate, ringsOf, type SendingStep } from "../preset.ts";
import type { PresetBook } from "../store.ts";
import {
  type AnswerVerdict,
  BadRequest,
  type BuiltRequest,
  buildRequest,
  classify,
  headerLinesOf,
  type ServiceAnswer,
  statesSuccess,
  tlsOf,
} from "./request.ts";

/** Channels that sent lately. Those that could send at once are dropped first. */
const MAX_CHANNELS = 10_000;
/** Messages whose place is remembered, of all channels. */
const MAX_WAITING = 100_000;
/** A message that does not come at its time was cancelled, or is sent elsewhere. */
const LOST_MS = 10_000;
/** It comes at its time by the wall clock, which differs a little from elapsed time. */
const EARLY_MS = 5;

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

interface Place {
  readonly ordinal: number;
  /** When it may come, in elapsed time. */
  slotAt: number;
}

interface State {
  bucket: Bucket;
  /** The service asked for no message before. */
  pausedUntil: number;
  /** The same, if its answer named the time: pages wait for no other. */
  namedUntil: number;
  /** Messages that wait, in the order in which they first came. */
  readonly line: Map<string, Place>;
  nextOrdinal: number;
}

/**
 * The rates of channels, in memory. Nothing here waits: a caller whose turn is later
 * returns its message to its queue until then. Pages come first; the other messages of a channel
 * keep their order, and each has a time at which it comes back.
 */
export class Rates {
  readonly #clock: Clock;
  readonly #byChannel = new Map<string, State>();
  #waiting = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes one message of a channel's rate, for a page. @returns 0, or whole ms until there is one */
  take(id: string, rate: Rate): number {
    const now = this.#clock.elapsed();
    const state = this.#stateOf(id, rate, now);
    const waitMs = waitOf(state.bucket, state.namedUntil, rate, now, 1);
    if (waitMs === 0) state.bucket.borrow(1);
    return waitMs;
  }

  /**
   * Takes one for a message that is no page, in the order of the messages.
   * @param pages that may be sent now: they go first
   * @returns 0, or whole ms until its turn, which it keeps
   */
  takeAfterPages(id: string, rate: Rate, messageId: string, pages = 0): number {
    const now = this.#clock.elapsed();
    const state = this.#stateOf(id, rate, now);
    this.#dropLost(state, now);
    const place = state.line.get(messageId);
    if (place && place.slotAt > now + EARLY_MS) return Math.ceil(place.slotAt - now);
    const [first] = state.line.values();
    const ordinal = place?.ordinal ?? state.nextOrdinal;
    const before = (first === undefined ? 0 : ordinal - first.ordinal) + pages;
    const waitMs = waitOf(state.bucket, state.pausedUntil, rate, now, 1 + before);
    if (before === 0 && waitMs <= EARLY_MS) {
      this.#leave(state, messageId);
      state.bucket.borrow(1);
      return 0;
    }
    // A place before it may be free by now, but its message has yet to come.
    const slotAt = now + Math.max(1, waitMs);
    if (place) place.slotAt = slotAt;
    else this.#join(state, messageId, slotAt);
    return Math.ceil(slotAt - now);
  }

  /** Another request of a message that had its turn. */
  spend(id: string): void {
    this.#byChannel.get(id)?.bucket.borrow(1);
  }

  /**
   * No message of the channel for this time; then one at a time.
   * @param isGuess the service named no time: pages go on, one at a time
   */
  pause(id: string, waitMs: number, isGuess = false): void {
    const state = this.#byChannel.get(id);
    if (!state) return;
    const { limit, windowMs } = state.bucket;
    const now = this.#clock.elapsed();
    state.pausedUntil = now + waitMs;
    if (!isGuess) state.namedUntil = state.pausedUntil;
    state.bucket = new Bucket(limit, windowMs, isGuess ? now : state.pausedUntil);
    state.bucket.borrow(limit - 1);
  }

  forget(id: string): void {
    this.#waiting -= this.#byChannel.get(id)?.line.size ?? 0;
    this.#byChannel.delete(id);
  }

  #join(state: State, messageId: string, slotAt: number): void {
    const ordinal = state.nextOrdinal++;
    if (this.#waiting >= MAX_WAITING) return;
    state.line.set(messageId, { ordinal, slotAt });
    this.#waiting += 1;
  }

  #leave(state: State, messageId: string): void {
    if (state.line.delete(messageId)) this.#waiting -= 1;
  }

  #dropLost(state: State, now: number): void {
    for (const [messageId, { slotAt }] of state.line) {
      if (slotAt + LOST_MS > now) return;
      this.#leave(state, messageId);
    }
  }

  #stateOf(id: string, { perSecond, burst }: Rate, now: number): State {
    const known = this.#byChannel.get(id);
    if (known) return known;
    if (this.#byChannel.size >= MAX_CHANNELS)
      for (const [key, { bucket, pausedUntil, line }] of this.#byChannel)
        if (pausedUntil <= now && line.size === 0 && bucket.refill(now).isFull) this.#byChannel.delete(key);
    const bucket = new Bucket(burst, (burst / perSecond) * 1000, now);
    const state: State = { bucket, pausedUntil: 0, namedUntil: 0, line: new Map(), nextOrdinal: 0 };
    this.#byChannel.set(id, state);
    return state;
  }
}

/** Whole ms until the channel may send this many messages. */
function waitOf(bucket: Bucket, pausedUntil: number, { perSecond }: Rate, now: number, count: number): number {
  const startAt = Math.max(now, pausedUntil);
  const missing = count - bucket.refill(now).remaining;
  return Math.ceil(startAt - now + Math.max(0, (missing * 1000) / perSecond));
}

/** A channel with its secrets open, ready to send. */
export interface OpenChannel {
  readonly id: string;
  readonly preset: Preset;
  /** With defaults. */
  readonly fields: Readonly<Record<string, string>>;
  /** The channel's own request, for presets that let it have one. */
  readonly request?: RequestTemplate | undefined;
}

export interface SendOptions {
  readonly n: NoticeText;
  /** Equal in every attempt, so that services that know it drop repetitions. */
  readonly id: string;
  readonly ref?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The channel's rate was asked for this message already. */
  readonly hasTurn?: boolean | undefined;
}

/** The result of one step. Its texts hold no secret. */
export interface SendOutcome {
  readonly class: OutcomeClass;
  readonly step: SendingStep;
  /** Null without an answer. */
  readonly status: number | null;
  /** The rate of the channel is used up: there was no call. */
  readonly isOwnRate: boolean;
  /** How far a call without an answer came. */
  readonly noAnswer: Pick<NoAnswer, "phase" | "timedOut"> | null;
  readonly error: string | null;
  readonly hint: string | null;
  readonly afterMs: number;
  /** With `wait`: the answer names no time. */
  readonly isGuess: boolean;
  readonly ref: Readonly<Record<string, string>> | null;
  /** New values of fields. */
  readonly set: Readonly<Record<string, string>> | null;
  readonly request: ShownRequest | null;
  readonly answer: string | null;
  readonly cut: readonly string[];
  readonly ms: number;
}

/** A request as its owner may see it. */
export interface ShownRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

const ANSWER_LENGTH = 1024;
/** Attempts within one step: shortened, without markup, with a new value of a field. */
const MAX_ROUNDS = 4;

export interface SenderParts {
  readonly fetch: SafeFetch;
  readonly clock: Clock;
  readonly rates: Rates;
  /** Names this server to itself. */
  readonly origin?: string;
  readonly calls: ReturnType<Metrics["counter"]>;
}

/** Needs of sending to channels. */
export interface ChannelsContext
  extends Uses<"db" | "clock" | "log" | "box" | "audit" | "settings" | "jobs" | "notify" | "pages"> {
  readonly book: PresetBook;
  readonly sender: SenderParts;
  /** Called when the first channel becomes active, or the last one no longer is. */
  readonly changed: () => void;
}

/** The request that a step makes. */
export function templateOf({ preset, request }: OpenChannel, step: SendingStep): RequestTemplate | undefined {
  if (step === "send") return (preset.custom ? request : undefined) ?? preset.send;
  return preset[step];
}

/** Texts of a request may hold these. */
export function redactorFor({ preset, fields }: OpenChannel, built?: BuiltRequest): Redact {
  const secrets = preset.fields.flatMap(({ key, secret }) => (secret && fields[key] ? [fields[key]] : []));
  const authorization = built?.headers.Authorization?.replace(/^\w+ /, "");
  const values = preset.custom ? headerLinesOf(fields["headers"] ?? "").map(({ value }) => value) : [];
  return redactorOf(
    [...secrets, ...values],
    authorization === undefined || secrets.length === 0 ? [] : [authorization],
  );
}

/** The request that the step would send. @throws BadRequest */
export function previewOf(
  channel: OpenChannel,
  step: SendingStep,
  options: SendOptions,
  now: number,
): { readonly request: ShownRequest; readonly cut: readonly string[] } | undefined {
  const template = templateOf(channel, step);
  if (!template || channel.preset.code) return undefined;
  const built = buildRequest(channel.preset, template, { ...options, field: channel.fields, now });
  return { request: shown(built, redactorFor(channel, built)), cut: built.cut };
}

/**
 * Makes one step and classifies its answer; repeats it at once where the preset says so. The rate is
 * asked once, in the way of a page: the class is `wait` without a request if it is used up.
 */
export async function perform(
  parts: SenderParts,
  channel: OpenChannel,
  step: SendingStep,
  options: SendOptions,
): Promise<SendOutcome> {
  const waitMs = options.hasTurn ? 0 : parts.rates.take(channel.id, channel.preset.rate);
  if (waitMs > 0) return waiting(step, waitMs);
  let template = templateOf(channel, step) ?? channel.preset.send;
  let current = channel;
  let shortened = false;
  let set: Readonly<Record<string, string>> | null = null;
  for (let round = 1; ; round++) {
    if (round > 1) parts.rates.spend(channel.id);
    const outcome: SendOutcome = await once(parts, current, step, template, options, shortened);
    const result: SendOutcome = set === null ? outcome : { ...outcome, set };
    if (round >= MAX_ROUNDS) return final(result);
    if (outcome.set) {
      set = { ...(set ?? {}), ...outcome.set };
      current = { ...current, fields: { ...current.fields, ...set } };
    } else if (outcome.class === "shorten" && !shortened) shortened = true;
    else if (outcome.class === "plain" && current.preset.plain && template !== current.preset.plain)
      template = current.preset.plain;
    else return final(result);
  }
}

/** A repetition that did not help either. */
function final(outcome: SendOutcome): SendOutcome {
  return outcome.class === "shorten" || outcome.class === "plain" ? { ...outcome, class: "dead" } : outcome;
}

/** As a request, with the code of a module. */
async function byModule(
  { clock, rates, calls }: SenderParts,
  channel: OpenChannel,
  code: NonNullable<Preset["code"]>,
  step: SendingStep,
  options: SendOptions,
): Promise<SendOutcome> {
  const { id, preset, fields } = channel;
  const startedAt = clock.now();
  const result = await sendByModule(code, options, fields);
  if (result.class === "wait") rates.pause(id, result.afterMs);
  calls({ preset: preset.name, class: result.class }).add(1);
  const error = result.error === null ? null : redactorFor(channel)(result.error);
  const none = {
    status: null,
    isOwnRate: false,
    isGuess: false,
    noAnswer: null,
    hint: null,
    set: null,
    request: null,
    answer: null,
    cut: [],
  };
  return { ...none, ...result, error, step, ms: clock.now() - startedAt };
}

async function once(
  parts: SenderParts,
  channel: OpenChannel,
  step: SendingStep,
  template: RequestTemplate,
  options: SendOptions,
  shortened: boolean,
): Promise<SendOutcome> {
  const { code } = channel.preset;
  return code
    ? byModule(parts, channel, code, step, options)
    : byRequest(parts, channel, step, template, options, shortened);
}

async function byRequest(
  { fetch, clock, rates, calls, origin }: SenderParts,
  channel: OpenChannel,
  step: SendingStep,
  template: RequestTemplate,
  options: SendOptions,
  shortened: boolean,
): Promise<SendOutcome> {
  const { preset, fields, id } = channel;
  const startedAt = clock.now();
  let built: BuiltRequest | undefined;
  let verdict: AnswerVerdict;
  let answer: { status: number; text: string } | null = null;
  let error: string | null = null;
  let isPage = false;
  let noAnswer: SendOutcome["noAnswer"] = null;
  try {
    built = buildRequest(preset, template, { ...options, field: fields, now: startedAt }, { shortened });
    const { method, url, headers, body } = built;
    const reply = await fetch.request(url, {
      method,
      headers: { "User-Agent": "Prism", ...(origin ? { [ORIGIN_HEADER]: origin } : {}), ...headers },
      ...(body === undefined ? {} : { body: Buffer.from(body) }),
      ...(options.signal ? { signal: options.signal } : {}),
      ...(preset.custom ? { tls: tlsOf(fields) } : {}),
    });
    answer = { status: reply.status, text: reply.body.toString("utf8") };
    const given = { status: reply.status, headers: reply.headers, body: answer.text };
    verdict = classify(preset, step, given, clock.now());
    const mayBePage = verdict.class === "ok" || verdict.isUnknown === true;
    const page = mayBePage && isRead(built) ? pageIn(preset, step, given) : null;
    if (page !== null) verdict = { class: ringsOf(preset, fields) ? "dead" : "retry" };
    if (verdict.class === "wait") rates.pause(id, verdict.afterMs ?? 0, verdict.isGuess);
    isPage = page !== null;
    if (page !== null) error = `${preset.title} answered ${reply.status} with a page: ${page}`;
    else if (verdict.class !== "ok") error = `${preset.title} answered ${reply.status}`;
  } catch (thrown) {
    if (options.signal?.aborted) throw thrown;
    error = thrown instanceof Error ? thrown.message : String(thrown);
    if (thrown instanceof NoAnswer) noAnswer = { phase: thrown.phase, timedOut: thrown.timedOut };
    verdict = { class: isRefused(thrown) ? "dead" : "retry" };
  }
  calls({ preset: preset.name, class: verdict.class }).add(1);
  const redact = redactorFor(channel, built);
  const text = answer && redact(answer.text).slice(0, ANSWER_LENGTH);
  return {
    class: verdict.class,
    step,
    status: answer?.status ?? null,
    isOwnRate: false,
    noAnswer,
    error: error === null ? null : redact(isPage ? error : withReason(error, text)),
    hint: verdict.hint ?? null,
    afterMs: verdict.afterMs ?? 0,
    isGuess: verdict.isGuess ?? false,
    ref: verdict.ref ?? null,
    set: verdict.set ?? null,
    request: built ? shown(built, redact) : null,
    answer: text,
    cut: built?.cut ?? [],
    ms: clock.now() - startedAt,
  };
}

/** A program reads this request: JSON, or a form. What a plain text or a GET asks for may be a page. */
function isRead({ headers }: BuiltRequest): boolean {
  return Object.entries(headers).some(
    ([name, value]) => /^content-type$/i.test(name) && /\bjson\b|\bx-www-form-urlencoded\b/i.test(value),
  );
}

/** The first words of a page in place of an answer, as of a proxy or a login; null: it is none. */
function pageIn(preset: Preset, step: SendingStep, answer: ServiceAnswer): string | null {
  const type = [answer.headers["content-type"] ?? ""].flat().join();
  const page = wordsOfPage(type, answer.body);
  return page === null || statesSuccess(preset, step, answer) ? null : page;
}

const REASON_LENGTH = 200;

function withReason(error: string, answer: string | null): string {
  const reason = answer?.replace(/\s+/g, " ").trim().slice(0, REASON_LENGTH);
  return reason ? `${error}: ${reason}` : error;
}

/** The URL stays refused. */
function isRefused(error: unknown): boolean {
  return error instanceof BadRequest || error instanceof PrismError;
}

function waiting(step: SendingStep, afterMs: number): SendOutcome {
  const none = {
    status: null,
    isOwnRate: true,
    isGuess: false,
    noAnswer: null,
    hint: null,
    ref: null,
    set: null,
    request: null,
    answer: null,
  };
  return { ...none, class: "wait", step, afterMs, error: "the channel's rate is used up", cut: [], ms: 0 };
}

function shown({ method, url, headers, body }: BuiltRequest, redact: Redact): ShownRequest {
  const shownHeaders = Object.entries(headers).map(([name, value]) => [name, redact(value)]);
  return {
    method,
    url: redact(url),
    headers: Object.fromEntries(shownHeaders) as Record<string, string>,
    body: body === undefined ? null : redact(body),
  };
}
