import type { Asked } from "./conversation.ts";
import type { ApiDocument, Operation } from "./document.ts";
import { at, type Json, type JsonObject } from "./json.ts";
import { distinct, filled, PREPARATIONS } from "./makers.ts";
import { sampleOf, wrongSampleOf } from "./samples.ts";
import type { Transcript } from "./transcript.ts";
import type { World } from "./world.ts";

const NO_ID = "0198c0de-0000-7000-8000-000000000000";
const TAKES_BODY = ["POST", "PUT", "PATCH", "DELETE"];
/** Answers that have no end, or are pages for people: only status and headers are recorded. */
const HEAD_ONLY = ["streamNotifications", "subscribeProject", "followProject", "getMetrics", "getApiPage"];
const TEXTS = ["getDocumentation", "getClientLibrary", "getOpenApiDocument", "listSettings"];
const STREAM = /\/(?:sse|stream)$/;

/** Every request that the document implies for one of its operations. */
export async function recordOperation(
  document: ApiDocument,
  world: World,
  transcript: Transcript,
  operation: Operation,
): Promise<void> {
  transcript.section(`${operation.id}: ${operation.method} ${operation.path}`);
  await world.talk.settle();
  const run = new OperationRun(document, world, transcript, operation);
  await run.refusals();
  if (operation.method === "GET") await run.reads();
  else await run.changes();
}

class OperationRun {
  readonly #document: ApiDocument;
  readonly #world: World;
  readonly #transcript: Transcript;
  readonly #operation: Operation;

  constructor(document: ApiDocument, world: World, transcript: Transcript, operation: Operation) {
    this.#document = document;
    this.#world = world;
    this.#transcript = transcript;
    this.#operation = operation;
  }

