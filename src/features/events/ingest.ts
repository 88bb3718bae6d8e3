import type * as v from "valibot";
import { PrismError } from "../../core/errors.ts";
import { type DeferredPromise, deferred } from "../../core/promises.ts";
import { charsetIn } from "../../core/text/decode-text.ts";
import { decodeUtf8 } from "../../core/text/json-text.ts";
import { ANSWERS_LATER, type Awaitable, Reply, type RouteAnswer } from "../../http/api/route.ts";
import type { BodyReader } from "../../http/body/body.ts";
import { jsonBodyText } from "../../http/body/input.ts";
import { RateLimiter, requireAllowed } from "../../http/limits/rate-limiter.ts";
import { SURE_BYTES } from "../../http/limits/work-budget.ts";
import { missingPermission } from "../../http/server/access.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import { EVENT_OVERHEAD_BYTES, type IncomingEvent } from "../rules/index.ts";
import { foreignEvents, isCloudEvents } from "./foreign-bodies.ts";
import { BatchIngest, endIdempotent, type IngestRequest, SingleIngest, senderOf } from "./ingest-requests.ts";
import type { EventPipeline } from "./pipeline/pipeline.ts";
import { FREE_MEMBERS } from "./pipeline/plain-event.ts";
import { arrayElements, ndjsonLines, readBatch, readEventText, requireItemLength } from "./pipeline/read-events.ts";
import type { IngestReply } from "./schema.ts";
import type { EventsContext } from "./service.ts";

const ERRORS_ONLY_OVER_LINES = 1000;

export interface IngestContext extends EventsContext {
  readonly gate: BatchGate;
  /** Limits events per API key. */
  readonly limiter: RateLimiter;
}

export function openIngest(context: EventsContext): IngestContext {
  const { bodies, pipeline, clock } = context;
  return { ...context, gate: new BatchGate(bodies, pipeline), limiter: new RateLimiter(clock) };
}

type Ingested = Awaitable<RouteAnswer<v.InferInput<typeof IngestReply>>>;

/** POST /events: one object, an array, NDJSON, CloudEvents, or text. */
export function ingest(
  context: IngestContext,
  exchange: Exchange,
  body: Buffer,
  { results, projectId }: { readonly results?: "all" | "errors" | undefined; readonly projectId?: string | undefined },
): Ingested {
  const { principal } = exchange;
  if (!principal) throw new TypeError("ingest is not public");
  const idempotent = context.idempotency.begin<v.InferInput<typeof IngestReply>>(exchange, principal, body);
  if (idempotent instanceof Reply) return idempotent;
  const isSmall = body.length <= SURE_BYTES;
  const request = {
    exchange,
    principal,
    receivedAt: context.clock.now(),
    idempotent,
    projectId,
    isSmall,
    isAscii: false,
    isCloudEvents: false,
  };
  try {
    return receive(context, request, body, results);
  } catch (error) {
    endIdempotent(context, request);
    if (error instanceof PrismError && error.code === "OVERLOADED") return refuseLater(error);
    throw error;
  }
}

/** Checks for room before reading the body: under load a refusal must be cheap. */
function receive(
  context: IngestContext,
  request: IngestRequest,
  body: Buffer,
  results: "all" | "errors" | undefined,
): Ingested {
  const { pipeline, gate, projects } = context;
  pipeline.requireRoom(body.length);
  if (request.principal.kind === "apiKey") projects.storage.requireRoom(request.principal.projectId);
  const foreign = foreignEvents(request.exchange, body);
  if (foreign === "[]") return new Reply(202, NOTHING_STORED);
  const type = request.exchange.header("content-type");
  const isUtf8 = type === "application/json" || (charsetIn(type) ?? "utf-8") === "utf-8";
  const plain = foreign === null && isUtf8 ? decodeUtf8(body) : undefined;
  const text = foreign ?? plain ?? jsonBodyText(body, request.exchange);
  request.isAscii = plain?.length === body.length;
  request.isCloudEvents = foreign !== null && isCloudEvents(request.exchange, type);
  const isNdjson =
    foreign === null && type !== "application/json" && type.toLowerCase().startsWith("application/x-ndjson");
  if (!isNdjson && !text.trimStart().startsWith("[")) return receiveSingle(context, request, text);
  const free = pipeline.reserve(aboutPendingBytes(body));
  const read = () => receiveBatch(context, request, text, isNdjson, results, free);
  return gate.pass(request.exchange, body.length, read).catch((error: unknown) => {
    free();
    endIdempotent(context, request);
    throw error;
  });
}

/** An empty batch of CloudEvents is valid. */
const NOTHING_STORED = { accepted: 0, duplicates: 0, rejected: 0, firstSeq: null, lastSeq: null, results: [] };

function receiveSingle(context: IngestContext, request: IngestRequest, text: string): typeof ANSWERS_LATER {
  const { pipeline } = context;
  const event = readSingle(context, request, text);
  takeEventRate(context, request, 1);
  pipeline.requireRoom(event.bytes);
  request.exchange.madeCorrelationId = event.correlationId;
  request.exchange.releaseHead();
  pipeline.accept(event, new SingleIngest(context, request, event));
  return ANSWERS_LATER;
}

function readSingle(context: EventsContext, request: IngestRequest, text: string): IncomingEvent {
  const { exchange } = request;
  try {
    return readItem(context, request, text, exchange.isOwnRequestId ? exchange.requestId : null);
  } catch (error) {
    context.pipelineMetrics.rejected(1);
    throw error;
  }
}

