import { type IncomingMessage, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { at, type Json, parsed } from "./json.ts";
import type { Transcript } from "./transcript.ts";

/** Longest wait for an answer on a busy machine, and for what has none. */
const ANSWER_MS = 5000;
const SILENCE_MS = 200;
/** Protocols that send nothing before the first entry. */
const SILENT = /^\/(?:realtime|gotify)\//;
const QUIET_MS = 500;
const MOST_MS = 10_000;
const STEP_MS = 10;

interface File {
  readonly name: string;
  readonly transcript: Transcript;
  /** Whether of entries with the same `type` only the first is recorded. */
  readonly isOncePerType?: boolean;
}

/** A connection that receives: what was sent and what came, in order. */
export class Live {
  readonly ended: Promise<void>;
  readonly #file: File;
  readonly #send: (text: string) => void;
  #lastAt = Date.now();
  #count = 0;
  #isOver = false;
  readonly #types = new Set<Json | undefined>();
  /** The last frame that came. */
  last: Json = null;
  #end: () => void = () => undefined;

  constructor(file: File, path: string, send: (text: string) => void) {
    this.#file = file;
    this.#send = send;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    file.transcript.section(path);
  }

  /** A frame, or a part of a stream. */
  came(text: string): void {
    this.#lastAt = Date.now();
    this.#count++;
    const [, packet = "", rest = ""] = /^(\d{0,3})([[{][\s\S]*)?$/.exec(text) ?? [];
    this.last = parsed(rest === "" ? text : rest);
    const type = at(this.last, "type");
    if (this.#file.isOncePerType && this.#types.has(type)) return;
    if (type !== undefined) this.#types.add(type);
    this.#file.transcript.line(`< ${rest === "" ? text : packet}`);
    if (rest !== "") this.#file.transcript.body(rest);
  }

  closed(text: string): void {
    this.#file.transcript.line(`end: ${text}`);
    this.#isOver = true;
    this.#end();
  }

  mark(text: string): void {
    this.#file.transcript.line(`-- ${text}`);
  }

  /** Sends a text and waits for the answer. */
  async say(text: string): Promise<void> {
    this.#file.transcript.line(`> ${text}`);
    const before = this.#count;
    this.#send(text);
    for (let waited = 0; this.#count === before && !this.#isOver && waited < ANSWER_MS; waited += STEP_MS)
      await sleep(STEP_MS);
    await sleep(STEP_MS);
  }

  /** Sends a text that has no answer. */
  async tell(text: string): Promise<void> {
    this.#file.transcript.line(`> ${text}`);
    this.#send(text);
    await sleep(SILENCE_MS);
  }

  /** Waits until nothing has come for a while. */
  async quiet(): Promise<void> {
    for (let waited = 0; Date.now() - this.#lastAt < QUIET_MS && waited < MOST_MS; waited += STEP_MS)
      await sleep(STEP_MS);
  }

  save(): void {
    this.#file.transcript.save(`${this.#file.name}.txt`);
  }
}

/** Resolves when its first frame has come, or it was refused. */
export async function openWebSocket(
  file: File,
  url: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<Live> {
  const socket = new WebSocket(url + path, { headers });
  const live = new Live(file, path, (text) => socket.send(text));
  await new Promise<void>((resolve) => {
    socket.on("message", (data) => {
      live.came(String(data));
      resolve();
    });
    socket.on("open", () => setTimeout(resolve, SILENT.test(path) ? SILENCE_MS : ANSWER_MS));
    socket.on("error", () => resolve());
    socket.on("close", (code, reason) => live.closed(`${code} ${reason}`));
    socket.on("unexpected-response", (_request, response) => {
      void textOf(response).then((text) => {
        live.closed(`${response.statusCode}`);
        file.transcript.body(text);
        resolve();
      });
    });
  });
  return live;
}

/** A stream over HTTP. Resolves when its head and first part have come. */
export function openStream(
  file: File,
  url: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<Live> {
  const live = new Live(file, path, () => undefined);
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { headers, agent: false }, (response) => {
      file.transcript.line(`${response.statusCode} ${response.headers["content-type"]}`);
      let rest = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) cameLine(live, line);
        setTimeout(() => resolve(live), STEP_MS);
      });
      const end = (): void => {
        live.closed("of the stream");
        resolve(live);
      };
      response.on("end", end);
      response.on("error", end);
      setTimeout(() => resolve(live), ANSWER_MS);
    });
    sent.on("error", reject);
    sent.end();
  });
}

/** Of server-sent events the data is JSON, too. */
function cameLine(live: Live, line: string): void {
  const data = /^data: ?([[{].*)$/.exec(line)?.[1];
  if (data === undefined) live.came(line);
  else {
    live.came("data:");
    live.came(data);
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk as string;
  return text;
}