  /** Without a credential, by people who may not, and about what does not exist. */
  async refusals(): Promise<void> {
    const { path } = this.#operation;
    const nowhere = path.replaceAll(/\{[^}]*\}/g, NO_ID);
    const body = this.#example();
    const { Viewer = "", editor = "" } = this.#world.tokens;
    await this.#ask("without a credential", { path: nowhere, body, token: null });
    await this.#ask("a wrong token", { path: nowhere, body, token: "wrong" });
    await this.#ask("by a viewer of the server", { path: nowhere, body, token: Viewer });
    await this.#ask("by an editor of the shop", { path: nowhere, body, token: editor });
    await this.#ask("with a key of the shop", {
      path: nowhere,
      body,
      headers: { "X-API-Key": this.#world.keys["all"] ?? "" },
    });
    if (!path.includes("{")) return;
    await this.#ask("an unknown id", { path: nowhere, body });
    await this.#ask("no id", { path: path.replaceAll(/\{[^}]*\}/g, "no-id"), body });
  }

  async reads(): Promise<void> {
    const { query, headers } = this.#operation;
    const target = await this.#target();
    await this.#world.talk.settle();
    const required = query
      .filter((each) => each.required)
      .map((each) => `${each.name}=${encodeURIComponent(String(sampleOf(this.#document, each.schema, each.name)))}`);
    const whole = required.length > 0 ? `${target}?${required.join("&")}` : target;
    const first = await this.#ask("found", { path: whole });
    await this.#ask("HEAD", { method: "HEAD", path: whole });
    await this.#ask("an unknown parameter", { path: `${target}?nothing=1` });
    if (headers.includes("If-None-Match")) await this.#conditional(whole, first?.headers.get("etag") ?? "none");
    for (const { name, schema } of query) {
      const of = (value: string): string =>
        `${target}?${[...required, `${name}=${encodeURIComponent(value)}`].join("&")}`;
      if (name === "cursor" || required.some((each) => each.startsWith(`${name}=`))) continue;
      const choices = this.#document.resolved(schema)["enum"];
      const values = Array.isArray(choices) ? choices : [sampleOf(this.#document, schema, name)];
      for (const value of values) await this.#ask(`${name}=${value}`, { path: of(String(value)) });
      await this.#ask(`a wrong ${name}`, { path: of("%%wrong%%") });
    }
    if (query.some(({ name }) => name === "cursor")) await this.#pages(target);
  }

  async changes(): Promise<void> {
    const { method, headers, query, bodies } = this.#operation;
    const schema = bodies["application/json"]?.schema;
    if (schema) await this.#bodies(schema);
    if (headers.includes("If-Match")) await this.#matches();
    if (headers.includes("Idempotency-Key")) await this.#repeats();
    for (const { name, schema: of } of query) {
      const value = encodeURIComponent(String(sampleOf(this.#document, of, name)));
      if (name === "token" || name === "access_token") continue;
      await this.#ask(`${name}=${value}`, { path: `${await this.#target()}?${name}=${value}`, body: this.#example() });
      await this.#ask(`a wrong ${name}`, {
        path: `${await this.#target()}?${name}=%25%25wrong`,
        body: this.#example(),
      });
    }
    for (const [type, { example }] of Object.entries(bodies)) {
      if (type === "application/json" || example === undefined) continue;
      const body =
        typeof example === "string"
          ? example
          : type.includes("form-urlencoded")
            ? formOf(example)
            : JSON.stringify(example);
      await this.#ask(`as ${type}`, { path: await this.#target(), body, headers: { "Content-Type": type } });
    }
    const path = await this.#target();
    await this.#ask("the example", { path, body: this.#example() });
    if (method === "DELETE") await this.#ask("again", { path, body: this.#example() });
  }

  /** Each member alone, wrong, and missing. */
  async #bodies(schema: JsonObject): Promise<void> {
    const { method } = this.#operation;
    const members = this.#document.membersOf(schema);
    const required = this.#document.requiredOf(schema);
    const isUpdate = method === "PUT" || method === "PATCH";
    const path = await this.#target();
    const example = this.#example() ?? {};
    const headers = { "Content-Type": "application/json" };
    await this.#ask("no body", { path, headers, body: "" });
    await this.#ask("no JSON", { path, headers, body: '{"a":' });
    await this.#ask("a list", { path, body: [1] });
    await this.#ask("another content type", { path, headers: { "Content-Type": "text/csv" }, body: "a,b" });
    await this.#ask("an unknown member", { path, body: { ...example, nothing: 1 } });
    for (const name of required) await this.#ask(`without ${name}`, { path, body: without(example, name) });
    for (const [name, each] of Object.entries(members))
      await this.#ask(`${name} of another type`, {
        path,
        body: { ...example, [name]: wrongSampleOf(this.#document, each) },
      });
    const minimal = Object.fromEntries(
      required.map((name) => [name, example[name] ?? sampleOf(this.#document, members[name] ?? {}, name)]),
    );
    await this.#ask("the required members", { path: await this.#target(), body: distinct(minimal, this.#world) });
    const all = Object.fromEntries(
      Object.entries(members).map(([name, each]) => [name, example[name] ?? sampleOf(this.#document, each, name)]),
    );
    await this.#ask("every member", { path: await this.#target(), body: distinct(all, this.#world) });
    for (const [name, each] of Object.entries(members)) {
      const value = sampleOf(this.#document, each, name);
      const body = isUpdate ? { ...minimal, [name]: value } : { ...this.#example(), [name]: value };
      await this.#ask(`${name} by itself`, {
        path: isUpdate ? path : await this.#target(),
        body: distinct(body, this.#world),
      });
    }
  }

  async #conditional(path: string, etag: string): Promise<void> {
    await this.#ask("unchanged", { path, headers: { "If-None-Match": etag } });
    await this.#ask("changed", { path, headers: { "If-None-Match": '"other"' } });
    await this.#ask("any version", { path, headers: { "If-None-Match": "*" } });
  }

  async #matches(): Promise<void> {
    const path = await this.#target();
    const body = this.#example();
    const { headers } = await this.#world.talk.ask("GET", path);
    const etag = headers.get("etag") ?? "none";
    if (/\D{3}/.test(etag)) this.#transcript.once("etag", etag.replaceAll('"', ""));
    await this.#ask("another version", { path, body, headers: { "If-Match": '"other"' } });
    await this.#ask("the version", { path, body, headers: { "If-Match": etag } });
    await this.#ask("the version before", { path, body, headers: { "If-Match": etag } });
  }

  async #repeats(): Promise<void> {
    const path = await this.#target();
    const body = this.#example();
    const headers = { "Idempotency-Key": this.#operation.id };
    await this.#ask("with a key", { path, body, headers });
    await this.#ask("the same again", { path, body, headers });
    await this.#ask("another with the key", { path, body: { ...body, nothing: 1 }, headers });
  }

  async #pages(target: string): Promise<void> {
    const first = await this.#ask("a page", { path: `${target}?limit=1` });
    const cursor = at(first?.body, "nextCursor");
    await this.#ask("a wrong cursor", { path: `${target}?cursor=wrong` });
    await this.#ask("two ways to page", { path: `${target}?page=1&offset=1` });
    if (typeof cursor !== "string") return;
    await this.#ask("the next page", { path: `${target}?limit=1&cursor=${cursor}` });
  }

  #example(): JsonObject | undefined {
    const example = this.#operation.bodies["application/json"]?.example;
    return example === undefined ? undefined : distinct(example, this.#world);
  }

  async #target(): Promise<string> {
    const { path } = this.#operation;
    const target = await filled(this.#document, this.#world, path);
    await PREPARATIONS[this.#operation.id]?.(this.#world, target);
    if (path.includes("{")) await this.#world.talk.settle();
    return target;
  }

  async #ask(title: string, asked: Partial<Asked> & { readonly path: string }) {
    const { id, method: own, path } = this.#operation;
    const isStream = STREAM.test(path) && own === "GET";
    const method = asked.method ?? (isStream ? "HEAD" : own);
    const { body, ...rest } = asked;
    const sent = TAKES_BODY.includes(method) && body !== undefined ? { body: body as Json } : {};
    const showsBody = !HEAD_ONLY.includes(id) && !TEXTS.includes(id);
    return this.#world.talk.record(this.#transcript, title, { ...rest, ...sent, method }, showsBody);
  }
}

function without(body: JsonObject, name: string): JsonObject {
  return Object.fromEntries(Object.entries(body).filter(([each]) => each !== name));
}

function formOf(body: JsonObject): string {
  return new URLSearchParams(
    Object.fromEntries(Object.entries(body).map(([name, value]) => [name, String(value)])),
  ).toString();
}
