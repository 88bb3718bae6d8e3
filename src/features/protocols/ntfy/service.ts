import { join } from "node:path";
import { PrismError } from "../../../core/errors.ts";
import { periodic } from "../../../core/time/periodic.ts";
import { RateLimiter } from "../../../http/limits/rate-limiter.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { Context } from "../../../module/feature.ts";
import { type Trx, updateRowLater } from "../../../store/database.ts";
import { StoredFiles } from "../../../store/stored-files.ts";
import { acknowledgeLink, type DirectMail } from "../../delivery/index.ts";
import type { AccessChange } from "./access.ts";
import { ATTACHMENTS_DIR, Attachments, isMessageId } from "./attachments.ts";
import { parametersOf, requireTopics } from "./parameters.ts";
import { Publisher } from "./publisher.ts";
import { Positions, parseSince } from "./subscribe/positions.ts";
import { filterOf, type Request, type Subscriber, scopeOf, type TopicView, viewOf } from "./subscribe/subscriber.ts";
import { OwnTemplates } from "./templates/own-templates.ts";
import { NtfyAuth, type NtfyTopic, type TopicRow, Topics, type Visitor } from "./topics.ts";

const FLUSH_EVERY_MS = 60_000;

export type NtfyParts = Context<"projects" | "principals" | "realtime" | "passwordOwner" | "ingest"> & {
  /** @throws STORAGE_FULL while the disk has too little space. */
  requireSpace(): void;
  enqueueMail(mail: DirectMail, trx: Trx): Promise<void>;
};

/** Topics, messages, callers and subscribers of ntfy. */
export class Ntfy {
  readonly topics: Topics;
  readonly publisher: Publisher;
  readonly auth: NtfyAuth;
  readonly attachments: Attachments;
  /** Of attachments. */
  readonly files: StoredFiles;
  readonly positions: Positions;
  /** Of the operator; null: none. */
  readonly templates: OwnTemplates | null;
  /** Open subscriptions. */
  readonly open = new Set<Subscriber>();
  readonly #parts: NtfyParts;
  readonly #uses = periodic({
    everyMs: FLUSH_EVERY_MS,
    work: () => this.#storeUses(),
    onError: (err) => this.#parts.log.warn({ err }, "cannot store the last use of ntfy tokens and topics"),
    atStop: true,
  });

  constructor(parts: NtfyParts) {
    this.#parts = parts;
    const { config, settings, db, reader, clock, principals, projects, passwordOwner, requireSpace } = parts;
    const published = parts.metrics.counter("prism_ntfy_messages_total", "Messages published by ntfy's API")();
    parts.metrics.gauge("prism_ntfy_subscribers", "Open subscriptions of ntfy's API", () => this.open.size);
    this.topics = new Topics({ reader, projects, anonymous: () => settings.current.ntfy.anonymous });
    const hasMail = () => settings.current.smtp.host !== undefined;
    const { quotas, storage } = projects;
    const own = { published, cacheMs: this.cacheMs, hasMail, mayStillWrite: this.#mayStillWrite };
    this.publisher = new Publisher({ ...parts, quotas, storage, ...own });
    const limiter = new RateLimiter(clock);
    const counting = { limiter, limits: () => settings.rateLimit.enabled };
    this.auth = new NtfyAuth({
      reader,
      clock,
      settings,
      authenticator: principals,
      principals,
      passwordOwner,
      ...counting,
    });
    this.files = new StoredFiles(join(config.dataDir, ATTACHMENTS_DIR), isMessageId, parts.sharedFiles);
    const limits = () => settings.current.ntfy.attachments;
    this.attachments = new Attachments({ files: this.files, db, clock, limits, requireSpace });
    this.positions = new Positions(reader, clock, this.cacheMs);
    const { templateDir } = config.ntfy;
    this.templates = templateDir === undefined ? null : new OwnTemplates(templateDir);
  }

  /** How long messages are kept. */
  readonly cacheMs = (): number => this.#parts.settings.current.ntfy.cacheMs;

  readonly #mayStillWrite = (topic: string, sender: string): boolean => {
    const { principals } = this.#parts;
    const [kind, id = ""] = sender.split(":");
    if (kind !== "user" && kind !== "key") return true;
    try {
      const principal = kind === "user" ? principals.ofUser(id) : principals.ofKey(id);
      return this.topics.mayWrite(this.topics.of(topic, principal), principal);
    } catch (error) {
      if (error instanceof PrismError) return false;
      throw error;
    }
  };

  viewOf(topic: NtfyTopic, isPoll: boolean): TopicView {
    const { clock, settings, projects } = this.#parts;
    const isMirror = projects.isMirror.bind(projects);
    const acknowledgeUrl = (userId: string, notificationId: string): string | undefined =>
      acknowledgeLink(settings.current, { userId, notificationId }, clock.now());
    return viewOf({ cacheMs: this.cacheMs, now: () => clock.now(), acknowledgeUrl, isMirror }, topic, isPoll);
  }

  /** Builds the memory from the tables, before the server answers. */
  load(): void {
    this.topics.load();
  }

  async prepare(): Promise<void> {
    const removed = await this.attachments.sweepOrphans();
    if (removed > 0) this.#parts.log.info({ files: removed }, "removed attachments without a message");
  }

  start(): void {
    const { clock, log } = this.#parts;
    this.files.share({ keys: () => this.attachments.ids(), clock, log });
    this.#uses.start();
  }

  async stop(): Promise<void> {
    this.files.stop();
    await this.#uses.stop();
  }

  /** A commit has changed topics. */
  topicsChanged(change: { readonly changed?: readonly TopicRow[]; readonly deleted?: readonly string[] }): void {
    this.topics.changed(change);
    const names = new Set([...(change.changed ?? []).map(({ name }) => name), ...(change.deleted ?? [])]);
    for (const subscriber of [...this.open]) subscriber.topicsChanged(names);
  }

  /** A commit has changed rights on topics. */
  accessChanged(change: AccessChange): void {
    this.topics.access.changed(change);
    for (const subscriber of [...this.open]) subscriber.accessChanged();
  }

  /** A project is a mirror now, or no longer. */
  mirrorsChanged(): void {
    for (const subscriber of [...this.open]) subscriber.accessChanged();
  }

  /** Stores when tokens and topics were last used. */
  storeUses(): Promise<void> {
    return this.#uses.run();
  }

  async #storeUses(): Promise<void> {
    const now = this.#parts.clock.now();
    for (const { topics } of this.open) for (const name of topics) this.topics.used(name, now);
    const [used, topics] = [this.auth.takeUsed(), this.topics.takeUsed()];
    if (used.length === 0 && topics.length === 0) return;
    await this.#parts.db.write(async (trx) => {
      for (const name of topics) updateRowLater(trx, "ntfy_topics", { name }, { lastUsedAt: now });
      for (const [hash, { at, origin }] of used)
        updateRowLater(trx, "ntfy_tokens", { hash }, { lastUsedAt: at, lastOrigin: origin });
    });
  }
}

