import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { makeClientPackage } from "../client/support/client-package.ts";
import { ChildOutput } from "../helpers/child-output.ts";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { temporaryDir } from "../helpers/store.ts";
import { LiveServer, range } from "./support/live-server.ts";

const root = join(import.meta.dirname, "../..");
const PACKAGES = ["ws", "eventsource", "socket.io-client", "pusher", "pusher-js"];
const PUSHER = { "pusher.appId": "1001", "pusher.key": "my-key", "pusher.secret": "a-long-random-text" };
/** `pusher-js` waits 15 s after a connection that was refused. */
const PATIENCE_MS = 60_000;

/** A program of a page and the heading above it. */
interface Example {
  readonly name: string;
  readonly text: string;
}

function examplesOf(page: string): Example[] {
  const sections = readFileSync(join(root, "docs", page), "utf8").split(/^## /m);
  return sections.flatMap((section) => {
    const [heading = ""] = section.split("\n");
    return [...section.matchAll(/```js\n(import [\s\S]*?)```/g)].map(([, text = ""]) => {
      return { name: `${page}, ${heading}`, text };
    });
  });
}

/** A folder in which programs find the packages that they import. */
function folderWithPackages(t: TestContext): string {
  const dir = temporaryDir(t);
  mkdirSync(join(dir, "node_modules"));
  for (const name of PACKAGES) symlinkSync(join(root, "node_modules", name), join(dir, "node_modules", name));
  symlinkSync(makeClientPackage(t), join(dir, "node_modules/prism-client"));
  return dir;
}

class Program {
  readonly name: string;
  readonly #output: ChildOutput;

  constructor(t: TestContext, { name, text }: Example, dir: string, env: NodeJS.ProcessEnv) {
    this.name = name;
    const file = join(dir, `${name.replace(/\W+/g, "-")}.mjs`);
    writeFileSync(file, text);
    this.#output = new ChildOutput(spawn(process.execPath, [file], { cwd: dir, env }));
    t.after(() => this.#output.stop());
  }

  /** The number in each line that it printed. */
  get numbers(): number[] {
    return [...this.#output.stdout.matchAll(/^.*?(\d+).*$/gm)].map(([, number]) => Number(number));
  }

  get lines(): string[] {
    return this.#output.stdout.split("\n").slice(0, -1);
  }

  get isRunning(): boolean {
    return this.#output.isRunning;
  }

  get state(): string {
    return `${this.name} has printed ${this.#output.stdout.slice(-200)}, and of errors: ${this.#output.stderr.slice(-500)}`;
  }

  /** @throws when it ends before `isMet` */
  async until(isMet: () => boolean): Promise<void> {
    await this.#output.until(this.name, isMet, PATIENCE_MS);
  }
}

test("every program of docs/realtime.md, and the one of docs/pusher.md, prints everything in order, over a restart too", async (t) => {
  const port = await lastingPort();
  const server = await LiveServer.start(t, { settings: { port: String(port), ...PUSHER } });
  const { prism, projectId, userId } = server;
  const env = { ...process.env, PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken, PRISM_PROJECT: projectId };
  const [pusher] = examplesOf("pusher.md");
  assert.ok(pusher);
  const here = pusher.text.replaceAll("http://127.0.0.1:3000", prism.url).replace("wsPort: 3000", `wsPort: ${port}`);
  const examples = [...examplesOf("realtime.md"), { ...pusher, text: here }];
  assert.equal(examples.length, 7);
  const dir = folderWithPackages(t);
  const programs = examples.map((example) => new Program(t, example, dir, env));
  const havePrinted = async (count: number): Promise<void> => {
    for (const program of programs) {
      await program.until(() => program.numbers.length >= count);
      assert.deepEqual(program.numbers, range(1, count), program.state);
      assert.ok(program.isRunning, program.state);
    }
  };
  const publish = async (count: number): Promise<void> => {
    for (const feed of [server.feed, server.tasks, server.notifications]) await feed.publish(count);
  };

  // The one for Pusher starts with new events.
  const channel = `private-user-${userId}`;
  const { pusherRegistry } = prism.parts.offers;
  await eventually("it has joined", () => pusherRegistry.subscriptionCount(channel) === 1, PATIENCE_MS);
  await publish(3);
  await havePrinted(3);
  await server.restart();
  await publish(4);
  await havePrinted(7);
  await publish(2);
  await havePrinted(9);
});

test("the program of docs/socketio.md continues after a restart and reports that it missed nothing", async (t) => {
  const port = await lastingPort();
  const server = await LiveServer.start(t, { settings: { port: String(port) } });
  const { prism, userId } = server;
  const [example] = examplesOf("socketio.md");
  assert.ok(example);
  const here = { ...example, text: example.text.replaceAll("http://127.0.0.1:3000", prism.url) };
  const program = new Program(t, here, folderWithPackages(t), { ...process.env, TOKEN: prism.adminToken });
  const numbers = () => program.lines.filter((line) => /^\d+$/.test(line)).map(Number);
  const has = (line: string) => program.until(() => program.lines.includes(line));
  await has(`${userId}: 0 missed, all sent`);
  await server.notifications.publish(3);
  await has("3");
  await server.restart();
  await server.notifications.publish(4);
  await has("7");
  assert.ok(program.lines.includes("the server ends it: restart"), program.state);
  assert.deepEqual(numbers(), range(1, 7));
});

test("the server program of docs/pusher.md triggers events and reads channels", async (t) => {
  const { prism } = await LiveServer.start(t, { settings: PUSHER });
  const [, example] = examplesOf("pusher.md");
  assert.ok(example);
  const text = example.text.replace('port: "3000"', `port: "${new URL(prism.url).port}"`);
  const program = new Program(t, { ...example, text }, folderWithPackages(t), process.env);
  await eventually("it has ended", () => !program.isRunning && program.lines.length > 0, PATIENCE_MS).catch(() =>
    assert.fail(program.state),
  );
  assert.deepEqual(program.lines, ["{ channels: {} }"], program.state);
  const triggered = prism.parts.base.store.reader.prepare<[], { stream: string; type: string }>(
    "select stream, type from stream_log where stream like 'pusher:%' order by seq",
  );
  assert.deepEqual(triggered.all(), [
    { stream: "pusher:news", type: "headline" },
    { stream: "pusher:private-team", type: "note" },
  ]);
});
