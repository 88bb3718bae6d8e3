import { isUtf8 } from "node:buffer";
import { runAs, type Work } from "../../../core/caller.ts";
import { charsetIn, isKnownCharset, looksLikeText } from "../../../core/text/decode-text.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { bodyText, parseJson } from "../../../http/body/input.ts";
import { requestCaller } from "../../../http/server/credentials.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { Uses } from "../../../module/feature.ts";
import { type Attachments, typeOf, type UploadedFile, uploaderOf } from "./attachments.ts";
import { dueAtOf } from "./delay.ts";
import { NtfyError } from "./errors.ts";
import { type Attachment, MAX_MESSAGE_BYTES, secondsOf } from "./message.ts";
import {
  type ActionButton,
  checkActions,
  isTrue,
  newId,
  type Parameters,
  parseActions,
  priorityOf,
  TOPIC,
  tagsOf,
} from "./parameters.ts";
import type { Content, Draft, PublishCall, Published, Publisher } from "./publisher.ts";
import { BUILT_IN_TEMPLATES, type NamedTemplate } from "./templates/built-in.ts";
import type { OwnTemplates } from "./templates/own-templates.ts";
import { parseTemplate } from "./templates/template.ts";
import type { NtfyTopic, Visitor } from "./topics.ts";

export interface PublishContext extends Uses<"clock" | "bodies"> {
  readonly publisher: Publisher;
  readonly attachments: Attachments;
  /** Time zone of delays in English. */
  readonly timezone: string;
  /** Null: none. */
  readonly templates: Pick<OwnTemplates, "find"> | null;
  /** The address of this API without a last slash, as clients see it. */
  baseUrl(exchange: Exchange): string;
}

/** Parameters and body of a publish, whichever form it had. */
export interface PublishInput {
  readonly exchange: Exchange;
  readonly visitor: Visitor;
  readonly topic: NtfyTopic;
  readonly parameters: Parameters;
  /** Its bytes may be valid during the call only. */
  readonly body: Buffer;
  /** The bytes stay valid. */
  readonly isKept?: boolean;
  /** In the path or the JSON; '' without one. */
  readonly sequenceId: string;
  /** Of the JSON form; otherwise the parameter is read. */
  readonly actions?: readonly ActionButton[];
  /** Of the operator, for the template that the parameter names. */
  readonly ownTemplate?: NamedTemplate;
}

const MAX_DETAIL = 2000;
/** @returns the published message. @throws NtfyError, STORAGE_FULL */
export async function publish(context: PublishContext, input: PublishInput): Promise<Published> {
  const { parameters } = input;
  const delay = parameters("delay");
  const email = parameters("email");
  if (email !== "" && delay !== "") throw new NtfyError(40003);
  if (parameters("call") !== "" && delay !== "") throw new NtfyError(40037);
  const { templates } = context;
  const template = parameters("template");
  const hasOwn = templates !== null && template !== "" && !IS_INLINE.test(template);
  if (delay === "" && !hasOwn) return publishAt(context, input, null);
  if (delay !== "" && isUncached(input)) throw new NtfyError(40002);
  const now = context.clock.now();
  return whileKept(context, input, async (kept) => {
    const ownTemplate = hasOwn ? await templates.find(template) : null;
    const dueAt = delay === "" ? null : await dueAtOf(delay, now, context.timezone);
    return publishAt(context, ownTemplate === null ? kept : { ...kept, ownTemplate }, dueAt);
  });
}

/** Title and message of the request are the templates. */
const IS_INLINE = /^(?:1|yes|true|0|no|false)$/i;

/** @param dueAt null: now */
function publishAt(context: PublishContext, input: PublishInput, dueAt: EpochMs | null): Promise<Published> {
  const draft = {
    id: newId(),
    sequenceId: sequenceOf(input),
    event: "message",
    isUncached: isUncached(input),
    dueAt,
    file: null,
    email: input.parameters("email"),
    call: input.parameters("call"),
  } as const;
  const common = commonOf(input);
  const body = bodyOf(input);
  if (body.kind === "file")
    return whileKept(context, input, (kept) => upload(context, kept, { ...draft, content: common }, body));
  const { exchange, topic, visitor } = input;
  const content = { ...body.content, ...common };
  return context.publisher.publish(topic, visitor, { ...draft, content }, callOf(exchange));
}

function isUncached({ parameters }: PublishInput): boolean {
  return /^(?:no|false|0)$/i.test(parameters("cache"));
}

/** Runs what needs the caller, and the body after this call. @throws OVERLOADED */
function whileKept(
  { bodies }: PublishContext,
  input: PublishInput,
  work: (kept: PublishInput) => Promise<Published>,
): Promise<Published> {
  if (input.isKept === true) return work(input);
  const { exchange } = input;
  const body = Buffer.from(input.body);
  const release = bodies.hold(exchange, body.length);
  return runAs(requestCaller(exchange), () => work({ ...input, body, isKept: true })).finally(release);
}