/** Needs of the routes and sockets of ntfy. */
export type NtfyContext = Context<"ntfy" | "projects" | "principals" | "users">;

export const PREFIX = "/ntfy";
const MAX_SCHEDULED = 1000;

/** Needs of every subscriber. */
export function subscriberParts({ ntfy, hub, connections, clock, log }: NtfyContext) {
  const { topics, auth, open } = ntfy;
  return { hub, connections, clock, log: log.namespace("ntfy"), topics, auth, open };
}

/** Counts a request by its caller or address. @throws RATE_LIMITED */
export function countVisitor({ kernel }: NtfyContext, exchange: Exchange, { principal }: Visitor): void {
  if (principal) kernel.limitPrincipal(exchange, principal);
  else kernel.limitAddress(exchange);
}

/** Reads the request of a subscriber. @throws NtfyError 40007, 40008, 40009, 40301 */
export function requestOf(
  { ntfy, clock, hub }: NtfyContext,
  exchange: Exchange,
  visitor: Visitor,
  address: string,
): Request {
  const parameters = parametersOf(exchange);
  const list = exchange.params["topics"] ?? exchange.params["topic"] ?? "";
  const topics = ntfy.topics.requireReadable(requireTopics(list), visitor.principal);
  const { isPoll, withScheduled } = scopeOf(parameters);
  const since = parseSince(parameters("since"), isPoll, clock.now());
  const legs = topics.map((topic) => {
    const view = ntfy.viewOf(topic, isPoll);
    return { topic, from: ntfy.positions.of(since, topic, hub.head(view.stream)), view };
  });
  const names = topics.filter(({ kind }) => kind === "messages").map(({ name }) => name);
  const scheduled = withScheduled ? ntfy.positions.scheduled(names, MAX_SCHEDULED) : [];
  return { visitor, address, list, legs, filter: filterOf(parameters), isPoll, scheduled };
}
