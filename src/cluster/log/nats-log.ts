import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { type ConnectionOptions, checkServerIdentity } from "node:tls";
import type {
  ApiError,
  JetStreamClient,
  JetStreamManager,
  OrderedConsumerOptions,
  StreamInfo,
} from "@nats-io/jetstream";
import * as jetstreamLibrary from "@nats-io/jetstream";
import type { MsgHdrs, NatsConnection, Subscription, TlsOptions } from "@nats-io/transport-node";
import * as transport from "@nats-io/transport-node";
import { type DeferredPromise, deferred } from "../../core/promises.ts";
import { SYSTEM_TIME } from "../time.ts";
import { FencedLog, type LogTransport, WrongEnd } from "./fenced-log.ts";
import { LogGone, type LogMessage, LogRefuses, type LogRoom, type LogServer, RESEED, RecordTooLarge } from "./log.ts";
import { newRecordId } from "./record.ts";

/** How a node reaches the servers. */
export interface LogOptions {
  /** `host:port` of each nats-server. */
  readonly servers: readonly string[];
  /** Of the cluster: part of the names of the stream and of subjects. */
  readonly name: string;
  readonly replicas: number;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** File with NATS credentials. */
  readonly credentialsFile?: string | undefined;
  /** File with the authority of the servers' certificates; without it connections are plain. */
  readonly caFile?: string | undefined;
  readonly allowOldServer: boolean;
}

/** A server lacks what the cluster depends on. */
export class NatsServerRefused extends Error {
  override readonly name = "NatsServerRefused";
}

/** The servers refuse to make the log as it is configured; an operator can change that. */
class LogNotMade extends Error {
  constructor(message: string) {
    super(message);
    this.name = "LogNotMade";
    // The log shows the message, whose cause is not in this program.
    this.stack = message;
  }
}

const TIMEOUT_MS = 2000;
/** A message that was not answered is sent again: a server that died has not stored it, mostly. */
const PUBLISH_MS = 1000;
/** A request that reaches no leader of the stream gets no answer; the next one may get one. */
const AGAIN_MS = 500;
const RETRY_MS = 100;
/** A leader appends a record every two seconds, even if nothing is written. */
const SILENT_MS = 6000;
/** Servers remove a consumer that no node reads any more. */
const ABANDONED_MS = 30_000;
/** `Nats-Expected-Last-Sequence` was another one (nats-server, errors.json: 10071). */
const WRONG_LAST_SEQUENCE = 10_071;
const NO_MESSAGE = 10_037;
const STREAM_NOT_FOUND = 10_059;
const NO_SUITABLE_PEERS = 10_005;
const NO_CLUSTER = 10_074;
const SEALED = 10_109;
/** A limit of the stream, of the account, or of the servers' storage. */
const FULL: ReadonlySet<number | null> = new Set([10_002, 10_023, 10_047, 10_077]);
/** Of headers that a message to the log has beside its bytes. */
const HEADERS_BYTES = 512;
/** Earlier ones may lose a stream by kill -9 (nats-server #6888). */
export const OLDEST_SERVER = [2, 10, 23] as const;

export function connectNats(
  { servers, user, password, credentialsFile, caFile, name }: LogOptions,
  node: string,
): Promise<NatsConnection> {
  return transport.connect({
    servers: servers.map(addressOf),
    name: `prism ${name} ${node}`,
    maxReconnectAttempts: -1,
    // While a password is replaced it is refused, and right again later.
    ignoreAuthErrorAbort: true,
    // Each request would make two errors beforehand.
    noAsyncTraces: true,
    reconnectTimeWait: RETRY_MS,
    timeout: TIMEOUT_MS,
    pingInterval: 2000,
    ...(user === undefined ? {} : { user, pass: password ?? "" }),
    ...(credentialsFile === undefined
      ? {}
      : { authenticator: transport.credsAuthenticator(readFileSync(credentialsFile)) }),
    ...tlsFor(servers, caFile),
  });
}