async function receiveBatch(
  context: IngestContext,
  request: IngestRequest,
  text: string,
  isNdjson: boolean,
  results: "all" | "errors" | undefined,
  free: () => void,
): Promise<typeof ANSWERS_LATER> {
  const { config, pipelineMetrics, pipeline, projects } = context;
  // The client disconnected while the batch waited. Nothing of it is stored.
  if (request.exchange.isOver) {
    free();
    endIdempotent(context, request);
    return ANSWERS_LATER;
  }
  // A caller without any writable project gets one error, not one per item.
  if (!projects.hasAnywhere(request.principal, "events:write")) throw missingPermission("events:write");
  const texts = isNdjson ? ndjsonLines(text) : arrayElements(text);
  const items = await readBatch(
    texts,
    config.ingest.maxBatch,
    (item) => readItem(context, request, item, null),
    isNdjson,
  );
  pipelineMetrics.rejected(items.filter((item) => "code" in item).length);
  const shortByDefault = isNdjson && items.length > ERRORS_ONLY_OVER_LINES;
  takeEventRate(context, request, items.length);
  const wantsAllResults = (results ?? (shortByDefault ? "errors" : "all")) === "all";
  const batch = new BatchIngest(context, request, items, wantsAllResults);
  free();
  batch.start(pipeline);
  return ANSWERS_LATER;
}

function readItem(context: EventsContext, request: IngestRequest, text: string, newId: string | null): IncomingEvent {
  const { projects, config } = context;
  const { principal, exchange, receivedAt, isAscii } = request;
  requireItemLength(text, config.ingest);
  const event = readEventText(
    text,
    {
      receivedAt,
      isAscii,
      newId,
      correlationId: exchange.givenCorrelationId,
      projectOf: (given) => {
        const id = projects.requireOrDefault(principal, given ?? request.projectId, "events:write");
        // A key has one project, which was checked before the body was read.
        if (principal.kind !== "apiKey") projects.storage.requireRoom(id);
        return id;
      },
    },
    config.ingest,
    (members) => chargeMembers(context, request, members),
  );
  if (event.isGivenId || request.isCloudEvents) event.sender = senderOf(principal);
  return event;
}

/** An event of very many members is charged before it is parsed. @throws WORK_LIMITED */
function chargeMembers({ work }: EventsContext, { principal, isSmall }: IngestRequest, members: number): void {
  if (members <= FREE_MEMBERS) return;
  const payer = work.ofPrincipal(principal);
  work.require(payer, isSmall);
  work.charge(payer, { members: members - FREE_MEMBERS });
}

/** @throws RATE_LIMITED */
function takeEventRate(
  { settings, limiter }: IngestContext,
  { principal, exchange }: IngestRequest,
  count: number,
): void {
  if (principal.kind !== "apiKey" || !settings.rateLimit.enabled) return;
  const { keyEvents } = settings.rateLimit;
  const limit = Math.min(principal.rateLimit ?? keyEvents, keyEvents);
  const state = limiter.take(principal.key, limit, count, "principals");
  if (!state.isAllowed) exchange.rate = state;
  requireAllowed(state, "Too many events", count);
}

/** Delays the refusal: a client that retries at once must not keep the loop busy. */
const REFUSAL_DELAY_MS = 250;

async function refuseLater(error: PrismError): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, REFUSAL_DELAY_MS));
  throw error;
}

const SAMPLE_BYTES = 2048;
const TYPE_MEMBER = '"type"';

/**
 * Estimates the memory of the batch's events while they wait. Each event contains "type" once; for
 * a long body the count is extrapolated from its start.
 */
function aboutPendingBytes(body: Buffer): number {
  const sample = body.subarray(0, SAMPLE_BYTES);
  let events = 0;
  for (let at = sample.indexOf(TYPE_MEMBER); at >= 0; at = sample.indexOf(TYPE_MEMBER, at + 1)) events++;
  const scale = sample.length === 0 ? 1 : body.length / sample.length;
  return body.length + Math.ceil(events * scale) * EVENT_OVERHEAD_BYTES;
}

/** A parsed batch can take twenty times the memory of its text, so few are parsed at once. */
const READ_AT_ONCE = 2;
/** Memory of a waiting batch besides its text. */
const WAITING_BYTES = 2048;

/** No further batch is parsed while two write sets wait, so that the writer never idles. */
const READ_AHEAD_BYTES = 8 * 1024 * 1024;

type ReadAhead = Pick<EventPipeline, "unsealedBytes" | "onTaken">;

/**
 * Limits how many batches are parsed at once, in order of arrival, and parses none while enough
 * events wait for the writer. Waiting batches count with the bodies being received; beyond that
 * limit a batch is refused. This bounds the memory of all batches together.
 */
export class BatchGate {
  readonly #bodies: Pick<BodyReader, "hold">;
  readonly #ahead: ReadAhead;
  readonly #waiting: DeferredPromise<void>[] = [];
  #reading = 0;

  constructor(bodies: Pick<BodyReader, "hold">, ahead: ReadAhead) {
    this.#bodies = bodies;
    this.#ahead = ahead;
    ahead.onTaken(() => this.#admit());
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Runs `read` when it is the batch's turn. @param bytes size of the body, counted until `read`
   * ends. @throws OVERLOADED
   */
  async pass<T>(exchange: Exchange, bytes: number, read: () => Promise<T>): Promise<T> {
    const release = this.#bodies.hold(exchange, bytes + WAITING_BYTES);
    try {
      const turn = deferred<void>();
      this.#waiting.push(turn);
      this.#admit();
      await turn.promise;
      try {
        return await read();
      } finally {
        this.#reading--;
        this.#admit();
      }
    } finally {
      release();
    }
  }

  #admit(): void {
    while (this.#reading < READ_AT_ONCE && this.#ahead.unsealedBytes < READ_AHEAD_BYTES) {
      const next = this.#waiting.shift();
      if (!next) return;
      this.#reading++;
      next.resolve();
    }
  }
}