/** The caller of a request is known where it is needed only. */
export function callOf(exchange: Exchange): PublishCall {
  return { correlationId: exchange.correlationId, run: (fn) => runAs(requestCaller(exchange), fn) };
}

/** @throws NtfyError 40049 */
function sequenceOf({ sequenceId, parameters }: PublishInput): string {
  const id = sequenceId === "" ? parameters("sequenceId") : sequenceId;
  if (id !== "" && !TOPIC.test(id)) throw new NtfyError(40049);
  return id;
}

/** Members that do not depend on the body. @throws NtfyError 40007, 40018, 40021 */
function commonOf({ exchange, parameters, actions }: PublishInput): Content {
  const [priority, tags, click, icon] = [
    priorityOf(parameters("priority")),
    tagsOf(parameters("tags")),
    parameters("click"),
    parameters("icon"),
  ];
  if (icon !== "" && !/^https?:\/\//.test(icon)) throw new NtfyError(40021);
  const buttons = actions ?? parseActions(parameters("actions"));
  const isMarkdown =
    isTrue(parameters("markdown")) || exchange.header("content-type").toLowerCase() === "text/markdown";
  return {
    ...(priority !== 0 && { priority }),
    ...(tags.length > 0 && { tags }),
    ...(click !== "" && { click }),
    ...(icon !== "" && { icon }),
    ...(buttons.length > 0 && { actions: buttons }),
    ...(isMarkdown && { content_type: "text/markdown" }),
  };
}

type Body =
  | { readonly kind: "text"; readonly content: Content }
  | { readonly kind: "file"; readonly name: string; readonly content: Content };

/** The kind of the body: the first that fits (docs/ntfy.md). @throws NtfyError */
function bodyOf(input: PublishInput): Body {
  const { exchange, parameters, body } = input;
  if (isTrue(parameters("unifiedPush")) || exchange.header("content-encoding") === "aes128gcm")
    return { kind: "text", content: pushContent(body) };
  const attach = parameters("attach");
  if (attach !== "") {
    const file = remoteFile(attach, parameters("filename"));
    const texts = withMessage(textsOf(input, body), `You received a file: ${file.attachment.name}`);
    return { kind: "text", content: { ...texts, ...file } };
  }
  const filename = parameters("filename");
  if (filename !== "") return { kind: "file", name: filename, content: textsOf(input, NO_BYTES) };
  const template = parameters("template");
  if (template !== "") return { kind: "text", content: templateContent(input, template) };
  if (body.length <= MAX_MESSAGE_BYTES && textIn(exchange, body) !== undefined)
    return { kind: "text", content: withMessage(textsOf(input, body), "triggered") };
  return { kind: "file", name: "", content: textsOf(input, NO_BYTES) };
}

const NO_BYTES = Buffer.alloc(0);

/** Title and message; the parameter counts if the body is empty. */
function textsOf({ exchange, parameters }: PublishInput, body: Buffer): Content {
  const given = (textIn(exchange, body) ?? "").trim();
  const message = given === "" ? parameters("message").replaceAll("\\n", "\n") : given;
  if (Buffer.byteLength(message) > MAX_MESSAGE_BYTES) throw new NtfyError(40000, "the message is too long");
  const title = parameters("title").replace(/[\r\n]+/g, " ");
  return { ...(title !== "" && { title }), ...(message !== "" && { message }) };
}

function withMessage(content: Content, fallback: string): Content {
  return { ...content, message: content.message ?? fallback };
}

/** As it is, cut at the limit: an encrypted message for an app. */
function pushContent(body: Buffer): Content {
  const bytes = body.subarray(0, MAX_MESSAGE_BYTES);
  const text = utf8Of(bytes);
  return text === undefined ? { message: bytes.toString("base64"), encoding: "base64" } : { message: text };
}

/** @throws NtfyError 40013 */
function remoteFile(url: string, filename: string): { readonly attachment: Attachment } {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) throw new NtfyError(40013);
  const last = new URL(url).pathname.split("/").at(-1) ?? "";
  const name = filename !== "" ? filename : last !== "" ? decoded(last) : "attachment";
  return { attachment: { name, url } };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Parsing a character of a template, in bytes of JSON. */
const PARSED_AS_BYTES = 8;

/** `\n` outside of templates is a line break: in a header there is no other way to write one. */
function templateContent({ exchange, parameters, body, ownTemplate }: PublishInput, name: string): Content {
  const texts: NamedTemplate = IS_INLINE.test(name)
    ? { title: parameters("title"), message: parameters("message") }
    : (ownTemplate ?? builtIn(name));
  const data = jsonOf(body, exchange);
  const charge = (work: Work): void => exchange.work?.charge(exchange, work);
  const render = (text: string): string => {
    charge({ bytes: PARSED_AS_BYTES * text.length });
    return parseTemplate(text).render(data, charge).replaceAll("\\n", "\n").trim();
  };
  const [title, message] = [render(texts.title).replace(/[\r\n]+/g, " "), render(texts.message)];
  if (Buffer.byteLength(title) > MAX_MESSAGE_BYTES || Buffer.byteLength(message) > MAX_MESSAGE_BYTES)
    throw new NtfyError(40041);
  const priority = priorityOf(render(texts.priority ?? ""));
  return {
    ...(title !== "" && { title }),
    message: message === "" ? "triggered" : message,
    ...(priority !== 0 && { priority }),
  };
}

/** @throws NtfyError 40047 */
function builtIn(name: string): NamedTemplate {
  const template = Object.hasOwn(BUILT_IN_TEMPLATES, name) ? BUILT_IN_TEMPLATES[name] : undefined;
  if (!template) throw new NtfyError(40047);
  return template;
}

/** @throws NtfyError 40042 */
function jsonOf(body: Buffer, exchange: Exchange): unknown {
  try {
    return parseJson(body, { exchange });
  } catch {
    throw new NtfyError(40042);
  }
}

/** As it is, with a byte order mark. */
function utf8Of(bytes: Buffer): string | undefined {
  return isUtf8(bytes) ? bytes.toString("utf8") : undefined;
}

/** A message: UTF-8, or text as Windows programs send it; undefined for a file. */
function textIn(exchange: Exchange, body: Buffer): string | undefined {
  const charset = charsetIn(exchange.header("content-type"));
  if (charset === null && isUtf8(body)) return body.toString("utf8");
  const isDeclared = charset !== null && charset !== "utf-8" && isKnownCharset(charset);
  return isUtf8(body) || isDeclared || looksLikeText(body) ? bodyText(body, exchange) : undefined;
}

/** Stores the body as a file of the message. @throws NtfyError 40014, 40015, 41301; STORAGE_FULL */
async function upload(
  { attachments, clock, publisher, baseUrl }: PublishContext,
  { exchange, visitor, topic, body }: PublishInput,
  draft: Omit<Draft, "file">,
  { name: given, content }: Extract<Body, { kind: "file" }>,
): Promise<Published> {
  const { limits } = attachments;
  if (limits.fileBytes === 0) throw new NtfyError(40014);
  if (body.length === 0) throw new NtfyError(40000, "the file is empty");
  const { type, extension } = typeOf(body, given, utf8Of(body) !== undefined);
  const name = given === "" ? `attachment${extension}` : given.slice(0, MAX_DETAIL);
  const owner = uploaderOf(visitor.principal, exchange.clientAddress);
  const url = `${baseUrl(exchange)}/file/${draft.id}${extension}`;
  return attachments.store({ id: draft.id, owner, name, type, bytes: body }, draft.dueAt, (file: UploadedFile) => {
    const attachment = { name, type, size: body.length, expires: secondsOf(clock.now() + limits.keptMs), url };
    const texts = withMessage(content, `You received a file: ${name}`);
    const whole = { ...texts, ...draft.content, attachment };
    return publisher.publish(topic, visitor, { ...draft, file, content: whole }, callOf(exchange));
  });
}

/** The JSON form of a publish: its members as parameters. */
export interface JsonPublish {
  readonly topic: string;
  readonly message: string;
  readonly sequenceId: string;
  readonly actions: readonly ActionButton[];
  readonly parameters: Parameters;
}

const TEXT_MEMBERS = ["title", "click", "icon", "attach", "filename", "email", "call", "delay", "cache"] as const;

/** @throws NtfyError 40009, 40018, 40024 */
export function readJsonPublish(body: Buffer, exchange?: Exchange): JsonPublish {
  let given: unknown;
  try {
    given = parseJson(body, { exchange });
  } catch {
    throw new NtfyError(40024);
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw new NtfyError(40024);
  const json = given as Readonly<Record<string, unknown>>;
  const values = new Map<string, string>(TEXT_MEMBERS.map((name) => [name, memberText(json, name)]));
  values.set("priority", json["priority"] === 0 ? "" : memberText(json, "priority", "number"));
  values.set("markdown", json["markdown"] === true ? "1" : "");
  values.set("tags", tagsIn(json["tags"]));
  return {
    topic: memberText(json, "topic"),
    message: memberText(json, "message"),
    sequenceId: memberText(json, "sequence_id"),
    actions: json["actions"] === undefined || json["actions"] === null ? [] : checkActions(json["actions"]),
    parameters: (name) => values.get(name) ?? "",
  };
}

/** @throws NtfyError 40024 */
function memberText(
  json: Readonly<Record<string, unknown>>,
  name: string,
  type: "string" | "number" = "string",
): string {
  const value = json[name];
  if (value === undefined || value === null) return "";
  if (typeof value !== type) throw new NtfyError(40024, `${name} must be a ${type}`);
  return String(value);
}

function tagsIn(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (!Array.isArray(value) || !value.every((tag) => typeof tag === "string"))
    throw new NtfyError(40024, "tags must be texts");
  return value.join(",");
}
