import * as v from "valibot";
import { PrismError } from "../../core/errors.ts";
import { MINUTE_MS } from "../../core/time/clock.ts";
import { ANSWERS_LATER, type Route, type RouteAnswer, route } from "../../http/api/route.ts";
import { isAmongTags, weakTagOf } from "../../http/body/negotiation.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import { DOCUMENT_HEADERS, JSON_TYPE } from "../../http/server/headers.ts";
import type { Uses } from "../../module/feature.ts";
import { ASSET_VERSION, SCRIPT, STYLE } from "./assets.ts";
import { feedXml } from "./feed.ts";
import { messageHtml, pageHtml } from "./html.ts";
import { canSubscribe, pageUrl } from "./mails.ts";
import { type PublicPage, type PublicParts, publicPage } from "./public-page.ts";
import { confirmSubscription, type SubscriberContext, subscribe, unsubscribe } from "./subscribers.ts";
import { COMPONENT_WORDS } from "./words.ts";

export type PublicContext = PublicParts & SubscriberContext & Uses<"projects" | "publicUrl">;

interface Cached {
  /** Page, revision and minute of the texts. */
  readonly key: string;
  readonly page: PublicPage;
  readonly texts: Map<string, { readonly body: Buffer; readonly tag: string }>;
}

const MAX_FORM_BYTES = 4096;
const HTML = "text/html; charset=utf-8";
const COMMON = { tag: "Status pages", access: "public", quiet: true, undocumented: true } as const;

/** The routes of visitors. Without an enabled page of the project all of them are 404. */
export function publicRoutes(context: PublicContext): Route[] {
  const texts = new PublicTexts(context);
  const get = (path: string, summary: string, handle: (exchange: Exchange) => Promise<RouteAnswer<undefined>>): Route =>
    route({ ...COMMON, method: "GET", path, summary, handle });
  return [
    get("/status/:page", "A public status page, as HTML or JSON", (exchange) => {
      const { page = "" } = exchange.params;
      return page.endsWith(".json")
        ? texts.send(exchange, page.slice(0, -5), "json")
        : texts.send(exchange, page, "html");
    }),
    get("/status/:page/history.json", "The history of a status page", (exchange) => texts.of(exchange, "history")),
    get("/status/:page/feed.atom", "The feed of a status page", (exchange) => texts.of(exchange, "feed")),
    get("/status/:page/style.css", "The style sheet of a status page", (exchange) => texts.of(exchange, "style")),
    get("/status/:page/live.js", "The script that refreshes a status page", (exchange) => texts.of(exchange, "script")),
    ...subscriptionRoutes(context, texts),
  ];
}

type TextName = "html" | "json" | "history" | "feed" | "style" | "script";

const TYPES: Readonly<Record<TextName, string>> = {
  html: HTML,
  json: JSON_TYPE,
  history: JSON_TYPE,
  feed: "application/atom+xml; charset=utf-8",
  style: "text/css; charset=utf-8",
  script: "text/javascript; charset=utf-8",
};

/** The texts of public pages, built once per change and minute. */
class PublicTexts {
  readonly #context: PublicContext;
  readonly #cache = new Map<string, Promise<Cached>>();

  constructor(context: PublicContext) {
    this.#context = context;
  }

  of(exchange: Exchange, name: TextName): Promise<typeof ANSWERS_LATER> {
    return this.send(exchange, exchange.params["page"] ?? "", name);
  }

  /** @throws NOT_FOUND */
  async send(exchange: Exchange, slug: string, name: TextName): Promise<typeof ANSWERS_LATER> {
    const projectId = this.require(slug);
    const cached = await this.#read(projectId);
    const text = cached.texts.get(name) ?? this.#build(cached, slug, name);
    const fixedHeaders = DOCUMENT_HEADERS;
    const isAsset = name === "style" || name === "script";
    const headers = { ETag: text.tag, "Cache-Control": isAsset ? "public, max-age=86400" : "no-cache" };
    if (isAmongTags(text.tag, exchange.header("if-none-match"))) exchange.send(304, null, headers, { fixedHeaders });
    else exchange.send(200, text.body, { ...headers, "Content-Type": TYPES[name] }, { fixedHeaders });
    return ANSWERS_LATER;
  }

  /** The project of an enabled page. @throws NOT_FOUND, the same for each reason */
  require(slug: string): string {
    const { projects, statusPages } = this.#context;
    const projectId = projects.find(slug);
    // The id of a project is no public name of it.
    if (projectId === undefined || projectId === slug || !statusPages.of(projectId)?.document.enabled)
      throw new PrismError("NOT_FOUND", "No such page");
    return projectId;
  }