/** Without `tls://`. */
export function addressOf(server: string): string {
  return server.replace(/^tls:\/\//, "");
}

/** Without an authority TLS is used where a server demands it, and with all of them if a URL does. */
export function tlsFor(servers: readonly string[], caFile: string | undefined): { readonly tls?: TlsOptions } {
  if (caFile !== undefined) return { tls: tlsOf(servers.map(addressOf), caFile) };
  return servers.some((server) => server.startsWith("tls://")) ? { tls: {} } : {};
}

/**
 * The client of NATS names no host when a server is named by its address, and Node then compares the
 * certificate with `localhost`: the certificate must be of one of the addresses that are configured.
 */
function tlsOf(servers: readonly string[], caFile: string): TlsOptions {
  const hosts = servers.map((server) => server.replace(/:\d+$/, "").replace(/^\[|\]$/g, ""));
  const unnamed = hosts.filter((host) => isIP(host) !== 0 || host === "localhost");
  const options: TlsOptions & Pick<ConnectionOptions, "checkServerIdentity"> = {
    caFile,
    checkServerIdentity(host, certificate) {
      const names = host === "localhost" ? unnamed : [host];
      const failures = names.map((name) => checkServerIdentity(name, certificate));
      return failures.includes(undefined) ? undefined : failures[0];
    },
  };
  return options;
}

/** The log as a stream of NATS JetStream with one subject, in files of a quorum of servers. */
export class NatsLog extends FencedLog {
  readonly #stream: string;
  readonly #subject: string;
  readonly #manager: JetStreamManager;
  readonly #connection: NatsConnection;

  private constructor(
    connection: NatsConnection,
    { name }: LogOptions,
    client: JetStreamClient,
    manager: JetStreamManager,
  ) {
    const [stream, subject] = [streamOf(name), `prism.${name}.log`];
    super(transportOf({ connection, client, manager, stream, subject }), SYSTEM_TIME);
    this.#stream = stream;
    this.#subject = subject;
    this.#manager = manager;
    this.#connection = connection;
  }

  /** @throws NatsServerRefused */
  static async open(connection: NatsConnection, options: LogOptions): Promise<NatsLog> {
    requireServer(connection.info?.version ?? "0", options.allowOldServer);
    const manager = await jetstreamLibrary.jetstreamManager(connection, { timeout: TIMEOUT_MS, checkAPI: false });
    return new NatsLog(connection, options, jetstreamLibrary.jetstream(connection, { timeout: TIMEOUT_MS }), manager);
  }

  /** @throws RecordTooLarge before anything is sent, and as {@link FencedLog} does */
  override async append(messages: readonly Uint8Array[], after: number): Promise<number> {
    const most = this.#connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
    const largest = Math.max(...messages.map(({ length }) => length)) + HEADERS_BYTES;
    if (largest > most)
      throw new RecordTooLarge(
        `a message of ${largest} bytes is too large for the nats-server, which takes ${most}: ` +
          "set max_payload: 1MB in the configuration of each",
      );
    return super.append(messages, after);
  }

  /** @throws LogRefuses for a log that is gone, or sealed: several servers do not even answer an append then */
  override async last(): Promise<number> {
    const { state, config } = await infoOf(this.#manager, this.#stream);
    if (config.sealed === true) throw new LogRefuses(`${SEALED_LOG}; ${RESEED}`);
    return state.last_seq;
  }

  /** Whether the stream exists. */
  async exists(): Promise<boolean> {
    try {
      await this.#manager.streams.info(this.#stream);
      return true;
    } catch (error) {
      if (codeOf(error) === STREAM_NOT_FOUND) return false;
      throw error;
    }
  }

  /** Makes the stream; of several nodes that do it at once all have the same one. @throws LogNotMade */
  async create(replicas: number): Promise<void> {
    try {
      await this.#manager.streams.add({
        name: this.#stream,
        subjects: [this.#subject],
        num_replicas: replicas,
        storage: jetstreamLibrary.StorageType.File,
        retention: jetstreamLibrary.RetentionPolicy.Limits,
        discard: jetstreamLibrary.DiscardPolicy.New,
        deny_delete: true,
        allow_direct: true,
      });
    } catch (error) {
      throw error instanceof jetstreamLibrary.JetStreamApiError ? notMade(error, replicas) : error;
    }
  }

  /** The message at a sequence. @throws when the log has none there */
  async at(sequence: number): Promise<LogMessage> {
    const found = await this.#manager.streams.getMessage(this.#stream, { seq: sequence });
    if (found === null) throw new LogGone(`the log has no message ${sequence}`);
    return { sequence, bytes: found.data };
  }

  /** Removes the messages before a sequence. */
  async purge(before: number): Promise<void> {
    await this.#manager.streams.purge(this.#stream, { seq: before });
  }

  /** Removes the log with all its records. */
  async remove(): Promise<void> {
    await this.#manager.streams.delete(this.#stream);
  }

  async room(): Promise<LogRoom> {
    const { state, config } = await this.#manager.streams.info(this.#stream);
    return {
      bytes: state.bytes,
      most: config.max_bytes > 0 ? config.max_bytes : null,
      isSealed: config.sealed === true,
    };
  }

  /** The servers that keep the stream; none: the server is in no cluster. */
  async servers(): Promise<LogServer[]> {
    const { cluster } = await this.#manager.streams.info(this.#stream);
    const leader = cluster?.leader;
    const others = (cluster?.replicas ?? []).map(({ name, current, offline }) => ({
      ...{ name, isLeader: false, isReachable: offline !== true, isCurrent: current },
    }));
    return leader ? [{ name: leader, isLeader: true, isReachable: true, isCurrent: true }, ...others] : others;
  }
}

function notMade({ code, message }: { readonly code: number; readonly message: string }, replicas: number): Error {
  if (code === NO_SUITABLE_PEERS)
    return new LogNotMade(
      `the first start needs all ${replicas} nats-servers that cluster.replicas names, each with JetStream: ${message}; ` +
        "if all of them run, one has missed the others at its start: restart them, one after the other",
    );
  if (code === NO_CLUSTER)
    return new LogNotMade(
      `cluster.replicas is ${replicas}, and the nats-server is in no cluster of nats-servers: ` +
        "make one of them, or set cluster.replicas to 1 for a server alone",
    );
  return new LogNotMade(`the nats-servers do not make the log: ${message} (${code})`);
}

interface Stream {
  readonly connection: NatsConnection;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly stream: string;
  readonly subject: string;
}

type PublishAnswer = { readonly seq: number } | { readonly error: ApiError };

function transportOf({ connection, client, manager, stream, subject }: Stream): LogTransport {
  const ask = askWithOneInbox(connection, subject);
  // Without an id of NATS: its answers are wrong after elections (nats-server #6415).
  const publishQuickly = async (message: Uint8Array, after: number): Promise<number> => {
    const headers = transport.headers();
    headers.set("Nats-Expected-Stream", stream);
    headers.set("Nats-Expected-Last-Sequence", String(after));
    const answer = JSON.parse(await ask(message, headers)) as PublishAnswer;
    if ("error" in answer) throw new jetstreamLibrary.JetStreamApiError(answer.error);
    return answer.seq;
  };
  // The client says more about a failure, such as a permission that is missing.
  let isInDoubt = false;
  return {
    async publish(message, after) {
      try {
        if (!isInDoubt) return await publishQuickly(message, after);
        const expect = { streamName: stream, lastSequence: after };
        const { seq } = await client.publish(subject, message, { expect, timeout: PUBLISH_MS, retries: 0 });
        isInDoubt = false;
        return seq;
      } catch (error) {
        isInDoubt = true;
        throw codeOf(error) === WRONG_LAST_SEQUENCE ? new WrongEnd() : (refusalOf(error, stream) ?? error);
      }
    },
    async get(sequence) {
      try {
        const found = await askAgain(() => manager.streams.getMessage(stream, { seq: sequence }));
        return found?.data ?? null;
      } catch (error) {
        if (codeOf(error) === NO_MESSAGE) return null;
        throw error;
      }
    },
    async range() {
      const { state } = await infoOf(manager, stream);
      return { first: state.first_seq, last: state.last_seq };
    },
    async *consume(from, signal) {
      const prefix = newRecordId();
      const options: Partial<OrderedConsumerOptions> = {
        ...{ name_prefix: prefix, inactive_threshold: ABANDONED_MS },
        deliver_policy: jetstreamLibrary.DeliverPolicy.StartSequence,
        opt_start_seq: from,
      };
      let name = `${prefix}_1`;
      // A consumer may stay silent after the servers have restarted; the caller follows again.
      let silence: NodeJS.Timeout | undefined;
      try {
        const consumer = await client.consumers.get(stream, options);
        if (signal.aborted) return;
        const messages = await consumer.consume({ max_messages: 500, idle_heartbeat: 1000 });
        signal.addEventListener("abort", () => messages.stop());
        silence = setTimeout(() => messages.stop(), SILENT_MS);
        for await (const { seq, data, info } of messages) {
          if (signal.aborted) return;
          name = info.consumer;
          silence.refresh();
          yield { sequence: seq, bytes: data };
        }
      } finally {
        clearTimeout(silence);
        // Also a consumer that the servers have made after this node stopped waiting for their answer.
        manager.consumers.delete(stream, name).catch(() => undefined);
      }
    },
  };
}

/**
 * Asks about one message after the other, with one subscription for all answers: that takes a third
 * less processor time than requests of the client. @returns asks; the text of the answer, or an error
 */
function askWithOneInbox(
  connection: NatsConnection,
  subject: string,
): (message: Uint8Array, headers: MsgHdrs) => Promise<string> {
  const inbox = transport.createInbox();
  const waiting = new Map<string, DeferredPromise<string>>();
  let subscription: Subscription | null = null;
  let asked = 0;
  /** The next question has another subscription: the servers may have lost this one. */
  const fail = (error: Error): void => {
    subscription?.unsubscribe();
    subscription = null;
    for (const each of waiting.values()) each.reject(error);
  };
  const subscribe = (): Subscription =>
    connection.subscribe(`${inbox}.*`, {
      callback: (error, message) => {
        if (error !== null) fail(error);
        else if (message.headers?.code === 503) fail(new Error("no nats-server takes the record"));
        else waiting.get(message.subject)?.resolve(message.string());
      },
    });
  return async (message, headers) => {
    subscription ??= subscribe();
    // An answer that comes late belongs to its own question.
    const reply = `${inbox}.${++asked}`;
    const answer = deferred<string>();
    waiting.set(reply, answer);
    const timer = setTimeout(() => fail(new Error("timeout")), PUBLISH_MS);
    try {
      connection.publish(subject, message, { headers, reply });
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      waiting.delete(reply);
    }
  };
}

/** @throws LogRefuses when the servers lack it, for a moment after their start or for good */
async function infoOf(manager: JetStreamManager, stream: string): Promise<StreamInfo> {
  try {
    return await askAgain(() => manager.streams.info(stream));
  } catch (cause) {
    throw codeOf(cause) === STREAM_NOT_FOUND ? new LogRefuses(LOST_LOG, { cause }) : cause;
  }
}

/** What an operator has to do when the servers have no log. */
export const LOST_LOG = `the log of the cluster is gone: see which nats-servers run: prism doctor; ${RESEED}`;
/** The message of a log that is sealed. */
export const SEALED_LOG = "the log of the cluster is sealed, and takes no record any more";

function refusalOf(cause: unknown, stream: string): LogRefuses | null {
  if (codeOf(cause) === SEALED) return new LogRefuses(`${SEALED_LOG}; ${RESEED}`, { cause });
  if (!FULL.has(codeOf(cause))) return null;
  const message = `the log of the cluster is full (${(cause as Error).message}): ${moreRoom(stream)}`;
  return new LogRefuses(message, { cause });
}

export function moreRoom(stream: string): string {
  return (
    `raise max_bytes of the stream ${stream} if it has one, max_file_store of the nats-servers, ` +
    "or free space on their disks"
  );
}

/** Asks, and asks again while no answer has come; the first answer counts. @throws what the first one does */
export function askAgain<T>(ask: () => Promise<T>, everyMs = AGAIN_MS): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setInterval(() => void ask().then(answered, () => undefined), everyMs);
    const answered = (answer: T): void => {
      clearInterval(timer);
      resolve(answer);
    };
    ask().then(answered, (error: unknown) => {
      clearInterval(timer);
      reject(error);
    });
  });
}

export function streamOf(name: string): string {
  return `prism_${name}`;
}

function codeOf(error: unknown): number | null {
  return error instanceof jetstreamLibrary.JetStreamApiError ? error.code : null;
}

/** Whether a server is older than {@link OLDEST_SERVER}. */
export function isOldServer(version: string): boolean {
  const parts = version.split(".").map((part) => Number.parseInt(part, 10));
  const at = OLDEST_SERVER.findIndex((part, i) => (parts[i] ?? 0) !== part);
  return at >= 0 && (parts[at] ?? 0) < (OLDEST_SERVER[at] ?? 0);
}

/** @throws NatsServerRefused */
function requireServer(version: string, allowsOld: boolean): void {
  if (allowsOld || !isOldServer(version)) return;
  throw new NatsServerRefused(
    `nats-server ${version} is older than ${OLDEST_SERVER.join(".")}, which may lose what it acknowledged; ` +
      "upgrade it, or set cluster.allowOldServer for a test",
  );
}