  #read(projectId: string): Promise<Cached> {
    const { statusPages, clock } = this.#context;
    const now = clock.now();
    const isOpen = canSubscribe(this.#context, statusPages.of(projectId)?.row ?? null);
    const key = `${statusPages.revision(projectId)} ${Math.floor(now / MINUTE_MS)} ${isOpen}`;
    const known = this.#cache.get(projectId);
    const fresh = async (): Promise<Cached> => {
      const cached = await known?.catch(() => undefined);
      if (cached?.key === key) return cached;
      const page = statusPages.of(projectId);
      if (!page) throw new PrismError("NOT_FOUND", "No such page");
      return {
        key,
        page: await publicPage(this.#context, projectId, page, { now, canSubscribe: isOpen }),
        texts: new Map(),
      };
    };
    const next = fresh();
    this.#cache.set(projectId, next);
    return next;
  }

  #build({ page, texts }: Cached, slug: string, name: TextName) {
    const body = Buffer.from(this.#text(page, slug, name));
    const text = { body, tag: weakTagOf(body) };
    texts.set(name, text);
    return text;
  }

  #text(page: PublicPage, slug: string, name: TextName): string {
    switch (name) {
      case "html":
        return pageHtml(page, { slug, version: ASSET_VERSION });
      case "json":
        return JSON.stringify(summaryOf(page));
      case "history":
        return JSON.stringify(historyOf(page));
      case "feed":
        return feedXml(page, pageUrl(this.#context.publicUrl(), slug));
      case "style":
        return STYLE;
      case "script":
        return SCRIPT;
    }
  }
}

function summaryOf({ title, description, timezone, state, groups, current, planned, maintenance }: PublicPage) {
  return {
    title,
    description,
    timezone,
    state,
    groups: groups.map(({ name, components }) => ({
      name,
      components: components.map(({ id, ...component }) => ({
        id,
        name: component.name,
        description: component.description,
        state: component.state,
        stateText: COMPONENT_WORDS[component.state],
        since: component.since,
        uptime: component.uptime,
      })),
    })),
    notices: current,
    planned: [
      ...planned.map(({ title: name, startsAt, endsAt, state: at }) => ({ title: name, state: at, startsAt, endsAt })),
      ...maintenance,
    ],
  };
}

function historyOf({ title, timezone, groups, past, showsIncidents }: PublicPage) {
  return {
    title,
    timezone,
    components: groups.flatMap(({ components }) =>
      components.map(({ id, name, uptime, days, disturbances }) => ({
        id,
        name,
        uptime,
        days: days.map(({ date, state, uptime: share, downMs }) => ({ date, state, uptime: share, downMs })),
        ...(showsIncidents ? { disturbances } : {}),
      })),
    ),
    ...(showsIncidents ? { notices: past } : {}),
  };
}

const Form = v.object({ email: v.optional(v.string()) });

/** Subscribing and the links of its mails. GET changes nothing: programs that scan mails follow links. */
function subscriptionRoutes(context: PublicContext, texts: PublicTexts): Route[] {
  const form = {
    ...COMMON,
    method: "POST",
    body: Form,
    raw: { types: ["application/x-www-form-urlencoded", "multipart/form-data"], gzip: false },
    maxBodyBytes: MAX_FORM_BYTES,
  } as const;
  const answer = (exchange: Exchange, title: string, body: string): typeof ANSWERS_LATER => {
    const html = messageHtml(title, body, { slug: exchange.params["page"] ?? "", version: ASSET_VERSION });
    exchange.send(200, html, { "Content-Type": HTML, "Cache-Control": "no-store" }, { fixedHeaders: DOCUMENT_HEADERS });
    return ANSWERS_LATER;
  };
  const tokenOf = (exchange: Exchange): string => new URLSearchParams(exchange.queryText).get("token") ?? "";
  const ask = (use: "confirm" | "unsubscribe", title: string, button: string): Route =>
    route({
      ...COMMON,
      method: "GET",
      path: `/status/:page/${use}`,
      summary: "The page of a link in a mail",
      handle(exchange) {
        if (use === "confirm") texts.require(exchange.params["page"] ?? "");
        return answer(exchange, title, `<form method="post"><button>${button}</button></form>`);
      },
    });
  return [
    route({
      ...form,
      path: "/status/:page/subscribe",
      summary: "Subscribe to a status page by mail",
      async handle(exchange, { body }) {
        const slug = exchange.params["page"] ?? "";
        await subscribe(context, exchange, { projectId: texts.require(slug), slug, body: bytesOf(body) });
        return answer(
          exchange,
          "Check your mail",
          "<p>Follow the link in the mail within seven days to confirm the address.</p>",
        );
      },
    }),
    ask("confirm", "Confirm the subscription?", "Confirm"),
    route({
      ...form,
      path: "/status/:page/confirm",
      summary: "Confirm a subscription by the signed link of a mail",
      async handle(exchange) {
        const projectId = texts.require(exchange.params["page"] ?? "");
        const isDone = await confirmSubscription(context, projectId, tokenOf(exchange));
        return isDone
          ? answer(exchange, "Subscribed", "<p>You receive a mail when the status changes.</p>")
          : answer(exchange, "This link does not work", "<p>It has expired, or the subscription has ended.</p>");
      },
    }),
    ask("unsubscribe", "End the subscription?", "Unsubscribe"),
    route({
      ...form,
      path: "/status/:page/unsubscribe",
      summary: "End a subscription by the signed link of a mail (RFC 8058)",
      async handle(exchange) {
        const isKnown = await unsubscribe(context, tokenOf(exchange));
        return isKnown
          ? answer(exchange, "Unsubscribed", "<p>You receive no more mails of this page.</p>")
          : answer(exchange, "This link does not work", "<p>It was not made by this server.</p>");
      },
    }),
  ];
}

/** With `raw` the body is bytes. */
function bytesOf(body: unknown): Buffer {
  return Buffer.from(body as Uint8Array);
}
